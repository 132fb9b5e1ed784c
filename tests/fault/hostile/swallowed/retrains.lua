-- Trains anew in a loop, whatever the run before ended with. One SIGTERM must be enough.
-- sends: SIGTERM after 2
-- limit: 12
-- expect: killed
local sm = require "sm"
local e = sm.experiment {
  data = sm.data.tensors { inputs = sm.randn(12, 4), targets = sm.ones({ 12 }, "int32"), validation = 4 },
  model = sm.nn.sequential { sm.nn.linear { 3 } }, optimizer = sm.optim.sgd { lr = 0.01 },
  schedule = { steps = 100, batch = 4 },
}
while true do pcall(e.run, e, { file = arg[0], again = true, quiet = true }) end
