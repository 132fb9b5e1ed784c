-- Passes tables that pretend to be tensors, models, data sets and optimizers. Each must be an error, and no crash.
-- expect: contained
local sm = require "sm"
local forged = setmetatable({ shape = { 1 << 40 }, dtype = "float32" }, {
  __index = function(_, key) return key == "item" and function() return 0 end or nil end, __name = "tensor",
  __len = function() return 1 << 40 end, __call = function() return {} end,
})
for _, f in ipairs { sm.ones(1).copy_, sm.ones(1).matmul, sm.cat, sm.stack, sm.where, sm.save, sm.grad, sm.no_grad,
  sm.nn.sequential, sm.optim.sgd, sm.data.tensors, sm.view.image } do
  pcall(f, forged, forged)
  pcall(f, sm.ones(1), forged)
  pcall(f, { forged, forged })
end
