-- Keeps long strings without end. It must be a plain error.
-- options: --max-memory 300M --max-time 20
-- expect: error "memory"
local t = {}
for i = 1, 1200 do t[i] = ("x"):rep(1 << 20) .. i end
print "BREACH: more memory than the limit"
