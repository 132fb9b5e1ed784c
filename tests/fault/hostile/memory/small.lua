-- Makes many millions of small objects: closures, tables, coroutines, tensors of one number. It must be a plain error.
-- options: --max-memory 300M --max-time 30
-- expect: error "memory"
local sm = require "sm"
local t = {}
for i = 1, 5000000 do t[#t + 1] = { { i }, function() return i end, i % 4 == 0 and sm.ones(1) } end
print "BREACH: more memory than the limit"
