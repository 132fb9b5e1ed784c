-- Fills tables without end. It must be a plain error.
-- options: --max-memory 300M --max-time 20
-- expect: error "memory"
local t = {}
for i = 1, 70000000 do t[i] = i end
print "BREACH: more memory than the limit"
