-- A finalizer that runs at the end of the program never returns. The limit must end it.
-- options: --max-time 3
-- expect: killed
local keep = setmetatable({}, { __gc = function() while true do end end })
