--- What scripts get of Lua itself: nothing that breaks the library or the program, on 5.4.4 and later ones alike. What
--- only a trusted script has runs trusted; allowed_spec says what a confined one gets.
local lfs = require "lfs"
local helpers = dofile "tests/lua/helpers.lua"
local has, quote = helpers.has, helpers.quote

local workspace

local function write(name, text)
  helpers.write(workspace .. "/" .. name, text)
end

local function shell(command)
  return helpers.shell(workspace, command)
end

local CONFINED <const>, TRUSTED <const> = '"$SMRUN" script.lua', '"$SMRUN" --trust script.lua'

--- Runs a file with this text; fails unless it ends well. What it prints.
--- @param command string|nil confined by default
local function output_of(text, command)
  write("script.lua", text)
  local status, out, err = shell(command or CONFINED)
  assert.same({ "", 0 }, { err, status })
  return out
end

--- Runs a file with this text, and fails unless it ends with an error that has these words.
local function assert_fails(words, text, command)
  write("script.lua", text)
  local status, _, err = shell(command or CONFINED)
  has(err, words)
  assert.equal(1, status)
end

setup(function()
  workspace = os.tmpname()
  os.remove(workspace)
  assert(lfs.mkdir(workspace))
end)

teardown(function() os.execute("rm -r " .. quote(workspace)) end)

