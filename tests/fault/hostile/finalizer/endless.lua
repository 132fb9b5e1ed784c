-- A finalizer never returns. The limit must end it.
-- options: --max-time 3
-- expect: killed
setmetatable({}, { __gc = function() while true do end end })
collectgarbage()
