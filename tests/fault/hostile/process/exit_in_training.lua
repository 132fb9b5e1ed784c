-- Ends with success in the loss of the first step, in pcall, with true. It must be no success.
-- expect: error "smrun:"
local function loss()
  pcall(os.exit, true, true)
  os.exit(0)
end
local sm = require "sm"
return sm.experiment {
  data = sm.data.tensors { inputs = sm.randn(12, 4), targets = sm.ones({ 12 }, "int32"), validation = 4 },
  model = sm.nn.sequential { sm.nn.linear { 3 } },
  optimizer = sm.optim.sgd { lr = 0.01 },
  schedule = { steps = 4, batch = 4, evaluate = 2, checkpoint = 2 },
  loss = loss,
}
