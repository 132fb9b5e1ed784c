-- Nests coroutines as deep as they go. It must be a plain error.
-- expect: contained
local function nest(n) return coroutine.wrap(nest)(n + 1) end
if pcall(nest, 0) then print "BREACH: there is no end" end
