-- Sets fields of sm behind its metatable with rawset, and takes the metatable away. Neither may be of use.
-- expect: ok
local sm = require "sm"
local own = function() error "mine" end
for _, room in ipairs { sm, sm.nn, sm.optim, sm.data } do
  if pcall(rawset, room, "sneaked", own) and rawget(room, "sneaked") == own then print "BREACH: rawset" end
  pcall(rawset, room, "sneaked", nil)
  if pcall(setmetatable, room, {}) then print "BREACH: setmetatable" end
end
return sm.experiment {
  data = sm.data.tensors { inputs = sm.randn(12, 4), targets = sm.ones({ 12 }, "int32"), validation = 4 },
  model = sm.nn.sequential { sm.nn.linear { 3 } },
  optimizer = sm.optim.sgd { lr = 0.01 },
  schedule = { steps = 4, batch = 4, evaluate = 2, checkpoint = 2 },
}
