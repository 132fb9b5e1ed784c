-- Declares a training of 2^53 steps. The limit must end it, and what it saved must lie there.
-- options: --max-time 3
-- expect: killed
local sm = require "sm"
return sm.experiment {
  data = sm.data.tensors { inputs = sm.randn(12, 4), targets = sm.ones({ 12 }, "int32"), validation = 4 },
  model = sm.nn.sequential { sm.nn.linear { 3 } },
  optimizer = sm.optim.sgd { lr = 0.01 },
  schedule = { steps = 9007199254740992, batch = 4, evaluate = 2, checkpoint = 2 },
}
