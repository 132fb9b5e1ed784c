--- What the operations share whose windows slide over images {N, height, width, channels}: their options, checked,
-- and a convolution's gradients.
-- @module sm.windows
local runtime = require "sm.runtime"
local autograd = require "sm.autograd"
local check = require "sm.check"
local fail = require "sm.fail"
local primitives = require "sm.ops.primitives"

local T, C = runtime.tensor, runtime.conv
local record, saved, tracks = autograd.record_twice, autograd.saved, autograd.tracks

local M = {}

M.MOST = (1 << 31) - 1 -- pixels

-- A value as messages show it, a list with what is in it.
local function shown(value)
  if type(value) ~= "table" or getmetatable(value) then return check.describe(value) end
  local items = {}
  for i, item in ipairs(value) do items[i] = type(item) == "number" and tostring(item) or check.describe(item) end
  for key in next, value do
    if not items[key] then return "a table that is no list" end
  end
  return "{" .. table.concat(items, ", ") .. "}"
end

-- A number for both axes or {height, width}, as {height, width} of integers in range; nil where it is neither.
local function both_axes(value, least)
  local pair = value
  if type(value) ~= "table" then pair = { value, value } end
  if getmetatable(pair) or #pair ~= 2 then return nil end
  local sizes = {}
  for axis, size in next, pair do
    local whole = math.type(size) and (axis == 1 or axis == 2) and math.tointeger(size)
    if not whole or whole < least or whole > M.MOST then return nil end
    sizes[axis] = whole
  end
  return sizes
end

local POOL = { stride = { type = {} }, padding = { type = {}, default = "valid" } }

--- A pool's arguments, checked: the window {height, width} and {stride={height, width}, padding="same"|"valid"|{height,
-- width}}.
-- @param where the public name for messages
-- @param kernel number or {height, width}
-- @param options table or nil
function M.pool(where, kernel, options)
  local o = check.options(where, options, POOL)
  local size = both_axes(kernel, 1)
  if not size then
    fail("%s: expected a window, an integer of at least 1 or {height, width}, got %s", where, shown(kernel))
  end
  local stride = size
  if o.stride ~= nil then stride = both_axes(o.stride, 1) end
  if not stride then
    fail("%s: option 'stride' must be an integer of at least 1 or {height, width}, got %s", where, shown(o.stride))
  end
  local padding = o.padding
  if padding ~= "same" and padding ~= "valid" then padding = both_axes(padding, 0) end
  if not padding then
    fail("%s: option 'padding' must be 'same', 'valid', an integer of at least 0 or {height, width}, got %s%s", where,
      shown(o.padding), type(o.padding) == "string" and check.suggest(o.padding, { "same", "valid" }) or "")
  end
  return size, { stride = stride, padding = padding }
end

--- The gradient of avgpool2d, recorded.
local function spread_windows(gy, shape, size, o)
  return record(C.avgpool2d_backward(gy, shape, size, o), "avgpool2d", function(gx) return M.avgpool2d(gx, size, o) end,
    nil, gy)
end

local CONV2D = {
  stride = { type = "integer", min = 1, max = M.MOST, default = 1 },
  padding = { type = { "integer", "string" }, min = 0, max = M.MOST, choices = { "same", "valid" }, default = "same" },
  bias = { type = "tensor" },
}

--- A convolution's options, checked: {stride=1, padding="same"|"valid"|n, bias={out}}.
function M.conv2d(options) return check.options("conv2d", options, CONV2D) end

local conv, data, filter

--- The gradients of the images x, the filters w and the bias b of a convolution with options o; nil or false for what
-- is not tracked.
-- @param graph whether they are recorded
function M.conv2d_gradients(gy, x, w, b, o, graph)
  if graph then
    local gb
    if tracks(b) then
      local shape = gy.shape
      gb = primitives.view(primitives.sum(primitives.view(gy, { T.count(gy) // shape[4], shape[4] }), 1), b.shape)
    end
    return tracks(x) and data(gy, w, x.shape, o), tracks(w) and filter(gy, x, w.shape, o), gb
  end
  local gx = tracks(x) and C.conv2d_backward_data(gy, w, x.shape, o)
  if not (tracks(w) or tracks(b)) then return gx end
  local gw, gb = C.conv2d_backward_filter(gy, x, w.shape, o, tracks(b))
  return gx, gw, gb
end

--- The same for what C.conv2d_backward_data or C.conv2d_transpose make of y, whose gradient is gx.
function M.transpose_gradients(gx, y, w, o, graph)
  if graph then return tracks(y) and conv(gx, w, o), tracks(w) and filter(y, gx, w.shape, o) end
  return tracks(y) and C.conv2d(gx, w, nil, o), tracks(w) and (C.conv2d_backward_filter(y, gx, w.shape, o, false))
end

-- A convolution without a bias and its two gradients, recorded. Each is linear in both of its operands, and their
-- gradients are the two others.
function conv(x, w, o)
  return record(C.conv2d(x, w, nil, o), "conv2d", function(gy, _, graph)
    return M.conv2d_gradients(gy, x, w, nil, o, graph)
  end, saved(x, w), x, w)
end

function data(gy, w, shape, o)
  return record(C.conv2d_backward_data(gy, w, shape, o), "conv2d", function(gx, _, graph)
    return M.transpose_gradients(gx, gy, w, o, graph)
  end, saved(gy, w), gy, w)
end

function filter(gy, x, shape, o)
  return record((C.conv2d_backward_filter(gy, x, shape, o, false)), "conv2d", function(gw, _, graph)
    if graph then return tracks(gy) and conv(x, gw, o), tracks(x) and data(gy, gw, x.shape, o) end
    return tracks(gy) and C.conv2d(x, gw, nil, o), tracks(x) and C.conv2d_backward_data(gy, gw, x.shape, o)
  end, saved(gy, x), gy, x)
end

--- The mean of every window, recorded.
-- @param kernel, options as for x:avgpool2d
function M.avgpool2d(x, kernel, options)
  local size, o = M.pool("avgpool2d", kernel, options)
  return record(C.avgpool2d(x, size, o), "avgpool2d", function(gy, _, graph)
    if graph then return spread_windows(gy, x.shape, size, o) end
    return C.avgpool2d_backward(gy, x.shape, size, o)
  end, nil, x)
end

return M
