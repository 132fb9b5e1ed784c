-- Stays in table.concat and table.move over lists whose length is a lie. The limit must end it.
-- options: --max-time 3
-- expect: killed
local endless = setmetatable({}, { __index = function() return "" end, __newindex = function() end,
  __len = function() return math.maxinteger end })
pcall(table.move, endless, 1, math.maxinteger - 1, 2)
pcall(table.concat, endless, "", 1, math.maxinteger - 1)
print(#table.pack(table.unpack(endless, 1, 10)))
