-- Opens its own file until no descriptor is left, then trains. It must be an error, and the end be told.
-- expect: contained
local held = {}
for i = 1, 100000 do
  local ok, file = pcall(io.open, "exp/descriptors.lua")
  if not ok or not file then break end
  held[i] = file
end
if #held > 65536 then print "BREACH: no limit" end
local sm = require "sm"
return sm.experiment {
  data = sm.data.tensors { inputs = sm.randn(12, 4), targets = sm.ones({ 12 }, "int32"), validation = 4 },
  model = sm.nn.sequential { sm.nn.linear { 3 } },
  optimizer = sm.optim.sgd { lr = 0.01 },
  schedule = { steps = 4, batch = 4, evaluate = 2, checkpoint = 2 },
}
