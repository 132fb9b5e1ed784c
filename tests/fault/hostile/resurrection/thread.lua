-- A finalizer brings a coroutine back in the middle of a call of the library, and resumes it. No crash.
-- expect: contained
local sm = require "sm"
local back
for _ = 1, 200 do
  local thread = coroutine.create(function()
    local x = sm.ones(16):requires_grad()
    sm.enable_grad(function() coroutine.yield() end)
    return (x * x):sum():backward()
  end)
  coroutine.resume(thread)
  setmetatable({ thread = thread }, { __gc = function(t) back = t.thread end })
  thread = nil -- luacheck: ignore
  collectgarbage()
  pcall(coroutine.resume, back)
  pcall(coroutine.close, back)
end
