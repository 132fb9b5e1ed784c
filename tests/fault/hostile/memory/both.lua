-- Takes half of the memory in Lua and more than half in tensors. One limit must hold for both.
-- options: --max-memory 300M --max-time 20
-- expect: error "memory"
local sm = require "sm"
local texts, tensors = {}, {}
for i = 1, 600 do
  texts[i] = ("x"):rep(1 << 20) .. i
  tensors[i] = sm.ones(1 << 18)
end
print "BREACH: more memory than the limit"
