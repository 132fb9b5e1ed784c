--- What a confined script gets of Lua: what is listed, and nothing that leads to the library or to another script. What
--- the operating system forbids it is not asked here.
local lfs = require "lfs"
local helpers = dofile "tests/lua/helpers.lua"
local has, quote = helpers.has, helpers.quote

local workspace

local function write(name, text)
  helpers.write(workspace .. "/" .. name, text)
end

--- Runs script.lua, which gets this text, as a confined process would: it may read here, and write in own/.
local function run(text)
  write("script.lua", text)
  local code = ([[
    local here = %q
    require "sm.cli.allowed".install()
    require "sm.reach".confine { read = { here }, write = { here .. "/own" }, home = here .. "/own" }
    require "sm.experiment.load".file("script.lua", nil, {})]]):format(workspace)
  return helpers.shell(workspace, '"$SMRUN" --trust -e ' .. quote(code))
end

local function output_of(text)
  local status, out, err = run(text)
  assert.same({ "", 0 }, { err, status })
  return out
end

--- Each line of code is run by pcall, in a file of its own lines; what it raises must have the words beside it.
local function assert_refused(prelude, cases)
  local lines, expected = { prelude }, {}
  for words, codes in pairs(cases) do
    for _, code in ipairs(type(codes) == "table" and codes or { codes }) do
      lines[#lines + 1] = ("io.write(%q, '\\n  ', tostring(select(2, pcall(function() %s end))), '\\n')"):format(
        code, code)
      expected[#expected + 1] = { code, words }
    end
  end
  local out = output_of(table.concat(lines, "\n"))
  for _, case in ipairs(expected) do has(out, case[1] .. "\n  ") end
  for _, case in ipairs(expected) do
    local at = select(2, out:find(case[1] .. "\n  ", 1, true))
    has(out:sub(at, at + 600):match "^[^\n]*", case[2])
  end
end

setup(function()
  workspace = os.tmpname()
  os.remove(workspace)
  assert(lfs.mkdir(workspace) and lfs.mkdir(workspace .. "/own") and lfs.mkdir(workspace .. "/lib"))
  write("net.lua", [[
    local M = { name = ... }
    counter = (counter or 0) + 1
    function M.counter() return counter end
    return M]])
  write("lib/deep.lua", "return 'deep'")
  write("lfs.lua", "return 'mine'")
end)

teardown(function() os.execute("rm -r " .. quote(workspace)) end)

describe("a confined script", function()
  it("finds what is listed, and nothing else", function()
    local out = output_of [[
      local names = {}
      for name, value in pairs(_G) do
        names[#names + 1] = name
        if type(value) == "table" and name ~= "_G" and name ~= "arg" then
          for inner, what in pairs(value) do
            local works = type(what) ~= "function" or not tostring(select(2, pcall(what))):find "not available in an"
            if works then names[#names + 1] = name .. "." .. inner end
          end
        end
      end
      table.sort(names)
      print(table.concat(names, " "))]]
    local expected <const> = [[_G _VERSION arg assert collectgarbage coroutine coroutine.close coroutine.create
      coroutine.isyieldable
      coroutine.resume coroutine.running coroutine.status coroutine.wrap coroutine.yield debug debug.traceback dofile
      error getmetatable io io.close io.flush io.lines io.open io.stderr io.stdout io.type io.write ipairs load
      loadfile math math.abs math.acos math.asin math.atan math.ceil math.cos math.cosh math.deg math.exp math.floor
      math.fmod math.frexp math.huge math.ldexp math.log math.log10 math.max math.maxinteger math.min math.mininteger
      math.modf math.pi math.pow math.rad math.random math.randomseed math.sin math.sinh math.sqrt math.tan math.tanh
      math.tointeger math.type math.ult next os os.clock os.date os.difftime os.getenv os.remove os.rename os.time
      package package.config package.loaded package.path package.preload pairs pcall print rawequal rawget rawlen
      rawset require select setmetatable string string.byte string.char string.find string.format string.gmatch
      string.gsub string.len string.lower string.match string.pack string.packsize string.rep string.reverse
      string.sub string.unpack string.upper table table.concat table.insert table.move table.pack table.remove
      table.sort table.unpack tonumber tostring type utf8 utf8.char utf8.charpattern utf8.codepoint utf8.codes
      utf8.len utf8.offset warn xpcall]]
    assert.equal(expected:gsub("%s+", " "):gsub("^ ", "") .. "\n", (out:gsub(" math%.atan2", "")))
  end)

  it("is told what is not there, why, and what to do", function()
    local trust <const> = "`smrun --trust FILE` runs it without confinement"
    local cases = { [trust] = {}, ["an experiment starts no programs; "] = { "os.execute 'ls'", "io.popen 'ls'" },
      ["script.lua:"] = { "os.exit()", "string.dump(print)" },
      ["`return` ends a file, and an error fails it"] = "os.exit(0)",
      ["string.dump is not available"] = { "('').dump(print)", "local s = '' s:dump()" } }
    for name in ([[os.execute os.exit os.tmpname os.setlocale io.popen io.tmpfile io.input io.output io.read io.stdin
      debug.getinfo debug.getlocal debug.getmetatable debug.getregistry debug.getupvalue debug.getuservalue
      debug.gethook debug.sethook debug.setlocal debug.setmetatable debug.setupvalue debug.upvalueid debug.upvaluejoin
      debug.debug string.dump package.loadlib package.searchpath package.searchers package.cpath]]):gmatch "%S+" do
      cases[name .. " is not available in an experiment: "] = ("local f = %s; f(1, 2)"):format(name)
      table.insert(cases[trust], ("local g = %s; g(1, 2)"):format(name))
    end
    assert_refused("", cases)
    assert.equal("nil\tnil\tnil\n", output_of "print(os.getenv 'HOME', os.getenv 'PATH', io.nothing)")
    local status, _, err = run "os.exit(0)"
    assert.equal(1, status)
    has(err, "smrun: script.lua:1: os.exit is not available in an experiment: `return` ends a file")
  end)

  it("requires Lua beside it, sm, and what it makes itself", function()
    assert.equal("true\ttrue\ttrue\ttrue\nnet\ttrue\t1\tdeep\tmine\ttrue\n", output_of [[
      local sm = require "sm"
      print(require "sm.nn" == sm.nn, require "sm.png" == sm.png, require "sm.data" == sm.data,
        require "string" == string)
      package.path = "lib/?.lua;" .. package.path
      package.preload.made = function() return "mine" end
      local net = require "net"
      print(net.name, package.loaded.net == net and require "net" == net, net.counter(), require "deep", require "made",
        package.loaded.made == "mine")]])
    local words <const> = "an experiment has the Lua files beside it, and sm; `smrun --trust FILE` runs it without"
    local cases = { [words] = {} }
    for _, name in ipairs { "lfs", "argparse", "sm.host", "sm.runtime", "sm.cli", "sm.cli.globals", "sm.modules",
      "sm.files", "sm.check", "sm.canvas", "sm/host", "sm.data.fetch", "sm.study.jobs", "_G", "sm.nn.layer", "sm." } do
      cases["module '" .. name .. "' "] = ("require %q"):format(name)
    end
    for _, name in ipairs { "lfs", "sm.host" } do table.insert(cases[words], ("local _ = require %q"):format(name)) end
    assert_refused("", cases)
    local _, _, err = run 'require "cjson"'
    has(err, "smrun: script.lua:1: module 'cjson' not found: no file './cjson.lua' beside it, ")
    has(err, words)
    has(select(3, run 'require "nn"'), "no file './nn/init.lua' beside it; here it is require \"sm\".nn; " .. words)
    assert_refused("", { ["bad argument #1 to 'require' (string expected, got table)"] = "require {}" })
  end)

  it("loads text, in its own globals or in those that it gives", function()
    assert.equal("nil\tnil\n3\t4\t5\nfalse\tfalse\nnil\ttrue\n2\t7\tnil\n", output_of [[
      local binary = "\27Lua"
      print((load(binary)), (load(function() local piece = binary binary = nil return piece end)))
      print(load "return 1 + 2"(), load("return x", "x", "t", { x = 4 })(), load("return x", "x", "bt", { x = 5 })())
      local inner = load "return _ENV"()
      print(inner.os.exit == os.exit and pcall(inner.os.exit), (pcall(load("return x", "x", "t", nil))))
      print((loadfile "/etc/passwd"), not pcall(dofile, "/etc/passwd"))
      local file = io.open("made.lua", "w")
      file:write "made = 7 return 2"
      file:close()
      print(dofile "made.lua", load "return made"(), (loadfile("script.lua", "b")))]])
    assert_refused("", { ["expected the path of a file"] = { "loadfile()", "dofile()" },
      ["assignment to global 'x'"] = "x = 1", ["undefined variable 'y'"] = "return y" })
  end)

  it("opens, removes and renames files where it may", function()
    assert.equal("hello\nhello\nnil\t/etc/passwd: this experiment may not read there; `--read DIR` grants more\t13\n"
      .. "true\ttrue\ttrue\nnil\tnil\tnil\tnil\tnil\n", output_of [[
      local file <close> = assert(io.open("deep/er/x.txt", "w"))
      file:write "hello\n"
      file:close()
      for line in io.lines "deep/er/x.txt" do print(line) end
      io.write(io.open "deep/er/x.txt":read "a")
      print(io.open "/etc/passwd")
      print(os.rename("deep/er/x.txt", "y.txt"), io.open("y.txt", "r+") ~= nil, os.remove "y.txt")
      print((os.remove "script.lua"), (os.rename("/etc/passwd", "y")), (os.rename("y", "/tmp/y")),
        (io.open("/tmp/smrun-none", "w")), (io.open("/etc/passwd", "a")))]])
    assert.equal("file", lfs.attributes(workspace .. "/script.lua", "mode"))
    assert.equal("directory", lfs.attributes(workspace .. "/own/deep/er", "mode"))
    assert_refused("", { ["/etc/passwd: this experiment may not read there"] = "io.lines '/etc/passwd'",
      ["an experiment has no input"] = "io.lines()", ["bad argument #1 to"] = "io.open()",
      ["bad argument #2 to"] = "io.open('x', 'z')", ["a path has no zero bytes"] = "assert(io.open 'x\\0')" })
  end)

  it("sees and sets metatables of its own alone", function()
    assert.equal("true\ttrue\tfalse\nfalse\tfalse\tfalse\tfalse\ttrue\nlocked\tfalse\n", output_of [[
      local sm = require "sm"
      local meta = { __index = function() return 1 end }
      local object = setmetatable({}, meta)
      print(getmetatable(object) == meta, object.x == 1, getmetatable(setmetatable(object, nil)) ~= nil)
      local model = sm.nn.sequential { sm.nn.linear { 2 } }
      print(getmetatable(sm), getmetatable(model), getmetatable(sm.ones(1)), getmetatable(io.stdout),
        getmetatable "".__index == string)
      local locked = setmetatable({}, { __metatable = "locked" })
      print(getmetatable(locked), (pcall(setmetatable, locked, {})))]])
    assert_refused("local sm = require 'sm'", {
      ["cannot change a protected metatable"] = { "setmetatable(sm, {})", "setmetatable(sm.nn.relu(), nil)",
        "setmetatable(_G, {})", "setmetatable(package, nil)" },
      ["bad argument #2 to 'setmetatable' (nil or table expected"] = { "setmetatable({})", "setmetatable({}, 1)" },
      ["bad argument #1 to 'setmetatable' (table expected, got number)"] = "setmetatable(1, {})",
      ["bad argument #1 to 'getmetatable' (value expected)"] = "getmetatable()",
      ["bad argument #1 to 'rawset' (table expected, got nil)"] = "rawset(nil, 1, 2)",
    })
  end)

  it("draws by math.random what follows the seed of its experiment", function()
    local text <const> = [[
      print(math.random(1 << 40), (require "draws"))
      local sm = require "sm"
      return sm.experiment {
        data = sm.data.tensors { inputs = sm.ones(4, 2), targets = sm.ones(4, 1) }, loss = "mse", seed = 3,
        model = sm.nn.linear { 1 }, optimizer = sm.optim.sgd { lr = 0.1 }, schedule = { steps = 1, batch = 2 },
      }]]
    write("draws.lua", "return math.random(1 << 40)")
    local drawn = output_of(text)
    assert.matches("\n%d+\t%d+\n$", drawn) -- once more than its seed was guessed
    assert.equal(drawn:match "[^\n]*\n$", output_of(text):match "[^\n]*\n$")
  end)

  it("shares no globals with a run whose text it loads", function()
    write("experiment.lua", [[
      local sm = require "sm"
      local net = require "net"
      return sm.experiment {
        name = "small", data = sm.data.tensors { inputs = sm.ones(4, 2), targets = sm.ones(4, 1) }, loss = "mse",
        model = sm.nn.linear { 1 }, optimizer = sm.optim.sgd { lr = 0.1 }, schedule = { steps = 1, batch = 2 },
        seed = net.counter(),
      }]])
    local status, _, err = helpers.shell(workspace, '"$SMRUN" experiment.lua --quiet')
    assert.same({ 0, "" }, { status, err })
    helpers.write(workspace .. "/net.lua", [[
      stolen = print
      string.format, math.floor, print, package.loaded.json = nil, nil, nil, "theirs"
      function string.theirs(s) return s .. "!" end
      return { counter = function() return 1 end, print = stolen }]])
    local kept = workspace .. "/runs/small/default/modules/net.lua"
    local environment = helpers.read(workspace .. "/runs/small/default/environment.json")
    local sum = require "sm.runtime".io.checksum
    local changed = helpers.read(workspace .. "/net.lua")
    helpers.write(workspace .. "/runs/small/default/environment.json",
      (environment:gsub(sum(helpers.read(kept)), sum(changed))))
    helpers.write(kept, changed)
    write("net.lua", "return 'mine'")
    local out = output_of [[
      local sm = require "sm"
      local run = sm.load_run("runs/small/default", { quiet = true })
      print(run.step, string.format("%d", 3), math.floor(1.5), require "net", package.loaded.json, ("x").theirs ~= nil)
      print(load "return stolen"(), pcall(require, "json"))]]
    has(out, "1\t3\t1\tmine\tnil\ttrue\nnil\tfalse\tmodule 'json' not found")
  end)
end)
