--- One version everywhere: runtime/version.h says it, the program tells it, and what else repeats it agrees.
local lfs = require "lfs"
local helpers = dofile "tests/lua/helpers.lua"

local version <const> = helpers.read "runtime/version.h":match '#define SM_VERSION "(.-)"'

--- File → the version there, as a pattern.
local REPEATED <const> = {
  ["CHANGELOG.md"] = "\n## ([%d.]+)[^\n]*\n", -- the first heading
  ["CITATION.cff"] = "\nversion: ([^\n]*)\n",
  ["debian/changelog"] = "^smrun %(([^)]*)%) ",
  ["docs/smrun.1"] = '^%.TH SMRUN 1 "" "smrun ([^"]*)"',
}

local function rockspec()
  for name in lfs.dir "." do
    local told, revision = name:match "^smrun%-(.*)%-(%d+)%.rockspec$"
    if told then return name, told, revision end
  end
end

describe("the version", function()
  it("is three numbers", function() assert.matches("^%d+%.%d+%.%d+$", version) end)

  it("is what smrun and the library tell", function()
    local out = os.tmpname()
    local command = ("%s --version >'%s'"):format(helpers.quote(helpers.smrun), out)
    assert.is_true(os.execute(command))
    assert.equal("smrun " .. version .. "\n", helpers.read(out))
    os.remove(out)
    assert.equal(version, require "sm".version)
  end)

  it("is the rockspec's, whose name LuaRocks compares with what it says", function()
    local name, told, revision = rockspec()
    assert.equal(version, told)
    local said = {}
    assert(loadfile(name, "t", said))()
    assert.equal(("%s-%s"):format(version, revision), said.version)
  end)

  for path, pattern in pairs(REPEATED) do
    it("is that of " .. path, function()
      assert.equal(version, helpers.read(path):match(pattern))
    end)
  end
end)
