-- Runs the experiment again from its own loss. It must be an error or end, and the outer run be what it was.
-- expect: contained
local sm = require "sm"
local e
local function loss(output, target)
  pcall(function() e:run { file = arg[0], again = true, quiet = true } end)
  return output:cross_entropy(target)
end
e = sm.experiment {
  data = sm.data.tensors { inputs = sm.randn(12, 4), targets = sm.ones({ 12 }, "int32"), validation = 4 },
  model = sm.nn.sequential { sm.nn.linear { 3 } }, optimizer = sm.optim.sgd { lr = 0.01 },
  schedule = { steps = 3, batch = 4 }, loss = loss,
}
return e
