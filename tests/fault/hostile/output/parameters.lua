-- Takes parameters whose values terminals obey, which the plan and the report show. They must be made visible.
-- terminal
-- command: exp/parameters.lua "text=$(printf '\033]0;title\007\033[31m')"
-- expect: contained
local sm = require "sm"
local p = sm.params { text = "" }
print(p.text)
return sm.experiment {
  data = sm.data.tensors { inputs = sm.randn(12, 4), targets = sm.ones({ 12 }, "int32"), validation = 4 },
  model = sm.nn.sequential { sm.nn.linear { 3 } },
  optimizer = sm.optim.sgd { lr = 0.01 },
  schedule = { steps = 4, batch = 4, evaluate = 2, checkpoint = 2 },
}
