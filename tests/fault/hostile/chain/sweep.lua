-- Attacks from a sweep, whose parent must not execute the text at all. It must be confined in every run.
-- command: --jobs 2 exp/sweep.lua width=2,3
-- expect: contained
-- limit: 20
pcall(os.execute, "touch '@HERE@/outside/new.txt'")
pcall(function() print(io.open("@HERE@/outside/secret.txt"):read "a") end)
pcall(function() io.open("@HERE@/outside/kept.txt", "w"):write "x" end)
pcall(os.remove, "@HERE@/runs/other/default/summary.json")
local sm = require "sm"
sm.params { width = 1 }
return sm.experiment {
  data = sm.data.tensors { inputs = sm.randn(12, 4), targets = sm.ones({ 12 }, "int32"), validation = 4 },
  model = sm.nn.sequential { sm.nn.linear { 3 } },
  optimizer = sm.optim.sgd { lr = 0.01 },
  schedule = { steps = 4, batch = 4, evaluate = 2, checkpoint = 2 },
}
