-- Finalizers raise errors of every kind, and print escapes by warn. Training must go on, and the terminal be spared.
-- expect: ok
warn "@on"
for _, problem in ipairs { "\27[31mred", {}, setmetatable({}, { __tostring = error }), false } do
  for _ = 1, 20 do setmetatable({}, { __gc = function() error(problem) end }) end
end
collectgarbage()
local sm = require "sm"
return sm.experiment {
  data = sm.data.tensors { inputs = sm.randn(12, 4), targets = sm.ones({ 12 }, "int32"), validation = 4 },
  model = sm.nn.sequential { sm.nn.linear { 3 } },
  optimizer = sm.optim.sgd { lr = 0.01 },
  schedule = { steps = 4, batch = 4, evaluate = 2, checkpoint = 2 },
}
