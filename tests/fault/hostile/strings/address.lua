-- Reads addresses out of the texts of the library's objects, which tell where the program lies. There must be none.
-- expect: contained
local sm = require "sm"
for name, value in pairs { sm = sm, tensor = sm.ones(1), layer = sm.nn.relu(), optimizer = sm.optim.sgd { lr = 1 },
  canvas = sm.view.canvas(4, 4), model = sm.nn.sequential { sm.nn.linear { 2 } } } do
  local text = tostring(value)
  if text:find "0x%x%x%x" then print("BREACH: an address in the text of " .. name) end
end
local ok, message = pcall(function() sm.optim.sgd { lr = sm } end)
if ok or message:find "0x%x%x%x" then print "BREACH: an address in a message" end
