-- Hands tables nested a million deep to calls of sm. Each must be an error.
-- expect: contained
local sm = require "sm"
local deep, ring = {}, {}
for _ = 1, 1000000 do deep = { deep } end
ring[1] = ring
for _, f in ipairs { sm.tensor, sm.zeros, sm.nn.sequential, sm.optim.sgd, sm.params, sm.cat, sm.grad, sm.experiment } do
  pcall(f, deep)
  pcall(f, ring)
end
pcall(sm.save, "deep.npz", { x = deep })
