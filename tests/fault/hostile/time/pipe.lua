-- Opens a pipe beside it, which nobody writes to. The limit must end it.
-- options: --max-time 3
-- setup: pipe("exp/pipe")
-- expect: contained
pcall(function() return io.open("exp/pipe"):read "a" end)
