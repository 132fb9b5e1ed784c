-- Loops for ever when the program ends: in the __close of a local, of a coroutine, of a loop. The limit must end it.
-- options: --max-time 3
-- expect: killed
local closing <close> = setmetatable({}, { __close = function() while true do end end })
for _ in next, {}, nil, closing do print "never" end
