-- Declares and loads experiments, parameters and seeds while it trains. It must be an error or be without effect.
-- expect: contained
local sm = require "sm"
local function loss(output, target)
  pcall(sm.params, { steps = 1000 })
  pcall(sm.seed, 3)
  pcall(sm.experiment, {})
  pcall(sm.load_run, "runs/other/default")
  pcall(sm.load_run, "runs/declare/default")
  pcall(function() dofile(arg[0]) end)
  return output:cross_entropy(target)
end
return sm.experiment {
  data = sm.data.tensors { inputs = sm.randn(12, 4), targets = sm.ones({ 12 }, "int32"), validation = 4 },
  model = sm.nn.sequential { sm.nn.linear { 3 } },
  optimizer = sm.optim.sgd { lr = 0.01 },
  schedule = { steps = 4, batch = 4, evaluate = 2, checkpoint = 2 },
  loss = loss,
}
