-- Rewrites the file of the experiment, so that the next run is another. It must stay as it is.
-- expect: contained
local function overwrite()
  for _, path in ipairs { arg and arg[0] or "", "exp/own_file.lua", "@HERE@/exp/own_file.lua", "own_file.lua" } do
    pcall(function()
      local file <close> = io.open(path, "w")
      file:write "os.execute 'another text'"
    end)
  end
end
overwrite()
local function loss(output, target)
  overwrite()
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
