-- Loops for ever while a view draws. The limit must end it.
-- options: --max-time 3
-- expect: killed
local view = { name = "endless", check = function() end, draw = function() while true do end end }
local sm = require "sm"
return sm.experiment {
  data = sm.data.tensors { inputs = sm.randn(12, 4), targets = sm.ones({ 12 }, "int32"), validation = 4 },
  model = sm.nn.sequential { sm.nn.linear { 3 } },
  optimizer = sm.optim.sgd { lr = 0.01 },
  schedule = { steps = 4, batch = 4, evaluate = 2, checkpoint = 2 },
  views = { view },
}
