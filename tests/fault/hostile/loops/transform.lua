-- Loops for ever in the transform of a data set. The limit must end it.
-- options: --max-time 3
-- expect: killed
local sm = require "sm"
local function endless() while true do end end
return sm.experiment {
  data = sm.data.tensors { inputs = sm.randn(12, 4), targets = sm.ones({ 12 }, "int32"), transform = endless },
  model = sm.nn.linear { 3 }, optimizer = sm.optim.sgd { lr = 0.01 }, schedule = { steps = 3, batch = 4 },
}
