-- Trains and evaluates the model from a view and from a metric. The run must end or be an error.
-- expect: contained
local sm = require "sm"
local function meddle(model)
  pcall(function() model:train() model(sm.randn(4, 4)):sum():backward() end)
  for _, p in pairs(model:parameters()) do pcall(function() p:copy_(p * 0) end) end
end
local view = { name = "meddles", check = function() end, draw = function(_, model) meddle(model) end }
local function metric(_, _, _, at)
  meddle(at.model)
  return 1
end
return sm.experiment {
  data = sm.data.tensors { inputs = sm.randn(12, 4), targets = sm.ones({ 12 }, "int32"), validation = 4 },
  model = sm.nn.sequential { sm.nn.linear { 3 } },
  optimizer = sm.optim.sgd { lr = 0.01 },
  schedule = { steps = 4, batch = 4, evaluate = 2, checkpoint = 2 },
  views = { view }, metrics = { meddles = metric },
}
