-- Draws a view's picture elsewhere, and puts links and pipes where its picture will lie. Nothing outside may change.
-- expect: contained
local sm = require "sm"
local view = { name = "picture", check = function() end }
function view.draw(_, _, path)
  for _, other in ipairs { "@HERE@/outside/kept.txt", (path:gsub("[^/]*$", "../../../../outside/kept.txt")) } do
    pcall(function()
      local file <close> = io.open(other, "w")
      file:write "overwritten"
    end)
  end
  pcall(os.execute, ("ln -sf '@HERE@/outside/kept.txt' '%s'"):format(path))
  pcall(function()
    local file <close> = io.open(path, "w")
    file:write "overwritten"
  end)
end
return sm.experiment {
  data = sm.data.tensors { inputs = sm.randn(12, 4), targets = sm.ones({ 12 }, "int32"), validation = 4 },
  model = sm.nn.sequential { sm.nn.linear { 3 } },
  optimizer = sm.optim.sgd { lr = 0.01 },
  schedule = { steps = 4, batch = 4, evaluate = 2, checkpoint = 2 },
  views = { view },
}
