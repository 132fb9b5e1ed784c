--- Operations that one kernel does in a single pass over memory, with the bits of the separate ones. They are no
-- methods of tensors: the layers use them, where one follows another.
-- @module sm.fused
local runtime = require "sm.runtime"
local arguments = require "sm.ops.arguments"
local autograd = require "sm.autograd"
local fail = require "sm.fail"
local primitives = require "sm.ops.primitives"
local ranks = require "sm.ranks"
local where = require "sm.ops.compare".where
local windows = require "sm.windows"
local shape_text = require "sm.text".shape

local T, K, C, N = runtime.tensor, runtime.math, runtime.conv, runtime.normalise
local record, records, saved, tracks = autograd.record_twice, autograd.records, autograd.saved, autograd.tracks

local M = {}

--- The rows of x along its last axis, {rows, in}; x itself where it has two axes.
local function rows_of(x, w)
  if T.is_tensor(x) and T.is_tensor(w) then
    local rank, features = T.rows(x)
    if rank == 2 and features == T.sizes(w) then return x end -- what follows makes tables
  end
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

-- A gradient of x in x's shape: itself where it has that, since of two handles the tape would have to copy one.
local function like(g, x) return T.same_shape(g, x) and g or T.reshape(g, x.shape) end

--- The gradients of `linear`, recorded.
-- @param y what it gave where relu comes after, else false or nil
local function linear_gradients(gy, x, w, b, y)
  if y then gy = where(runtime.compare.le(y, 0), 0, gy) end
  local flat = primitives.view(gy, { -1, w.shape[2] })
  local rows = primitives.view(x, { -1, w.shape[1] })
  local gx, gb = tracks(x) and primitives.view(primitives.product(flat, w, false, true, "rows"), x.shape), nil
  if tracks(b) then gb = primitives.view(primitives.sum_batch(flat), b.shape) end
  return gx, tracks(w) and primitives.product(rows, flat, true, false, "terms"), gb
end

