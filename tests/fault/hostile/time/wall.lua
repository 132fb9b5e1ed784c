-- Waits for the clock in a loop that looks idle. The limit must end it.
-- options: --max-time 2
-- expect: killed
local until_then = os.time() + 3600
repeat local now = os.time() until now > until_then
