-- The twin of TensorFlow's tutorial "Deep MNIST for Experts" (tensorflow/examples/tutorials/mnist/mnist_deep.py):
-- the same network, initialisation, split and recipe. Then one thing at a time is exchanged: relu for a softmax over
-- all channels of each convolution, Adam for SMORMS3. Is softmax in hidden layers the bad idea it is said to be, and
-- how much faster does SMORMS3 get there?
--   smrun experiments/deep_mnist.lua activation=softmax optimizer=smorms3 steps=4000
local sm = require "sm"
local nn, optim, data, view = sm.nn, sm.optim, sm.data, sm.view

local p = sm.params {
  data = "mnist", activation = "relu", optimizer = "adam", groups = 1, ease_in = 0, seed = 1, steps = 20000,
}

local function choose(key, choices)
  local chosen = choices[p[key]]
  if chosen then return chosen end
  local names = {}
  for name in pairs(choices) do names[#names + 1] = name end
  table.sort(names)
  error(("%s must be one of %s, got '%s'"):format(key, table.concat(names, ", "), p[key]))
end

local activation = choose("activation", {
  relu    = function() return nn.relu() end,
  softmax = function(groups) return nn.softmax { groups = groups } end,
})
local optimizer = choose("optimizer", {
  adam    = function() return optim.adam { lr = 1e-4 } end,
  smorms3 = function() return optim.smorms3 { lr = 1e-3, ease_in = p.ease_in } end,
})

-- Weights: truncated normal with standard deviation 0.1; biases: 0.1.
local weight, bias = nn.init.truncated_normal(0.1), nn.init.constant(0.1)
local function conv(filters) return nn.conv2d { filters, kernel = 5, init = weight, bias_init = bias } end
local function linear(outputs) return nn.linear { outputs, init = weight, bias_init = bias } end

return sm.experiment {
  data      = data[p.data] { validation = 5000 },
  model     = nn.sequential {
    conv(32), activation(1),        nn.maxpool2d { 2 },
    conv(64), activation(p.groups), nn.maxpool2d { 2 },
    nn.flatten(), linear(1024), nn.relu(), nn.dropout { 0.5 }, linear(10),
  },
  loss      = "cross_entropy",
  optimizer = optimizer(),
  schedule  = { steps = p.steps, batch = 50, evaluate = 500, checkpoint = 1000 },
  views     = { view.filters "conv1" },
  seed      = p.seed,
}
