-- Keeps tensors without end. It must be a plain error.
-- options: --max-memory 300M --max-time 20
-- expect: error "memory"
local sm = require "sm"
local t = {}
for i = 1, 1200 do t[i] = sm.ones(1 << 18) end
print "BREACH: more memory than the limit"
