--- What a few numbers say of the many that could have been: means, deviations, intervals.
local runtime = require "sm.runtime"

local M = {}

local confidence <const> = 0.95
local resamples <const> = 10000
local negligible <const> = 1e-12 -- a spread that is this part of the mean is rounding

function M.mean(values)
  local sum = 0
  for _, value in ipairs(values) do sum = sum + value end
  return sum / #values
end

--- The variance of the population that the values are a sample of (n - 1 in the denominator).
local function variance(values)
  local mean, sum = M.mean(values), 0
  for _, value in ipairs(values) do sum = sum + (value - mean) ^ 2 end
  return sum / (#values - 1)
end

--- The standard deviation, estimated from a sample. @return number|nil nil for fewer than two values
function M.deviation(values)
  return #values > 1 and variance(values) ^ 0.5 or nil
end

--- Where the mean of the population lies, by Student's t.
--- @param figure table {mean=, deviation=, count=}
--- @return number|nil low nil where there is none, for fewer than two values and for equal ones
--- @return number|nil high
function M.interval(figure)
  if not figure.deviation or figure.deviation <= negligible * math.abs(figure.mean) then return nil end
  local reach = M.t_quantile(confidence, figure.count - 1) * figure.deviation / figure.count ^ 0.5
  return figure.mean - reach, figure.mean + reach
end

M.median = require "sm.numbers".median

--- Simpson's rule.
local function integral(f, from, to, panels)
  local width, sum = (to - from) / panels, f(from) + f(to)
  for i = 1, panels - 1 do sum = sum + (i % 2 == 1 and 4 or 2) * f(from + i * width) end
  return sum * width / 3
end

--- The bound at which the integral of a density from 0 is this share of the one up to `highest`.
local function bound(share, density, highest)
  local panels <const>, halvings <const> = 400, 40
  local low, high, wanted = 0, highest, share * integral(density, 0, highest, panels)
  for _ = 1, halvings do
    local middle = (low + high) / 2
    if integral(density, 0, middle, panels) < wanted then low = middle else high = middle end
  end
  return low
end

--- The normal distribution: the value within which this share lies on both sides of nothing, to four digits.
function M.normal_quantile(share)
  local far <const> = 9
  return bound(share, function(x) return math.exp(-x * x / 2) end, far)
end

--- Student's t: the value within which this share lies on both sides of nothing, to four digits.
-- With x = √ν·cot(s²) the upper tail beyond x is the integral of s·sin(s²)^(ν-1) from 0 to s, over twice the
-- integral up to x = 0, where s² = π/2.
--- @param freedom number degrees of freedom, at least 1; need not be whole
function M.t_quantile(share, freedom)
  local s = bound(1 - share, function(s) return s * math.sin(s * s) ^ (freedom - 1) end, (math.pi / 2) ^ 0.5)
  return freedom ^ 0.5 / math.tan(s * s)
end

--- Keeps what a function of numbers has given last.
local function remembering(f)
  local arguments, result
  return function(...)
    local given = table.concat({ ... }, " ")
    if given ~= arguments then arguments, result = given, f(...) end
    return result
  end
end

--- What decides which of so many values each resample takes: with a fixed seed always the same.
local draws = remembering(function(count)
  return runtime.random.uniform({ resamples * count }, 0, 0, 0)
end)

--- By how much the distances of a bootstrap's percentiles are widened.
local widening_of = remembering(function(count, share)
  return M.t_quantile(share, count - 1) * (count / (count - 1)) ^ 0.5 / M.normal_quantile(share)
end)

--- Where the mean of the population lies that the values are a sample of: a bootstrap with a fixed seed. The
-- percentiles of resampled means lie too close together, the more so the fewer the values; so their distances
-- from the mean are widened by t·√(n/(n-1))/z, which gives them Student's width and keeps their skewness.
--- @return number low
--- @return number high
local function bootstrap(values, share)
  local count, mean = #values, M.mean(values)
  local beyond = math.max(1, math.floor(resamples * (1 - share) / 2 + 0.5))
  local low, high = runtime.random.resample(values, draws(count), beyond)
  local widening = widening_of(count, share)
  return mean - widening * (mean - low), mean + widening * (high - mean)
end

--- Means of two independent samples: Welch's interval for their difference.
local function welch(values, others, share)
  local own, other = variance(values) / #values, variance(others) / #others
  local freedom = (own + other) ^ 2 / (own ^ 2 / (#values - 1) + other ^ 2 / (#others - 1))
  local mean, reach = M.mean(values) - M.mean(others), M.t_quantile(share, freedom) * (own + other) ^ 0.5
  return mean - reach, mean + reach
end

local function same_keys(a, b)
  for key in pairs(a) do if b[key] == nil then return false end end
  for key in pairs(b) do if a[key] == nil then return false end end
  return true
end

local function list(map)
  local keys, values = {}, {}
  for key in pairs(map) do keys[#keys + 1] = key end
  table.sort(keys)
  for i, key in ipairs(keys) do values[i] = map[key] end
  return values, keys
end

--- By how much the mean of one setting is above that of another, with an interval.
--- @param values table seed → figure
--- @param others table seed → figure of the other setting
--- @param comparisons integer how many are made: the chance that all their intervals hold is at least 95 %
---   (Bonferroni)
--- @return table {difference=, method="paired" (the same seeds in both: a bootstrap over their differences) or
---   "welch", low=, high=}, or without interval {difference=, reason=why there is none}
function M.compare(values, others, comparisons)
  local mine, seeds = list(values)
  local theirs = list(others)
  local result = { difference = M.mean(mine) - M.mean(theirs) }
  if #mine < 2 or #theirs < 2 then
    result.reason = "fewer than 2 seeds"
    return result
  end
  result.method = same_keys(values, others) and "paired" or "welch"
  local differences, share = {}, 1 - (1 - confidence) / comparisons
  if result.method == "paired" then
    for i, seed in ipairs(seeds) do differences[i] = values[seed] - others[seed] end
  end
  local spread = result.method == "paired" and variance(differences) or variance(mine) + variance(theirs)
  if spread - spread ~= 0 then
    result.method, result.reason = nil, "the figures are too large"
  elseif spread ^ 0.5 <= negligible * math.max(math.abs(M.mean(mine)), math.abs(M.mean(theirs))) then
    result.method, result.reason = nil, "no spread over the seeds"
  elseif result.method == "paired" then
    result.low, result.high = bootstrap(differences, share)
  else
    result.low, result.high = welch(mine, theirs, share)
  end
  return result
end

return M
