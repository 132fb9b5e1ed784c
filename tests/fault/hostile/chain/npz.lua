-- Reads archives whose members lead elsewhere, lie about their sizes or are a bomb. Each must be an error.
-- options: --max-memory 300M
-- expect: contained
-- setup: local function zip(name, member, sizes, body)
-- setup:   local head = pack("<I2I2I2I2I2I4I4I4I2I2", 20, 0, 0, 0, 0, 0, sizes, sizes, #member, 0) .. member
-- setup:   local file = "PK\3\4" .. head .. body
-- setup:   local central = "PK\1\2" .. pack("<I2", 20) .. head:sub(1, 26) .. pack("<I2I2I2I4I4", 0, 0, 0, 0,
-- setup:   0) .. member
-- setup:   write("exp/" .. name, file .. central .. "PK\5\6" .. pack("<I2I2I2I2I4I4I2", 0, 0, 1, 1, #central, #file,
-- setup:   0))
-- setup: end
-- setup: zip("away.npz", "../../outside/new.npy", 4, "xxxx") zip("lies.npz", "x.npy", 0xfffffff0, "xxxx")
-- setup: zip("root.npz", "/tmp/new.npy", 4, "xxxx") write("exp/short.npz", "PK\3\4" .. rep("\255", 100))
local sm = require "sm"
for _, name in ipairs { "away", "lies", "root", "short" } do
  local ok, got = pcall(sm.load, "exp/" .. name .. ".npz")
  if ok and type(got) == "table" and next(got) then print("BREACH: took " .. name) end
end
