--- What the operations share whose windows slide over images {N, height, width, channels}: their options, checked,
-- and the gradients of convolutions and pools.
-- @module sm.windows
local runtime = require "sm.runtime"
local autograd = require "sm.autograd"
local arguments = require "sm.ops.arguments"
local check = require "sm.check"
local fail = require "sm.fail"
local primitives = require "sm.ops.primitives"

local T, C = runtime.tensor, runtime.conv
local record, saved, tracks = autograd.record_twice, autograd.saved, autograd.tracks

local M = {}

M.MOST = (1 << 31) - 1 -- pixels

-- Options -----------------------------------------------------------------------------------------------------

-- The metatable of options that are checked: they are not checked again.
local checked = {}

local function is_checked(options) return getmetatable(options) == checked end

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

-- A number for all of `count` things, or a list of that many or of `more`, as a list of integers in range; nil where it
-- is none of these.
local function integers(value, least, count, more)
  local list = value
  if type(value) ~= "table" then
    list = {}
    for i = 1, count do list[i] = value end
  end
  if getmetatable(list) or #list ~= count and #list ~= more then return nil end
  local length, sizes = #list, {}
  for i, size in next, list do
    local whole = math.type(size) and math.type(i) == "integer" and i >= 1 and i <= length and math.tointeger(size)
    if not whole or whole < least or whole > M.MOST then return nil end
    sizes[i] = whole
  end
  return sizes
end

--- A window's size, {height, width}.
-- @param where the public name for messages
-- @param kernel number or {height, width}
function M.kernel(where, kernel)
  return integers(kernel, 1, 2)
    or fail("%s: expected a window, an integer of at least 1 or {height, width}, got %s", where, shown(kernel))
end

-- o[key], {down, across}.
local function check_axes(where, o, key, default)
  if o[key] == nil then
    o[key] = { default[1], default[2] }
    return
  end
  local axes = integers(o[key], 1, 2)
  if not axes then
    fail("%s: option '%s' must be an integer from 1 to %d or {height, width} of such, got %s", where, key, M.MOST,
      shown(o[key]))
  end
  o[key] = axes
end

local ONE <const> = { 1, 1 }

-- Checks a window's options, and marks them. Padding becomes a word, {down, across} or {top, left, bottom, right}.
-- @param stride where none is given, {down, across}
local function finish(where, o, stride)
  check_axes(where, o, "stride", stride)
  check_axes(where, o, "dilation", ONE)
  local padding = o.padding
  if padding ~= "same" and padding ~= "valid" then padding = integers(padding, 0, 2, 4) end
  if not padding then
    fail("%s: option 'padding' must be 'same', 'valid', an integer of at least 0, {height, width} or {top, left, "
      .. "bottom, right}, got %s%s", where, shown(o.padding),
      type(o.padding) == "string" and check.suggest(o.padding, { "same", "valid" }) or "")
  end
  o.padding = padding
  return setmetatable(o, checked)
end

-- What options of windows are, in words.
local WORDS <const> = {
  stride = "pixels from a window to the next, or {down, across}",
  dilation = "pixels from an element of the window to the next, or {down, across}",
  padding = "\"same\" (a window for each stride), \"valid\" (none), pixels on each side, {height, width} or {top, "
    .. "left, bottom, right}",
  groups = "of channels and filters; a filter sees the channels of its own group alone",
  partial = "whether what is left over at the end gets a window, too",
  count_padding = "whether padding counts, as zeros",
  size = "{height, width} of the result, where several lead to this input",
  bias = "{out}, added to each filter's sum",
}

-- The options of a window whose stride is 1, with others.
local function spec(padding, more)
  return check.with({
    stride = { type = {}, doc = WORDS.stride }, dilation = { type = {}, doc = WORDS.dilation },
    padding = { type = {}, default = padding, doc = WORDS.padding },
  }, more)
end

local GROUPS <const> = { type = "integer", min = 1, max = M.MOST, default = 1, doc = WORDS.groups }
local BIAS <const> = { type = "tensor", doc = WORDS.bias }
local TOUCHING <const> = { type = {}, doc = WORDS.stride .. "; by default the window's size, so that windows touch" }
local PARTIAL <const> = { type = "boolean", default = false, doc = WORDS.partial }
local COUNTED <const> = { type = "boolean", default = false, doc = WORDS.count_padding }

