-- Declares schedules with numbers near the ends of integers. Each must be an error; none may train for ever.
-- expect: contained
local sm = require "sm"
for _, key in ipairs { "steps", "batch", "evaluate", "checkpoint", "log", "keep", "accumulate", "patience" } do
  for _, n in ipairs { math.maxinteger, math.mininteger, 1 << 53, 0, -1, 2 ^ 70, 1.5 } do
    local schedule = { steps = 2, batch = 4 }
    schedule[key] = n
    if key ~= "steps" or n < 1 then
      pcall(function()
        sm.experiment {
          data = sm.data.tensors { inputs = sm.randn(12, 4), targets = sm.ones({ 12 }, "int32"), validation = 4 },
          model = sm.nn.linear { 3 }, optimizer = sm.optim.sgd { lr = 0.01 }, schedule = schedule, name = "o" .. key,
        }:run { file = arg[0], dry_run = true, quiet = true }
      end)
    end
  end
end
