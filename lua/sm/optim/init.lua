--- Optimizers and schedules. What every optimizer can do is described in sm.optim.optimizer.
local adam = require "sm.optim.adam"
local check = require "sm.check"
local schedule = require "sm.optim.schedule"

-- A schedule that refuses what it would ignore.
local function exactly(what, name)
  local make = schedule[name]
  return function(given, ...)
    check.no_more("optim." .. name, what, ...)
    return make(given)
  end
end

return check.closed({
  sgd = require "sm.optim.sgd",
  rmsprop = require "sm.optim.rmsprop",
  adam = adam.adam,
  adamw = adam.adamw,
  smorms3 = require "sm.optim.smorms3",

  constant = exactly("one number", "constant"),
  step = exactly("one table of options", "step"),
  cosine = exactly("one table of options", "cosine"),
  warmup = exactly("one table of options", "warmup"),
}, "sm.optim", "optimizers and schedules")