-- Those of windows over sequences, with others.
local function steps(padding, more)
  return check.with({
    stride = { type = "integer", min = 1, max = M.MOST, default = 1, doc = "steps from a window to the next" },
    dilation = { type = "integer", min = 1, max = M.MOST, default = 1,
      doc = "steps from an element of the window to the next" },
    padding = { type = {}, default = padding, doc = "\"same\", \"valid\", steps on each side or {before, after}" },
  }, more)
end

local TOUCHING_STEPS <const> = { type = "integer", min = 1, max = M.MOST,
  doc = "steps from a window to the next; by default the window's length, so that windows touch" }

--- The options of each operation with windows.
M.OPTIONS = {
  conv2d = spec("same", { groups = GROUPS, bias = BIAS }),
  conv2d_transpose = spec("same", { groups = GROUPS, bias = BIAS, size = { type = "table", doc = WORDS.size } }),
  unfold = spec "valid",
  maxpool2d = spec("valid", { stride = TOUCHING, partial = PARTIAL }),
  avgpool2d = spec("valid", { stride = TOUCHING, partial = PARTIAL, count_padding = COUNTED }),
  conv1d = steps("same", { groups = GROUPS, bias = BIAS }),
  maxpool1d = steps("valid", { stride = TOUCHING_STEPS, partial = PARTIAL }),
  avgpool1d = steps("valid", { stride = TOUCHING_STEPS, partial = PARTIAL, count_padding = COUNTED }),
  upsample2d = {
    factor = { type = { "number", "table" }, doc = "how many times as large, or {down, across}" },
    size = { type = "table", doc = "or the result's {height, width}" },
    mode = { type = "string", choices = { "nearest", "bilinear" }, default = "nearest",
      doc = "what is between pixels" },
    align_corners = { type = "boolean", default = false,
      doc = "whether bilinear interpolation puts corners on corners" },
  },
}

--- A pool's arguments, checked: the window {height, width}, and its options.
-- @param name "maxpool2d" or "avgpool2d"
-- @param where the public name for messages
-- @param kernel number or {height, width}
-- @param options table or nil
function M.pool(name, where, kernel, options)
  if is_checked(options) then return kernel, options end
  local o = check.options(where, options, M.OPTIONS[name])
  local size = M.kernel(where, kernel)
  return size, finish(where, o, size)
end

local function checking(name)
  return function(given, where)
    if is_checked(given) then return given end
    where = where or name
    return finish(where, check.options(where, given, M.OPTIONS[name]), ONE)
  end
end

--- The options of conv2d, conv2d_transpose and unfold, checked.
-- @param options table or nil
-- @param where the public name for messages, unless it is the operation's
M.conv2d, M.conv2d_transpose = checking "conv2d", checking "conv2d_transpose"
M.unfold = checking "unfold"

-- {down, across} of what is one number for both or a list of two; each must pass.
local function pair(where, key, value, passes, expected)
  local list = value
  if type(value) ~= "table" then list = { value, value } end
  check.plain(where, list)
  local fits = rawlen(list) == 2
  for axis = 1, 2 do fits = fits and math.type(rawget(list, axis)) ~= nil and passes(rawget(list, axis)) end
  if not fits then fail("%s: option '%s' must be %s, got %s", where, key, expected, check.describe(value)) end
  return list
end

local function is_size(value) return math.tointeger(value) and value >= 1 and value <= M.MOST end
local function is_factor(value) return value > 0 and value <= M.MOST end

--- The options of upsample2d, checked; factor or size becomes {down, across}.
function M.upsample2d(options, where)
  if is_checked(options) then return options end
  where = where or "upsample2d"
  local o = check.options(where, options, M.OPTIONS.upsample2d)
  if (o.factor == nil) == (o.size == nil) then
    fail("%s: expected factor or size, got %s", where, o.size and "both" or "neither")
  elseif o.align_corners and o.mode ~= "bilinear" then
    fail("%s: align_corners is for mode = \"bilinear\", got '%s'", where, o.mode)
  end
  o.factor = o.factor and pair(where, "factor", o.factor, is_factor, "a number above 0 or {height, width}")
  o.size = o.size and pair(where, "size", o.size, is_size, "{height, width}, integers of at least 1")
  return setmetatable(o, checked)
