-- Puts modules of its own in package.loaded and package.preload. The library must not take them.
-- expect: ok
local say = print
for _, name in ipairs { "sm.check", "sm.fail", "sm.experiment.train", "sm.experiment.checkpoint", "lfs", "cjson" } do
  local own = setmetatable({}, { __index = function() say("BREACH: the library uses a replaced " .. name) end })
  pcall(function() package.loaded[name] = own end)
  pcall(function() package.preload[name] = function() return own end end)
end
pcall(function() table.insert(package.searchers, 1, function() say "BREACH: a replaced searcher" end) end)
pcall(function() package.path, package.cpath = "/tmp/?.lua", "/tmp/?.so" end)
local sm = require "sm"
return sm.experiment {
  data = sm.data.tensors { inputs = sm.randn(12, 4), targets = sm.ones({ 12 }, "int32"), validation = 4 },
  model = sm.nn.sequential { sm.nn.linear { 3 } },
  optimizer = sm.optim.sgd { lr = 0.01 },
  schedule = { steps = 4, batch = 4, evaluate = 2, checkpoint = 2 },
}
