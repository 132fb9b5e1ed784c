-- Writes to standard error without end, without a line's end. The limit must end it.
-- options: --max-time 3 --max-memory 300M
-- expect: killed
while true do pcall(io.stderr.write, io.stderr, ("x"):rep(100000)) end
