--- Optimizers and schedules. What every optimizer can do is described in sm.optim.optimizer.
local adam = require "sm.optim.adam"
local check = require "sm.check"
local schedule = require "sm.optim.schedule"

return check.closed({
  sgd = require "sm.optim.sgd",
  rmsprop = require "sm.optim.rmsprop",
  adam = adam.adam,
  adamw = adam.adamw,
  smorms3 = require "sm.optim.smorms3",
  lion = require "sm.optim.lion",
  muon = require "sm.optim.muon",
  define = require "sm.optim.define",

  constant = schedule.constant,
  step = schedule.step,
  cosine = schedule.cosine,
  warmup = schedule.warmup,
}, "sm.optim", "optimizers and schedules")
