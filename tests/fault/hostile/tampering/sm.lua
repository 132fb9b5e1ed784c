-- Replaces functions of sm and of its rooms, then trains. None of the replacements may be called or even be kept.
-- expect: ok
local sm = require "sm"
local tensors = sm.data.tensors
for _, room in ipairs { sm, sm.nn, sm.optim, sm.data, sm.view, sm.png } do
  for name in pairs(room) do
    local before = room[name]
    if type(before) == "function" and name ~= "experiment" then
      local ok = pcall(function() room[name] = function() error "replaced" end end)
      if ok and room[name] ~= before then
        print("BREACH: replaced " .. name)
        room[name] = before
        break
      end
    end
  end
end
assert(tensors == sm.data.tensors)
return sm.experiment {
  data = sm.data.tensors { inputs = sm.randn(12, 4), targets = sm.ones({ 12 }, "int32"), validation = 4 },
  model = sm.nn.sequential { sm.nn.linear { 3 } },
  optimizer = sm.optim.sgd { lr = 0.01 },
  schedule = { steps = 4, batch = 4, evaluate = 2, checkpoint = 2 },
}
