-- Attacks while only its plan is asked for. It must be confined as in a run.
-- command: --dry-run exp/dry_run.lua
-- expect: contained
pcall(os.execute, "touch '@HERE@/outside/new.txt'")
pcall(function() print(io.open("@HERE@/outside/secret.txt"):read "a") end)
pcall(function() io.open("@HERE@/outside/kept.txt", "w"):write "x" end)
local sm = require "sm"
return sm.experiment {
  data = sm.data.tensors { inputs = sm.randn(12, 4), targets = sm.ones({ 12 }, "int32"), validation = 4 },
  model = sm.nn.sequential { sm.nn.linear { 3 } },
  optimizer = sm.optim.sgd { lr = 0.01 },
  schedule = { steps = 4, batch = 4, evaluate = 2, checkpoint = 2 },
}
