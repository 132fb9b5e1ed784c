-- Nests callbacks of the library in one another: op in op, no_grad in no_grad, layers that call themselves. Plain
-- errors.
-- expect: contained
local sm = require "sm"
local op
op = sm.op { name = "again", forward = function(_, x) return op(x) end, backward = function(_, g) return g end }
pcall(op, sm.ones(1))
local function nest() return sm.no_grad(function() return sm.enable_grad(nest) end) end
pcall(nest)
local layer
layer = sm.nn.fn(function(x) return layer(x) end)
pcall(function() return layer:build { 2 }(sm.ones(1, 2)) end)
