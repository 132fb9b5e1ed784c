-- A finalizer ends the program with success during training. The run must go on to its end.
-- expect: ok
-- says: report
local armed = false
local function arm()
  setmetatable({}, { __gc = function()
    if armed then os.exit(0) end
    arm()
  end })
end
arm()
local function loss(output, target)
  armed = true
  collectgarbage()
  return output:cross_entropy(target)
end
local sm = require "sm"
return sm.experiment {
  data = sm.data.tensors { inputs = sm.randn(12, 4), targets = sm.ones({ 12 }, "int32"), validation = 4 },
  model = sm.nn.sequential { sm.nn.linear { 3 } },
  optimizer = sm.optim.sgd { lr = 0.01 },
  schedule = { steps = 4, batch = 4, evaluate = 2, checkpoint = 2 },
  loss = loss,
}
