-- Collects garbage and changes its inputs from metamethods that the library's checks may call. No crash.
-- expect: contained
local sm = require "sm"
local x = sm.ones(64)
local sly = setmetatable({}, {
  __index = function(_, key)
    x = nil
    collectgarbage()
    x = sm.ones(64)
    return math.type(key) == "integer" and key < 4 and key or nil
  end,
  __len = function()
    collectgarbage()
    return 3
  end,
  __lt = function() collectgarbage() return true end, __unm = function() return 1 end,
})
for name in pairs { sum = 1, reshape = 1, tile = 1, squeeze = 1, slice = 1, matmul = 1, softmax = 1, copy_ = 1 } do
  pcall(function() return x[name](x, sly) end)
  pcall(function() return x[name](x, { sly, 1 }) end)
end
