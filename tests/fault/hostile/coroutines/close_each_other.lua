-- Coroutines close one another while they are closed. It must be an error, not a crash.
-- expect: contained
local one, other
local function body()
  local closing <close> = setmetatable({}, { __close = function()
    pcall(coroutine.close, one)
    pcall(coroutine.close, other)
    error "in close"
  end })
  coroutine.yield()
end
for _ = 1, 1000 do
  one, other = coroutine.create(body), coroutine.create(body)
  coroutine.resume(one)
  coroutine.resume(other)
  pcall(coroutine.close, one)
end
