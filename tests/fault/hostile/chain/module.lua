-- A module beside the experiment attacks while it is loaded, and again from the functions that it gives. As the script.
-- expect: contained
-- setup: write("exp/helper.lua", [[
-- setup: local function attack()
-- setup:   pcall(os.execute, "touch '@HERE@/outside/new.txt'")
-- setup:   pcall(function() print(io.open("@HERE@/outside/secret.txt"):read "a") end)
-- setup:   pcall(function() io.open("@HERE@/outside/kept.txt", "w"):write "x" end)
-- setup:   pcall(function() io.open("@HERE@/exp/module.lua", "w"):write "x" end)
-- setup: end
-- setup: attack()
-- setup: return attack]])
local attack = require "helper"
attack()
local function loss(output, target)
  attack()
  return output:cross_entropy(target)
end
local sm = require "sm"
return sm.experiment {
  data = sm.data.tensors { inputs = sm.randn(12, 4), targets = sm.ones({ 12 }, "int32"), validation = 4 },
  model = sm.nn.sequential { sm.nn.linear { 3 } },
  optimizer = sm.optim.sgd { lr = 0.01 },
  schedule = { steps = 4, batch = 4, evaluate = 2, checkpoint = 2 },
  loss = loss,
}
