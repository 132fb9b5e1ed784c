-- Gives layers, windows and optimizers numbers near the ends of their types. Each must be an error or be right.
-- options: --max-memory 300M
-- expect: contained
local sm = require "sm"
local numbers = { 0, -1, 1 << 31, 1 << 32, 1 << 62, math.maxinteger, math.mininteger, 1e308, -1e308, 1e-320, 0 / 0,
  math.huge }
for _, n in ipairs(numbers) do
  for _, f in ipairs {
    function() return sm.nn.linear { n }:build { 4 } end, function() return sm.nn.conv2d { n, kernel = 3 } end,
    function() return sm.ones(1, 8, 8, 1):maxpool2d(n, { stride = n, padding = n, dilation = n }) end,
    function() return sm.nn.conv2d { 4, kernel = n, stride = n, dilation = n }:build { 8, 8, 1 } end,
    function() return sm.nn.dropout { n } end, function() return sm.optim.sgd { lr = n, momentum = n } end,
    function() return sm.nn.softmax { groups = n }:build { 8 }(sm.ones(2, 8)) end,
    function() return sm.ones(2):tile { n, n } end, function() return sm.nn.embedding { n, n }:build { 1 } end,
  } do pcall(f) end
end
