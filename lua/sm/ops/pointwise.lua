--- Functions of one element, and arithmetic with NumPy's broadcasting. See sm.ops.shape for what a record has.
-- @module sm.ops.pointwise
local runtime = require "sm.runtime"
local autograd = require "sm.autograd"
local broadcast = require "sm.ops.broadcast"
local compare = require "sm.ops.compare"
local primitives = require "sm.ops.primitives"

local K, C = runtime.math, runtime.compare
local record, saved, tracks = autograd.record_twice, autograd.saved, autograd.tracks
local reduced, where = primitives.reduced, compare.where

local records = {}

local function define(given) records[#records + 1] = given end

--- log(1 + exp x)
local function softplus(x)
  return x > 0 and x + math.log(1 + math.exp(-x)) or math.log(1 + math.exp(x))
end

local function tanh(x)
  local e = math.exp(-2 * math.abs(x))
  return (x < 0 and -1 or 1) * (1 - e) / (1 + e)
end

-- For each: which of its input x and output y the gradient's kernel reads; the gradient of the output's gradient gy as
-- recorded operations; on what it is defined, for samples; a reference; what it is.
local UNARY <const> = {
  neg = { "", function(gy) return -gy end, function(x) return -x end, "-x" },
  exp = { "y", function(gy, _, y) return gy * y end, math.exp, "e to the power x" },
  log = { "x", function(gy, x) return gy / x end, function(x) return x < 0 and 0 / 0 or math.log(x) end,
    "the natural logarithm", positive = true },
  sqrt = { "y", function(gy, _, y) return gy * 0.5 / y end, function(x) return x < 0 and 0 / 0 or x ^ 0.5 end,
    "the square root", positive = true },
  abs = { "x", function(gy, x) return gy * C.sign(x) end, math.abs, "the absolute value, whose gradient at 0 is 0" },
  tanh = { "y", function(gy, _, y) return gy * (1 - y * y) end, tanh, "the hyperbolic tangent" },
  sigmoid = { "y", function(gy, _, y) return gy * (y * (1 - y)) end, function(x) return 1 / (1 + math.exp(-x)) end,
    "the logistic function, 1 / (1 + e^-x)" },
  relu = { "x", function(gy, x) return where(C.gt(x, 0), gy, 0) end,
    function(x) return (x > 0 or x ~= x) and x or 0 end, "x where it is above 0, else 0; the gradient at 0 is 0" },
  softplus = { "x", function(gy, x) return gy * x:sigmoid() end, softplus,
    "log(1 + e^x), a relu without a corner, whose gradient is the sigmoid" },
}

for _, name in ipairs { "neg", "exp", "log", "sqrt", "abs", "tanh", "sigmoid", "relu", "softplus" } do
  local forward, backward = K[name], K[name .. "_backward"]
  local reads, slope, reference, words = table.unpack(UNARY[name])
  local positive = UNARY[name].positive
  define {
    name = name,
    doc = ("x:%s(): %s."):format(name, words),
    f = function(x)
      local y = forward(x)
      return record(y, name, function(gy, reuse, graph)
        if graph then return slope(gy, x, y) end
        return backward(gy, x, y, reuse)
      end, saved(reads == "x" and x, reads == "y" and y), x)
    end,
    twice = true,
    dtypes = "real",
    reference = function(new, x) return new(x.shape, function(p) return reference(x:at(p)) end) end,
    samples = function(s)
      local function real(...) return positive and s.real(...):abs() + 0.2 or s.real(...) end
      return { { real(3, 7) }, { real() }, { real(0, 2) }, { real(1, 1) }, { real(40, 50) } }
    end,
    refused = function(s)
      return { { "must be a " .. runtime.real .. " tensor", s.uint8(2) }, { "got int32 tensor {1}", s.int32 { 1 } } }
    end,
  }
end

define {
  name = "clamp",
  doc = "x:clamp(low, high): every element limited to [low, high]; the gradient passes where it lies inside.",
  f = function(x, low, high)
    local y = K.clamp(x, low, high)
    return record(y, "clamp", function(gy, _, graph)
      if graph then return where(C.eq(x, y), gy, 0) end
      return K.clamp_backward(gy, x, low, high)
    end, saved(x), x)
  end,
  twice = true,
  dtypes = "real",
  reference = function(new, x, low, high)
    return new(x.shape, function(p)
      local value = x:at(p)
      return value < low and low or value > high and high or value
    end)
  end,
  samples = function(s)
    return { { s.real(4, 5), -0.82, 0.87 }, { s.real(), 0, 1 }, { s.real(0, 2), -1, 1 }, { s.real(3), 0.5, 0.5 } }
  end,
  refused = function(s)
    return { { "expected low <= high, got 1.0 and 0.0", s.real(2), 1, 0 }, { "got nil", s.real(2), 1 },
      { "must be a " .. runtime.real .. " tensor", s.uint8(2), 0, 1 } }
  end,
}

--- b a^(b-1), the derivative of a^b by a, which is 0 where b is 0; a^b log a, that by b, which is 0 where a is 0 and b
-- at least 0, NaN where a is below 0. Recorded.
local slope, growth

function slope(a, b)
  return record(K.pow_slope(a, b), "pow", function(gy)
    return tracks(a) and reduced(gy * (b * slope(a, b - 1)), a),
      tracks(b) and reduced(gy * (a ^ (b - 1) + b * growth(a, b - 1)), b)
  end, saved(a, b), a, b)
end

function growth(a, b)
  return record(K.pow_growth(a, b), "pow", function(gy)
    return tracks(a) and reduced(gy * (a ^ (b - 1) + b * growth(a, b - 1)), a),
      tracks(b) and reduced(gy * (growth(a, b) * (type(a) == "number" and math.log(a) or a:log())), b)
  end, saved(a, b), a, b)
end

local ARITHMETIC <const> = {
  add = { "a + b, also x:add(b)", function(a, b) return a + b end },
  sub = { "a - b, also x:sub(b)", function(a, b) return a - b end },
  mul = { "a * b, also x:mul(b)", function(a, b) return a * b end },
  div = { "a / b, also x:div(b)", function(a, b) return a / b end, positive = true },
  pow = { "a ^ b, also x:pow(b)", function(a, b)
    if b == 0 or a == 1 then return 1 end
    return a ^ b
  end, positive = true },
}

local function arithmetic(name, f)
  local words, reference = table.unpack(ARITHMETIC[name])
  local positive = ARITHMETIC[name].positive
  define {
    name = name,
    doc = ("%s: tensors or numbers, which broadcast."):format(words),
    f = f,
    unnamed = true,
    twice = true,
    dtypes = "real",
    reference = function(new, a, b) return broadcast.reference(new, reference, a, b) end,
    samples = function(s)
      local samples = broadcast.pairs_of(s)
      samples[#samples + 1] = { 0.75, s.real(3) }
      samples[#samples + 1] = { s.real(4, 1, 2, 3), s.real(5, 1, 3) }
      if positive then
        for _, sample in ipairs(samples) do
          for i, x in ipairs(sample) do sample[i] = type(x) == "number" and x or x:abs() + 0.7 end
        end
      end
      return samples
    end,
    refused = function(s)
      return { { "shapes {2, 3} and {2} do not broadcast", s.real(2, 3), s.real(2) },
        { 'argument 2 must be a tensor or a number, got string "a"', s.real(2), "a" }, { "got nil", s.real(2) },
        { "must be a " .. runtime.real .. " tensor", s.real(2), s.uint8(2) } }
    end,
  }
  return f
end

arithmetic("add", function(a, b)
  return record(K.add(a, b), "add", function(gy)
    return tracks(a) and reduced(gy, a), tracks(b) and reduced(gy, b)
  end, nil, a, b)
end)

arithmetic("sub", function(a, b)
  return record(K.sub(a, b), "sub", function(gy, _, graph)
    return tracks(a) and reduced(gy, a), tracks(b) and reduced(graph and -gy or K.neg(gy), b)
  end, nil, a, b)
end)

local mul
mul = arithmetic("mul", function(a, b)
  return record(K.mul(a, b), "mul", function(gy, _, graph)
    local times = graph and mul or K.mul
    return tracks(a) and reduced(times(gy, b), a), tracks(b) and reduced(times(gy, a), b)
  end, saved(tracks(a) and b, tracks(b) and a), a, b)
end)

arithmetic("div", function(a, b)
  local y = K.div(a, b)
  return record(y, "div", function(gy, _, graph)
    if graph then return tracks(a) and reduced(gy / b, a), tracks(b) and reduced(-(gy * y / b), b) end
    return tracks(a) and reduced(K.div(gy, b), a), tracks(b) and reduced(K.neg(K.div(K.mul(gy, y), b)), b)
  end, saved(b, tracks(b) and y), a, b)
end)

arithmetic("pow", function(a, b)
  return record(K.pow(a, b), "pow", function(gy, _, graph)
    local times, by_a, by_b = K.mul, K.pow_slope, K.pow_growth
    if graph then times, by_a, by_b = mul, slope, growth end
    return tracks(a) and reduced(times(gy, by_a(a, b)), a), tracks(b) and reduced(times(gy, by_b(a, b)), b)
  end, saved(a, b), a, b)
end)

return records
