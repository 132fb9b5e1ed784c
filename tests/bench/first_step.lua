-- From start to the first training step on MNIST, by the way that every experiment goes: data, network, run
-- directory. The loss of the second batch follows the first step; there the program ends.
local sm = require "sm"
local nn = sm.nn

local batches = 0

return sm.experiment {
  data      = sm.data.mnist { validation = 5000 },
  model     = nn.sequential {
    nn.conv2d { 32, kernel = 5 }, nn.softmax { groups = 1 }, nn.maxpool2d { 2 },
    nn.conv2d { 64, kernel = 5 }, nn.softmax { groups = 4 }, nn.maxpool2d { 2 },
    nn.flatten(), nn.linear { 1024 }, nn.relu(), nn.dropout { 0.5 }, nn.linear { 10 },
  },
  loss      = function(output, targets)
    batches = batches + 1
    if batches == 2 then os.exit(0) end
    return output:cross_entropy(targets)
  end,
  optimizer = sm.optim.smorms3 { lr = 1e-3, ease_in = 200 },
  schedule  = { steps = 2, batch = 50 },
}
