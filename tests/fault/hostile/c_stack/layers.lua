-- Builds a model of five hundred nested layers, and walks a tape of as many operations as fit. An error, or the end.
-- expect: contained
local sm = require "sm"
local model = sm.nn.relu()
for _ = 1, 500 do model = sm.nn.sequential { model } end
pcall(function() return model:build { 4 }(sm.ones(2, 4)) end)
pcall(tostring, model)
local x = sm.ones(2):requires_grad()
local y = x
for _ = 1, 100000 do y = y + 1 end
pcall(function() y:sum():backward() end)
