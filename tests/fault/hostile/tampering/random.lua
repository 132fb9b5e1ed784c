-- Seeds and replaces Lua's random numbers, and sets those of sm in a metric. The run must draw its own.
-- expect: ok
local sm = require "sm"
pcall(function() math.random = function() return 0.5 end end)
pcall(function() math.randomseed(1) end)
local function metric()
  pcall(sm.seed, -1)
  return 1
end
return sm.experiment {
  data = sm.data.tensors { inputs = sm.randn(12, 4), targets = sm.ones({ 12 }, "int32"), validation = 4 },
  model = sm.nn.sequential { sm.nn.linear { 3 } },
  optimizer = sm.optim.sgd { lr = 0.01 },
  schedule = { steps = 4, batch = 4, evaluate = 2, checkpoint = 2 },
  metrics = { mine = metric },
}
