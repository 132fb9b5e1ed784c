--- Schedules: plain functions from the step (1 for the first) to a learning rate. Wherever an optimizer takes
--- `lr`, it takes a number or any such function; `warmup` takes one too, so that they can be put together.
local check = require "sm.check"
local fail = require "sm.fail"

local M = {}

local getinfo = debug.getinfo

-- What a schedule of this module is, in words, for the record of a run.
local words = setmetatable({}, { __mode = "k" })

local function described(rate, format, ...)
  local function schedule(step)
    if type(step) ~= "number" then fail("a schedule takes the step, a number, got %s", check.describe(step)) end
    return rate(step)
  end
  words[schedule] = format:format(...)
  return schedule
end

--- A learning rate as it stands in the record of a run: a number as it is, a schedule in words.
function M.describe(lr)
  if type(lr) ~= "function" then return lr end
  if words[lr] then return words[lr] end
  local info = getinfo(lr, "S")
  return ("function (%s:%d)"):format(info.short_src, info.linedefined)
end

-- A rate and a number of steps, as options.
local function positive(doc) return { type = "real", required = true, above = 0, below = math.huge, doc = doc } end
local function count(doc) return { type = "integer", required = true, min = 1, doc = doc } end

local CONSTANT = check.spec("optim.constant", { positive "the rate" })
local STEP = check.spec("optim.step", {
  lr = positive "the first rate", every = count "how many steps a rate lasts",
  factor = positive "what the rate is multiplied by after these",
})
local COSINE = check.spec("optim.cosine", {
  lr = positive "the first rate", steps = count "how long the rate falls",
  floor = { type = "real", default = 0, min = 0, below = math.huge, doc = "the last rate" },
})
local WARMUP = check.spec("optim.warmup", {
  steps = count "how long the rate rises",
  after = { type = { "real", "function" }, required = true, above = 0, doc = "a rate, or a schedule that begins then" },
})

--- optim.constant(lr): the same rate at every step.
function M.constant(lr)
  lr = check.options("optim.constant", { lr }, CONSTANT)[1]
  return described(function() return lr end, "%g", lr)
end

--- optim.step { lr = 0.1, every = 1000, factor = 0.5 }: lr, multiplied by `factor` after every `every` steps.
function M.step(given)
  local o = check.options("optim.step", given, STEP)
  return described(function(step)
    return o.lr * o.factor ^ ((step - 1) // o.every)
  end, "%g, times %g every %d steps", o.lr, o.factor, o.every)
end

--- optim.cosine { lr = 1e-3, steps = 6000 }: half a cosine from lr at step 1 down to `floor` after `steps` steps, and
--- `floor` from there on. Loshchilov and Hutter 2017, arxiv.org/abs/1608.03983.
function M.cosine(given)
  local o = check.options("optim.cosine", given, COSINE)
  return described(function(step)
    local done = math.min((step - 1) / o.steps, 1)
    return o.floor + (o.lr - o.floor) * (1 + math.cos(math.pi * done)) / 2
  end, "cosine from %g to %g over %d steps", o.lr, o.floor, o.steps)
end

--- optim.warmup { steps = 200, after = 1e-3 }: a straight line from 0 up to the first rate of `after`, reached at step
--- `steps`; then `after`, whose own step 1 is the step that follows.
function M.warmup(given)
  local o = check.options("optim.warmup", given, WARMUP)
  local after = type(o.after) == "number" and M.constant(o.after) or o.after
  return described(function(step)
    if step > o.steps then return after(step - o.steps) end
    local first = after(1)
    return type(first) == "number" and first * (step / o.steps) or first -- who asked refuses what is no rate
  end, "%d steps of warm-up, then %s", o.steps, M.describe(o.after))
end

return M
