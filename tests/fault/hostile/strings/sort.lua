-- Sorts with an order that contradicts itself and changes the list meanwhile. It must be an error or end.
-- expect: contained
local list = {}
for i = 1, 20000 do list[i] = i end
pcall(table.sort, list, function() return true end)
pcall(table.sort, list, function(a, b)
  list[#list + 1] = a
  list[math.random(#list)] = nil
  return (a or 0) < (b or 0)
end)
pcall(table.sort, setmetatable({}, { __len = function() return 1 << 30 end, __index = function() return 1 end }),
  function() error "enough" end)
