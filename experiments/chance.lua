-- What of a picture of groups is due to chance? A network whose 64 features are one group is trained, and then its
-- features are dealt at random into as many groups as are asked for: plots/groups-conv2-control4.png shows groups that
-- nothing made. Beside the same picture of softmax_groups.lua, it tells what grouping did.
--   smrun experiments/chance.lua groups=8
local sm = require "sm"
local nn, optim, data, view = sm.nn, sm.optim, sm.data, sm.view

local p = sm.params {
  data = "mnist", groups = 4, temperature = 0.25, seed = 1, steps = 3000, batch = 50, lr = 1e-3, ease_in = 200,
}

local function softmax() return nn.softmax { temperature = p.temperature } end

return sm.experiment {
  data      = data[p.data] { validation = 5000 },
  model     = nn.sequential {
    nn.conv2d { 32, kernel = 5 }, softmax(), nn.maxpool2d { 2 },
    nn.conv2d { 64, kernel = 5 }, softmax(), nn.maxpool2d { 2 },
    nn.flatten(), nn.linear { 1024 }, nn.relu(), nn.dropout { 0.1 }, nn.linear { 10 },
  },
  loss      = "cross_entropy",
  optimizer = optim.smorms3 { lr = p.lr, ease_in = p.ease_in },
  schedule  = { steps = p.steps, batch = p.batch, evaluate = 500, checkpoint = 1000 },
  views     = { view.groups "conv2", view.groups { "conv2", control = p.groups, seed = p.seed } },
  seed      = p.seed,
}
