--- Convolutions, and images unfolded and in other sizes. Images are {N, height, width, channels}. See sm.ops.shape for
-- what a record has.
-- @module sm.ops.window
local runtime = require "sm.runtime"
local autograd = require "sm.autograd"
local arguments = require "sm.ops.arguments"
local fail = require "sm.fail"
local primitives = require "sm.ops.primitives"
local windowed = require "sm.ops.windowed"
local windows = require "sm.windows"
local shape_text = require "sm.text".shape

local C = runtime.conv
local record = autograd.record_twice

local records = {}

local function define(given) records[#records + 1] = given end

local SAME <const> = { stride = 1, padding = "same" }
local WINDOW <const> = "stride and dilation: numbers or {height, width}; padding: \"same\" (positions/stride, rounded "
  .. "up), \"valid\" (none), pixels on each side, {height, width} or {top, left, bottom, right}; groups: filters see "
  .. "the channels of their own group alone."

--- For references: the convolution.
local function convolution(new, x, w, o)
  o = o or {}
  local window, own = windowed.window(x.shape, w.shape, o, SAME), w.shape[3]
  return new(window.shape(w.shape[4]), function(p)
    local sum, first = o.bias and o.bias[p[4]] or 0, (p[4] - 1) // (w.shape[4] // (o.groups or 1)) * own
    window.at(p, function(i, j, row, column)
      for c = 1, own do sum = sum + x:at { p[1], row, column, first + c } * w:at { i, j, c, p[4] } end
    end)
    return sum
  end)
end

define {
  name = "conv2d",
  options = windows.OPTIONS.conv2d,
  doc = "x:conv2d(w, {stride = 1, padding = \"same\", dilation = 1, groups = 1, bias = {out}}): the convolution (cross-"
    .. "correlation) of x {N, H, W, in} with filters w {height, width, in / groups, out}. " .. WINDOW,
  f = function(x, w, options) return windows.convolved(x, w, windows.conv2d(options)) end,
  twice = true,
  dtypes = "real",
  special = false,
  reference = convolution,
  samples = function(s)
    return { { s.real(2, 4, 3, 2), s.real(3, 3, 2, 1) }, { s.real(1, 5, 5, 1), s.real(2, 2, 1, 2), { stride = 2 } },
      { s.real(1, 4, 4, 2), s.real(2, 3, 2, 2), { padding = "valid", bias = s.real(2) } },
      { s.real(1, 3, 3, 1), s.real(3, 3, 1, 2), { padding = 2, stride = 3 } },
      { s.real(2, 3, 3, 3), s.real(1, 1, 3, 2), { bias = s.real(2) } },
      { s.real(0, 4, 4, 2), s.real(3, 3, 2, 5) }, { s.real(1, 8, 8, 16) * 1e-2, s.real(3, 3, 16, 16) * 1e-4 },
      { s.real(1, 6, 5, 1), s.real(3, 2, 1, 2), { dilation = { 2, 3 } } },
      { s.real(1, 6, 5, 2), s.real(2, 2, 2, 1), { stride = { 2, 1 }, dilation = { 3, 2 }, padding = { 1, 0, 2, 1 } } },
      { s.real(1, 4, 5, 2), s.real(1, 3, 2, 2), { stride = { 3, 2 }, padding = { 0, 1 } } },
      { s.real(1, 4, 4, 4), s.real(3, 3, 1, 4), { groups = 4, bias = s.real(4) } },
      { s.real(1, 4, 3, 2), s.real(2, 2, 1, 6), { groups = 2, stride = 2, dilation = 2, padding = 1 } },
      { s.real(1, 3, 3, 4), s.real(2, 2, 2, 4), { groups = 2, bias = s.real(4) } },
      { s.real(2, 9, 8, 40) * 1e-2, s.real(3, 3, 20, 40) * 1e-4, { groups = 2, dilation = 2 } },
      { s.real(2, 9, 8, 19) * 1e-2, s.real(3, 3, 1, 19), { groups = 19, stride = 2 } } }
  end,
  refused = function(s)
    local x, w = s.real(1, 2, 2, 1), s.real(3, 3, 1, 1)
    return { { "expected 2 channels, got 1", x, s.real(3, 3, 2, 1) },
      { "unknown option 'strides'; did you mean 'stride'?", x, w, { strides = 2 } },
      { "option 'stride' must be an integer from 1 to 2147483647 or {height, width} of such, got number 0", x, w,
        { stride = 0 } },
      { "option 'dilation' must be an integer from 1 to 2147483647 or {height, width} of such, got {1, 2, 3}", x, w,
        { dilation = { 1, 2, 3 } } },
      { "option 'padding' must be 'same', 'valid', an integer of at least 0, {height, width} or {top, left, bottom, "
        .. "right}, got {1, 2, 3}", x, w, { padding = { 1, 2, 3 } } },
      { "3 filters cannot be divided into 2 groups", s.real(1, 2, 2, 2), s.real(3, 3, 1, 3), { groups = 2 } },
      { "expected 4 channels, got 2", s.real(1, 2, 2, 2), s.real(3, 3, 2, 4), { groups = 2 } },
      { "a window of 3x3 with dilation 2x2 is larger than images {1, 2, 2, 1} with padding 1", x, w,
        { padding = 1, dilation = 2 } },
      { "got nil", x } }
  end,
}

--- Raises unless a tensor has three axes.
local function three(where, x, what, axes)
  arguments.real(where, x, what)
  if #x.shape ~= 3 then fail("%s: expected %s %s, got %s", where, what, axes, shape_text(x.shape)) end
  return x.shape
end

define {
  name = "conv1d",
  options = windows.OPTIONS.conv1d,
  doc = "x:conv1d(w, {stride = 1, padding = \"same\", dilation = 1, groups = 1, bias = {out}}): the convolution of "
    .. "sequences x {N, time, in} with filters w {length, in / groups, out}. padding: \"same\", \"valid\", steps on "
    .. "each side or {before, after}.",
  f = function(x, w, options)
    local o = windows.conv1d(options)
    local n, time, channels = table.unpack(three("conv1d", x, "sequences", "{batch, time, channels}"))
    local length, own, filters = table.unpack(three("conv1d", w, "filters", "{length, in, out}"))
    local y = windows.convolved(primitives.view(x, { n, 1, time, channels }),
      primitives.view(w, { 1, length, own, filters }), o)
    return primitives.view(y, { n, y.shape[3], filters })
  end,
  twice = true,
  dtypes = "real",
  special = false,
  reference = function(new, x, w, o)
    o = o or {}
    local function stretched(a, before)
      local shape = table.move(a.shape, 1, 3, 1, {})
      table.insert(shape, before, 1)
      local same = new({}, function() return 0 end) -- an array, whose `at` counts through the same numbers
      for i, value in ipairs(a) do same[i] = value end
      same.shape = shape
      return same
    end
    local padding = o.padding
    if type(padding) == "number" then padding = { padding, padding } end
    if type(padding) == "table" then padding = { 0, padding[1], 0, padding[2] } end
    local y = convolution(new, stretched(x, 2), stretched(w, 1), { stride = { 1, o.stride or 1 }, padding = padding,
      dilation = { 1, o.dilation or 1 }, groups = o.groups, bias = o.bias })
    y.shape = { y.shape[1], y.shape[3], y.shape[4] }
    return y
  end,
  samples = function(s)
    return { { s.real(2, 5, 2), s.real(3, 2, 2) }, { s.real(1, 7, 2), s.real(2, 2, 1), { stride = 2, dilation = 2 } },
      { s.real(1, 6, 4), s.real(3, 1, 4), { groups = 4, padding = { 2, 0 }, bias = s.real(4) } },
      { s.real(1, 5, 1), s.real(2, 1, 3), { padding = "valid" } },
      { s.real(1, 4, 1), s.real(3, 1, 1), { padding = 2 } },
      { s.real(0, 5, 1), s.real(2, 1, 3) }, { s.real(3, 40, 16) * 1e-2, s.real(5, 16, 24) * 1e-4 } }
  end,
  refused = function(s)
    return { { "expected sequences {batch, time, channels}, got {1, 2, 2, 1}", s.real(1, 2, 2, 1), s.real(3, 1, 1) },
      { "expected filters {length, in, out}, got {1, 3, 1, 1}", s.real(1, 5, 1), s.real(1, 3, 1, 1) },
      { "expected 2 channels, got 1", s.real(1, 5, 1), s.real(3, 2, 1) },
      { "option 'stride' must be an integer, got table", s.real(1, 5, 1), s.real(3, 1, 1), { stride = { 1, 2 } } },
      { "an integer of at least 0 or {before, after}, got string \"sam\"; did you mean 'same'?",
        s.real(1, 5, 1), s.real(3, 1, 1), { padding = "sam" } },
      { "is larger than", s.real(1, 2, 1), s.real(3, 1, 1), { padding = "valid" } }, { "got nil", s.real(1, 5, 1) } }
  end,
}

define {
  name = "conv2d_transpose",
  options = windows.OPTIONS.conv2d_transpose,
  doc = "y:conv2d_transpose(w, {stride = 1, padding = \"same\", dilation = 1, groups = 1, bias = {in}, size = {H', "
    .. "W'}}): the convolution turned around, which maps {N, H, W, out} back to {N, H', W', in} with the same filters "
    .. "{height, width, in / groups, out}. Without size, \"same\" gives H * stride, otherwise (H-1) * stride + what "
    .. "the window spans, less the padding. " .. WINDOW,
  f = function(y, w, options) return windows.turned(y, w, windows.conv2d_transpose(options)) end,
  twice = true,
  dtypes = "real",
  special = false,
  reference = function(new, y, w, o)
    o = o or {}
    local padding, size, groups = o.padding or "same", o.size or {}, o.groups or 1
    local own, filters = w.shape[3], w.shape[4] // groups
    local shape = { y.shape[1], 0, 0, own * groups }
    local function of(value, axis, default) return type(value) == "table" and value[axis] or value or default end
    for axis = 1, 2 do
      local stride, sides = of(o.stride, axis, 1), 0
      if type(padding) == "number" then sides = 2 * padding end
      if type(padding) == "table" then sides = padding[axis] + (padding[axis + 2] or padding[axis]) end
      local reach = (w.shape[axis] - 1) * of(o.dilation, axis, 1) + 1
      shape[axis + 1] = size[axis] or padding == "same" and y.shape[axis + 1] * stride
        or (y.shape[axis + 1] - 1) * stride + reach - sides
    end
    local sums, window = {}, windowed.window(shape, w.shape, o, SAME)
    new(y.shape, function(p)
      local first = (p[4] - 1) // filters * own
      window.at(p, function(i, j, row, column)
        for c = 1, own do
          local key = table.concat({ p[1], row, column, first + c }, ",")
          sums[key] = (sums[key] or 0) + y:at(p) * w:at { i, j, c, p[4] }
        end
      end)
      return 0
    end)
    return new(shape, function(p) return (sums[table.concat(p, ",")] or 0) + (o.bias and o.bias[p[4]] or 0) end)
  end,
  samples = function(s)
    return { { s.real(1, 2, 2, 2), s.real(3, 3, 1, 2) }, { s.real(2, 2, 2, 1), s.real(2, 2, 2, 1), { stride = 2 } },
      { s.real(1, 2, 3, 1), s.real(2, 3, 2, 1), { padding = "valid" } },
      { s.real(1, 2, 2, 1), s.real(3, 3, 1, 1), { stride = 2, size = { 3, 4 } } },
      { s.real(1, 3, 3, 1), s.real(3, 3, 1, 1), { padding = 1 } }, { s.real(0, 2, 2, 1), s.real(2, 2, 1, 1) },
      { s.real(1, 2, 3, 2), s.real(2, 2, 2, 2), { dilation = { 1, 2 }, padding = { 1, 0, 0, 1 }, bias = s.real(2) } },
      { s.real(1, 2, 2, 4), s.real(3, 2, 1, 4), { groups = 4, stride = { 2, 1 }, bias = s.real(4) } },
      { s.real(1, 2, 2, 4), s.real(3, 2, 3, 4), { groups = 2, stride = { 1, 2 }, dilation = 2, padding = "valid" } } }
  end,
  refused = function(s)
    local y, w = s.real(1, 2, 2, 1), s.real(3, 3, 1, 1)
    return { { "expected 2 channels, got 1", y, s.real(3, 3, 2, 2) },
      { "unknown option 'output_padding'", y, w, { output_padding = 1 } },
      { "the bias must have shape {1}, got tensor {2}", y, w, { bias = s.real(2) } },
      { "1 filters cannot be divided into 2 groups", y, w, { groups = 2 } }, { "got nil", y } }
  end,
}

--- The adjoint of unfold, recorded.
local function fold(gy, shape, size, o)
  return record(C.fold(gy, shape, size, o), "unfold", function(gx, _, graph)
    if not graph then return C.unfold(gx, size, o) end
    return record(C.unfold(gx, size, o), "unfold", function(g) return fold(g, shape, size, o) end, nil, gx)
  end, nil, gy)
end

define {
  name = "unfold",
  options = windows.OPTIONS.unfold,
  doc = "x:unfold(kernel, {stride = 1, padding = \"valid\", dilation = 1}): what the window sees at each of its "
    .. "positions, {N, H', W', height * width * channels}: row by row, and of each pixel all channels, as filters lie "
    .. "in memory (PyTorch has the channels first). kernel: a number or {height, width}. x:unfold(3):matmul(w:reshape("
    .. "-1, out)) is a convolution.",
  f = function(x, kernel, options)
    local size, o = windows.kernel("unfold", kernel), windows.unfold(options)
    return record(C.unfold(x, size, o), "unfold", function(gy, _, graph)
      return (graph and fold or C.fold)(gy, x.shape, size, o)
    end, nil, x)
  end,
  twice = true,
  dtypes = "real",
  reference = function(new, x, kernel, o)
    local size = type(kernel) == "table" and kernel or { kernel, kernel }
    local window, channels = windowed.window(x.shape, size, o, { stride = 1, padding = "valid" }), x.shape[4]
    return new(window.shape(size[1] * size[2] * channels), function(p)
      local value = 0
      window.at(p, function(i, j, row, column)
        local c = p[4] - ((i - 1) * size[2] + j - 1) * channels
        if c >= 1 and c <= channels then value = x:at { p[1], row, column, c } end
      end)
      return value
    end)
  end,
  samples = function(s)
    return { { s.real(2, 3, 4, 2), 2 }, { s.real(1, 4, 4, 1), { 2, 3 }, { padding = 1, stride = 2 } },
      { s.real(1, 5, 4, 2), 2, { dilation = { 3, 2 }, padding = { 0, 1, 2, 0 } } },
      { s.real(2, 3, 3, 1), 3, { padding = "same" } }, { s.real(0, 4, 4, 2), 2 }, { s.real(3, 9, 8, 20), 3 } }
  end,
  refused = function(s)
    return { { "expected images {batch, height, width, channels}, got {2, 2}", s.real(2, 2), 2 },
      { "expected a window, an integer of at least 1 or {height, width}, got nil", s.real(1, 4, 4, 1) },
      { "a window of 5x5 is larger than images {1, 4, 4, 1}", s.real(1, 4, 4, 1), 5 },
      { "unknown option 'pad'", s.real(1, 4, 4, 1), 2, { pad = 1 } } }
  end,
}

--- One axis of upsample2d, as core/upsample.h has it: {size, positions, step, per}. As in PyTorch a size that a factor
-- leaves as it is stays untouched, and one that it doubles has each pixel twice, where the nearest is taken.
local function upsampled_axis(x, axis, factor, size, linear, corners)
  local given = x.shape[axis + 1]
  local positions = size and size[axis] or math.floor(given * factor[axis])
  if given == 0 or positions < 1 or positions > windows.MOST then
    fail("upsample2d: images %s cannot be made %s pixels %s", shape_text(x.shape), positions,
      axis == 1 and "high" or "wide")
  end
  positions = math.tointeger(positions)
  if corners then return { given, positions, positions > 1 and given - 1 or 0, math.max(1, positions - 1) } end
  local whole = positions == given or not linear and positions == 2 * given
  if size or whole then return { given, positions, given, positions } end
  return { given, positions, 1, factor[axis] }
end

--- Which kernel arguments follow from the options, checked.
local function upsampling(x, options)
  local o = windows.upsample2d(options)
  arguments.real("upsample2d", x)
  if #x.shape ~= 4 then
    fail("upsample2d: expected images {batch, height, width, channels}, got %s", shape_text(x.shape))
  end
  local linear, corners = o.mode == "bilinear", o.align_corners
  local function along(axis) return upsampled_axis(x, axis, o.factor, o.size, linear, corners) end
  return along(1), along(2), linear, corners
end

local function resampled(x, down, across, linear, corners, back)
  local kernel, adjoint = C.upsample2d, C.upsample2d_backward
  if back then kernel, adjoint = adjoint, kernel end
  return record(kernel(x, down, across, linear, corners), "upsample2d", function(gy, _, graph)
    if graph then return resampled(gy, down, across, linear, corners, not back) end
    return adjoint(gy, down, across, linear, corners)
  end, nil, x)
end

define {
  name = "upsample2d",
  options = windows.OPTIONS.upsample2d,
  doc = "x:upsample2d {factor = n | {h, w}, mode = \"nearest\" | \"bilinear\", align_corners = false}: images in "
    .. "another size, factor times theirs (rounded down), or size = {height, width}. Nearest takes the pixel at or "
    .. "before i / factor; bilinear interpolates at (i + 0.5) / factor - 0.5, with align_corners so that the corners "
    .. "coincide. A factor that leaves a size as it is, 1.1 of 5 pixels, leaves its pixels, too.",
  f = function(x, options) return resampled(x, upsampling(x, options)) end,
  twice = true,
  dtypes = "real",
  special = false,
  reference = function(new, x, o)
    local shape, mix = table.move(x.shape, 1, 4, 1, {}), {}
    for axis = 1, 2 do
      local given = x.shape[axis + 1]
      local factor = type(o.factor) == "table" and o.factor[axis] or o.factor
      local count = o.size and o.size[axis] or math.floor(given * factor)
      shape[axis + 1], mix[axis] = count, {}
      for i = 0, count - 1 do
        local step = factor and count ~= given and 1 / factor or given / count
        if count == 2 * given and o.mode ~= "bilinear" then step = 1 / 2 end
        if o.align_corners then step = count > 1 and (given - 1) / (count - 1) or 0 end
        local shift = o.mode == "bilinear" and not o.align_corners and 0.5 or 0
        local at = math.max(0, (i + shift) * step - shift)
        local first = math.min(given - 1, math.floor(at + 1e-9))
        local share = o.mode == "bilinear" and math.min(first + 1, given - 1) > first and at - first or 0
        mix[axis][i + 1] = { first + 1, math.min(first + 2, given), share }
      end
    end
    return new(shape, function(p)
      local sum = 0
      local down, across = mix[1][p[2]], mix[2][p[3]]
      for i = 1, 2 do
        for j = 1, 2 do
          local share = (i == 1 and 1 - down[3] or down[3]) * (j == 1 and 1 - across[3] or across[3])
          sum = sum + share * x:at { p[1], down[i], across[j], p[4] }
        end
      end
      return sum
    end)
  end,
  samples = function(s)
    return { { s.real(2, 2, 3, 2), { factor = 2 } }, { s.real(1, 3, 2, 1), { factor = { 3, 1 } } },
      { s.real(1, 3, 2, 2), { factor = 2, mode = "bilinear" } },
      { s.real(1, 3, 4, 1), { factor = { 1.5, 2.4 }, mode = "bilinear" } },
      { s.real(1, 5, 4, 1), { factor = { 1.19, 2.2 } } }, { s.real(1, 5, 3, 1), { factor = 1.19, mode = "bilinear" } },
      { s.real(1, 5, 4, 1), { size = { 3, 7 } } }, { s.real(1, 5, 3, 1), { size = { 2, 5 }, mode = "bilinear" } },
      { s.real(1, 3, 4, 1), { factor = { 2, 3 }, mode = "bilinear", align_corners = true } },
      { s.real(1, 3, 1, 1), { size = { 1, 3 }, mode = "bilinear", align_corners = true } },
      { s.real(0, 3, 2, 1), { factor = 2 } }, { s.real(3, 12, 9, 20), { factor = 2, mode = "bilinear" } } }
  end,
  refused = function(s)
    local x = s.real(1, 2, 2, 1)
    return { { "expected factor or size, got neither", x }, { "got both", x, { factor = 2, size = { 2, 2 } } },
      { "option 'factor' must be a number above 0 or {height, width}, got table", x, { factor = { 2 } } },
      { "option 'factor' must be a number above 0 or {height, width}, got number 0", x, { factor = 0 } },
      { "option 'size' must be {height, width}, integers of at least 1", x, { size = { 2, 1.5 } } },
      { "cannot be made 0 pixels high", x, { factor = 0.1 } }, { "align_corners is for", x,
        { factor = 2, align_corners = true } },
      { "must be one of 'nearest', 'bilinear', got 'linear'", x, { factor = 2, mode = "linear" } },
      { "expected images {batch, height, width, channels}, got {2, 2}", s.real(2, 2), { factor = 2 } } }
  end,
}

return records
