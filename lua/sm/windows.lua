--- What the operations share whose windows slide over images {N, height, width, channels}: their options, checked,
-- and a convolution's gradients.
-- @module sm.windows
local runtime = require "sm.runtime"
local autograd = require "sm.autograd"
local check = require "sm.check"
local fail = require "sm.fail"

local C, tracks = runtime.conv, autograd.tracks

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

local CONV2D = {
  stride = { type = "integer", min = 1, max = M.MOST, default = 1 },
  padding = { type = { "integer", "string" }, min = 0, max = M.MOST, choices = { "same", "valid" }, default = "same" },
  bias = { type = "tensor" },
}

--- A convolution's options, checked: {stride=1, padding="same"|"valid"|n, bias={out}}.
function M.conv2d(options) return check.options("conv2d", options, CONV2D) end

--- The gradients of the images x, the filters w and the bias b of a convolution with options o; nil or false for what
-- is not tracked.
function M.conv2d_gradients(gy, x, w, b, o)
  local gx = tracks(x) and C.conv2d_backward_data(gy, w, x.shape, o)
  if not (tracks(w) or tracks(b)) then return gx end
  local gw, gb = C.conv2d_backward_filter(gy, x, w.shape, o, tracks(b))
  return gx, gw, gb
end

return M
