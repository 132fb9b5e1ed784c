-- Resumes and evaluates the runs of others, and with a directory that is none. They must stay as they are.
-- expect: contained
local sm = require "sm"
local e = sm.experiment {
  data = sm.data.tensors { inputs = sm.randn(12, 4), targets = sm.ones({ 12 }, "int32"), validation = 4 },
  model = sm.nn.sequential { sm.nn.linear { 3 } }, optimizer = sm.optim.sgd { lr = 0.01 },
  schedule = { steps = 9, batch = 4, checkpoint = 2 },
}
for _, path in ipairs { "runs/other/default", "runs/directory/before", "@HERE@/runs/other/default", "outside",
  "@HERE@/outside" } do
  pcall(function() e:resume { directory = path, quiet = true } end)
  pcall(function() e:evaluate { directory = path, quiet = true } end)
  pcall(function() e:run { file = path .. "/experiment.lua", again = true, quiet = true } end)
end
