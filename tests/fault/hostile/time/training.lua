-- Trains for ever, saving what it can. The limit must end it, swallowed or not.
-- options: --max-time 3
-- expect: killed
local function loss(output, target)
  pcall(function() for _ = 1, 1e8 do end end)
  return output:cross_entropy(target)
end
local sm = require "sm"
return sm.experiment {
  data = sm.data.tensors { inputs = sm.randn(12, 4), targets = sm.ones({ 12 }, "int32"), validation = 4 },
  model = sm.nn.sequential { sm.nn.linear { 3 } },
  optimizer = sm.optim.sgd { lr = 0.01 },
  schedule = { steps = 1000000, batch = 4, evaluate = 2, checkpoint = 2 },
  loss = loss,
}
