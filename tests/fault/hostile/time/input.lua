-- Reads standard input, a pipe beside it and devices that never give anything. None may wait beyond the limit.
-- options: --max-time 3
-- setup: pipe("exp/pipe") pipe("exp/pipe.csv")
-- expect: contained
local sm = require "sm"
pcall(function() return io.read "a" end)
pcall(function() return io.stdin:read "a" end)
pcall(sm.data.csv, { file = "exp/pipe.csv", target = "x" })
pcall(sm.load, "exp/pipe")
