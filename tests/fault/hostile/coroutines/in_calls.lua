-- Yields out of functions that the library calls: losses, metrics, data, options. It must be an error.
-- expect: contained
local function loss(output, target)
  coroutine.yield(output)
  return output:cross_entropy(target)
end
local sm = require "sm"
local thread = coroutine.wrap(function()
  sm.no_grad(function() coroutine.yield(1) end)
end)
pcall(thread)
pcall(thread)
if not (sm.ones(1):requires_grad() * 2):tracks() then print "BREACH: gradients are off for all" end
return sm.experiment {
  data = sm.data.tensors { inputs = sm.randn(12, 4), targets = sm.ones({ 12 }, "int32"), validation = 4 },
  model = sm.nn.sequential { sm.nn.linear { 3 } },
  optimizer = sm.optim.sgd { lr = 0.01 },
  schedule = { steps = 4, batch = 4, evaluate = 2, checkpoint = 2 },
  loss = loss,
}
