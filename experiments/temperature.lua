-- Grouped softmax pays for its start: as long as the logits are small, every option has about the same probability,
-- little gets through to the layers above, and the loss stays on a plateau. What shortens it? Four things that make
-- the options differ sooner, or let the difference through:
--   temperature below 1   divides the logits, for good
--   gain above 1          larger weights at the start: the same function there as temperature = 1/gain, but the
--                         optimizer's steps are as small as ever beside them
--   scale                 activations with a mean of 1 instead of one over the group's size
--   ease_in               0: large steps from the first
--   smrun experiments/temperature.lua groups=16 scale=true,false temperature=1,0.5,0.2
local sm = require "sm"
local nn, optim, data = sm.nn, sm.optim, sm.data

local p = sm.params {
  data = "mnist", groups = 16, temperature = 1.0, gain = 1.0, scale = false, ease_in = 200, lr = 1e-3, seed = 1,
  steps = 2000,
}

local function init(...) return nn.init.he_normal()(...) * p.gain end

local function softmax(groups)
  return nn.softmax { groups = groups, temperature = p.temperature, scale = p.scale }
end

return sm.experiment {
  data      = data[p.data] { validation = 5000 },
  model     = nn.sequential {
    nn.conv2d { 32, kernel = 5, init = init }, softmax(1),        nn.maxpool2d { 2 },
    nn.conv2d { 64, kernel = 5, init = init }, softmax(p.groups), nn.maxpool2d { 2 },
    nn.flatten(), nn.linear { 1024 }, nn.relu(), nn.dropout { 0.5 }, nn.linear { 10 },
  },
  loss      = "cross_entropy",
  optimizer = optim.smorms3 { lr = p.lr, ease_in = p.ease_in },
  schedule  = { steps = p.steps, batch = 50, log = 20, evaluate = 100, checkpoint = 1000 },
  seed      = p.seed,
}
