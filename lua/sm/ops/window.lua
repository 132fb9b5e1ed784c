--- Windows over images {N, height, width, channels}. See sm.ops.shape for what a record has.
-- @module sm.ops.window
local runtime = require "sm.runtime"
local autograd = require "sm.autograd"
local check = require "sm.check"
local fused = require "sm.fused"
local windows = require "sm.windows"

local C = runtime.conv
local record, saved, tracks = autograd.record_twice, autograd.saved, autograd.tracks

local records = {}

local function define(given) records[#records + 1] = given end

--- For references: how many windows an axis has, and how much padding is in front of it.
local function plan(size, kernel, stride, padding)
  if padding == "valid" then return (size - kernel) // stride + 1, 0 end
  if padding ~= "same" then return (size + 2 * padding - kernel) // stride + 1, padding end
  local count = (size + stride - 1) // stride
  return count, math.max(0, (count - 1) * stride + kernel - size) // 2
end

--- For references: what a pool's or a convolution's options say of an axis.
local function of_axis(value, axis, default)
  if value == nil then return default end
  return type(value) == "table" and value[axis] or value
end

--- For references: visits the pixels of image x under the window of output position p: visit(kernel row, column, row,
-- column).
local function under(x, kernel, o, p, default_stride, default_padding, visit)
  local first = {}
  for axis = 1, 2 do
    local stride = of_axis(o.stride, axis, default_stride or kernel[axis])
    local _, before = plan(x.shape[axis + 1], kernel[axis], stride, of_axis(o.padding, axis, default_padding))
    first[axis] = (p[axis + 1] - 1) * stride - before
  end
  for i = 1, kernel[1] do
    for j = 1, kernel[2] do
      local row, column = first[1] + i, first[2] + j
      if row >= 1 and row <= x.shape[2] and column >= 1 and column <= x.shape[3] then visit(i, j, row, column) end
    end
  end
end

local function shape_of(x, kernel, o, channels, default_stride, default_padding)
  local shape = { x.shape[1], 0, 0, channels }
  for axis = 1, 2 do
    shape[axis + 1] = plan(x.shape[axis + 1], kernel[axis], of_axis(o.stride, axis, default_stride or kernel[axis]),
      of_axis(o.padding, axis, default_padding))
  end
  return shape
end

define {
  name = "conv2d",
  doc = "x:conv2d(w, {stride = 1, padding = \"same\" | \"valid\" | n, bias = {out}}): the convolution (cross-"
    .. "correlation) of x {N, H, W, in} with filters w {height, width, in, out}.",
  f = function(x, w, options)
    local o = windows.conv2d(options)
    local b = o.bias
    return record(C.conv2d(x, w, b, o), "conv2d", function(gy, _, graph)
      return windows.conv2d_gradients(gy, x, w, b, o, graph)
    end, saved(tracks(x) and w, tracks(w) and x), x, w, b)
  end,
  twice = true,
  dtypes = "real",
  special = false,
  reference = function(new, x, w, o)
    o = o or {}
    return new(shape_of(x, w.shape, o, w.shape[4], 1, "same"), function(p)
      local sum = o.bias and o.bias[p[4]] or 0
      under(x, w.shape, o, p, 1, "same", function(i, j, row, column)
        for c = 1, w.shape[3] do sum = sum + x:at { p[1], row, column, c } * w:at { i, j, c, p[4] } end
      end)
      return sum
    end)
  end,
  samples = function(s)
    return { { s.real(2, 4, 3, 2), s.real(3, 3, 2, 1) }, { s.real(1, 5, 5, 1), s.real(2, 2, 1, 2), { stride = 2 } },
      { s.real(1, 4, 4, 2), s.real(2, 3, 2, 2), { padding = "valid", bias = s.real(2) } },
      { s.real(1, 3, 3, 1), s.real(3, 3, 1, 2), { padding = 2, stride = 3 } },
      { s.real(2, 3, 3, 3), s.real(1, 1, 3, 2), { bias = s.real(2) } },
      { s.real(0, 4, 4, 2), s.real(3, 3, 2, 5) }, { s.real(1, 8, 8, 16) * 1e-2, s.real(3, 3, 16, 16) * 1e-4 } }
  end,
  refused = function(s)
    return { { "expected 2 channels, got 1", s.real(1, 2, 2, 1), s.real(3, 3, 2, 1) },
      { "unknown option 'strides'; did you mean 'stride'?", s.real(1, 2, 2, 1), s.real(3, 3, 1, 1), { strides = 2 } },
      { "option 'stride' must be at least 1", s.real(1, 2, 2, 1), s.real(3, 3, 1, 1), { stride = 0 } },
      { "got nil", s.real(1, 2, 2, 1) } }
  end,
}

local TRANSPOSE = {
  stride = { type = "integer", min = 1, max = windows.MOST, default = 1 },
  padding = { type = { "integer", "string" }, min = 0, max = windows.MOST, choices = { "same", "valid" },
    default = "same" },
  size = { type = "table" },
}

define {
  name = "conv2d_transpose",
  doc = "y:conv2d_transpose(w, {stride = 1, padding = \"same\" | \"valid\" | n, size = {H', W'}}): the convolution "
    .. "turned around, which maps {N, H, W, out} back to {N, H', W', in} with the same filters {height, width, in, "
    .. "out}. Without size, \"same\" gives H * stride, otherwise (H-1) * stride + height less the padding.",
  f = function(y, w, options)
    local o = check.options("conv2d_transpose", options, TRANSPOSE)
    return record(C.conv2d_transpose(y, w, o, o.size), "conv2d_transpose", function(gx, _, graph)
      return windows.transpose_gradients(gx, y, w, o, graph)
    end, saved(tracks(y) and w, tracks(w) and y), y, w)
  end,
  twice = true,
  dtypes = "real",
  special = false,
  reference = function(new, y, w, o)
    o = o or {}
    local stride, padding, size = o.stride or 1, o.padding or "same", o.size or {}
    local shape = { y.shape[1], 0, 0, w.shape[3] }
    for axis = 1, 2 do
      local least = (y.shape[axis + 1] - 1) * stride + w.shape[axis]
      shape[axis + 1] = size[axis] or padding == "same" and y.shape[axis + 1] * stride
        or least - 2 * (padding == "valid" and 0 or padding)
    end
    local sums = {}
    local image = { shape = shape }
    new(y.shape, function(p)
      under(image, w.shape, { stride = stride, padding = padding }, p, 1, "same", function(i, j, row, column)
        for c = 1, w.shape[3] do
          local key = table.concat({ p[1], row, column, c }, ",")
          sums[key] = (sums[key] or 0) + y:at(p) * w:at { i, j, c, p[4] }
        end
      end)
      return 0
    end)
    return new(shape, function(p) return sums[table.concat(p, ",")] or 0 end)
  end,
  samples = function(s)
    return { { s.real(1, 2, 2, 2), s.real(3, 3, 1, 2) }, { s.real(2, 2, 2, 1), s.real(2, 2, 2, 1), { stride = 2 } },
      { s.real(1, 2, 3, 1), s.real(2, 3, 2, 1), { padding = "valid" } },
      { s.real(1, 2, 2, 1), s.real(3, 3, 1, 1), { stride = 2, size = { 3, 4 } } },
      { s.real(1, 3, 3, 1), s.real(3, 3, 1, 1), { padding = 1 } }, { s.real(0, 2, 2, 1), s.real(2, 2, 1, 1) } }
  end,
  refused = function(s)
    return { { "expected 2 channels, got 1", s.real(1, 2, 2, 1), s.real(3, 3, 2, 2) },
      { "unknown option 'bias'", s.real(1, 2, 2, 1), s.real(3, 3, 1, 1), { bias = s.real(1) } },
      { "got nil", s.real(1, 2, 2, 1) } }
  end,
}

for _, name in ipairs { "maxpool2d", "avgpool2d" } do
  local maximum = name == "maxpool2d"
  define {
    name = name,
    doc = ("x:%s(kernel, {stride = kernel, padding = \"valid\" | \"same\" | n}): the %s kernel, stride and n: numbers "
      .. "or {height, width}."):format(name, maximum and "largest value of every window; ties go to the first, NaN is "
      .. "larger than any number, and padding never wins;" or "mean of every window; padding is not counted;"),
    f = maximum and function(x, kernel, options) return fused.maxpool2d(x, kernel, options, false) end
      or windows.avgpool2d,
    twice = true,
    dtypes = "real",
    special = maximum,
    reference = function(new, x, kernel, o)
      o = o or {}
      local size = type(kernel) == "table" and kernel or { kernel, kernel }
      return new(shape_of(x, size, o, x.shape[4], nil, "valid"), function(p)
        local largest, sum, count = nil, 0, 0
        under(x, size, o, p, nil, "valid", function(_, _, row, column)
          local value = x:at { p[1], row, column, p[4] }
          if not largest or value > largest or value ~= value then largest = value end
          sum, count = sum + value, count + 1
        end)
        return maximum and largest or sum / count
      end)
    end,
    samples = function(s)
      return { { s.real(1, 4, 4, 2), 2 }, { s.real(1, 5, 4, 1), 2, { stride = 1 } },
        { s.real(1, 5, 5, 1), 2, { padding = "same" } }, { s.real(1, 5, 5, 2), 2, { padding = 1, stride = 2 } },
        { s.real(1, 3, 6, 2), { 1, 3 } }, { s.real(2, 6, 6, 1), 3, { stride = { 2, 1 } } }, { s.real(0, 4, 4, 1), 2 },
        { s.real(2, 14, 14, 8), 2 } }
    end,
    refused = function(s)
      return { { "expected images {batch, height, width, channels}, got {2, 2}", s.real(2, 2), 2 },
        { "expected a window, an integer of at least 1 or {height, width}, got nil", s.real(1, 4, 4, 1) },
        { "option 'stride' must be an integer of at least 1", s.real(1, 4, 4, 1), 2, { stride = 0 } },
        { "unknown option 'pad'", s.real(1, 4, 4, 1), 2, { pad = 1 } } }
    end,
  }
end

return records
