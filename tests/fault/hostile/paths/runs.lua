-- Runs an experiment whose runs directory lies elsewhere: absolute, by .., through a link. None may come to be.
-- expect: contained
-- setup: link("exp/away", here .. "/outside")
local sm = require "sm"
for i, path in ipairs { "@HERE@/outside", "../outside", "outside", "exp/away", "@HERE@/exp", "runs/other",
  "runs/../outside",
  "/tmp/@TOKEN@-canary" } do
  local e = sm.experiment {
    data = sm.data.tensors { inputs = sm.randn(12, 4), targets = sm.ones({ 12 }, "int32"), validation = 4 },
    model = sm.nn.linear { 3 }, optimizer = sm.optim.sgd { lr = 0.01 }, schedule = { steps = 2, batch = 4 },
      name = "r" .. i,
  }
  pcall(function() e:run { file = arg[0], runs = path, quiet = true } end)
end