end

-- The options of a window over sequences, checked: those of one over images of height 1.
local function over_steps(name, options, where)
  local o = check.options(where, options, M.OPTIONS[name])
  local padding = o.padding
  if padding ~= "same" and padding ~= "valid" then
    local sides = integers(padding, 0, 2)
    if not sides then
      fail("%s: option 'padding' must be 'same', 'valid', an integer of at least 0 or {before, after}, got %s%s", where,
        shown(padding), type(padding) == "string" and check.suggest(padding, { "same", "valid" }) or "")
    end
    padding = { 0, sides[1], 0, sides[2] }
  end
  o.stride, o.dilation, o.padding, o.where = { 1, o.stride }, { 1, o.dilation }, padding, name
  return setmetatable(o, checked)
end

--- The options of conv1d, checked.
function M.conv1d(options, where)
  if is_checked(options) then return options end
  return over_steps("conv1d", options, where or "conv1d")
end

--- A pool's arguments over sequences, checked: the window {1, length}, and its options.
-- @param name "maxpool1d" or "avgpool1d"
-- @param kernel integer, or what this gave
function M.pool1d(name, where, kernel, options)
  if is_checked(options) then return kernel, options end
  local size = type(kernel) == "number" and integers(kernel, 1, 1)
  if not size then fail("%s: expected a window, an integer of at least 1, got %s", where, shown(kernel)) end
  local o = over_steps(name, options, where)
  o.stride[2] = o.stride[2] or size[1]
  return { 1, size[1] }, o
end

-- Convolution -------------------------------------------------------------------------------------------------

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

-- The same for what C.conv2d_backward_data or C.conv2d_transpose make of y, whose gradient is gx.
local function transpose_gradients(gx, y, w, o, graph)
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
    return transpose_gradients(gx, gy, w, o, graph)
  end, saved(gy, w), gy, w)
end

function filter(gy, x, shape, o)
  return record((C.conv2d_backward_filter(gy, x, shape, o, false)), "conv2d", function(gw, _, graph)
    if graph then return tracks(gy) and conv(x, gw, o), tracks(x) and data(gy, gw, x.shape, o) end
    return tracks(gy) and C.conv2d(x, gw, nil, o), tracks(x) and C.conv2d_backward_data(gy, gw, x.shape, o)
  end, saved(gy, x), gy, x)
end

--- The convolution, recorded, with its bias.
-- @param o checked options
function M.convolved(x, w, o)
  local b = o.bias
  return record(C.conv2d(x, w, b, o), o.where or "conv2d", function(gy, _, graph)
    return M.conv2d_gradients(gy, x, w, b, o, graph)
  end, saved(tracks(x) and w, tracks(w) and x), x, w, b)
end

--- The convolution turned around, recorded.
-- @param o checked options
function M.turned(y, w, o)
  local x = C.conv2d_transpose(y, w, o, o.size)
  local b = o.bias
  if b then
    arguments.real("conv2d_transpose", b, "a bias")
    local shape = b.shape
    if #shape ~= 1 or shape[1] ~= x.shape[4] then
      fail("conv2d_transpose: the bias must have shape {%d}, got %s", x.shape[4], check.describe(b))
    end
  end
  x = record(x, "conv2d_transpose", function(gx, _, graph)
    return transpose_gradients(gx, y, w, o, graph)
  end, saved(tracks(y) and w, tracks(w) and y), y, w)
  return b and x + b or x
end

-- Pools -------------------------------------------------------------------------------------------------------

-- The gradient of avgpool2d, recorded.
local function spread_windows(gy, shape, size, o)
  return record(C.avgpool2d_backward(gy, shape, size, o), "avgpool2d", function(gx) return M.avgpool2d(gx, size, o) end,
    nil, gy)
end

--- The mean of every window, recorded.
-- @param kernel, options as for x:avgpool2d
function M.avgpool2d(x, kernel, options)
  local size, o = M.pool("avgpool2d", "avgpool2d", kernel, options)
  return record(C.avgpool2d(x, size, o), "avgpool2d", function(gy, _, graph)
    if graph then return spread_windows(gy, x.shape, size, o) end
    return C.avgpool2d_backward(gy, x.shape, size, o)
  end, nil, x)
end

return M
