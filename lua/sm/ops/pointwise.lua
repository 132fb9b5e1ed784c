--- Functions of one element, and arithmetic with NumPy's broadcasting. See sm.ops.shape for what a record has.
-- @module sm.ops.pointwise
local runtime = require "sm.runtime"
local autograd = require "sm.autograd"
local arguments = require "sm.ops.arguments"
local broadcast = require "sm.ops.broadcast"
local compare = require "sm.ops.compare"
local fail = require "sm.fail"
local formulas = require "sm.ops.formula"
local primitives = require "sm.ops.primitives"
local symbols = require "sm.ops.symbols"

local K, C = runtime.pointwise, runtime.compare
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

-- For each: which of its input x and output y the gradient's kernel reads besides the gradient gy; the gradient of gy
-- as recorded operations; on what it is defined, for samples; a reference; what it is.
local UNARY <const> = {
  neg = { "", function(gy) return -gy end, function(x) return -x end, "-x" },
  exp = { "y", function(gy, _, y) return gy * y end, math.exp, "e to the power x" },
  log = { "x", function(gy, x) return gy / x end, function(x) return x < 0 and 0 / 0 or math.log(x) end,
    "the natural logarithm", positive = true },
  sqrt = { "y", function(gy, _, y) return gy * 0.5 / y end, function(x) return x < 0 and 0 / 0 or x ^ 0.5 end,
    "the square root", positive = true },
  abs = { "x", function(gy, x) return where(C.gt(x, 0), gy, where(C.lt(x, 0), -gy, 0)) end, math.abs,
    "the absolute value, whose gradient at 0 is 0" },
  tanh = { "y", function(gy, _, y) return gy * (1 - y * y) end, tanh, "the hyperbolic tangent" },
  sigmoid = { "y", function(gy, _, y) return gy * (y * (1 - y)) end, function(x) return 1 / (1 + math.exp(-x)) end,
    "the logistic function, 1 / (1 + e^-x)" },
  relu = { "x", function(gy, x) return where(C.le(x, 0), 0, gy) end,
    function(x) return (x > 0 or x ~= x) and x or 0 end, "x where it is above 0, else 0; the gradient at 0 is 0" },
  softplus = { "x", function(gy, x) return gy * x:sigmoid() end, softplus,
    "log(1 + e^x), a relu without a corner, whose gradient is the sigmoid" },
}
local BACKWARD <const> = { exp = K.mul, log = K.div } -- others have kernels of their own
local LAYERS <const> = { relu = true, sigmoid = true, tanh = true, softplus = true }

