-- Walks the tape again from the gradient of an operation of its own. It must be an error or right.
-- expect: contained
local sm = require "sm"
local loss
local op = sm.op { name = "again", forward = function(_, x) return x * 1 end, backward = function(_, g)
  pcall(function() loss:backward() end)
  return g
end }
for _ = 1, 20 do
  local x = sm.ones(4):requires_grad()
  loss = op(x * 2):sum()
  pcall(function() loss:backward() end)
end
