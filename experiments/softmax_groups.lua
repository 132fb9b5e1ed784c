-- Hidden features chosen from mutually exclusive groups: at every location of the image exactly one feature of a
-- group is on, and the activation is its probability, a softmax over the group. Does such a network learn MNIST,
-- what do its features look like, and what does it change to break one group of 64 into smaller ones? A location's
-- activations add up to the number of groups; scale=true multiplies each by its group's size, so that splits differ in
-- competition alone.
--   smrun experiments/softmax_groups.lua groups=8 seed=2
local sm = require "sm"
local nn, optim, data, view = sm.nn, sm.optim, sm.data, sm.view

local p = sm.params { -- every one may be set from the command line
  data = "mnist", groups = 1, temperature = 0.25, scale = false, dropout = 0.1, seed = 1,
  steps = 3000, batch = 50, lr = 3e-3, ease_in = 0,
}

local function softmax(groups)
  return nn.softmax { groups = groups, temperature = p.temperature, scale = p.scale }
end

return sm.experiment {
  data      = data[p.data] { validation = 5000 },
  model     = nn.sequential {
    nn.conv2d { 32, kernel = 5 }, softmax(1),        nn.maxpool2d { 2 },
    nn.conv2d { 64, kernel = 5 }, softmax(p.groups), nn.maxpool2d { 2 },
    nn.flatten(), nn.linear { 1024 }, nn.relu(), nn.dropout { p.dropout }, nn.linear { 10 },
  },
  loss      = "cross_entropy",
  optimizer = optim.smorms3 { lr = p.lr, ease_in = p.ease_in },
  schedule  = { steps = p.steps, batch = p.batch, evaluate = 250, checkpoint = 1000 },
  views     = { view.filters "conv1", view.groups "conv2" },
  seed      = p.seed,
}
