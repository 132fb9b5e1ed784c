-- Finalizers bring back streams of batches and the data set they belong to, and go on reading. No crash.
-- expect: contained
local sm = require "sm"
local again
for i = 1, 100 do
  local set = sm.data.tensors { inputs = sm.randn(12, 4), targets = sm.ones({ 12 }, "int32") }
  setmetatable({ s = set:stream(4), n = set:batches(4) }, { __gc = function(t)
    for _ = 1, 20 do
      pcall(t.s.next, t.s)
      pcall(t.n)
    end
    again = t
  end })
  set = nil -- luacheck: ignore
  if i % 10 == 0 then collectgarbage() end
end
