-- Weak tables with tensors as keys and values are read while finalizers revive what they hold. Nothing may crash.
-- expect: contained
local sm = require "sm"
local weak = setmetatable({}, { __mode = "kv" })
for i = 1, 3000 do
  local x = sm.ones(4)
  weak[x] = setmetatable({ x = x }, { __gc = function(t) weak[i] = t.x + 1 end })
  if i % 500 == 0 then collectgarbage() end
end
for _, x in pairs(weak) do
  if sm.is_tensor(x) then x:sum() end
end
