-- Gives options whose metamethods change sm and the options themselves while they are read. It must be harmless.
-- expect: ok
local sm = require "sm"
local sly = setmetatable({}, {
  __index = function(t, key)
    rawset(t, key, nil)
    pcall(function() sm.nn = nil end)
    return key == "lr" and 0.1 or nil
  end,
  __pairs = function(t) return next, t, nil end,
  __len = function() return 1 << 40 end,
})
pcall(sm.optim.sgd, sly)
pcall(sm.nn.linear, sly)
pcall(sm.nn.sequential, sly)
assert(sm.nn)
return sm.experiment {
  data = sm.data.tensors { inputs = sm.randn(12, 4), targets = sm.ones({ 12 }, "int32"), validation = 4 },
  model = sm.nn.sequential { sm.nn.linear { 3 } },
  optimizer = sm.optim.sgd { lr = 0.01 },
  schedule = { steps = 4, batch = 4, evaluate = 2, checkpoint = 2 },
}
