-- Loops again in the __close that an interruption runs. One SIGTERM must be enough.
-- sends: SIGTERM after 1.5
-- limit: 12
-- expect: killed
local function loop()
  local closing <close> = setmetatable({}, { __close = function() loop() end })
  while true do end
end
loop()
