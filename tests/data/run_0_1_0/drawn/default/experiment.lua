-- Its data are drawn at file level, before the seed is set: the same numbers for every seed, in version 0.1.0.
local sm = require "sm"
local nn, optim = sm.nn, sm.optim

local p = sm.params { seed = 4, steps = 20 }
local inputs = sm.randn(40, 3)
local targets = inputs:matmul(sm.tensor { { 1 }, { -2 }, { 0.5 } }) + 0.1 * sm.randn(40, 1)

return sm.experiment {
  data = sm.data.tensors { inputs = inputs, targets = targets, validation = 10 },
  model = nn.sequential { nn.linear { 4 }, nn.relu(), nn.linear { 1 } },
  loss = function(output, target) return ((output - target) ^ 2):mean() end,
  optimizer = optim.adam { lr = 0.03 },
  schedule = { steps = p.steps, batch = 5, log = 5, evaluate = 10, checkpoint = 10, keep = 1 },
  seed = p.seed,
}
