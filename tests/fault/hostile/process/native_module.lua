-- Has a library of C beside it under the names of modules that smrun loads itself. None of them may be taken.
-- expect: ok
-- setup: compile("exp/lfs.so") compile("exp/cjson.so") compile("exp/runtime.so") compile("exp/native.so")
-- setup: mkdir("exp/sm") compile("exp/sm/canvas.so") compile("exp/sm/runtime.so")
for _, name in ipairs { "lfs", "cjson", "runtime", "native", "sm.canvas", "sm.runtime" } do pcall(require, name) end
local sm = require "sm"
return sm.experiment {
  data = sm.data.tensors { inputs = sm.randn(12, 4), targets = sm.ones({ 12 }, "int32"), validation = 4 },
  model = sm.nn.sequential { sm.nn.linear { 3 } },
  optimizer = sm.optim.sgd { lr = 0.01 },
  schedule = { steps = 4, batch = 4, evaluate = 2, checkpoint = 2 },
}
