-- Changes arg and the parameters' table before the experiment is declared. The run must be that of its file.
-- expect: ok
pcall(function() arg[0] = "@HERE@/outside/kept.txt" end)
pcall(function() arg = setmetatable({}, { __index = function() return "../../outside" end }) end)
local sm = require "sm"
local p = sm.params { steps = 4 }
pcall(rawset, p, "steps", -1)
pcall(setmetatable, p, { __index = error })
return sm.experiment {
  data = sm.data.tensors { inputs = sm.randn(12, 4), targets = sm.ones({ 12 }, "int32"), validation = 4 },
  model = sm.nn.sequential { sm.nn.linear { 3 } },
  optimizer = sm.optim.sgd { lr = 0.01 },
  schedule = { steps = 4, batch = 4, evaluate = 2, checkpoint = 2 },
}
