-- Trains with targets that are no classes: negative, beyond the outputs, near 2^31. It must be an error.
-- expect: error "smrun:"
local sm = require "sm"
return sm.experiment {
  data = sm.data.tensors { inputs = sm.randn(4, 4), targets = sm.tensor({ 0, 2147483647, -2147483648, 7 }, "int32") },
  model = sm.nn.linear { 3 }, optimizer = sm.optim.sgd { lr = 0.01 }, schedule = { steps = 2, batch = 4 },
  loss = function(output, target) return output:cross_entropy(target) end,
}
