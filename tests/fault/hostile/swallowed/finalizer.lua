-- Loops in finalizers, where no hook runs. One SIGTERM must be enough.
-- sends: SIGTERM after 1.5
-- limit: 12
-- expect: killed
local function again()
  setmetatable({}, { __gc = again })
  while true do end
end
setmetatable({}, { __gc = again })
while true do collectgarbage() end
