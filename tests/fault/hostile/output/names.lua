-- Names experiments, parameters, layers, columns and views with what terminals obey. It must be made visible.
-- terminal
-- expect: contained
local sm = require "sm"
pcall(sm.params, { ["\27[31mred"] = 1, text = "\27]0;title\7" })
pcall(sm.experiment, { ["\27[31mred"] = 1 })
for _, name in ipairs { "\27[31mred", "\xc2\x9b31mx", "\7\8" } do
  local ok, message = pcall(function()
    return sm.experiment {
      name = name, data = sm.data.tensors { inputs = sm.randn(12, 4), targets = sm.ones({ 12 }, "int32") },
      model = sm.nn.linear { 3 }, optimizer = sm.optim.sgd { lr = 0.01 }, schedule = { steps = 2, batch = 4 },
    }
  end)
  print(ok, message)
  print(pcall(function() return sm.nn[name] end))
  print(pcall(function() return sm.nn.linear { 3, name = name }:build { 2 } end))
end
return sm.experiment {
  data = sm.data.tensors { inputs = sm.randn(12, 4), targets = sm.ones({ 12 }, "int32"), validation = 4 },
  model = sm.nn.sequential { sm.nn.linear { 3, name = "\27[31mred" } }, optimizer = sm.optim.sgd { lr = 0.01 },
  schedule = { steps = 2, batch = 4 },
}
