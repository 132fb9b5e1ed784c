-- Multiplies matrices without end, each product a long call in C on every thread. The limit must end it.
-- options: --max-time 3
-- expect: killed
local sm = require "sm"
local a = sm.randn(3000, 3000)
while true do pcall(a.matmul, a, a) end