--- x {…, in} · w {in, out} + b {out} or {1, out}; b may be nil.
-- @param relu whether relu comes after
function M.linear(x, w, b, relu)
  local rows, shape = rows_of(x, w)
  local product = K.matmul(rows, w, false, false, b, relu, "rows")
  local y = product
  if shape then
    shape[#shape] = product.shape[2]
    y = T.reshape(product, shape)
  end
  return record(y, "linear", function(gy, reuse, graph)
    if graph then return linear_gradients(gy, x, w, b, relu and y) end
    local flat = shape and T.reshape(gy, product.shape) or gy
    local passed = relu and runtime.pointwise.relu_backward(flat, product, reuse) or flat
    local gx = tracks(x) and K.matmul(passed, w, false, true, nil, false, "rows")
    local gw = tracks(w) and K.matmul(rows, passed, true, false, nil, false, "terms")
    local gb = tracks(b) and K.sum_batch(passed)
    gb = gb and like(gb, b)
    local seen = gx and shape and T.reshape(gx, x.shape) or gx -- the views' other handles would keep their memory
    return seen, gw, gb, passed ~= flat and passed, seen ~= gx and gx, flat ~= gy and flat
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

-- Raises unless x, o[key], is nil or a real tensor of a shape.
local function check_one(name, key, x, shape)
  if not x then return end
  arguments.real(name, x)
  if #shape == 1 and T.rows(x) == 1 and #x == shape[1] then return end -- what follows makes a table
  local own = x.shape
  local fits = #own == #shape
  for axis = 1, #shape do fits = fits and own[axis] == shape[axis] end
  if not fits then fail("%s: expected a %s of shape %s, got %s", name, key, shape_text(shape), shape_text(own)) end
end

--- Raises unless weight and bias are nil or real tensors of a shape.
function M.check_affine(name, o, shape)
  check_one(name, "weight", o.weight, shape)
  check_one(name, "bias", o.bias, shape)
end

--- The statistics of a batch of all ranks, from those of each.
local function statistics_of(collective, x, layout, epsilon)
  local own, all = { N.statistics(x, layout[1], layout[2], layout[3], nil, epsilon) }, {}
  for i = 1, #own * collective.ranks do all[i] = 0 end
  table.move(own, 1, #own, collective.rank * #own + 1, all)
  return { N.merged(collective.sum_doubles(all), collective.ranks, layout[2], layout[3]) }
end

--- The gradients of x, weight and bias, recorded.
-- @param layout {outer, rows, channels} that x is seen as
local function normal_gradients(gy, x, weight, bias, layout, groups, epsilon)
  local outer, rows, channels = table.unpack(layout)
  groups = groups or math.max(1, channels)
  local size, over, keep, view = channels // groups, { 2, 4 }, { keepdim = true }, primitives.view
  local four = { outer, rows, groups, size }
  local g, centred = view(gy, four), view(x, four)
  centred = centred - centred:mean(over, keep)
  local scale = 1 / ((centred * centred):mean(over, keep) + epsilon):sqrt()
  local z = centred * scale
  local d = weight and g * view(weight, { groups, size }) or g
  local gx = scale * (d - d:mean(over, keep) - z * (d * z):mean(over, keep))
  return view(gx, x.shape), tracks(weight) and view((g * z):sum { 1, 2 }, weight.shape),
    tracks(bias) and view(g:sum { 1, 2 }, bias.shape)
end

--- x, seen as {outer, rows, channels}, normalised in groups, or each channel over rows that are a batch's; where rows
-- are more than one, then `beside` added, and then relu taken, true or the number that it keeps below, if they are
-- given.
-- @param groups how many, or nil for a batch
-- @return that; mean and variance {outer, groups}, {groups} where outer is 1
function M.normalised(name, x, layout, groups, o, beside, relu)
  local weight, bias, epsilon = o.weight, o.bias, o.epsilon
  local collective = not groups and ranks.now and ranks.now:shares(x)
  local y, mean, variance = N.forward(x, weight, bias, layout[1], layout[2], layout[3], groups, epsilon, beside, relu,
    collective and statistics_of(collective, x, layout, epsilon) or nil)
  local kept = relu and beside and y or nil -- what relu let pass is seen in it; without `beside` it follows from x
  record(y, name, function(gy, reuse, graph)
    local outer, rows, channels = table.unpack(layout) -- each of a closure's own variables is a block of memory
    if graph then
      local g = gy
      if collective then
        fail("%s: over several ranks, create_graph has no gradient of a gradient of what is normalised", name)
      end
      if relu then
        local again = kept or N.forward(x, weight, bias, outer, rows, channels, groups, epsilon, nil, relu)
        g = where(runtime.compare.le(again, 0), 0, gy)
        if relu ~= true then g = where(runtime.compare.ge(again, relu), 0, g) end
      end
      local gx, gw, gb = normal_gradients(g, x, weight, bias, layout, groups, epsilon)
      return gx, gw, gb, beside and g
    end
    local parameters, own = tracks(weight) or tracks(bias), reuse and not (beside and not relu)
    local gx, gw, gb, passed
    if collective then
      local first = table.pack(N.backward(gy, x, mean, variance, weight, outer, rows, channels, groups, epsilon,
        parameters, own, relu, bias, kept, true))
      gw, gb, passed = first[1], first[2], first[3]
      gx = N.backward(passed or gy, x, mean, variance, weight, outer, rows, channels, groups, epsilon, false, false,
        not passed and relu, bias, nil, collective.sum_doubles(table.move(first, 4, first.n, 1, {})))
    else
      gx, gw, gb, passed = N.backward(gy, x, mean, variance, weight, outer, rows, channels, groups, epsilon,
        parameters, own, relu, bias, kept)
    end
    return gx, tracks(weight) and like(gw, weight), tracks(bias) and like(gb, bias), beside and (passed or gy)
  end, saved(x, mean, variance, weight, relu and bias, kept), x, weight, bias, beside)
  return y, mean, variance
end

--- A batch {…, channels} normalised over all axes but the last; then `beside`, of its shape, added, and then relu
-- taken, if they are given.
-- @return that, and the mean and the biased variance of each channel
function M.batch_norm(x, o, beside, relu)
  local _, channels, rows = T.rows(x)
  M.check_affine("batch_norm", o, { channels })
  return M.normalised("batch_norm", x, { 1, rows, channels }, nil, o, beside, relu)
end

return M
