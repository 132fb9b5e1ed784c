--- Normalisation: of layers, of groups of channels, of batches. See sm.ops.shape for what a record has.
-- @module sm.ops.normalise
local arguments = require "sm.ops.arguments"
local check = require "sm.check"
local fail = require "sm.fail"
local fused = require "sm.fused"
local ranks = require "sm.ranks"
local shape_text = require "sm.text".shape
local traced = require "sm.ops.traced"

local check_affine, normalised = fused.check_affine, fused.normalised

local records = {}

local function define(given) records[#records + 1] = given end

local EPSILON <const> = { type = "real", default = 1e-5, above = 0, below = math.huge,
  doc = "added to the variance" }
local WEIGHT <const> = { type = "tensor", doc = "what the result is multiplied by" }
local BIAS <const> = { type = "tensor", doc = "what is added to the result" }

-- References ----------------------------------------------------------------------------------------------

--- x normalised where key(position) is the same, with weights and biases at weigh(position).
-- @return the result, and mean and biased variance by key
local function reference(new, x, o, key, weigh)
  local sums, counts, squares = {}, {}, {}
  local function each(f)
    new(x.shape, function(p)
      f(key(p), x:at(p))
      return 0
    end)
  end
  each(function(k, value) sums[k], counts[k] = (sums[k] or 0) + value, (counts[k] or 0) + 1 end)
  each(function(k, value) squares[k] = (squares[k] or 0) + (value - sums[k] / counts[k]) ^ 2 end)
  local y = new(x.shape, function(p)
    local k = key(p)
    local z = (x:at(p) - sums[k] / counts[k]) / (squares[k] / counts[k] + (o.epsilon or 1e-5)) ^ 0.5
    local at = weigh(p)
    return z * (o.weight and o.weight:at(at) or 1) + (o.bias and o.bias:at(at) or 0)
  end)
  return y, function(k) return sums[k] / counts[k], squares[k] / counts[k] end
end

-- Operations ----------------------------------------------------------------------------------------------

local LAYER <const> = {
  axis = { type = { "integer", "table" }, default = -1, doc = "the last axis, or a list of last axes" },
  weight = WEIGHT, bias = BIAS, epsilon = EPSILON,
}

define {
  name = "layer_norm",
  options = LAYER,
  doc = "x:layer_norm{axis = -1, weight, bias, epsilon = 1e-5}: (x - mean) / sqrt(variance + epsilon) * weight + bias, "
    .. "with mean and variance over the last axis or a list of last axes, whose shape weight and bias have.",
  f = function(x, options)
    local o = check.options("layer_norm", options, LAYER)
    local shape = arguments.real("layer_norm", x).shape
    local axes, over = arguments.axes("layer_norm", o.axis, shape), {}
    table.sort(axes)
    if #axes == 0 or axes[#axes] ~= #shape or axes[1] ~= #shape - #axes + 1 then
      fail("layer_norm: expected the last axis or a list of last axes of %s, got %s", shape_text(shape),
        #axes == 0 and "an empty table" or shape_text(axes))
    end
    local channels, outer = 1, 1
    for a, size in ipairs(shape) do
      if a < axes[1] then outer = outer * size else channels, over[#over + 1] = channels * size, size end
    end
    check_affine("layer_norm", o, over)
    return (normalised("layer_norm", x, { outer, 1, channels }, 1, o))
  end,
  twice = true,
  dtypes = "real",
  special = false,
  reference = function(new, x, o)
    o = o or {}
    local first = #x.shape - (type(o.axis) == "table" and #o.axis or 1) + 1
    return (reference(new, x, o, function(p) return table.concat(p, ",", 1, first - 1) end, function(p)
      return table.move(p, first, #p, 1, {})
    end))
  end,
  samples = function(s)
    return { { s.real(3, 5) }, { s.real(2, 3, 4), { weight = s.real(4), bias = s.real(4) } }, { s.real(6) },
      { s.real(2, 3, 4), { axis = { 2, 3 }, weight = s.real(3, 4), epsilon = 0.1 } }, { s.real(0, 4) },
      { s.real(2, 3), { bias = s.real(3) } }, { s.real(3, 2, 2), { axis = { -1, -2 } } }, { s.real(2, 0) },
      { s.real(56, 300), { weight = s.real(300), bias = s.real(300) } } }
  end,
  refused = function(s)
    return { { "a list of last axes of {2, 3}, got {1}", s.real(2, 3), { axis = 1 } },
      { "a list of last axes of {2, 3, 4}, got {1, 3}", s.real(2, 3, 4), { axis = { 1, 3 } } },
      { "got an empty table", s.real(2), { axis = {} } }, { "axis -1 is out of range for shape {}", s.real() },
      { "expected a weight of shape {3}, got {2}", s.real(2, 3), { weight = s.real(2) } },
      { "unknown option 'eps'; did you mean 'epsilon'?", s.real(2, 3), { eps = 1 } },
      { "option 'epsilon' must be above 0", s.real(2, 3), { epsilon = 0 } }, { "got uint8", s.uint8(2) } }
  end,
}

local GROUP <const> = {
  groups = { type = "integer", min = 1, required = true, doc = "number of equal groups of channels" },
  weight = WEIGHT, bias = BIAS, epsilon = EPSILON,
}

define {
  name = "group_norm",
  options = GROUP,
  doc = "x:group_norm{groups = 8, weight, bias, epsilon = 1e-5}: of every example {N, …, channels} each group of "
    .. "channels normalised over all of its places; weight and bias {channels}.",
  f = function(x, options)
    local o = check.options("group_norm", options, GROUP)
    local shape = arguments.real("group_norm", x).shape
    local rank = #shape
    if rank < 2 then fail("group_norm: expected {N, …, channels}, got shape %s", shape_text(shape)) end
    local channels, rows = shape[rank], 1
    if channels % o.groups ~= 0 then
      fail("group_norm: %d channels cannot be divided into %d equal groups (input %s)", channels, o.groups,
        shape_text(shape))
    end
    for a = 2, rank - 1 do rows = rows * shape[a] end
    check_affine("group_norm", o, { channels })
    return (normalised("group_norm", x, { shape[1], rows, channels }, o.groups, o))
  end,
  twice = true,
  dtypes = "real",
  special = false,
  reference = function(new, x, o)
    local rank = #x.shape
    local size = x.shape[rank] // o.groups
    return (reference(new, x, o, function(p) return ("%d %d"):format(p[1], (p[rank] - 1) // size) end, function(p)
      return { p[rank] }
    end))
  end,
  samples = function(s)
    return { { s.real(2, 3, 4), { groups = 2, weight = s.real(4), bias = s.real(4) } },
      { s.real(3, 6), { groups = 2, bias = s.real(6) } }, { s.real(2, 2, 2, 4), { groups = 4, weight = s.real(4) } },
      { s.real(0, 3, 4), { groups = 2 } }, { s.real(2, 5, 1), { groups = 1 } },
      { s.real(2, 40, 20, 12), { groups = 3, weight = s.real(12), bias = s.real(12) } },
      { s.real(70, 30, 10), { groups = 5 } } }
  end,
  refused = function(s)
    return { { "4 channels cannot be divided into 3 equal groups (input {2, 4})", s.real(2, 4), { groups = 3 } },
      { "option 'groups' is missing", s.real(2, 4) }, { "{N, …, channels}, got shape {4}", s.real(4), { groups = 1 } },
      { "expected a bias of shape {4}, got {2}", s.real(2, 4), { groups = 2, bias = s.real(2) } },
      { "got int32", s.int32(2, 2), { groups = 1 } } }
  end,
}

local BATCH <const> = {
  mean = { type = "tensor", doc = "{channels}, with variance: what is normalised by instead of the batch's" },
  variance = { type = "tensor", doc = "{channels}, with mean" }, weight = WEIGHT, bias = BIAS, epsilon = EPSILON,
}

local scaled = traced.lazily("batch_norm", function(x, mean, scale) return (x - mean) * scale end, 3)
local shifted = traced.lazily("batch_norm", function(x, mean, scale, bias) return (x - mean) * scale + bias end, 4)

define {
  name = "batch_norm",
  options = BATCH,
  doc = "x:batch_norm{weight, bias, epsilon = 1e-5}: each channel (the last axis) normalised over all other axes; also "
    .. "gives the mean and the biased variance {channels}, which have no gradient. With mean and variance it "
    .. "normalises by these.",
  f = function(x, options)
    local o = check.options("batch_norm", options, BATCH)
    local shape = arguments.real("batch_norm", x).shape
    local channels, rows = shape[#shape], 1
    if #shape < 2 then fail("batch_norm: expected {N, …, channels}, got shape %s", shape_text(shape)) end
    check_affine("batch_norm", o, { channels })
    if (o.mean == nil) ~= (o.variance == nil) then
      fail("batch_norm: expected mean and variance, got the %s alone", o.mean and "mean" or "variance")
    end
    if o.mean then
      check_affine("batch_norm", { weight = o.mean, bias = o.variance }, { channels })
      local scale = 1 / (o.variance + o.epsilon):sqrt()
      if o.weight then scale = o.weight * scale end
      return o.bias and shifted(x, o.mean, scale, o.bias) or scaled(x, o.mean, scale)
    end
    for a = 1, #shape - 1 do rows = rows * shape[a] end
    if ranks.rows(rows) == 1 then fail "batch_norm: expected at least 2 values of each channel, got 1" end
    return fused.batch_norm(x, o)
  end,
  twice = true,
  dtypes = "real",
  special = false,
  reference = function(new, x, o)
    o = o or {}
    local rank = #x.shape
    if o.mean then
      return new(x.shape, function(p)
        local c = p[rank]
        return (x:at(p) - o.mean[c]) / (o.variance[c] + (o.epsilon or 1e-5)) ^ 0.5 * (o.weight and o.weight[c] or 1)
          + (o.bias and o.bias[c] or 0)
      end)
    end
    local y, of = reference(new, x, o, function(p) return p[rank] end, function(p) return { p[rank] } end)
    local channels = { x.shape[rank] }
    return y, new(channels, function(p) return (of(p[1])) end),
      new(channels, function(p) return (select(2, of(p[1]))) end)
  end,
  samples = function(s)
    return { { s.real(5, 3) }, { s.real(2, 3, 2, 2), { weight = s.real(2), bias = s.real(2) } },
      { s.real(4, 1, 3), { weight = s.real(3), epsilon = 0.2 } },
      { s.real(3, 4), { mean = s.real(4), variance = s.real(4):abs() + 0.3, weight = s.real(4), bias = s.real(4) } },
      { s.real(3, 4), { mean = s.real(4), variance = s.real(4):abs() + 0.3 } },
      { s.real(30, 5):tile(120, 1), { weight = s.real(5), bias = s.real(5) } }, { s.real(1003, 17) } }
  end,
  refused = function(s)
    return { { "{N, …, channels}, got shape {4}", s.real(4) }, { "at least 2 values of each channel", s.real(1, 4) },
      { "got the mean alone", s.real(2, 4), { mean = s.real(4) } },
      { "expected a weight of shape {4}, got {3}", s.real(2, 4), { weight = s.real(3) } }, { "got uint8", s.uint8(2) } }
  end,
}

return records
