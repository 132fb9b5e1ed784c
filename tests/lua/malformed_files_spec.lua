--- Malformed files of every kind, each read by smrun: no crash, no hang, nothing but plain errors. `make torture` has
--- all of the run directories.
local helpers = dofile "tests/lua/helpers.lua"

local one_of <const> = helpers.smrun:find "sanitize" and 120 or 60 -- run directories; of data, all files are read

describe("a malformed file", function()
  it("is refused in plain words, or read", function()
    local pipe = assert(io.popen(("LIMIT=300 lua5.4 tests/fuzz/malformed.lua --part=%d %s 2>&1"):format(one_of,
      helpers.quote(helpers.smrun))))
    local said = pipe:read "a"
    local succeeded = pipe:close()
    assert.is_true(succeeded, said)
    local count = tonumber(said:match "(%d+) malformed inputs")
    assert.is_true(count >= 600, said)
    helpers.has(said, ": 0 findings")
  end)
end)
