-- The smallest experiment: exclusive or, learnt through four groups of two mutually exclusive features.
--   smrun experiments/xor.lua
local sm = require "sm"
local nn, optim, data = sm.nn, sm.optim, sm.data

local p = sm.params { seed = 1, steps = 300, lr = 0.05 }

return sm.experiment {
  data = data.tensors {
    inputs  = sm.tensor { { 0, 0 }, { 0, 1 }, { 1, 0 }, { 1, 1 } },
    targets = sm.tensor({ 0, 1, 1, 0 }, "int32"),
  },
  model     = nn.sequential { nn.linear { 8 }, nn.softmax { groups = 4 }, nn.linear { 2 } },
  loss      = "cross_entropy",
  optimizer = optim.adam { lr = p.lr },
  schedule  = { steps = p.steps, batch = 4, log = 50 },
  seed      = p.seed,
}
