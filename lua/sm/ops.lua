--- Every differentiable operation once: its forward kernel and its backward kernel, side by side.
-- The functions become methods of tensors and, where Lua has one, operators.
-- @module sm.ops
local runtime = require "sm.runtime"
local autograd = require "sm.autograd"
local check = require "sm.check"
local fail = require "sm.fail"
local fused = require "sm.fused"
local random = require "sm.random"
local windows = require "sm.windows"

local T, K, C, S = runtime.tensor, runtime.math, runtime.conv, runtime.softmax
local record, saved, tracks = autograd.record, autograd.saved, autograd.tracks

local ops = {}

-- Functions of one element, and which of their input x and output y the derivative reads. The gradient of abs and of
-- relu at 0 is 0. softplus is log(1 + exp x), a relu without a corner, whose gradient is the sigmoid: 1/2 at 0.
local UNARY = {
  neg = "", exp = "y", log = "x", sqrt = "y", abs = "x", tanh = "y", sigmoid = "y", relu = "x", softplus = "x",
}
for name, reads in pairs(UNARY) do
  local forward, backward = K[name], K[name .. "_backward"]
  ops[name] = function(x)
    local y = forward(x)
    return record(y, name, function(gy, reuse) return backward(gy, x, y, reuse) end,
      saved(reads == "x" and x, reads == "y" and y), x)
  end
end

--- Limits every element to [low, high]; the gradient passes where the element lies inside.
function ops.clamp(x, low, high)
  local y = K.clamp(x, low, high)
  return record(y, "clamp", function(gy) return K.clamp_backward(gy, x, low, high) end, saved(x), x)
end

-- Two operands, tensors or numbers, with NumPy's broadcasting. `reduced` undoes the broadcasting of a gradient.
local function reduced(gradient, x)
  return K.sum_to(gradient, x.shape)
end

function ops.add(a, b)
  return record(K.add(a, b), "add", function(gy)
    return tracks(a) and reduced(gy, a), tracks(b) and reduced(gy, b)
  end, nil, a, b)
end

function ops.sub(a, b)
  return record(K.sub(a, b), "sub", function(gy)
    return tracks(a) and reduced(gy, a), tracks(b) and reduced(K.neg(gy), b)
  end, nil, a, b)
end

function ops.mul(a, b)
  return record(K.mul(a, b), "mul", function(gy)
    return tracks(a) and reduced(K.mul(gy, b), a), tracks(b) and reduced(K.mul(gy, a), b)
  end, saved(tracks(a) and b, tracks(b) and a), a, b)
end

function ops.div(a, b)
  local y = K.div(a, b)
  return record(y, "div", function(gy)
    return tracks(a) and reduced(K.div(gy, b), a), tracks(b) and reduced(K.neg(K.div(K.mul(gy, y), b)), b)
  end, saved(b, tracks(b) and y), a, b)
end

--- a to the power b: d/da = b a^(b-1), 0 where b is 0; d/db = a^b log a, 0 where a is 0 and b at least 0, NaN where
-- a is below 0.
function ops.pow(a, b)
  return record(K.pow(a, b), "pow", function(gy)
    return tracks(a) and reduced(K.mul(gy, K.pow_slope(a, b)), a),
      tracks(b) and reduced(K.mul(gy, K.pow_growth(a, b)), b)
  end, saved(a, b), a, b)
end

-- Reductions along one axis, which is dropped, or over all elements.
function ops.sum(x, axis)
  return record(K.sum(x, axis), "sum", function(gy) return K.spread(gy, x.shape, axis, 1) end, nil, x)
end

