-- Trains ten million steps of which each writes a row, a view and a message. The limit must end it.
-- options: --max-time 4 --max-memory 300M
-- expect: killed
local sm = require "sm"
return sm.experiment {
  data = sm.data.tensors { inputs = sm.randn(12, 4), targets = sm.ones({ 12 }, "int32"), validation = 4 },
  model = sm.nn.linear { 3 }, optimizer = sm.optim.sgd { lr = 0.01 },
  schedule = { steps = 10000000, batch = 4, log = 1, evaluate = 1, checkpoint = 1 },
}
