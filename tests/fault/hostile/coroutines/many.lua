-- Makes coroutines without end, each with a deep stack. It must be a plain error.
-- options: --max-memory 300M --max-time 20
-- expect: error "memory"
local threads = {}
local function deep(n) return n == 0 and coroutine.yield() or 1 + deep(n - 1) end
for i = 1, 30000 do
  threads[i] = coroutine.create(deep)
  coroutine.resume(threads[i], 500)
end
print "BREACH: more memory than the limit"
