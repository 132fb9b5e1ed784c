-- Finalizers of tables and tensors keep one another alive in a ring, for many collections. Nothing may crash.
-- expect: contained
local sm = require "sm"
local ring = {}
local function revive(t)
  ring[t.name] = t
  t.x = t.x + 1
  setmetatable(t, getmetatable(t))
end
for i = 1, 200 do ring[i] = setmetatable({ name = i, x = sm.ones(8) }, { __gc = revive }) end
for _ = 1, 20 do
  ring = {}
  collectgarbage()
end
