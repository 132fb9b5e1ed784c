-- SMORMS3 starts off violently: in its first step x is 1/2 for every weight that has a gradient, far above the cap lr,
-- so that each moves by 1.4 lr, fourteen times as far as with the tutorial's Adam. Does it do harm, and does it help to
-- let the cap grow from 0 over the first ease_in steps? The violence is a curve in metrics.csv: step_rms, how far a
-- weight moves in a step, and cap_share, the share of the weights that the cap holds back.
--   smrun experiments/ease_in.lua activation=relu,softmax ease_in=0,50,200,1000 seed=1..3
local sm = require "sm"
local nn, optim, data = sm.nn, sm.optim, sm.data

local p = sm.params { data = "mnist", activation = "softmax", ease_in = 0, lr = 1e-3, seed = 1, steps = 1000 }

local activation = ({ relu = nn.relu, softmax = nn.softmax })[p.activation]
  or error(("activation must be relu or softmax, got '%s'"):format(p.activation))

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
  schedule  = { steps = p.steps, batch = 50, log = 1, evaluate = 50, checkpoint = 1000 }, -- a row for every step
  seed      = p.seed,
}
