-- Sets a locale with decimal commas and other letters, then trains. Numbers of the run must be written as before.
-- expect: ok
for _, name in ipairs { "de_DE.UTF-8", "tr_TR.UTF-8", "fr_FR", "C.UTF-8", "" } do pcall(os.setlocale, name) end
if pcall(os.setlocale) and not tostring(0.5):find("0.5", 1, true) then print "BREACH: decimal commas" end
local sm = require "sm"
return sm.experiment {
  data = sm.data.tensors { inputs = sm.randn(12, 4), targets = sm.ones({ 12 }, "int32"), validation = 4 },
  model = sm.nn.sequential { sm.nn.linear { 3 } },
  optimizer = sm.optim.sgd { lr = 0.01 },
  schedule = { steps = 4, batch = 4, evaluate = 2, checkpoint = 2 },
}
