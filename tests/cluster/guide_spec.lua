--- Every block of the guide's page about clusters runs as it stands, those for Slurm and GNU parallel, too, which
-- documents_spec.lua leaves out.
package.path = "./?.lua;" .. package.path
local blocks = require "docs.blocks"
local helpers = dofile "tests/lua/helpers.lua"
local tiny = dofile "tests/lua/tiny_experiment.lua"

local page <const> = "docs/guide/13-cluster.md"

describe("the guide to clusters", function()
  it("runs as it stands", function()
    local missing = os.getenv "NO_SLURM"
    if missing then return pending(missing) end
    if not os.execute "command -v parallel >/dev/null" then return pending "GNU parallel is not installed" end
    local place = tiny.workspace()
    os.remove(place .. "/tiny.lua")
    local workshop, count = blocks.workshop(place, helpers.smrun:match "^(.*)/"), 0
    for _, block in ipairs(blocks.of(page)) do
      count = count + (block.language == "console" and 1 or 0)
      workshop.run(block, ("%s:%d"):format(page, block.line))
    end
    assert.is_true(count > 8)
    tiny.remove(place)
  end)
end)
