-- Runs out of memory in an error message of its own. The end must be plain and short.
-- options: --max-memory 300M --max-time 20
-- expect: error "smrun:"
local text = ("x"):rep(100 << 20)
error(text:rep(2) .. text .. text)
