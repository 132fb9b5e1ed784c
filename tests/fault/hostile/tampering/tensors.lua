-- Looks for the metatable of tensors and changes a method of all tensors. It must not be reachable.
-- expect: ok
local sm = require "sm"
local x = sm.ones(2)
local found = getmetatable(x)
if type(found) == "table" then
  local ok = pcall(function() found.__index.sum = function() return x end end)
  if ok and x.sum(x) == x then print "BREACH: x:sum() was replaced" end
  pcall(function() found.__add = function() return x end end)
  if (x + 1)[1]:item() ~= 2 then print "BREACH: x + 1 was replaced" end
end
if pcall(function() x.sum = function() return 5 end end) and x:sum() == 5 then print "BREACH: one tensor's method" end
return sm.experiment {
  data = sm.data.tensors { inputs = sm.randn(12, 4), targets = sm.ones({ 12 }, "int32"), validation = 4 },
  model = sm.nn.sequential { sm.nn.linear { 3 } },
  optimizer = sm.optim.sgd { lr = 0.01 },
  schedule = { steps = 4, batch = 4, evaluate = 2, checkpoint = 2 },
}
