-- Names experiments, views, layers and metrics with slashes, dots, zero bytes and at great length. Errors, or harmless.
-- expect: contained
local sm = require "sm"
local view = sm.view.image and { check = function() end, draw = function(_, _, path) sm.png.save(path, sm.ones(4,
  4)) end }
for _, name in ipairs { "../../outside/x", "/tmp/@TOKEN@-canary", "a/b", "..", ".", "a\0b", ("x"):rep(5000), "",
  "other",
  "@HERE@/outside/x", "~/x", "\27[31m", "-rf", ".hidden", "con\n" } do
  for _, part in ipairs { "name", "view", "metric", "layer" } do
    pcall(function()
      view.name = part == "view" and name or "v"
      sm.experiment {
        name = part == "name" and name or "n", views = { view }, seed = #name,
        metrics = { [part == "metric" and name or "m"] = function() return 1 end },
        data = sm.data.tensors { inputs = sm.randn(12, 4), targets = sm.ones({ 12 }, "int32"), validation = 4 },
        model = sm.nn.sequential { sm.nn.linear { 3, name = part == "layer" and name or "l" } },
        optimizer = sm.optim.sgd { lr = 0.01 }, schedule = { steps = 2, batch = 4 },
      }:run { file = arg[0], quiet = true }
    end)
  end
end
