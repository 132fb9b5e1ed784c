-- Finalizers yield, resume other coroutines and close the one that runs. Each must be an error.
-- expect: contained
local threads = {}
for i = 1, 50 do
  threads[i] = coroutine.create(function()
    local closing <close> = setmetatable({}, { __close = function() pcall(coroutine.yield) end })
    while true do
      setmetatable({}, { __gc = function()
        pcall(coroutine.yield)
        pcall(coroutine.close, threads[i])
        pcall(coroutine.resume, threads[i % 50 + 1])
      end })
      if i % 3 == 0 then collectgarbage() end
      coroutine.yield()
    end
  end)
end
for _ = 1, 20 do
  for _, thread in ipairs(threads) do coroutine.resume(thread) end
end
