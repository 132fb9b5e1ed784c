-- Steps, changes and restores the optimizer from the loss of its own step. It must be an error or go on.
-- expect: contained
local sm = require "sm"
local opt = sm.optim.adam { lr = 0.01 }
local function loss(output, target, _, at)
  pcall(function() at.optimizer:step() end)
  pcall(function() opt:zero_grad() opt:restore({}, 0) end)
  pcall(function() at.model:build { 7 } end)
  return output:cross_entropy(target)
end
return sm.experiment {
  data = sm.data.tensors { inputs = sm.randn(12, 4), targets = sm.ones({ 12 }, "int32"), validation = 4 },
  model = sm.nn.sequential { sm.nn.linear { 3 } }, optimizer = opt, loss = loss, schedule = { steps = 3, batch = 4 },
}