function ops.mean(x, axis)
  return record(K.mean(x, axis), "mean", function(gy)
    local count = axis and x.shape[axis < 0 and axis + #x.shape + 1 or axis] or T.count(x)
    return K.spread(gy, x.shape, axis, 1 / count)
  end, nil, x)
end

--- The largest element along an axis; the gradient goes to the first of equals.
function ops.max(x, axis)
  local y, position = K.max(x, axis)
  return record(y, "max", function(gy) return K.max_backward(gy, position, x.shape, axis) end, nil, x)
end

-- Views and copies.

--- x:reshape(2, -1) or x:reshape{2, -1}: the same elements in another shape, sharing storage.
function ops.reshape(x, ...)
  local shape = ...
  if type(shape) ~= "table" then
    shape = { ... }
  else
    check.no_more("reshape", "one table of sizes", select(2, ...))
  end
  return record(T.reshape(x, shape), "reshape", function(gy) return T.reshape(gy, x.shape) end, nil, x)
end

--- x[i]: element i of the first axis (1-based, negative from the end), sharing storage.
function ops.select(x, i)
  return record(T.select(x, i), "select", function(gy)
    return T.place(gy, x.shape, i < 0 and i + x.shape[1] or i - 1)
  end, nil, x)
end

--- Elements first … last of the first axis (1-based, both included), sharing storage.
function ops.slice(x, first, last)
  return record(T.slice(x, first, last), "slice", function(gy)
    return T.place(gy, x.shape, first < 0 and first + x.shape[1] or first - 1)
  end, nil, x)
end

function ops.clone(x)
  return record(T.to(x), "clone", function(gy) return gy end, nil, x)
end

--- Another element type: "float32" (the double build: "float64"), "uint8", "int32". The tensor itself if it has it.
function ops.to(x, dtype)
  if dtype == nil then fail "to: expected a dtype, got nil" end
  return T.is_tensor(x) and x.dtype == dtype and x or T.to(x, dtype)
end

-- Products.
function ops.matmul(a, b)
  return record(K.matmul(a, b), "matmul", function(gy)
    return tracks(a) and K.matmul(gy, b, false, true), tracks(b) and K.matmul(a, gy, true, false)
  end, saved(tracks(a) and b, tracks(b) and a), a, b)
end

--- x {…, in} · w {in, out} + b {out} or {1, out} along the last axis of x, which has at least two; b may be nil.
-- @param relu true: relu of that, without another pass over memory
function ops.linear(x, w, b, relu)
  if relu ~= nil and type(relu) ~= "boolean" then
    fail("linear: argument 4, whether relu follows, must be true or false, got %s", check.describe(relu))
  end
  return fused.linear(x, w, b, relu)
end

-- Windows over NHWC images.

--- Convolution (cross-correlation) of x {N, H, W, in} with filters w {kernel, kernel, in, out}.
-- @param options {stride=1, padding="same"|"valid"|n, bias={out}}
function ops.conv2d(x, w, options)
  local o = windows.conv2d(options)
  local b = o.bias
  return record(C.conv2d(x, w, b, o), "conv2d", function(gy) return windows.conv2d_gradients(gy, x, w, b, o) end,
    saved(tracks(x) and w, tracks(w) and x), x, w, b)
end

local TRANSPOSE = {
  stride = { type = "integer", min = 1, max = windows.MOST, default = 1 },
  padding = { type = { "integer", "string" }, min = 0, max = windows.MOST, choices = { "same", "valid" },
    default = "same" },
  size = { type = "table" },
}

--- The convolution turned around: maps {N, H, W, out} back to {N, H', W', in} with the same filters {k, k, in, out}.
-- @param options {stride=1, padding="same"|"valid"|n, size={H', W'}}: without size, "same" gives H * stride, otherwise
--   (H-1) * stride + kernel less the padding
function ops.conv2d_transpose(y, w, options)
  local o = check.options("conv2d_transpose", options, TRANSPOSE)
  local x = C.conv2d_transpose(y, w, o, o.size)
  return record(x, "conv2d_transpose", function(gx)
    return tracks(y) and C.conv2d(gx, w, nil, o), tracks(w) and (C.conv2d_backward_filter(y, gx, w.shape, o, false))
  end, saved(tracks(y) and w, tracks(w) and y), y, w)
end

--- The largest value of every window; ties go to the first, and NaN is larger than any number.
-- @param kernel number or {height, width}
-- @param options {stride=kernel, padding="valid"|"same"|n}, where the stride and n may be {height, width}; padding
--   never wins
function ops.maxpool2d(x, kernel, options) return fused.maxpool2d(x, kernel, options, false) end

--- The mean of every window; padding is not counted. Arguments as for maxpool2d.
function ops.avgpool2d(x, kernel, options)
  local size, o = windows.pool("avgpool2d", kernel, options)
  return record(C.avgpool2d(x, size, o), "avgpool2d", function(gy)
    return C.avgpool2d_backward(gy, x.shape, size, o)
  end, nil, x)
end

-- Grouped softmax, dropout, loss.
local SOFTMAX = {
  groups = { type = "integer", min = 1 },
  sizes = { type = "table" },
  temperature = { type = "real", above = 0, default = 1 },
  scale = { type = "boolean", default = false },
  off = { type = "boolean", default = false },
}

local function softmax_options(options)
  local o = check.options("softmax", options, SOFTMAX)
  if o.groups and o.sizes then fail "softmax: give groups (equal ones) or sizes (uneven ones), not both" end
  if o.sizes then o.groups = check.sizes("softmax", o.sizes) end -- a copy: the gradient needs them as they are now
  o.groups = o.groups or 1
  return o
end

--- Softmax over each group of the last axis.
-- @param options {groups=1 | sizes={…}, temperature=1, scale=false, off=false}
function ops.softmax(x, options)
  local o = softmax_options(options)
  local y = S.softmax(x, o.groups, o.temperature, o.scale, o.off)
  return record(y, "softmax", function(gy, reuse)
    return S.softmax_backward(gy, y, o.groups, o.temperature, o.scale, o.off, reuse)
  end, saved(y), x)
end

--- Each element kept with probability 1-p and multiplied by 1/(1-p), else 0. The kept ones are drawn again from
-- the same place of the dropout stream in the backward pass, so no mask is stored.
function ops.dropout(x, p)
  local y, seed, stream, offset = random.draw("dropout", function(...)
    return runtime.random.dropout(x, p, ...)
  end)
  return record(y, "dropout", function(gy)
    return runtime.random.dropout(gy, p, seed, stream, offset)
  end, nil, x)
end

--- Mean softmax cross-entropy of logits {…, classes} and labels {…} (uint8 or int32, 0 … classes-1).
function ops.cross_entropy(logits, labels)
  local loss, log_sum = S.cross_entropy(logits, labels)
  return record(loss, "cross_entropy", function(gy)
    return S.cross_entropy_backward(gy, log_sum, logits, labels)
  end, saved(logits, labels), logits)
end

for _, operation in ipairs(require "sm.ops.records") do
  if not operation.call then ops[operation.name] = operation.f end
end

return ops
