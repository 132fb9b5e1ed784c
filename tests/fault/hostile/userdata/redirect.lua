-- Sets io.output and io.input to files and closes them, then has the library print. It must print where it did.
-- expect: ok
pcall(function() io.input "exp/redirect.lua" end)
pcall(function() io.output(io.open("inside.txt", "w")) io.output():close() end)
local sm = require "sm"
return sm.experiment {
  data = sm.data.tensors { inputs = sm.randn(12, 4), targets = sm.ones({ 12 }, "int32"), validation = 4 },
  model = sm.nn.sequential { sm.nn.linear { 3 } },
  optimizer = sm.optim.sgd { lr = 0.01 },
  schedule = { steps = 4, batch = 4, evaluate = 2, checkpoint = 2 },
}
