--- Lengths, deviations and logarithms of sums, along axes. See sm.ops.shape for what a record has.
-- @module sm.ops.norms
local runtime = require "sm.runtime"
local autograd = require "sm.autograd"
local along = require "sm.ops.along"
local check = require "sm.check"
local compare = require "sm.ops.compare"
local primitives = require "sm.ops.primitives"
local reduce = require "sm.ops.reduce"
local traced = require "sm.ops.traced"

local K, C = runtime.math, runtime.compare
local record, saved = autograd.record_twice, autograd.saved
local reduced, with_one, view = along.reduced, along.with_one, primitives.view

local records = {}

local function define(given) records[#records + 1] = given end

local AXES <const> = "along an axis or a list of axes, which are dropped unless keepdim, or "

--- g / y, and 0 where y is: the gradient of a root, times 2 or the like.
local function share(g, y)
  local none = C.eq(y, 0)
  return compare.where(none, 0, g / compare.where(none, 1, y))
end

local function norm(x, axis)
  local y = K.norm(x, axis)
  return record(y, "norm", function(gy) return x * view(share(gy, y), with_one(x, axis)) end, saved(x, y), x)
end

define {
  name = "norm",
  doc = "x:norm(axis, {keepdim = false}): the Euclidean norm " .. AXES .. "of all elements; of nothing 0. The "
    .. "gradient at 0 is 0.",
  options = along.OPTIONS,
  f = function(x, axis, options) return reduced("norm", x, axis, options, norm) end,
  unnamed = true,
  twice = true,
  dtypes = "real",
  special = false,
  reference = function(new, x, axis, o)
    return along.reference(new, function(list)
      local total = 0
      for _, value in ipairs(list) do total = total + value * value end
      return total ^ 0.5
    end, x, axis, o)
  end,
  samples = function(s) return along.samples(s, true) end,
  refused = along.refused,
}

local centred = traced.lazily("var", function(x, mean, g) return (x - mean) * g end, 3)

--- The sum of the squared differences from the mean.
local function squares(x, axis)
  local y, mean = K.squares(x, axis)
  return record(y, "var", function(gy, _, graph)
    local shape = with_one(x, axis)
    return centred(x, view(graph and reduce.mean(x, axis) or mean, shape), view(gy * 2, shape))
  end, saved(x), x)
end

--- The same along the axes of all steps: along the first, and of the means of that along the others.
local function squares_of(x, steps, first)
  local step = steps[first]
  local part = view(x, step.shape)
  local total = squares(part, step.axis)
  if first == #steps then return total end
  local sum = total
  for i = first + 1, #steps do sum = primitives.sum(view(sum, steps[i].shape), steps[i].axis) end
  return sum + squares_of(reduce.mean(part, step.axis), steps, first + 1) * part.shape[step.axis]
end

local SPREAD <const> = {
  keepdim = along.OPTIONS.keepdim,
  unbiased = { type = "boolean", default = true, doc = "whether their number less 1 divides" },
}

local function variance(where, x, axis, options)
  local o = check.options(where, options, SPREAD)
  local steps, kept = along.steps(where, x, axis)
  local total = squares_of(x, steps, 1)
  local count = 1
  for a, size in ipairs(x.shape) do count = kept[a] == 1 and count * size or count end
  local y = total / math.max(0, count - (o.unbiased and 1 or 0))
  return o.keepdim and view(y, kept) or y
end

local function root(x)
  local y = runtime.pointwise.sqrt(x)
  return record(y, "std", function(gy) return share(gy * 0.5, y) end, saved(y), x)
end

local function variance_of(list, o)
  local middle, total = along.sum(list) / #list, 0
  for _, value in ipairs(list) do total = total + (value - middle) ^ 2 end
  return total / math.max(0, #list - ((o or {}).unbiased == false and 0 or 1))
end

for _, name in ipairs { "var", "std" } do
  local deviation = name == "std"
  define {
    name = name,
    doc = ("x:%s(axis, {keepdim = false, unbiased = true}): the %s %sof all elements; divides by their number less 1, "
      .. "with unbiased = false by their number; NaN where that is 0.%s"):format(name,
      deviation and "standard deviation" or "variance", AXES, deviation and " The gradient at 0 is 0." or ""),
    options = SPREAD,
    f = function(x, axis, options)
      local y = variance(name, x, axis, options)
      return deviation and root(y) or y
    end,
    twice = true,
    dtypes = "real",
    special = false,
    reference = function(new, x, axis, o)
      return along.reference(new, function(list)
        local y = variance_of(list, o)
        return deviation and y ^ 0.5 or y
      end, x, axis, o)
    end,
    samples = function(s)
      return { { s.real(3, 4), 2 }, { s.real(3, 2) }, { s.real(2, 3, 4), { 1, -1 } }, { s.real(0, 3), 2 },
        { s.real(4, 3), 1, { unbiased = false, keepdim = true } }, { s.real(13, 40), 1 }, { s.real(0, 2), 1 },
        { s.real(2, 2, 2, 2, 3), { 1, 3, 5 }, { keepdim = true } }, { s.real(3, 90, 5), { 1, 3 } },
        { s.real(3), nil, { keepdim = true } }, { s.real(2, 1), 2, gradient = false },
        { s.tensor { 1e4, 1e4 + 1, 1e4 - 1 }, gradient = false } }
    end,
    refused = function(s)
      return { { "axis 3 is out of range for shape {2, 3}", s.real(2, 3), 3 }, { "a " .. runtime.real, s.uint8(2) },
        { "unknown option 'bias'", s.real(2), 1, { bias = true } },
        { "expected at least one axis", s.real(2, 2), {} } }
    end,
  }
end

local weighted = traced.lazily("logsumexp", function(x, y, g) return (x - y):exp() * g end, 3)

local function logsumexp(x, axis)
  local y = K.logsumexp(x, axis)
  return record(y, "logsumexp", function(gy)
    local base = compare.where(C.eq(y, -math.huge), 0, y) -- of nothing but -inf the gradient is 0
    local shape = with_one(x, axis)
    return weighted(x, view(base, shape), view(gy, shape))
  end, saved(x, y), x)
end

define {
  name = "logsumexp",
  doc = "x:logsumexp(axis, {keepdim = false}): log of the sum of e^x " .. AXES .. "over all elements; safe for large "
    .. "x; of nothing -inf.",
  options = along.OPTIONS,
  f = function(x, axis, options) return reduced("logsumexp", x, axis, options, logsumexp) end,
  unnamed = true,
  twice = true,
  dtypes = "real",
  reference = function(new, x, axis, o)
    return along.reference(new, function(list)
      local largest, total = -math.huge, 0
      for _, value in ipairs(list) do largest = value ~= value and value or math.max(largest, value) end
      if largest - largest ~= 0 then largest = 0 end
      for _, value in ipairs(list) do total = total + math.exp(value - largest) end
      return math.log(total) + largest
    end, x, axis, o)
  end,
  samples = function(s) return along.samples(s, true) end,
  refused = along.refused,
}

return records
