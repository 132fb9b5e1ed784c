-- Nests pcall, coroutines and gsub in one another to the end of the stack, and calls the library there. No crash.
-- expect: contained
local sm = require "sm"
local function nest(n)
  pcall(sm.ones, 4)
  pcall(function() return sm.randn(8, 8):matmul(sm.ones(8, 8)) end)
  return (("x"):gsub("x", function() return coroutine.wrap(function() return pcall(nest, n + 1) and "y" end)() end))
end
pcall(nest, 1)
