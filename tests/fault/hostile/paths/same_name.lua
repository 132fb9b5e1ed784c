-- Takes the names of runs that lie there already, of its own experiment and of another. They must stay as they are.
-- command: exp/same_name.lua --again
-- expect: contained
local sm = require "sm"
sm.params { before = 1 }
return sm.experiment {
  name = "other",
  data = sm.data.tensors { inputs = sm.randn(12, 4), targets = sm.ones({ 12 }, "int32"), validation = 4 },
  model = sm.nn.linear { 3 }, optimizer = sm.optim.sgd { lr = 0.01 }, schedule = { steps = 2, batch = 4 },
}
