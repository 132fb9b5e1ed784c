-- Replaces require itself. The library must have its own.
-- expect: ok
local say = print
local sm = require "sm"
pcall(function()
  require = function(name)
    say("BREACH: the library calls a replaced require: " .. name)
    return {}
  end
end)
pcall(rawset, _G, "require", require)
return sm.experiment {
  data = sm.data.tensors { inputs = sm.randn(12, 4), targets = sm.ones({ 12 }, "int32"), validation = 4 },
  model = sm.nn.sequential { sm.nn.linear { 3 } },
  optimizer = sm.optim.sgd { lr = 0.01 },
  schedule = { steps = 4, batch = 4, evaluate = 2, checkpoint = 2 },
}
