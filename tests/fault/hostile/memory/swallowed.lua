-- Catches every error of memory and asks again, a hundred thousand times. It must stay within its memory.
-- options: --max-memory 300M --max-time 20
-- expect: contained
local sm = require "sm"
local t = {}
for i = 1, 100000 do
  local ok, x = pcall(i % 2 == 0 and sm.ones or function(n) return ("x"):rep(n) .. i end, 1 << 18)
  if ok then t[#t + 1] = x end
  if #t > 2000 then
    print "BREACH: more memory than the limit"
    break
  end
end
