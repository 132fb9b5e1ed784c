-- Ends with success while it is loaded, after it has declared an experiment. It must be no success.
-- command: exp/exit.lua steps=4
-- expect: error "smrun:"
local sm = require "sm"
sm.params { steps = 4 }
local e = sm.experiment {
  data = sm.data.tensors { inputs = sm.randn(12, 4), targets = sm.ones({ 12 }, "int32"), validation = 4 },
  model = sm.nn.linear { 3 }, optimizer = sm.optim.sgd { lr = 0.01 }, schedule = { steps = 2, batch = 4 },
}
local keep = setmetatable({}, { __gc = function() print(e) end })
os.exit(0)
