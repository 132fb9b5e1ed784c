--- Losses that compare an output with a target of its shape: means over all elements where nothing else is said. See
-- sm.ops.shape for what a record has.
-- @module sm.ops.distance
local runtime = require "sm.runtime"
local arguments = require "sm.ops.arguments"
local check = require "sm.check"
local compare = require "sm.ops.compare"
local fail = require "sm.fail"
local shape_text = require "sm.text".shape

local T, C = runtime.tensor, runtime.compare
local where = compare.where

local records = {}

local function define(given) records[#records + 1] = given end

--- Raises unless output and target are real tensors of one shape.
local function alike(name, output, target)
  arguments.real(name, output)
  arguments.real(name, target, "a tensor as the target")
  if not T.same_shape(output, target) then
    fail("%s: expected an output and a target of one shape, got %s and %s", name, shape_text(output.shape),
      shape_text(target.shape))
  end
end

--- For references: the sum of f(output, target) over all elements, divided by a number, by default how many there are.
local function mean_of(new, f, output, target, divisor)
  local sum = 0
  for i, value in ipairs(output) do sum = sum + f(value, target[i]) end
  return new({}, function() return sum / (divisor or #output) end)
end

local function refused(s)
  return { { "of one shape, got {2, 3} and {2}", s.real(2, 3), s.real(2) }, { "got nil", s.real(2) },
    { "expected a " .. runtime.real .. " tensor", s.real(2), s.uint8(2) },
    { "expected a " .. runtime.real .. " tensor", s.uint8(2), s.real(2) } }
end

local function pairs_of(s)
  return { { s.real(2, 3), s.real(2, 3) * 0.7 + 0.01 }, { s.real(), s.real() }, { s.real(5), s.real(5) * 0.9 + 0.02 },
    { s.real(2, 1, 4), s.real(2, 1, 4) * 0.8 + 0.01 } }
end

-- For each: what it is, its value for an output and a target, a reference for one element, samples.
local LOSSES <const> = {
  mse = { "the squared difference", function(output, target)
    local d = output - target
    return (d * d):mean()
  end, function(a, b) return (a - b) ^ 2 end },
  l1 = { "the absolute difference", function(output, target) return (output - target):abs():mean() end,
    function(a, b) return math.abs(a - b) end },
  bce_with_logits = { "the cross-entropy of a probability whose logit is the output and a target from 0 to 1",
    function(output, target) return (output:softplus() - output * target):mean() end,
    function(a, b) return math.max(a, 0) + math.log(1 + math.exp(-math.abs(a))) - a * b end },
  hinge = { "1 - output * target where that is above 0, else 0, with targets of -1 and 1",
    function(output, target) return (1 - output * target):relu():mean() end,
    function(a, b) return math.max(0, 1 - a * b) end },
}

for _, name in ipairs { "mse", "l1", "bce_with_logits", "hinge" } do
  local words, loss, reference = table.unpack(LOSSES[name])
  define {
    name = name,
    doc = ("output:%s(target): the mean of %s."):format(name, words),
    f = function(output, target)
      alike(name, output, target)
      return loss(output, target)
    end,
    twice = true,
    dtypes = "real",
    special = false,
    reference = function(new, output, target) return mean_of(new, reference, output, target) end,
    samples = pairs_of,
    refused = refused,
  }
end

local HUBER <const> = { delta = { type = "real", above = 0, default = 1 } }

define {
  name = "huber",
  doc = "output:huber(target, {delta = 1}): the mean of d^2 / 2 where |d|, the difference, is at most delta, else of "
    .. "delta * (|d| - delta / 2).",
  f = function(output, target, options)
    local delta = check.options("huber", options, HUBER).delta
    alike("huber", output, target)
    local d = (output - target):abs()
    local near = compare.minimum(d, delta)
    return (near * near * 0.5 + (d - near) * delta):mean()
  end,
  twice = true,
  dtypes = "real",
  special = false,
  reference = function(new, output, target, o)
    local delta = o and o.delta or 1
    return mean_of(new, function(a, b)
      local d = math.abs(a - b)
      return d <= delta and d * d / 2 or delta * (d - delta / 2)
    end, output, target)
  end,
  samples = function(s)
    local samples = pairs_of(s)
    samples[#samples + 1] = { s.real(7), s.real(7) * 0.3, { delta = 0.313 } }
    return samples
  end,
  refused = function(s)
    local more = refused(s)
    more[#more + 1] = { "option 'delta' must be above 0", s.real(2), s.real(2), { delta = 0 } }
    return more
  end,
}

define {
  name = "kl_div",
  doc = "output:kl_div(target): the Kullback-Leibler divergence of the target, probabilities, from the output, "
    .. "logarithms of such: the sum of target * (log target - output), divided by the first size, the batch. Where the "
    .. "target is 0, so is its term.",
  f = function(output, target)
    alike("kl_div", output, target)
    local shape = output.shape
    if #shape == 0 then fail "kl_div: expected a batch of distributions, got shape {}" end
    local logarithm = where(C.gt(target, 0), target, 1):log()
    return (target * (logarithm - output)):sum() / shape[1]
  end,
  twice = true,
  dtypes = "real",
  special = false,
  reference = function(new, output, target)
    return mean_of(new, function(a, b) return b > 0 and b * (math.log(b) - a) or 0 end, output, target,
      output.shape[1])
  end,
  samples = function(s)
    return { { s.real(2, 3), s.real(2, 3):abs() + 0.1 }, { s.real(3), s.real(3):abs() + 0.1 },
      { s.real(1, 3), s.tensor { { 0, 0.5, 0.5 } }, gradient = false } }
  end,
  refused = function(s)
    local more = refused(s)
    more[#more + 1] = { "expected a batch of distributions, got shape {}", s.real(), s.real() }
    return more
  end,
}

define {
  name = "cosine",
  doc = "output:cosine(target): the mean of 1 less the cosine of the angle between output and target along the last "
    .. "axis.",
  f = function(output, target)
    alike("cosine", output, target)
    if #output.shape == 0 then fail "cosine: expected vectors along the last axis, got shape {}" end
    local lengths = compare.maximum(output:norm(-1) * target:norm(-1), 1e-8)
    return (1 - (output * target):sum(-1) / lengths):mean()
  end,
  twice = true,
  dtypes = "real",
  special = false,
  reference = function(new, output, target)
    local size = output.shape[#output.shape]
    local total, rows = 0, #output // size
    for row = 0, rows - 1 do
      local dot, a, b = 0, 0, 0
      for i = row * size + 1, (row + 1) * size do
        dot, a, b = dot + output[i] * target[i], a + output[i] ^ 2, b + target[i] ^ 2
      end
      total = total + 1 - dot / math.max((a * b) ^ 0.5, 1e-8)
    end
    return new({}, function() return total / rows end)
  end,
  samples = function(s)
    return { { s.real(2, 3), s.real(2, 3) * 0.7 + 0.1 }, { s.real(4), s.real(4) + 0.3 },
      { s.real(2, 2, 3), s.real(2, 2, 3) + 0.1 } }
  end,
  refused = function(s)
    local more = refused(s)
    more[#more + 1] = { "expected vectors along the last axis, got shape {}", s.real(), s.real() }
    return more
  end,
}

return records
