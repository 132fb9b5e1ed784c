-- Reads and writes beyond tensors by indices and slices near the ends of integers. Each must be an error.
-- expect: contained
local sm = require "sm"
local x = sm.ones(4, 4)
for _, i in ipairs { 0, 5, -5, 1 << 31, 1 << 32, (1 << 32) + 1, 1 << 62, math.maxinteger, math.mininteger, 2 ^ 53 } do
  for _, f in ipairs { function() return x[i]:sum():item() end, function() return x:slice(i, i):sum():item() end,
    function() x[i] = 5 end, function() return x:reshape(i, i) end, function() return x:narrow(1, i, 1) end } do
    local ok, value = pcall(f)
    if ok and value and value ~= 4 and math.type(value) == "float" and value > 16 then print "BREACH: reads beyond" end
  end
end
if x:sum():item() ~= 16 then print "BREACH: wrote somewhere" end
