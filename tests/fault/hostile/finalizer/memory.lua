-- Finalizers take memory, and more finalizers, while memory runs out. It must be a plain error.
-- options: --max-memory 300M --max-time 10
-- expect: error "memory"
local held = {}
local function take()
  held[#held + 1] = ("x"):rep(1 << 20) .. #held
  if #held < 1200 then setmetatable({}, { __gc = take }) end
end
for _ = 1, 50 do setmetatable({}, { __gc = take }) end
for i = 1, 1200 do
  held[#held + 1] = ("y"):rep(1 << 20) .. i
end
print "BREACH: more memory than the limit"
