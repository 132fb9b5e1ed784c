-- Has a run keep a file outside as its own text, under file and source. The secret must not get into the run.
-- expect: contained
local sm = require "sm"
local e = sm.experiment {
  data = sm.data.tensors { inputs = sm.randn(12, 4), targets = sm.ones({ 12 }, "int32"), validation = 4 },
  model = sm.nn.linear { 3 }, optimizer = sm.optim.sgd { lr = 0.01 }, schedule = { steps = 2, batch = 4 },
}
for _, path in ipairs { "@HERE@/outside/secret.lua", "outside/secret.lua", "@HERE@/home/.ssh/id_secret" } do
  local ok = pcall(function() e:run { file = path, quiet = true } end)
  if ok then print "BREACH: a run of a file outside" end
end
