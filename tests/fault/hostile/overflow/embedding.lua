-- Looks up rows of tables by indices beyond them, forwards and backwards. Each must be an error.
-- expect: contained
local sm = require "sm"
for _, i in ipairs { -1, 5, 1 << 20, 2147483647, -2147483648 } do
  local ok, y = pcall(function()
    return sm.nn.embedding { 5, 4 }:build { 1 }(sm.tensor({ { i } }, "int32"))
  end)
  if ok and y then print "BREACH: read beyond a table" end
end
