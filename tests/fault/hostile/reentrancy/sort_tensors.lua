-- Changes the tensor that gradcheck, grad or a transform has in hand, from the function that it calls. No crash.
-- expect: contained
local sm = require "sm"
local x = sm.randn(32)
pcall(sm.gradcheck, function(y)
  y:copy_(sm.randn(32))
  pcall(sm.gradcheck, function(z) return z * 2 end, y)
  return y * y
end, x)
pcall(sm.grad, function() return x end, x)
pcall(sm.pointwise, function(a) return sm.pointwise(function(b) return b * a end) end)
