-- Asks for tensors whose sizes overflow 31, 32, 63 and 64 bits when multiplied. Each must be an error.
-- options: --max-memory 300M
-- expect: contained
local sm = require "sm"
local sizes = { 1 << 31, (1 << 31) + 1, 1 << 32, (1 << 32) + 1, 1 << 33, 1 << 61, 1 << 62, math.maxinteger,
  math.mininteger, -1, -(1 << 31) }
for _, a in ipairs(sizes) do
  for _, b in ipairs { 1, 2, 4, 1 << 31, 1 << 32, math.maxinteger } do
    for _, f in ipairs { sm.zeros, sm.ones, sm.rand } do
      local ok, x = pcall(f, a, b)
      if ok and #x ~= a then print "BREACH: a size is not what was asked" end
    end
  end
end
