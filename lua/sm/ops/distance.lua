--- Losses that compare an output with a target of its shape: means over all elements where nothing else is said. See
-- sm.ops.shape for what a record has.
-- @module sm.ops.distance
local runtime = require "sm.runtime"
local arguments = require "sm.ops.arguments"
local check = require "sm.check"
local compare = require "sm.ops.compare"
local fail = require "sm.fail"
local shape_text = require "sm.text".shape
local symbols = require "sm.ops.symbols"
local traced = require "sm.ops.traced"

local T = runtime.tensor
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

local function refused(s)
  return { { "of one shape, got {2, 3} and {2}", s.real(2, 3), s.real(2) }, { "got nil", s.real(2) },
    { "expected a " .. runtime.real .. " tensor", s.real(2), s.uint8(2) },
    { "expected a " .. runtime.real .. " tensor", s.uint8(2), s.real(2) } }
end

local function pairs_of(s)
  return { { s.real(2, 3), s.real(2, 3) * 0.7 + 0.01 }, { s.real(), s.real() }, { s.real(5), s.real(5) * 0.9 + 0.02 },
    { s.real(2, 1, 4), s.real(2, 1, 4) * 0.8 + 0.01 } }
end

--- The record of a loss that is a sum over elements, in one pass forward and one back.
-- @param given {[1]= name, [2]= doc after "output:name(target): ", [3]= function(output, target, …) of symbols for one
--   element, [4]= the same of numbers; options= rules for check.options of one number, which follows the target;
--   samples=; divisor= function(shape), by default how many elements there are}
local function summed(given)
  local name, words, formula, reference = given[1], given[2], given[3], given[4]
  local option = given.options and next(given.options)
  local sum = traced.lazily_summed(name, formula, option and 3 or 2)
  local function divided(output) return given.divisor and given.divisor(output.shape) or T.count(output) end
  local function plain(output, target)
    alike(name, output, target)
    return sum(divided(output), output, target)
  end
  local function with_option(output, target, options)
    local number = check.options(name, options, given.options)[option]
    alike(name, output, target)
    return sum(divided(output), output, target, number)
  end
  define {
    name = name,
    doc = ("output:%s(target%s): %s."):format(name, option and (", {%s = %g}"):format(option,
      given.options[option].default) or "", words),
    options = given.options,
    f = option and with_option or plain,
    twice = true,
    dtypes = "real",
    special = false,
    reference = function(new, output, target, options)
      local total, number = 0, options and options[option] or option and given.options[option].default
      for i, value in ipairs(output) do total = total + reference(value, target[i], number) end
      return new({}, function() return total / (given.divisor and given.divisor(output.shape) or #output) end)
    end,
    samples = given.samples or pairs_of,
    refused = function(s)
      local more = refused(s)
      if option then
        more[#more + 1] = { ("option '%s' must be above 0"):format(option), s.real(2), s.real(2), { [option] = 0 } }
      end
      if given.divisor then
        more[#more + 1] = { "expected a batch of distributions, got shape {}", s.real(), s.real() }
      end
      return more
    end,
  }
end

summed { "mse", "the mean of the squared difference", function(output, target)
  local d = output - target
  return d * d
end, function(a, b) return (a - b) ^ 2 end }

summed { "l1", "the mean of the absolute difference", function(output, target) return (output - target):abs() end,
  function(a, b) return math.abs(a - b) end }

summed { "bce_with_logits", "the mean of the cross-entropy of a probability whose logit is the output and a target "
  .. "from 0 to 1", function(output, target) return output:softplus() - output * target end,
  function(a, b) return math.max(a, 0) + math.log(1 + math.exp(-math.abs(a))) - a * b end }

summed { "hinge", "the mean of 1 - output * target where that is above 0, else 0, with targets of -1 and 1",
  function(output, target) return (1 - output * target):relu() end,
  function(a, b) return math.max(0, 1 - a * b) end }

summed { "huber", "the mean of d^2 / 2 where |d|, the difference, is at most delta, else of delta * (|d| - delta / 2)",
  function(output, target, delta)
    local d = output - target
    local near = d:clamp(-delta, delta)
    return symbols.with_slope(near * (d - near * 0.5), d, near)
  end,
  function(a, b, delta)
    local d = math.abs(a - b)
    return d <= delta and d * d / 2 or delta * (d - delta / 2)
  end,
  options = {
    delta = { type = "real", above = 0, default = 1, doc = "the difference from which on the loss is linear" },
  },
  samples = function(s)
    local samples = pairs_of(s)
    samples[#samples + 1] = { s.real(7), s.real(7) * 0.3, { delta = 0.313 } }
    return samples
  end }

summed { "kl_div", "the Kullback-Leibler divergence of the target, probabilities, from the output, logarithms of such: "
  .. "the sum of target * (log target - output), divided by the first size, the batch. Where the target is 0, so is "
  .. "its term", function(output, target)
    return target * (where(target:gt(0), target, 1):log() - output)
  end,
  function(a, b) return b > 0 and b * (math.log(b) - a) or 0 end,
  divisor = function(shape)
    if #shape == 0 then fail "kl_div: expected a batch of distributions, got shape {}" end
    return shape[1]
  end,
  samples = function(s)
    return { { s.real(2, 3), s.real(2, 3):abs() + 0.1 }, { s.real(3), s.real(3):abs() + 0.1 },
      { s.real(1, 3), s.tensor { { 0, 0.5, 0.5 } }, gradient = false } }
  end }

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
