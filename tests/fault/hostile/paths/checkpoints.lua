-- Puts links in the place of its own checkpoints, logs and reports while it trains. Nothing outside may change.
-- expect: contained
local function loss(output, target)
  for _, name in ipairs { "checkpoints", "metrics.csv", "report.html", "summary.json", "log.txt", "plots" } do
    for _, run in ipairs { "runs/checkpoints/default/", "" } do
      pcall(os.rename, run .. name, run .. name .. ".moved")
      pcall(os.execute, ("ln -s '@HERE@/outside/kept.txt' '%s%s'"):format(run, name))
      pcall(function() return require "lfs".link("@HERE@/outside/kept.txt", run .. name, true) end)
    end
  end
  return output:cross_entropy(target)
end
local sm = require "sm"
return sm.experiment {
  data = sm.data.tensors { inputs = sm.randn(12, 4), targets = sm.ones({ 12 }, "int32"), validation = 4 },
  model = sm.nn.sequential { sm.nn.linear { 3 } },
  optimizer = sm.optim.sgd { lr = 0.01 },
  schedule = { steps = 4, batch = 4, evaluate = 2, checkpoint = 2 },
  loss = loss,
}
