-- At the end of the program finalizers bring tensors, files and the library itself back and use them. No crash.
-- expect: contained
local sm = require "sm"
local keep, again
local model = sm.nn.sequential { sm.nn.linear { 3 } }:build { 4 }
for _ = 1, 100 do
  keep = setmetatable({ x = sm.randn(4, 4), file = io.open "exp/at_exit.lua", before = keep }, {
    __gc = function(t)
      again = t
      pcall(function() return model(t.x):sum():backward() end)
      pcall(function() return t.file:read "a" end)
      setmetatable({}, { __gc = getmetatable(t).__gc, __index = t })
    end,
  })
end
