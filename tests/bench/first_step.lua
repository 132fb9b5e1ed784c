-- From start to the end of the first training step on MNIST, by the way that every experiment goes: data, network, run
-- directory. There the program ends.
local sm = require "sm"
local nn = sm.nn

local optimizer = sm.optim.smorms3 { lr = 1e-3, ease_in = 200 }
local step = optimizer.step
function optimizer:step()
  step(self)
  os.exit(0)
end

return sm.experiment {
  data      = sm.data.mnist { validation = 5000 },
  model     = nn.sequential {
    nn.conv2d { 32, kernel = 5 }, nn.softmax { groups = 1 }, nn.maxpool2d { 2 },
    nn.conv2d { 64, kernel = 5 }, nn.softmax { groups = 4 }, nn.maxpool2d { 2 },
    nn.flatten(), nn.linear { 1024 }, nn.relu(), nn.dropout { 0.5 }, nn.linear { 10 },
  },
  optimizer = optimizer,
  schedule  = { steps = 1, batch = 50 },
}
