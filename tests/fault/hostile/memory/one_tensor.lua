-- Asks for one tensor that is larger than the limit, in pcall, then trains. It must be an error and the run go on.
-- options: --max-memory 300M --max-time 20
-- expect: ok
local sm = require "sm"
for _, f in ipairs { sm.ones, sm.randn, sm.zeros } do
  local ok, x = pcall(f, 1 << 28)
  if ok and x:sum() then print "BREACH: more memory than the limit" end
end
return sm.experiment {
  data = sm.data.tensors { inputs = sm.randn(12, 4), targets = sm.ones({ 12 }, "int32"), validation = 4 },
  model = sm.nn.sequential { sm.nn.linear { 3 } },
  optimizer = sm.optim.sgd { lr = 0.01 },
  schedule = { steps = 4, batch = 4, evaluate = 2, checkpoint = 2 },
}
