-- Seeds, draws and shuffles with numbers near the ends of integers. Each must be an error or be right.
-- options: --max-memory 300M
-- expect: contained
local sm = require "sm"
for _, n in ipairs { math.maxinteger, math.mininteger, -1, 1 << 63, 1 << 40, 2 ^ 63, -2 ^ 63, 0 / 0 } do
  pcall(sm.seed, n)
  pcall(sm.arange, n, n + 10)
  pcall(sm.arange, 0, n, 1)
  pcall(sm.full, { 2 }, n, "int32")
  pcall(math.random, n)
  pcall(math.random, math.mininteger, n)
  pcall(string.rep, "x", n)
  pcall(function() return table.unpack({}, n, n + (1 << 20)) end)
  pcall(utf8.char, n)
  pcall(select, n, 1, 2)
end
