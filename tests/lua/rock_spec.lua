--- LuaRocks installs a checkout for plain lua5.4, with the program, and removes it again.
local lfs = require "lfs"
local helpers = dofile "tests/lua/helpers.lua"
local quote, read, write = helpers.quote, helpers.read, helpers.write

local build <const> = (os.getenv "SMRUN" or "build/smrun"):match "^(.*)/smrun$"
local CLEAN <const> = "unset MAKEFLAGS MAKELEVEL MFLAGS SMRUN LUA_PATH LUA_CPATH; export CCACHE_DISABLE=1 BUILD="
  .. quote(build)
local luarocks <const> = "luarocks --lua-version 5.4"
local home, tree

--- Runs a shell command outside the make that runs the tests; its output and whether it exited with 0.
local function shell(command)
  local pipe = io.popen(("{ %s; %s; } 2>&1"):format(CLEAN, command))
  local output = pipe:read "a"
  return output, pipe:close() == true
end

local function succeed(command)
  local output, success = shell(command)
  assert.is_true(success, output)
  return output
end

describe("a rock", function()
  if not os.execute "command -v luarocks >/dev/null" then
    pending "is not tested: luarocks is not on this machine"
    return
  end

  before_each(function()
    home = os.tmpname()
    os.remove(home)
    tree = home .. "/a tree"
    assert(lfs.mkdir(home))
  end)
  after_each(function() os.execute("rm -rf " .. quote(home)) end)

  it("serves lua5.4 and its own smrun from a tree, at the level of the processor, and goes", function()
    succeed(("%s make --deps-mode none --tree %s"):format(luarocks, quote(tree)))
    write(home .. "/x.lua", read "experiments/xor.lua")
    local paths = ('eval "$(%s --tree %s path)"'):format(luarocks, quote(tree))
    assert.matches("done after 20 steps", (succeed(("%s; cd %s && lua5.4 x.lua steps=20"):format(paths, quote(home)))))
    local look = quote [[local runtime = require "sm.runtime"
      print(runtime.system.instruction_set, #require "sm".data.mnist_mini {}.train.inputs)
      print((package.searchpath("sm.runtime", package.cpath)))]]
    local output = succeed(("%s; cd / && lua5.4 -e %s"):format(paths, look))
    local expected = succeed(("%s --version -v"):format(quote(helpers.smrun))):match "instruction set +([^\n]+)"
    assert.equal(("%s\t5000\n%s/lib/lua/5.4/sm/runtime.so\n"):format(expected, tree), output)
    output = succeed(("cd %s && %s/bin/smrun x.lua steps=30"):format(quote(home), quote(tree))) -- confined
    assert.matches("done after 30 steps", output)
    succeed(("%s --tree %s remove smrun"):format(luarocks, quote(tree)))
    local left = succeed(("cd %s && find . -type f"):format(quote(tree)))
    assert.equal("./lib/luarocks/rocks-5.4/manifest\n", left) -- LuaRocks's own
  end)

  it("refuses another Lua's tree, and one that make install has written to", function()
    local place = "%s/lib/luarocks/rocks-%s/smrun/1-1"
    local function install(version)
      return shell(("make --no-print-directory install-rock LEVELS= PREFIX=%s"):format(
        quote(place:format(tree, version))))
    end
    local output, success = install "5.1"
    assert.is_false(success)
    assert.matches("smrun is built for Lua 5.4: luarocks --lua-version 5.4 make", output, 1, true)
    succeed(("mkdir -p %s/share/lua/5.4 && ln -s x %s/share/lua/5.4/sm"):format(quote(tree), quote(tree)))
    output, success = install "5.4"
    assert.is_false(success)
    assert.matches("share/lua/5.4/sm is of make install: make uninstall comes before the rock", output, 1, true)
  end)
end)
