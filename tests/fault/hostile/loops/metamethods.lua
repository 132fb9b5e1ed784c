-- Metamethods of options and data call themselves without end. It must be an error or end at the limit.
-- options: --max-time 3
-- expect: contained
local sm = require "sm"
local t = setmetatable({}, {})
getmetatable(t).__index = function(s, key) return s[key] end
getmetatable(t).__pairs = function(s) return pairs(s) end
for _, f in ipairs { sm.nn.linear, sm.optim.sgd, sm.tensor, sm.nn.sequential, sm.experiment, sm.data.tensors } do
  pcall(f, t)
end
