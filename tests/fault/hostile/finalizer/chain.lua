-- Each finalizer makes an object with a finalizer, for ever, also at the end of the program. It must end.
-- options: --max-time 4
-- expect: contained
local function chain() setmetatable({}, { __gc = chain }) end
for _ = 1, 1000 do chain() end
collectgarbage()
