-- The tape of a loss is brought back by a finalizer after its end, and walked again. It must be an error or right.
-- expect: contained
local sm = require "sm"
local back
for _ = 1, 50 do
  local w = sm.randn(8):requires_grad()
  local loss = ((w * w):relu() + w):sum()
  setmetatable({ loss = loss }, { __gc = function(t) back = t.loss end })
  loss:backward()
  loss, w = nil, nil
  collectgarbage()
  pcall(function() back:backward() end)
  pcall(function() (back * 2):backward() end)
end