describe("a script", function()
  it("has of 'debug' what looks at its own code", function()
    assert.equal("script.lua\t2\ta\t5\tb\nnil\tnil\tnil\nup\t7\n5\n", output_of([[
      local sm = require "sm"
      local up = 7
      local function f(a, b) return a, up end
      local function own(a)
        local info = debug.getinfo(1, "S")
        print(info.short_src, debug.traceback "" ~= "" and 2, (debug.getlocal(1, 1)), a, debug.getlocal(f, 2))
      end
      own(5)
      print(debug.getlocal(sm.zeros, 1), debug.getlocal(print, 1), debug.getupvalue(sm.zeros, 1))
      print((debug.getupvalue(f, 1)), 7, debug.getupvalue(f, 2))
      local thread = coroutine.create(function(a) coroutine.yield(a) end)
      coroutine.resume(thread, 5)
      print(select(2, debug.getlocal(thread, 1, 1)))
    ]], TRUSTED))
  end)

  it("is told what it does not have of 'debug' and 'package', and why", function()
    local names <const> = { "debug.debug", "debug.getmetatable", "debug.setmetatable", "debug.getregistry",
      "debug.getuservalue", "debug.setuservalue", "debug.setlocal", "debug.setupvalue", "debug.upvalueid",
      "debug.upvaluejoin", "debug.setcstacklimit", "debug.sethook", "package.loadlib" }
    local lines, expected = {}, {}
    for i, name in ipairs(names) do
      local room, inner = name:match "^(%w+)%.(%w+)$"
      lines[i] = ("for _, room in ipairs { %s, require '%s', package.loaded.%s } do print(pcall(function() "):format(
        room, room, room) .. ("room.%s(1, 2) end)) end"):format(inner)
      expected[i] = ("\nfalse\tscript.lua:%d: %s is not available in an experiment: "):format(i, name)
    end
    local out = "\n" .. output_of(table.concat(lines, "\n"), TRUSTED)
    for _, message in ipairs(expected) do assert.equal(3, select(2, out:gsub(message:gsub("%p", "%%%0"), "")), out) end
  end)

  it("loads text alone: a binary chunk can do anything to the program", function()
    local out = output_of([[
      local dump = string.dump(function() return 1 end)
      local file = assert(io.open("chunk.lua", "wb"))
      file:write(dump)
      file:close()
      print(load(dump))
      print(load(dump, "x", "b"))
      print(load(dump, "x", "bt", {}))
      print(load(function() local piece = dump dump = nil return piece end))
      print(loadfile "chunk.lua")
      print(loadfile(require "lfs".currentdir() .. "/chunk.lua", "b"))
      print(pcall(dofile, "chunk.lua"))
      print(pcall(require, "chunk"))
      package.path = "/nowhere/?.lua;" .. require "lfs".currentdir() .. "/sub/?.lua"
      require "lfs".mkdir "sub"
      os.rename("chunk.lua", "sub/inner.lua")
      print(pcall(require, "inner"))
      print(load "return 1 + 1"(), load("return x", "x", "t", { x = 3 })(), load("return x", "x", "bt", { x = 4 })())
    ]], TRUSTED)
    local refused = select(2, out:gsub("expected Lua text, got a binary chunk, which Lua does not check", ""))
      + select(2, out:gsub("attempt to load a binary chunk", ""))
    assert.equal(9, refused, out)
    has(out, "\n2\t3\t4\n")
    for _, trust in ipairs { "", "--trust " } do
      local status, _, err = shell(('"$SMRUN" %ssub/inner.lua'):format(trust))
      assert.same({ 1, "smrun: sub/inner.lua: expected Lua text, got a binary chunk, which Lua does not check\n" },
        { status, err })
    end
  end)

  it("survives whatever bytes it takes for Lua", function()
    assert.equal("0\n", output_of([[
      math.randomseed(1)
      local dump, loaded = string.dump(function(a, ...)
        local t = { ... }
        for _, v in ipairs(t) do a = a + v end
        return function() return a, t end
      end), 0
      for _ = 1, 3000 do
        local bytes = { dump:byte(1, -1) }
        for _ = 1, math.random(3) do bytes[math.random(2, #bytes)] = math.random(0, 255) end
        local f = load(string.char(table.unpack(bytes)), "x", "b")
        if f then loaded = loaded + 1 pcall(f, 1, 2, 3) end
      end
      print(loaded)
    ]], TRUSTED))
  end)

  it("cannot change how memory is collected, but may look and collect", function()
    assert.equal("true\t0\ttrue\tgenerational\n", output_of [[
      print(collectgarbage "count" > 0, collectgarbage(), collectgarbage "isrunning", collectgarbage "generational")
    ]])
    for _, option in ipairs { '"stop"', '"incremental"', '"setpause", 1000', '"generational", 1, 1', '"x"', "{}" } do
      assert_fails('script.lua:1: collectgarbage: expected "collect", "step", "count" or "isrunning", got ',
        "collectgarbage(" .. option .. ")")
    end
    assert_fails("script.lua:1: bad argument #2 to 'collectgarbage'", "local x = collectgarbage('step', {})")
  end)

  it("changes nothing for the library by what it replaces", function()
    local text <const> = [[
      local sm, lua = require "sm", _G
      local print, pcall, next, select, type = print, pcall, next, select, type
      for _, room in ipairs { "string", "table", "math", "os", "io", "coroutine", "utf8", "debug" } do
        for name in next, lua[room] do lua[room][name] = nil end
      end
      local done = pcall(lua.setmetatable, lua, { __index = function() error "Lua code ran" end }) -- not if confined
      for name, value in next, lua do
        if type(value) ~= "table" then lua[name] = nil end
      end
      print(sm.ones(2, 2))
      print(pcall(sm.zeros, -1))
      print(#{ sm.nn.sequential { sm.nn.linear { 2 } }(sm.ones(1, 2)) })
      print(select(2, pcall(sm.experiment, { modle = 1 })))
    ]]
    for _, command in ipairs { CONFINED, TRUSTED } do
      local out = output_of(text, command)
      has(out, "{{1, 1},\n {1, 1}}")
      has(out, "false\tscript.lua:11: size 1 of a shape must be an integer of at least 0, got number -1\n1\n")
      has(out, "modle")
    end
  end)

  it("changes nothing for the library by what it does to package", function()
    for _, harm in ipairs {
      "package.searchers = nil", "for i = 1, #package.searchers do package.searchers[i] = nil end",
      "table.insert(package.searchers, 1, function() return function() return {} end end)",
      "for name in pairs(package.loaded) do package.loaded[name] = nil end",
      "for _, name in ipairs { 'data', 'check', 'experiment' } do package.loaded['sm.' .. name] = {} end",
      "for _, name in ipairs { 'sm.data', 'sm.experiment', 'lfs' } do package.preload[name] = function() end end",
    } do
      assert.matches("^sm%.data, with [^\n]*\tsm%.view, with [^\n]*\n$", output_of([[
        local sm = require "sm"
        ]] .. harm .. [[

        print(sm.data, sm.view)
        local _ = sm.experiment {
          data = sm.data.tensors { inputs = sm.ones(4, 2), targets = sm.zeros({ 4 }, "int32") },
          model = sm.nn.linear { 2 }, optimizer = sm.optim.sgd { lr = 1 }, schedule = { steps = 1, batch = 1 },
        }
        return _ and nil, os.exit()]], TRUSTED))
    end
    for _, command in ipairs { CONFINED, TRUSTED } do
      assert.equal("true\t3.0\n", output_of([[
        for name in pairs(package.loaded) do package.loaded[name] = nil end
        local sm = require "sm"
        local y = sm.ones(1) + 2
        print(require "sm" == sm, y:item())]], command))
    end
  end)

  it("gets the modules that the library has, whoever requires them first", function()
    assert.equal("true\ttrue\ttrue\n", output_of([[
      local nn, lfs = require "sm.nn", require "lfs"
      local sm = require "sm"
      print(nn == sm.nn, require "sm.optim" == sm.optim, lfs == require "lfs")]], TRUSTED))
  end)

  it("prints what a terminal would obey in a visible form", function()
    assert.equal("\\27[31mred\\r\t1\tnil\ta\tb\n\n\\u{202E}x\n", output_of [[
      print("\27[31mred\r", 1, nil, "a\tb\n")
      print("\u{202E}x")]])
  end)

  it("adds methods to strings, and replaces none", function()
    assert.equal("<x>\tX\tmine\ttrue\tfalse\n", output_of [[
      function string.quoted(s) return "<" .. s .. ">" end
      local upper = string.upper
      function string.upper() return "mine" end
      print(("x"):quoted(), ("x"):upper(), string.upper "x", getmetatable "".__index == string, upper == string.upper)
    ]])
    assert_fails("script.lua:1: the metatable of strings is not for an experiment to change",
      'getmetatable "".__index = {}')
    assert_fails("script.lua:1: ", 'getmetatable(io.stdout).__index = {}')
  end)

  it("takes C modules from where the person said, not from where it says", function()
    assert_fails("module 'nowhere': package.cpath is not for an experiment to change; the environment variable LUA_",
      'package.cpath = "./?.so;" .. package.cpath\nrequire "nowhere"', TRUSTED)
    local dir = workspace .. "/so"
    assert(lfs.mkdir(dir))
    write("so/late.so", "no library")
    local _, _, err = shell(("LUA_CPATH='%s/?.so;;' \"$SMRUN\" -e 'require [[late]]'"):format(dir))
    has(err, "error loading module 'late' from file '" .. dir .. "/late.so'")
    _, _, err = shell [[cd so && LUA_CPATH='./?.so;;' "$SMRUN" -e 'require "late"']]
    has(err, "module 'late' not found")
  end)

  it("does not wait for a pipe that is named as a module", function()
    assert.same({ 0 }, { (shell "mkfifo pipe.lua") })
    write("script.lua", ('package.path = %q .. "/?.lua"\nrequire "pipe"'):format(workspace))
    for _, command in ipairs { CONFINED, TRUSTED, [["$SMRUN" -e 'require "pipe"']] } do
      local status, _, err = shell("timeout 100 " .. command)
      assert.equal(1, status)
      has(err, "module 'pipe' not found")
    end
  end)

  it("closes coroutines in coroutines as far as the stack goes", function()
    assert.equal("true\tfalse\tfalse\n196\n", output_of [[
      local thread, closed
      for _ = 1, 200000 do
        local inner = thread
        thread = coroutine.create(function()
          local closing <close> = setmetatable({}, {
            __close = function() if inner then coroutine.close(inner) end end,
          })
          coroutine.yield()
        end)
        coroutine.resume(thread)
      end
      closed = true, coroutine.close(thread)
      local call, ok
      for _ = 1, 200000 do
        local inner = call
        call = coroutine.wrap(function()
          local closing <close> = setmetatable({}, { __close = function() if inner then inner() end end })
          error "x"
        end)
      end
      ok = pcall(call)
      local count = 0
      local function nest()
        count = count + 1
        coroutine.wrap(nest)()
      end
      print(closed, ok, (pcall(nest)))
      print(count > 150 and count < 200 and 196)
    ]])
  end)

  it("wraps coroutines as Lua does", function()
    assert.equal("1\t2\n3\nfalse\tscript.lua:5: script.lua:3: x\nfalse\tscript.lua:6: cannot resume dead coroutine\n"
      .. "table\nclosed\nfalse\tbad argument #1 to 'wrap' (function expected, got number)\n", output_of [[
      local f = coroutine.wrap(function(...)
        print(coroutine.yield(...))
        error "x"
      end)
      print(f(1, 2)) print(pcall(function() f(3) return 1 end))
      print(pcall(function() f() return 1 end))
      local g = coroutine.wrap(function()
        local closing <close> = setmetatable({}, { __close = function() error({}) end })
        error "first"
      end)
      print(type(select(2, pcall(g))))
      local h = coroutine.wrap(function()
        local closing <close> = setmetatable({}, { __close = function() print "closed" end })
        error "first"
      end)
      pcall(h)
      print(pcall(coroutine.wrap, 1))
    ]])
  end)

  it("gets an error where functions of Lua call each other without end", function()
    for _, code in ipairs {
      "local function f(s) return (s:gsub('.', f)) end f 'a'",
      "local t = setmetatable({}, { __tostring = function(x) return tostring(x) end }) tostring(t)",
      "local function f() return assert(load(f)) end f()",
      "local function f() return 1 + f() end assert(xpcall(f, f))",
      "local function f() assert(pcall(f)) end assert(xpcall(f, f))",
      "local function f() table.sort({ 3, 2, 1 }, f) end f()",
      "local t = setmetatable({}, {}) getmetatable(t).__index = function(s, k) return s[k] end print(t.x)",
      "local t = setmetatable({}, {}) getmetatable(t).__concat = function(a, b) return a .. b end print(t .. t)",
      "package.preload.x = function() package.loaded.x = nil return require 'x' end require 'x'",
      "assert(load(('('):rep(1e6)))", "assert(load('return ' .. ('{'):rep(1e6)))",
      "('x'):rep(1 << 40)", "table.unpack({}, 1, 1 << 40)", "table.concat({}, 'x', 1, 1 << 53)",
      "string.format('%99999d', 1)", "('a'):rep(300000):find(('.-'):rep(300000) .. 'b')",
    } do
      write("script.lua", code)
      local status, _, err = shell '"$SMRUN" script.lua'
      assert.same({ code, 1 }, { code, status })
      has(err, "smrun: ")
    end
  end)

  it("is blamed for a stack that overflows, not the line of the library where it is full", function()
    assert_fails("smrun: script.lua:2: stack overflow\nstack traceback:\n\tscript.lua:2: in ", [[
      local sm = require "sm"
      local function f(n) return sm.zeros(1) + f(n + 1) end
      f(1)]])
    write("script.lua", [[
      local sm, op = require "sm", nil
      op = sm.op { name = "r", forward = function(_, x) return op(x) end, backward = print }
      op(sm.zeros(1))]])
    local status, _, err = shell '"$SMRUN" script.lua' -- with no line of the user's for thousands of levels
    assert.equal(1, status)
    assert.matches("^smrun: .*stack overflow", err)
    assert.is_nil(err:find "/sm/", err)
  end)
end)

describe("a file named as a module of the library or of the system", function()
  local here <const> = lfs.currentdir()
  local traps <const> = { "lfs", "argparse", "sm", "cjson", "sm/runtime", "sm/text", "sm/cli", "sm/host", "string",
    "table", "debug" }

  --- Paths of this process that begin at the root.
  local function absolute(path)
    return (path:gsub("[^;]+", function(template)
      return template:sub(1, 1) == "/" and template or here .. "/" .. template
    end))
  end

  setup(function()
    assert(lfs.mkdir(workspace .. "/traps"))
    for _, room in ipairs { "sm", "lfs", "argparse", "cjson" } do assert(lfs.mkdir(workspace .. "/traps/" .. room)) end
    for _, name in ipairs(traps) do
      write("traps/" .. name .. ".lua", 'io.stderr:write "a trap\\n" os.exit(9)')
      write("traps/" .. name .. ".so", "no library")
    end
    for _, room in ipairs { "sm", "lfs", "argparse", "cjson" } do
      write("traps/" .. room .. "/init.lua", 'io.stderr:write "a trap\\n" os.exit(9)')
    end
    write("traps/utils.lua", "return 'my own'")
    write("traps/e.lua", [[
      local sm = require "sm"
      assert(require "string" == string and require "lfs".dir and require "sm.text".visible and require "argparse")
      print(require "utils", sm.ones(2):sum():item())
    ]])
    write("traps/confined.lua", [[
      local sm = require "sm"
      print(require "utils", sm.ones(2):sum():item(), require "sm.optim" == sm.optim and sm.nn and sm.data ~= nil)
    ]])
    write("elsewhere.lua", [[
      local sm = require "sm"
      print(require "cjson".encode { 1 }, sm.ones(2):sum():item())
    ]])
  end)

  it("in the working directory, or beside an experiment, is never taken for it", function()
    for _, variables in ipairs { "LUA_PATH='./?.lua;./?/init.lua;;' LUA_CPATH='./?.so;;'", "LUA_PATH='?.lua;;;;'",
      "LUA_PATH_5_4=';;./?.lua;;' LUA_CPATH_5_4='?.so;;'", "PATH=.:/usr/bin:/bin LUA_INIT='os.exit(9)'" } do
      for command, output in pairs {
        ['"$SMRUN" --trust e.lua'] = "my own\t2.0\n", ['"$SMRUN" --trust ../elsewhere.lua'] = "[1]\t2.0\n",
        ['"$SMRUN" confined.lua'] = "my own\t2.0\ttrue\n",
        ['"$SMRUN" -e "print(require[[sm]].ones(2):sum():item(), require[[cjson]].encode{1})"'] = "2.0\t[1]\n",
      } do
        local status, out, err = shell("cd traps && " .. variables .. " " .. command)
        assert.same({ "", 0, output }, { err, status, out })
      end
    end
    local status, out, err = shell 'cd traps && "$SMRUN" compare nothing'
    assert.same({ 2, "" }, { status, out })
    assert.is_nil(err:find("a trap", 1, true))
  end)

  it("is not taken for what the library needs in plain Lua either", function()
    os.execute("rm -r " .. quote(workspace .. "/traps/sm") .. " " .. quote(workspace .. "/traps/sm.lua"))
    local status, out, err = shell(("cd traps && LUA_PATH=%s LUA_CPATH=%s lua5.4 e.lua"):format(
      quote("./?.lua;./?/init.lua;" .. absolute(package.path)), quote("./?.so;" .. absolute(package.cpath))))
    assert.same({ "", 0, "my own\t2.0\n" }, { err, status, out })
  end)
end)

describe("lfs", function()
  it("closes directories alone", function()
    require "sm"
    local _, directory = require "lfs".dir "/"
    assert.is_false(getmetatable(directory))
    for _, object in ipairs { io.stdout, {}, 1 } do
      assert.matches("expected a directory", select(2, pcall(directory.close, object)))
    end
    directory:close()
    directory:close()
  end)
end)

describe("a limit on memory", function()
  it("is an error, also where OpenBLAS would ask for ever", function()
    write("product.lua", [[
      local sm = require "sm"
      local a = sm.randn(300, 300)
      for _ = 1, 3 do a:matmul(a) end
      require "sm.runtime".system.set_threads(4)
      for _ = 1, 3 do a:matmul(a) end
    ]])
    for threads, limits in pairs {
      [1] = { 300000, 350000, 400000 }, [4] = { 60000, 100000, 150000, 200000, 250000, 300000 },
    } do
      for _, limit in ipairs(limits) do
        local status, _, err = shell(('ulimit -v %d; SMRUN_GEMM=blas timeout 100 "$SMRUN" --trust --threads '
          .. '%d product.lua'):format(limit, threads))
        assert.is_true(status == 0 or #err > 0 and status ~= 124, limit .. ": " .. err)
      end
    end
  end)
end)
