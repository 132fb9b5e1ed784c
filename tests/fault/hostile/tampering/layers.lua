-- Changes the metatables of models, optimizers, data sets and experiments for all. They must stay as they are.
-- expect: ok
local sm = require "sm"
local set = sm.data.tensors { inputs = sm.ones(4, 2), targets = sm.ones({ 4 }, "int32") }
for kind, object in pairs { model = sm.nn.linear { 2 }, optimizer = sm.optim.sgd { lr = 1 }, data = set } do
  local t = getmetatable(object)
  for _ = 1, 3 do
    if type(t) ~= "table" then break end
    for _, name in ipairs { "build", "step", "stream", "forward", "parameters" } do
      local ok = pcall(rawset, t, name, function() error "replaced" end)
      if ok and rawget(t, name) then print(("BREACH: %s.%s"):format(kind, name)) end
      pcall(rawset, t, name, nil)
    end
    t = rawget(t, "__index") or getmetatable(t)
  end
end
