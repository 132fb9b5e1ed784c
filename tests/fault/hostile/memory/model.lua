-- Declares a network of more weights than the memory holds. It must be a plain error before the first step.
-- options: --max-memory 300M --max-time 20
-- expect: error "memory"
local sm = require "sm"
return sm.experiment {
  data = sm.data.tensors { inputs = sm.randn(12, 400), targets = sm.ones({ 12 }, "int32") },
  model = sm.nn.sequential { sm.nn.linear { 16000 }, sm.nn.linear { 16000 }, sm.nn.linear { 3 } },
  optimizer = sm.optim.adam { lr = 0.01 }, schedule = { steps = 2, batch = 4 },
}
