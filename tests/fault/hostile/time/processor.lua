-- Uses the processor on several threads. The limit on the processor's time must end it before the clock would.
-- options: --max-cpu 2 --threads 2 --max-time 60
-- limit: 12
-- expect: killed
local sm = require "sm"
local a = sm.randn(1500, 1500)
while true do a:matmul(a) end
