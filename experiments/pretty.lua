-- Are the lowest features prettier with softmax? And if so, is it the competition within a group, or only that
-- activations are bounded, as they are with the sigmoid? The pictures are plots/filters-conv1.png of each run; how
-- smooth the filters are and how different from one another is measured beside them, over training, in metrics.csv
-- (conv1_roughness, conv1_spread). Softmax sees filters less their mean and is drawn so; relu and sigmoid see the mean
-- too. Of all three the numbers are of filters less their mean.
--   smrun experiments/pretty.lua activation=relu,sigmoid,softmax seed=1..3
local sm = require "sm"
local nn, optim, data, view = sm.nn, sm.optim, sm.data, sm.view

local p = sm.params {
  data = "mnist", activation = "softmax", ease_in = 200, lr = 1e-3, seed = 1, steps = 6000,
}

local activation = ({ relu = nn.relu, sigmoid = nn.sigmoid, softmax = nn.softmax })[p.activation]
  or error(("activation must be relu, sigmoid or softmax, got '%s'"):format(p.activation))

-- The tutorial's network, as in deep_mnist.lua.
local weight, bias = nn.init.truncated_normal(0.1), nn.init.constant(0.1)
local function conv(filters) return nn.conv2d { filters, kernel = 5, init = weight, bias_init = bias } end
local function linear(outputs) return nn.linear { outputs, init = weight, bias_init = bias } end

return sm.experiment {
  data      = data[p.data] { validation = 5000 },
  model     = nn.sequential {
    conv(32), activation(), nn.maxpool2d { 2 },
    conv(64), activation(), nn.maxpool2d { 2 },
    nn.flatten(), linear(1024), nn.relu(), nn.dropout { 0.5 }, linear(10),
  },
  loss      = "cross_entropy",
  optimizer = optim.smorms3 { lr = p.lr, ease_in = p.ease_in },
  schedule  = { steps = p.steps, batch = 50, evaluate = 500, checkpoint = 1000 },
  views     = { view.filters "conv1" },
  seed      = p.seed,
}
