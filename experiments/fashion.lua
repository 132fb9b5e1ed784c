-- Does what holds on digits hold on clothes? The network of softmax_groups.lua, or its relu twin, on Fashion-MNIST.
--   smrun experiments/fashion.lua activation=relu
local sm = require "sm"
local nn, optim, data, view = sm.nn, sm.optim, sm.data, sm.view

local p = sm.params {
  data = "fashion", activation = "softmax", groups = 4, seed = 1, steps = 6000, batch = 50, lr = 1e-3, ease_in = 200,
}

local function activation(groups)
  if p.activation == "softmax" then return nn.softmax { groups = groups } end
  if p.activation == "relu" then return nn.relu() end
  error(("activation must be 'softmax' or 'relu', got '%s'"):format(p.activation))
end

return sm.experiment {
  data      = data[p.data] { validation = 5000 },
  model     = nn.sequential {
    nn.conv2d { 32, kernel = 5 }, activation(1),        nn.maxpool2d { 2 },
    nn.conv2d { 64, kernel = 5 }, activation(p.groups), nn.maxpool2d { 2 },
    nn.flatten(), nn.linear { 1024 }, nn.relu(), nn.dropout { 0.5 }, nn.linear { 10 },
  },
  loss      = "cross_entropy",
  optimizer = optim.smorms3 { lr = p.lr, ease_in = p.ease_in },
  schedule  = { steps = p.steps, batch = p.batch, evaluate = 500, checkpoint = 1000 },
  views     = { view.filters "conv1" },
  seed      = p.seed,
}
