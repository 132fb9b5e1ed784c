--- Operations that one kernel does in a single pass over memory, with the bits of the separate ones. They are no
-- methods of tensors: the layers use them, where one follows another.
-- @module sm.fused
local runtime = require "sm.runtime"
local autograd = require "sm.autograd"
local fail = require "sm.fail"
local primitives = require "sm.ops.primitives"
local where = require "sm.ops.compare".where
local windows = require "sm.windows"
local shape_text = require "sm.text".shape

local T, K, C = runtime.tensor, runtime.math, runtime.conv
local record, records, saved, tracks = autograd.record_twice, autograd.records, autograd.saved, autograd.tracks

local M = {}

--- The rows of x along its last axis, {rows, in}; x itself where it has two axes.
local function rows_of(x, w)
  local shape = T.is_tensor(x) and x.shape or {}
  local features, rows = shape[#shape], 1
  if #shape >= 2 and T.is_tensor(w) and w.shape[1] ~= features then
    fail("linear: x %s and the weight %s do not fit: the last axis of x must be as long as the first of the "
      .. "weight, {in, out}", shape_text(shape), shape_text(w.shape))
  end
  if #shape <= 2 then return x end
  for axis = 1, #shape - 1 do rows = rows * shape[axis] end
  return T.reshape(x, { rows, features }), shape
end

--- The gradients of `linear`, recorded.
-- @param y what it gave where relu comes after, else false or nil
local function linear_gradients(gy, x, w, b, y)
  if y then gy = where(runtime.compare.le(y, 0), 0, gy) end
  local flat = primitives.view(gy, { -1, w.shape[2] })
  local rows = primitives.view(x, { -1, w.shape[1] })
  local gx, gb = tracks(x) and primitives.view(primitives.product(flat, w, false, true), x.shape), nil
  if tracks(b) then gb = primitives.view(primitives.sum(flat, 1), b.shape) end
  return gx, tracks(w) and primitives.product(rows, flat, true, false), gb
end

--- x {…, in} · w {in, out} + b {out} or {1, out}; b may be nil.
-- @param relu whether relu comes after
function M.linear(x, w, b, relu)
  local rows, shape = rows_of(x, w)
  local product = K.matmul(rows, w, false, false, b, relu)
  local y = product
  if shape then
    shape[#shape] = product.shape[2]
    y = T.reshape(product, shape)
  end
  return record(y, "linear", function(gy, reuse, graph)
    if graph then return linear_gradients(gy, x, w, b, relu and y) end
    local flat = shape and T.reshape(gy, product.shape) or gy
    local passed = relu and runtime.pointwise.relu_backward(flat, product, reuse) or flat
    local gx, gw = tracks(x) and K.matmul(passed, w, false, true), tracks(w) and K.matmul(rows, passed, true, false)
    local gb = tracks(b) and K.sum(passed, 1)
    if gb and #b.shape ~= 1 then gb = T.reshape(gb, b.shape) end
    return gx and shape and T.reshape(gx, x.shape) or gx, gw, gb, passed ~= flat and passed
  end, saved(tracks(x) and w, tracks(w) and x, relu and y), x, w, b)
end

--- The gradient of what `maxpool2d` was given, recorded.
-- @param which the positions of the maxima
-- @param y what it gave where relu comes before, else false or nil
local function maxpool_gradient(gy, which, shape, size, o, y)
  if y then gy = where(runtime.compare.le(y, 0), 0, gy) end
  local images = shape[1]
  local flat, own = { images, shape[2] * shape[3] * shape[4] }, { images, T.count(which) // math.max(1, images) }
  local sources = T.reshape(C.maxpool2d_sources(which, shape, size, o), own)
  return primitives.view(primitives.scatter_add(flat, 2, sources, 0, primitives.view(gy, sources.shape)), shape)
end

--- The largest value of every window.
-- @param kernel, options as for maxpool2d
-- @param relu whether relu comes before
function M.maxpool2d(x, kernel, options, relu)
  local size, o = windows.pool("maxpool2d", "maxpool2d", kernel, options)
  local y, which = C.maxpool2d(x, size, o, relu, records(x))
  return record(y, "maxpool2d", function(gy, _, graph)
    if graph then return maxpool_gradient(gy, which, x.shape, size, o, relu and y) end
    return C.maxpool2d_backward(gy, which, x.shape, size, o, relu and y or nil)
  end, saved(relu and y), x)
end

--- conv2d and then maxpool2d, which does not keep what conv2d gives.
-- @param options as for conv2d
-- @param kernel, pool_options as for maxpool2d
-- @param relu whether relu comes between
function M.conv2d_maxpool2d(x, w, options, kernel, pool_options, relu)
  local o, size, p = windows.conv2d(options), windows.pool("maxpool2d", "maxpool2d", kernel, pool_options)
  local b = o.bias
  local y, which, shape = C.conv2d_maxpool2d(x, w, b, o, size, p, relu, records(x, w, b))
  return record(y, "conv2d_maxpool2d", function(gy, _, graph)
    if graph then
      local between = maxpool_gradient(gy, which, shape, size, p, relu and y)
      return windows.conv2d_gradients(between, x, w, b, o, true)
    end
    local between = C.maxpool2d_backward(gy, which, shape, size, p, relu and y or nil)
    local gx, gw, gb = windows.conv2d_gradients(between, x, w, b, o)
    return gx, gw, gb, between
  end, saved(tracks(x) and w, tracks(w) and x, relu and y), x, w, b)
end

return M
