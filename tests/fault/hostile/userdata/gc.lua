-- Calls __gc and __close of the library's objects by hand, many times. No memory may be freed twice.
-- expect: contained
local sm = require "sm"
local x = sm.ones(100)
for _, object in ipairs { x, sm.view.canvas(4, 4), io.open "exp/gc.lua" } do
  local t = getmetatable(object)
  for _ = 1, 5 do
    for _, name in ipairs { "__gc", "__close" } do
      pcall(function() t[name](object) end)
      pcall(function() t[name](io.stdout) end)
    end
  end
  pcall(tostring, object)
end
print(pcall(function() return x:sum():item() end))
