--- What a bare machine says, and what `make install` writes, where it is found, and that it can be removed.
local lfs = require "lfs"

local WITHOUT_MAKE <const> = "unset MAKEFLAGS MAKELEVEL MFLAGS SMRUN LUA_PATH LUA_CPATH; export CCACHE_DISABLE=1"
local build = (os.getenv "SMRUN" or "build/smrun"):match "^(.*)/smrun$"
local VERSION <const> = dofile "tests/lua/helpers.lua".read "runtime/version.h":match 'VERSION "(.-)"'
local home

--- Runs a shell command outside the make that runs the tests; its output and whether it exited with 0.
local function shell(command, ...)
  local pipe = io.popen(("{ %s; %s; } 2>&1"):format(WITHOUT_MAKE, command:format(...)))
  local output = pipe:read "a"
  return output, pipe:close() == true
end

local function succeed(command, ...)
  local output, success = shell(command, ...)
  assert.is_true(success, output)
  return output
end

--- Everything below a directory, one path a line.
local function listing(directory)
  return (succeed("cd '%s' && find . | LC_ALL=C sort", directory))
end

--- The cores that were built, as make is told not to build others.
local function levels()
  local names = {}
  local directory = build .. "/lib/glibc-hwcaps"
  if lfs.attributes(directory) then
    for name in lfs.dir(directory) do
      if name:sub(1, 1) ~= "." then names[#names + 1] = name end
    end
  end
  table.sort(names)
  return table.concat(names, " ")
end

local function make(goal, prefix, more)
  return shell("make --no-print-directory %s BUILD='%s' LEVELS='%s' PREFIX='%s' %s", goal, build, levels(), prefix,
    more or "")
end

before_each(function()
  home = os.tmpname()
  os.remove(home)
  assert(lfs.mkdir(home))
end)
after_each(function() os.execute(("rm -rf '%s'"):format(home)) end)

describe("make install", function()
  it("serves smrun and lua5.4 from a prefix with spaces, and uninstall leaves nothing", function()
    local prefix = home .. "/my programs, all"
    assert(lfs.mkdir(prefix))
    succeed("touch '%s/mine'", prefix)
    local output, success = make("install", prefix)
    assert.is_true(success, output)
    assert.matches("numbers +float", (succeed("cd / && '%s/bin/smrun' --version -v", prefix)))
    local settings = {}
    for setting in output:gmatch "export (%u+_[%u_]*PATH='[^']*')" do settings[#settings + 1] = setting end
    assert.equal(3, #settings, output)
    assert.truthy(output:find(("; run '%s/bin/smrun'\n"):format(prefix), 1, true), output)
    assert.truthy(output:find(("  export PATH='%s/bin':\"$PATH\"\n"):format(prefix), 1, true), output)
    settings = table.concat(settings, " ")
    local command = ("cd / && %s lua5.4 -e '%s'"):format(settings,
      [[local sm = require "sm" require "sm.nn" require "sm.view.page"
        print(sm.ones(2):sum():item(), #sm.data.mnist_mini {}.train.inputs)]])
    assert.equal("2.0\t5000\n", (succeed("%s", command)))
    assert.equal(VERSION .. "\n" .. prefix .. "/share/lua/5.4\n" .. prefix .. "/lib/lua/5.4\n",
      (succeed("%s", ([[export %s; for asked in --modversion --variable=luadir --variable=cluadir; do
        pkg-config $asked smrun || exit; done]]):format(settings))))
    local once = listing(prefix)
    succeed("rm '%s/bin/smrun'", prefix)
    output, success = make("install", prefix) -- over itself
    assert.is_true(success, output)
    assert.equal(once, listing(prefix))
    output, success = make("uninstall", prefix)
    assert.is_true(success, output)
    assert.equal(".\n./mine\n", listing(prefix))
    output, success = make("uninstall", prefix)
    assert.is_false(success)
    assert.matches("nothing to remove: there is no [^\n]*/installed", output)
  end)

  it("says nothing of paths where lua5.4 looks by itself, and goes below DESTDIR", function()
    local output, success = make("install", "/usr/local", ("DESTDIR='%s/a stage'"):format(home))
    assert.is_true(success, output)
    assert.is_nil(output:match "LUA_PATH")
    assert.equal("file", lfs.attributes(home .. "/a stage/usr/local/share/lua/5.4/sm/init.lua", "mode"))
    assert.equal("file", lfs.attributes(home .. "/a stage/usr/local/lib/lua/5.4/sm/runtime.so", "mode"))
    for _, path in ipairs { "bash-completion/completions/smrun", "zsh/site-functions/_smrun",
      "fish/vendor_completions.d/smrun.fish", "smrun/library/sm.lua" } do -- where shells and editors look
      assert.equal("file", lfs.attributes(home .. "/a stage/usr/local/share/" .. path, "mode"))
    end
    output, success = make("uninstall", "/usr/local", ("DESTDIR='%s/a stage'"):format(home))
    assert.is_true(success, output)
    assert.is_nil(lfs.attributes(home .. "/a stage/usr/local"))
  end)

  it("leaves directories that were there, and what others put into its own", function()
    for _, name in ipairs { "/bin", "/share", "/share/man" } do assert(lfs.mkdir(home .. name)) end
    assert.is_true(select(2, make("install", home)))
    succeed("touch '%s/share/smrun/notes'", home)
    assert.is_true(select(2, make("uninstall", home)))
    assert.equal(".\n./bin\n./share\n./share/man\n./share/smrun\n./share/smrun/notes\n", listing(home))
  end)

  it("takes a prefix that counts from here, and tells it from the root", function()
    local absolute = home .. "/rel # one"
    local up = lfs.currentdir():gsub("[^/]+", ".."):sub(2)
    local relative = up .. absolute
    assert.is_true(select(2, make("install", relative .. "/")))
    local pc = absolute .. "/lib/pkgconfig/smrun.pc"
    assert.equal("file", lfs.attributes(pc, "mode"))
    local luadir = succeed("PKG_CONFIG_PATH='%s/lib/pkgconfig' pkg-config --variable=luadir smrun", absolute)
    assert.equal("/", luadir:sub(1, 1))
    assert.equal("file", lfs.attributes(luadir:gsub("\n", "") .. "/sm/init.lua", "mode"))
    assert.is_true(select(2, make("uninstall", relative)))
    assert.equal(".\n", listing(home))
  end)

  it("refuses a prefix that Lua's paths cannot hold or that is none, and what is in its way", function()
    local none, made = make("install", "")
    assert.is_false(made)
    assert.matches("PREFIX: expected a directory, got nothing", none)
    local output, success = make("install", home .. "/a;b")
    assert.is_false(success)
    assert.matches("PREFIX: Lua's search paths cannot hold ; or %?, got [^\n]*a;b", output)
    succeed("mkdir -p '%s/share/lua/5.4/sm'", home)
    output, success = make("install", home)
    assert.is_false(success)
    assert.matches("share/lua/5%.4/sm is in the way, and not of smrun's making", output)
    assert.is_nil(lfs.attributes(home .. "/bin"))
  end)
end)

describe("other Luas", function()
  for _, other in ipairs { "lua5.1", "lua5.2", "lua5.3", "luajit" } do
    it("such as " .. other .. " are told which one is needed", function()
      if not select(2, shell("command -v %s", other)) then return pending(other .. " is not on this machine") end
      local paths = ("LUA_PATH='lua/?.lua;lua/?/init.lua;;' LUA_CPATH='%s/lib/?.so;;'"):format(build)
      local output, success = shell("%s %s -e 'require \"sm\"'", paths, other)
      assert.is_false(success)
      assert.matches(": smrun needs Lua 5%.4 or 5%.5, this is Lua[ J]", output)
    end)
  end
end)

describe("a machine without packages", function()
  it("is told which and by what target, by make", function()
    local output, success = shell("make all BUILD='%s/build' CC=no-such-cc", home)
    assert.is_false(success)
    assert.matches("^[^\n]*packages are missing: no%-such%-cc[ .][^\n]*'make deps%-run' installs them[^\n]*\n$", output)
    output, success = shell("PKG_CONFIG_LIBDIR=/nowhere PKG_CONFIG_PATH= make all BUILD='%s/build'", home)
    assert.is_false(success)
    assert.matches("packages are missing: liblua5.4%-dev libcairo2%-dev libpng%-dev zlib1g%-dev libseccomp%-dev "
      .. "libedit%-dev libsqlite3%-dev%. 'make deps%-run'", output)
  end)

  it("hears nothing from targets that need none", function()
    local output = succeed("make help CC=no-such-cc")
    assert.matches("^all  ", output)
    for _, target in ipairs { "deps%-run", "deps%-test", "deps", "install", "uninstall", "check%-debian", "docs" } do
      assert.matches("\n" .. target .. "  +%S", output)
    end
  end)

  it("is told the package of a Lua module, and of a library", function()
    local output, success = shell("LUA_PATH='lua/?.lua;lua/?/init.lua' LUA_CPATH='%s/lib/?.so' lua5.4 -e '%s'", build,
      [[print(select(2, pcall(function() return require "sm".data.mnist_mini {} end)))]])
    assert.is_true(success, output)
    assert.equal("the Lua module 'lfs' is missing: install Debian's package lua-filesystem\n", output)
    output = succeed("LUA_PATH='lua/?.lua;lua/?/init.lua;;' LUA_CPATH='%s/lib/?.so;;' lua5.4 -e '%s'", build, [[
      require "sm"
      package.preload["sm.canvas"] = function()
        error("error loading module\n\tlibcairo.so.2: cannot open shared object file: No such file or directory", 0)
      end
      print(select(2, pcall(require, "sm.view.page")))]])
    assert.matches("cannot draw: libcairo.so.2: cannot open shared object file: No such file or directory "
      .. "%(Debian's package libcairo2%)", output)
  end)
end)

it("a checkout's directory may have spaces, commas and quotes", function()
  local checkout = home .. "/it's a checkout, with \"quotes\""
  local quoted = "'" .. checkout:gsub("'", "'\\''") .. "'"
  succeed("mkdir -p %s/runtime && cp Makefile %s && cp -r runtime/host %s/runtime", quoted, quoted, quoted)
  succeed("cd %s && make build/base/host/locate.o", quoted)
  assert.matches(checkout .. "/lua", (succeed("strings -a %s/build/base/host/locate.o", quoted)), 1, true)
end)
