-- Replaces every function of Lua's libraries, then trains. The library must call none of the replacements.
-- expect: ok
local say, type, pairs, pcall, setmetatable = print, type, pairs, pcall, setmetatable
local sm = require "sm"
for _, room in pairs { "string", "table", "math", "io", "os", "utf8", "coroutine" } do
  local t = _G[room]
  for name, f in pairs(t) do
    if type(f) == "function" then
      pcall(function() t[name] = function() say("BREACH: the library calls a replaced " .. room .. "." .. name) end end)
    end
  end
end
for _, name in pairs { "ipairs", "next", "rawget", "rawset", "select", "tonumber", "tostring", "error", "assert" } do
  pcall(function() _G[name] = function() say("BREACH: the library calls a replaced " .. name) end end)
end
pcall(setmetatable, _G, {})
return sm.experiment {
  data = sm.data.tensors { inputs = sm.randn(12, 4), targets = sm.ones({ 12 }, "int32"), validation = 4 },
  model = sm.nn.sequential { sm.nn.linear { 3 } },
  optimizer = sm.optim.sgd { lr = 0.01 },
  schedule = { steps = 4, batch = 4, evaluate = 2, checkpoint = 2 },
}
