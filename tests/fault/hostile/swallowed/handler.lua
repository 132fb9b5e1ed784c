-- Loops in the handler of xpcall that an interruption calls. One SIGTERM must be enough.
-- sends: SIGTERM after 1.5
-- limit: 12
-- expect: killed
local function forever()
  while true do end
end
while true do xpcall(forever, function() xpcall(forever, forever) end) end
