-- Came with a directory of runs in which its own name is a link that leads outside. No run may come to be there.
-- expect: contained
-- setup: remove("runs/planted_run") link("runs/planted_run", here .. "/outside")
local sm = require "sm"
return sm.experiment {
  data = sm.data.tensors { inputs = sm.randn(12, 4), targets = sm.ones({ 12 }, "int32"), validation = 4 },
  model = sm.nn.sequential { sm.nn.linear { 3 } },
  optimizer = sm.optim.sgd { lr = 0.01 },
  schedule = { steps = 4, batch = 4, evaluate = 2, checkpoint = 2 },
}
