-- Changes the metatable of strings: methods of all texts, concatenation, indexing. The library must not notice.
-- expect: ok
local say = print
local t = getmetatable ""
pcall(function() t.__index = function() return function() say "BREACH: a text's method" return "" end end end)
pcall(function() t.__concat = function() say "BREACH: a text's concatenation" return "" end end)
pcall(function() t.__index.format = function() say "BREACH: a text's format" return "" end end)
pcall(rawset, t, "__add", function() say "BREACH: a text's sum" end)
pcall(function() return "1" + 1 end)
local sm = require "sm"
return sm.experiment {
  data = sm.data.tensors { inputs = sm.randn(12, 4), targets = sm.ones({ 12 }, "int32"), validation = 4 },
  model = sm.nn.sequential { sm.nn.linear { 3 } },
  optimizer = sm.optim.sgd { lr = 0.01 },
  schedule = { steps = 4, batch = 4, evaluate = 2, checkpoint = 2 },
}
