--- The house stands: what each room may know.
local lfs = require "lfs"

--- Calls visit(path, text) for every file below a directory whose name matches.
local function each_file(directory, pattern, visit)
  for name in lfs.dir(directory) do
    local path = directory .. "/" .. name
    if name:sub(1, 1) ~= "." then
      if lfs.attributes(path, "mode") == "directory" then
        each_file(path, pattern, visit)
      elseif name:find(pattern) then
        local file <close> = assert(io.open(path))
        visit(path, file:read "a")
      end
    end
  end
end

local function without_comments(text)
  return (text:gsub("/%*.-%*/", " "))
end

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

describe("the house", function()
  it("has its rooms", function()
    for _, room in ipairs { "core", "io", "bind", "host" } do
      assert.equal("directory", lfs.attributes("runtime/" .. room, "mode"))
    end
  end)

  for _, room in ipairs { "runtime/core", "runtime/io" } do
    it(room .. " knows no Lua, prints nothing and never ends the program", function()
      local seen = 0
      each_file(room, "%.[ch]$", function(path, text)
        seen = seen + 1
        local code = without_comments(text)
        assert.is_nil(code:match "#include%s*[<\"]l[ua][aux]*[lib]*%.h", path .. " includes Lua")
        assert.is_nil(code:match "#include%s*\"bind/", path .. " includes a binding")
        assert.is_nil(code:match "#include%s*\"host/", path .. " includes the host")
        local forbidden = { "printf", "puts", "putchar", "perror", "exit", "_exit", "abort", "assert", "longjmp" }
        for _, call in ipairs(forbidden) do
          assert.is_nil(code:match("[^%w_]" .. call .. "%s*%("), path .. " calls " .. call)
        end
        assert.is_nil(code:match "[^%w_]std[oe][ur][tr][^%w_]", path .. " uses a standard stream")
      end)
      assert.is_true(seen >= 6)
    end)
  end

  it("runtime/core includes nothing of runtime/io", function()
    each_file("runtime/core", "%.[ch]$", function(path, text)
      assert.is_nil(text:match "#include%s*\"io/", path)
    end)
  end)

  it("runtime/core reads the environment in one place", function()
    each_file("runtime/core", "%.[ch]$", function(path, text)
      if path == "runtime/core/settings.c" then return end
      assert.is_nil(without_comments(text):match "[^%w_]getenv%s*%(", path .. " reads the environment")
    end)
  end)

  it("only bind and host include Lua's headers", function()
    each_file("runtime", "%.[ch]$", function(path, text)
      if text:match "#include%s*<lua%.h>" then assert.matches("^runtime/[bh][io][ns][dt]/", path) end
    end)
  end)

  it("has no circles among the files of bind", function()
    local home, texts, uses = {}, {}, {}
    each_file("runtime/bind", "%.c$", function(path, text)
      texts[path] = without_comments(text)
      for name in ("\n" .. texts[path]):gmatch "\n%l[^\n;=]-(sm_lua_[%w_]+)%([^;\n]*{" do home[name] = path end
    end)
    for path, text in pairs(texts) do
      uses[path] = {}
      for name in text:gmatch "sm_lua_[%w_]+" do
        if home[name] and home[name] ~= path then uses[path][home[name]] = true end
      end
    end
    local state = {} -- of a file: true while what it uses is followed, false after
    local function follow(path, way)
      way = way .. " → " .. path
      assert.is_not_true(state[path], way)
      if state[path] == false then return end
      state[path] = true
      for used in pairs(uses[path]) do follow(used, way) end
      state[path] = false
    end
    assert.equal("runtime/bind/raise.c", home.sm_lua_fail)
    for path in pairs(texts) do follow(path, "") end
  end)

  it("compiles core and io without Lua's include path", function()
    local makefile = read "Makefile"
    assert.matches("filter bind/%% host/%%,%$%*%),%$%(LUA_FLAGS%)", makefile)
    assert.is_nil(makefile:match "BASE_FLAGS[^\n]*LUA_FLAGS")
  end)

  -- cli → report, terminal, reference → study → experiment, onnx → nn, optim, data, view → ops → autograd: a room
  -- requires only rooms further down. Of those of one height none requires another.
  it("has arrows that run one way in lua/sm", function()
    local LEVEL = {
      cli = 6, report = 5, terminal = 5, reference = 5, study = 4, experiment = 3, onnx = 3,
      nn = 2, optim = 2, data = 2, view = 2,
    }
    local function level(module)
      return LEVEL[module:match "^sm%.(%w+)"] or 0
    end
    each_file("lua/sm", "%.lua$", function(path, text)
      local own = "sm." .. path:match "^lua/sm/(.*)%.lua$":gsub("/", "."):gsub("%.init$", "")
      if own == "sm.init" then return end -- the face loads every room
      for name in text:gmatch 'package%.loaded%["(sm%.[%w.]+)"%]' do
        assert.equal("sm.host", name, own .. " reaches a room through package.loaded") -- is smrun's, if it runs
      end
      for required in text:gmatch "require%s*%(?%s*[\"'](sm%.[%w.]+)" do
        local same_room = required:match "^sm%.%w+" == own:match "^sm%.%w+"
        assert.is_true(same_room or level(required) < level(own) or level(required) == 0 and level(own) == 0,
          ("%s requires %s"):format(own, required))
      end
    end)
  end)

  it("has views that go by the roles of layers, and list no kinds", function()
    each_file("lua/sm/view", "%.lua$", function(path, text)
      assert.is_nil(text:match "%.kind%s*[=~]=" or text:match "[=~]=%s*[%w.]+%.kind" or text:match "%.kind%]", path)
    end)
  end)

  -- The first variable of a loop is constant from Lua 5.5 on. Lua 5.4 says the same of a local of its name.
  it("assigns to no variable of a loop", function()
    local loops = 0
    for _, place in ipairs { "lua", "bench", "experiments", "tests/lua", "docs" } do
      each_file(place, "%.lua$", function(path, text)
        local constant = text:gsub("(%f[%w_]for ([%a_][%w_]*)[^\n]-%f[%w_]do)%f[^%w_]", function(head, name)
          loops = loops + 1
          return ("%s local %s <const> = %s "):format(head, name, name)
        end)
        assert.same({ true }, { load(constant, "=" .. path) ~= nil, select(2, load(constant, "=" .. path)) })
      end)
    end
    assert.is_true(loops > 1000)
  end)

  it("keeps its rooms small and its lines short", function()
    for _, place in ipairs { "runtime", "lua" } do
      each_file(place, "%.[chl][u]?[a]?$", function(path, text)
        local lines = 0
        for line in text:gmatch "[^\n]*\n" do
          lines = lines + 1
          assert.is_true(utf8.len(line) <= 121, ("%s:%d is longer than 120 columns"):format(path, lines))
        end
        assert.is_true(lines <= 400, ("%s has %d lines"):format(path, lines))
      end)
    end
  end)
end)