-- These keep kernels of their own for their gradients, which read the result where a formula would compute it again.
for _, name in ipairs { "neg", "exp", "log", "sqrt", "abs", "tanh", "sigmoid", "relu", "softplus" } do
  local forward, backward = K[name], BACKWARD[name] or K[name .. "_backward"]
  local reads, slope, reference, words = table.unpack(UNARY[name])
  local positive = UNARY[name].positive
  define {
    name = name,
    doc = ("x:%s(): %s."):format(name, words),
    f = function(x)
      local y = forward(x)
      return record(y, name, function(gy, reuse, graph)
        if graph then return slope(gy, x, y) end
        if reads == "" then return forward(gy, reuse) end
        return backward(gy, reads == "x" and x or y, reuse)
      end, saved(reads == "x" and x, reads == "y" and y), x)
    end,
    layer = LAYERS[name] and { options = {}, call = function(x) return x[name](x) end,
      describe = function() return "" end },
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

-- Formulas: one line each, in one pass forward and one back. -----------------------------------------------

local function from_0_2(x) return x:abs() + 0.2 end
local function above_minus_1(x) return x:abs() - 0.4 end
local function number(name, default, rule)
  rule = rule or {}
  rule.name, rule.doc, rule.type, rule.default, rule.required = name, name, "real", default, default == nil
  return rule
end
local TANH_SCALE <const> = (2 / math.pi) ^ 0.5
local SELU_ALPHA <const>, SELU_SCALE <const> = 1.6732632423543772, 1.0507009873554805 -- Klambauer et al. 2017

--- x limited, as by clamp, but for the gradient at the limits: PyTorch's hardtanh.
local function limited(x, low, high) return where(x:le(low), low, where(x:ge(high), high, x)) end

local FORMULAS <const> = {
  { "sin", "the sine", function(x) return x:sin() end },
  { "cos", "the cosine", function(x) return x:cos() end },
  { "erf", "the error function", function(x) return x:erf() end },
  { "expm1", "e^x - 1, exact also for small x", function(x) return x:expm1() end },
  { "log1p", "log(1 + x), exact also for small x", function(x) return x:log1p() end, domain = above_minus_1 },
  { "reciprocal", "1 / x", function(x) return 1 / x end, domain = from_0_2 },
  { "rsqrt", "1 over the square root", function(x) return 1 / x:sqrt() end, domain = from_0_2 },
  { "square", "x^2", function(x) return x * x end },
  { "clamp", "every element limited to [low, high], of which one may be nil; the gradient passes where it lies inside",
    function(x, low, high) return symbols.operate("clamp", x, low, high) end,
    numbers = { number("low", -math.huge), number("high", math.huge) },
    examples = { { -0.88, 0.87 }, { 0, 1 }, { 0.5, 0.5 }, { 0.1 }, { nil, 0.1 } },
    check = function(n, low, high)
      if low == nil and high == nil then fail "clamp: expected low, high or both, got neither" end
      if n[1] > n[2] then fail("clamp: expected low <= high, got %s and %s", n[1], n[2]) end
    end },
  -- activations, which are layers too
  { "leaky_relu", "x where it is above 0, else slope * x", function(x, slope) return where(x:gt(0), x, x * slope) end,
    numbers = { number("slope", 0.01) }, examples = { { 0.3 } }, layer = true },
  { "elu", "x where it is above 0, else alpha * (e^x - 1)",
    function(x, alpha) return where(x:gt(0), x, x:expm1() * alpha) end,
    numbers = { number("alpha", 1) }, examples = { { 0.7 } }, layer = true },
  { "celu", "x where it is above 0, else alpha * (e^(x / alpha) - 1), which has no corner",
    function(x, alpha) return where(x:gt(0), x, (x / alpha):expm1() * alpha) end,
    numbers = { number("alpha", 1, { above = 0 }) }, examples = { { 0.7 } }, layer = true },
  { "selu", "an elu that keeps mean 0 and variance 1 (Klambauer et al. 2017)",
    function(x) return where(x:gt(0), x * SELU_SCALE, x:expm1() * (SELU_SCALE * SELU_ALPHA)) end,
    layer = true },
  { "silu", "x * sigmoid(x), also called swish", function(x) return x * x:sigmoid() end, layer = true },
  { "mish", "x * tanh(softplus(x))", function(x)
    local e = compare.minimum(x, 20):exp() -- n / (n + 2), which is 1 from there on, is tanh(log(1 + e^x))
    local n = e * (e + 2)
    return x * (n / (n + 2))
  end, layer = true },
  { "hardtanh", "x limited to [low, high], whose gradient at the limits is 0", limited,
    numbers = { number("low", -1), number("high", 1) }, examples = { { -0.63, 0.87 } }, layer = true },
  { "relu6", "x limited to [0, 6], whose gradient at the limits is 0", function(x) return limited(x, 0, 6) end,
    layer = true },
  { "hardsigmoid", "(x + 3) / 6 limited to [0, 1], whose gradient at the limits is 0",
    function(x) return limited(x + 3, 0, 6) * (1 / 6) end, layer = true },
  { "hardswish", "x * hardsigmoid(x)", function(x) return x * (x + 3):clamp(0, 6) * (1 / 6) end, layer = true },
  { "softsign", "x / (1 + |x|)", function(x) return x / (1 + x:abs()) end, layer = true },
  { "logsigmoid", "the logarithm of the sigmoid", function(x) return -(-x):softplus() end, layer = true },
  { "tanhshrink", "x - tanh(x)", function(x) return x - x:tanh() end, domain = from_0_2, layer = true },
  { "softshrink", "x less what of it lies in [-size, size]", function(x, size) return x - x:clamp(-size, size) end,
    numbers = { number("size", 0.5, { min = 0 }) }, examples = { { 0.62 } }, layer = true },
  { "hardshrink", "x, or 0 where it lies in [-size, size]", function(x, size) return where(x:abs():le(size), 0, x) end,
    numbers = { number("size", 0.5, { min = 0 }) }, examples = { { 0.62 } }, layer = true },
  { "threshold", "x where it is above the threshold, else a value",
    function(x, least, value) return where(x:le(least), value, x) end,
    numbers = { number "threshold", number "value" }, examples = { { 0.12, -3 } }, layer = true },
}
for _, formula in ipairs(FORMULAS) do define(formulas.record(formula)) end

local prelu = require "sm.ops.traced".lazily("prelu", function(x, slope) return where(x:gt(0), x, x * slope) end, 2)

define {
  name = "prelu",
  doc = "x:prelu(slope): x where it is above 0, else slope * x, where the slope is a tensor, trained: {1}, or one for "
    .. "each channel, of shape {channels}; it broadcasts.",
  f = function(x, slope)
    return prelu(arguments.real("prelu", x), arguments.real("prelu", slope, "a tensor as the slope"))
  end,
  twice = true,
  dtypes = "real",
  reference = function(new, x, slope)
    return broadcast.reference(new, function(a, b) return a > 0 and a or a * b end, x, slope)
  end,
  samples = function(s)
    return { { s.real(3, 4), s.real(4) }, { s.real(2, 3, 2), s.real(1) }, { s.real(), s.real() },
      { s.real(0, 3), s.real(3) } }
  end,
  refused = function(s)
    return { { "got number 0.1", s.real(2), 0.1 }, { "do not broadcast", s.real(2, 3), s.real(2) } }
  end,
}

define(formulas.choice { "gelu", "x times the probability that a normal number is below x; approximate = \"tanh\" is "
  .. "the formula with tanh (Hendrycks and Gimpel 2016)", {
    none = function(x) return x * symbols.operate("normal", x) end,
    tanh = function(x) return 0.5 * x * (1 + (TANH_SCALE * (x + 0.044715 * x ^ 3)):tanh()) end,
  }, option = "approximate", default = "none", layer = true })

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
