-- Closes coroutines whose __close calls others, ten thousand deep. It must be an error, not a crash.
-- expect: contained
local call
for _ = 1, 100000 do
  local inner = call
  call = coroutine.wrap(function()
    local closing <close> = setmetatable({}, { __close = function() if inner then inner() end end })
    error "x"
  end)
end
pcall(call)
