-- Nests pcall a hundred deep and goes on at every level. One SIGTERM must be enough.
-- sends: SIGTERM after 1.5
-- limit: 12
-- expect: killed
local function nest(n)
  while true do pcall(n > 0 and nest or function() while true do end end, n - 1) end
end
nest(100)
