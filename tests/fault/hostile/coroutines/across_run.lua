-- Runs an experiment in a coroutine that is never resumed, and another in the next. They must end or be an error.
-- expect: contained
local sm = require "sm"
for i = 1, 3 do
  local thread = coroutine.create(function()
    return sm.experiment {
      data = sm.data.tensors { inputs = sm.randn(12, 4), targets = sm.ones({ 12 }, "int32") },
      model = sm.nn.linear { 3 }, optimizer = sm.optim.sgd { lr = 0.01 }, schedule = { steps = 3, batch = 4 },
      loss = function(output, target)
        coroutine.yield()
        return output:cross_entropy(target)
      end, name = "across" .. i,
    }:run { file = arg[0] }
  end)
  coroutine.resume(thread)
end
