-- Records a tape without end and never walks back. It must be a plain error.
-- options: --max-memory 300M --max-time 20
-- expect: error "memory"
local sm = require "sm"
local x = sm.ones(1 << 16):requires_grad()
local y = x
for _ = 1, 6000 do y = (y * 1.0001):relu() end
print "BREACH: more memory than the limit"
