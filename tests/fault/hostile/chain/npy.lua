-- Reads files of NumPy whose headers lie: of sizes, of types, of objects to be unpickled. Each must be an error.
-- options: --max-memory 300M
-- expect: contained
-- setup: local function npy(name, header)
-- setup:   write("exp/" .. name, "\x93NUMPY\1\0" .. pack("<s2", header .. rep(" ", 118 - #header % 64) .. "\n"))
-- setup: end
-- setup: npy("huge.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4), }")
-- setup: npy("objects.npy", "{'descr': '|O', 'fortran_order': False, 'shape': (3,), }")
-- setup: npy("negative.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 4), }")
-- setup: npy("code.npy", "{'descr': __import__('os').system('id'), 'fortran_order': False, 'shape': (3,), }")
-- setup: npy("deep.npy", rep("{", 60000))
local sm = require "sm"
for _, name in ipairs { "huge", "objects", "negative", "code", "deep" } do
  local ok = pcall(sm.load, "exp/" .. name .. ".npy")
  if ok then print("BREACH: took " .. name) end
end
