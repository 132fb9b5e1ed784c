-- Loads a run that a stranger sent, whose text attacks. It must gain nothing that the script has not.
-- expect: contained
-- setup: run("exp/teacher", [[
-- setup: pcall(os.execute, "touch '@HERE@/outside/new.txt'")
-- setup: pcall(function() print(io.open("@HERE@/outside/secret.txt"):read "a") end)
-- setup: pcall(function() require("sm").nn.linear = error end)
-- setup: pcall(function() string.format = error end)
-- setup: os.exit(0)]])
local sm = require "sm"
print(pcall(sm.load_run, "exp/teacher"))
return sm.experiment {
  data = sm.data.tensors { inputs = sm.randn(12, 4), targets = sm.ones({ 12 }, "int32"), validation = 4 },
  model = sm.nn.sequential { sm.nn.linear { 3 } },
  optimizer = sm.optim.sgd { lr = 0.01 },
  schedule = { steps = 4, batch = 4, evaluate = 2, checkpoint = 2 },
}
