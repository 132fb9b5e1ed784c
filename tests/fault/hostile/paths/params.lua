-- Gives parameters values that would make the name of the run lead elsewhere. It must lie among its own runs.
-- command: exp/params.lua title=../../outside/x 'other=/tmp/@TOKEN@-canary' third=.. 'fourth=a/b'
-- expect: contained
local sm = require "sm"
sm.params { title = "", other = "", third = "", fourth = "" }
return sm.experiment {
  data = sm.data.tensors { inputs = sm.randn(12, 4), targets = sm.ones({ 12 }, "int32"), validation = 4 },
  model = sm.nn.sequential { sm.nn.linear { 3 } },
  optimizer = sm.optim.sgd { lr = 0.01 },
  schedule = { steps = 4, batch = 4, evaluate = 2, checkpoint = 2 },
}
