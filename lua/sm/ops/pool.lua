--- Pools of images {N, height, width, channels}. See sm.ops.shape for what a record has.
-- @module sm.ops.pool
local along = require "sm.ops.along"
local arguments = require "sm.ops.arguments"
local fail = require "sm.fail"
local fused = require "sm.fused"
local primitives = require "sm.ops.primitives"
local windowed = require "sm.ops.windowed"
local windows = require "sm.windows"
local shape_text = require "sm.text".shape

local records = {}

local function define(given) records[#records + 1] = given end

local VALID <const> = { padding = "valid" }

--- For references: what a pool gives at a position of the result.
-- @param value function(row, column) of the images
local function pooled(window, p, maximum, counting, value)
  local largest, sum, count = nil, 0, 0
  window.at(p, function(_, _, row, column)
    local own = value(row, column)
    if not largest or own > largest or own ~= own then largest = own end
    sum, count = sum + own, count + 1
  end)
  if maximum then return largest end
  return sum / (counting and window.count(p) or count)
end

for _, name in ipairs { "maxpool2d", "avgpool2d" } do
  local maximum = name == "maxpool2d"
  define {
    name = name,
    options = windows.OPTIONS[name],
    doc = ("x:%s(kernel, {stride = kernel, padding = \"valid\", dilation = 1, partial = false%s}): the %s kernel, "
      .. "stride and dilation: numbers or {height, width}; padding: \"valid\", \"same\", pixels on each side, {height, "
      .. "width} or {top, left, bottom, right}. partial: what is left over at the end gets a window, too (PyTorch's "
      .. "ceil_mode)."):format(name, maximum and "" or ", count_padding = false",
        maximum and "largest value of every window; ties go to the first, NaN is larger than any number, and padding "
        .. "never wins." or "mean of every window, of its pixels on the image or, with count_padding, of the padding "
        .. "too, as zeros."),
    f = maximum and function(x, kernel, options) return fused.maxpool2d(x, kernel, options, false) end
      or windows.avgpool2d,
    twice = true,
    dtypes = "real",
    special = maximum,
    reference = function(new, x, kernel, o)
      local size = type(kernel) == "table" and kernel or { kernel, kernel }
      local window = windowed.window(x.shape, size, o, VALID)
      return new(window.shape(x.shape[4]), function(p)
        return pooled(window, p, maximum, o and o.count_padding, function(row, column)
          return x:at { p[1], row, column, p[4] }
        end)
      end)
    end,
    samples = function(s)
      local all = { { s.real(1, 4, 4, 2), 2 }, { s.real(1, 5, 4, 1), 2, { stride = 1 } },
        { s.real(1, 5, 5, 1), 2, { padding = "same" } }, { s.real(1, 5, 5, 2), 2, { padding = 1, stride = 2 } },
        { s.real(1, 3, 6, 2), { 1, 3 } }, { s.real(2, 6, 6, 1), 3, { stride = { 2, 1 } } }, { s.real(0, 4, 4, 1), 2 },
        { s.real(2, 14, 14, 8), 2 }, { s.real(1, 6, 7, 1), { 2, 3 }, { dilation = { 3, 2 }, stride = 1, padding = 1 } },
        { s.real(1, 5, 6, 2), 2, { partial = true } }, { s.real(1, 4, 5, 1), 3, { stride = { 3, 2 }, partial = true,
          padding = { 1, 0, 0, 1 } } },
        { s.real(1, 2, 3, 1), { 5, 4 }, { stride = 1, padding = { 2, 2, 2, 0 }, partial = true } } }
      if not maximum then
        all[#all + 1] = { s.real(1, 4, 5, 2), 3, { padding = { 1, 0, 2, 1 }, stride = 2, count_padding = true } }
        all[#all + 1] = { s.real(1, 5, 5, 1), 2, { padding = 1, partial = true, count_padding = true } }
        all[#all + 1] = { s.real(1, 5, 4, 1), 3, { padding = "same", stride = 1, count_padding = true } }
      end
      return all
    end,
    refused = function(s)
      return { { "expected images {batch, height, width, channels}, got {2, 2}", s.real(2, 2), 2 },
        { "expected a window, an integer of at least 1 or {height, width}, got nil", s.real(1, 4, 4, 1) },
        { "option 'stride' must be an integer from 1 to 2147483647", s.real(1, 4, 4, 1), 2, { stride = 0 } },
        { "unknown option 'pad'", s.real(1, 4, 4, 1), 2, { pad = 1 } },
        { "some windows of 2x2 hold no pixel", s.real(1, 4, 4, 1), 2, { padding = 2 } },
        { "a window of 3x3 with dilation 2x2 is larger than images {1, 4, 4, 1} with padding 0", s.real(1, 4, 4, 1), 3,
          { dilation = 2 } } }
    end,
  }
end

for _, name in ipairs { "maxpool1d", "avgpool1d" } do
  local maximum = name == "maxpool1d"
  define {
    name = name,
    options = windows.OPTIONS[name],
    doc = ("x:%s(length, {stride = length, padding = \"valid\", dilation = 1, partial = false%s}): the %s of every "
      .. "window over sequences {N, time, channels}, as x:%s has it. padding: \"valid\", \"same\", steps on each side "
      .. "or {before, after}."):format(name, maximum and "" or ", count_padding = false",
        maximum and "largest value" or "mean", maximum and "maxpool2d" or "avgpool2d"),
    f = function(x, length, options)
      local size, o = windows.pool1d(name, name, length, options)
      local shape = arguments.real(name, x).shape
      if #shape ~= 3 then fail("%s: expected sequences {batch, time, channels}, got %s", name, shape_text(shape)) end
      local images = primitives.view(x, { shape[1], 1, shape[2], shape[3] })
      local y = maximum and fused.maxpool2d(images, size, o, false) or windows.avgpool2d(images, size, o)
      return primitives.view(y, { shape[1], y.shape[3], shape[3] })
    end,
    twice = true,
    dtypes = "real",
    special = maximum,
    reference = function(new, x, length, o)
      o = o or {}
      local n, time, channels = table.unpack(x.shape)
      local padding = o.padding
      if type(padding) == "number" then padding = { padding, padding } end
      if type(padding) == "table" then padding = { 0, padding[1], 0, padding[2] } end
      local window = windowed.window({ n, 1, time, channels }, { 1, length }, { stride = { 1, o.stride or length },
        padding = padding, dilation = { 1, o.dilation or 1 }, partial = o.partial }, VALID)
      local shape = window.shape(channels)
      return new({ shape[1], shape[3], shape[4] }, function(p)
        return pooled(window, { p[1], 1, p[2], p[3] }, maximum, o.count_padding, function(_, column)
          return x:at { p[1], column, p[3] }
        end)
      end)
    end,
    samples = function(s)
      return { { s.real(2, 6, 3), 2 }, { s.real(1, 7, 2), 3, { stride = 2, padding = 1 } },
        { s.real(1, 7, 1), 2, { dilation = 3, stride = 1 } }, { s.real(2, 5, 2), 2, { padding = "same" } },
        { s.real(1, 7, 2), 3, { partial = true } }, { s.real(1, 5, 2), 3, { padding = { 2, 0 }, stride = 1,
          count_padding = not maximum or nil } }, { s.real(0, 4, 2), 2 }, { s.real(2, 40, 16), 4 } }
    end,
    refused = function(s)
      return { { "expected sequences {batch, time, channels}, got {2, 4, 4, 1}", s.real(2, 4, 4, 1), 2 },
        { "expected a window, an integer of at least 1, got {1, 2}", s.real(1, 4, 1), { 1, 2 } },
        { "option 'stride' must be an integer, got table", s.real(1, 4, 1), 2, { stride = { 1, 2 } } },
        { "or {before, after}, got string \"sam\"; did you mean 'same'?", s.real(1, 4, 1), 2, { padding = "sam" } },
        { "is larger than", s.real(1, 2, 1), 3 } }
    end,
  }
end

for _, name in ipairs { "global_maxpool", "global_avgpool" } do
  local reduction = name == "global_maxpool" and "max" or "mean"
  define {
    name = name,
    options = along.OPTIONS,
    doc = ("x:%s {keepdim = false}: the %s of each channel over all locations, {N, …, channels} → {N, channels}; with "
      .. "keepdim their axes stay, with size 1."):format(name, reduction == "max" and "largest value" or "mean"),
    f = function(x, options)
      local axes = {}
      for axis = 2, #arguments.real(name, x).shape - 1 do axes[#axes + 1] = axis end
      if not axes[1] then
        fail("%s: expected at least one axis between those of the batch and the channels, got %s", name,
          shape_text(x.shape))
      end
      return x[reduction](x, axes, options)
    end,
    twice = true,
    unnamed = true,
    dtypes = "real",
    special = false,
    reference = function(new, x, o)
      local rank, lists = #x.shape, {}
      new(x.shape, function(p)
        local key = p[1] .. "," .. p[rank]
        lists[key] = lists[key] or {}
        table.insert(lists[key], x:at(p))
        return 0
      end)
      local shape = { x.shape[1] }
      for _ = 2, o and o.keepdim and rank - 1 or 1 do shape[#shape + 1] = 1 end
      shape[#shape + 1] = x.shape[rank]
      return new(shape, function(p)
        local list = lists[p[1] .. "," .. p[#p]]
        if reduction == "max" then return math.max(table.unpack(list)) end
        local sum = 0
        for _, value in ipairs(list) do sum = sum + value end
        return sum / #list
      end)
    end,
    samples = function(s)
      return { { s.real(2, 3, 4, 2) }, { s.real(2, 5, 3) }, { s.real(2, 3, 2, 2), { keepdim = true } },
        { s.real(1, 1, 1, 3) }, { s.real(0, 2, 2, 3) }, { s.real(3, 20, 15, 18) } }
    end,
    refused = function(s)
      return { { "between those of the batch and the channels, got {2, 3}", s.real(2, 3) },
        { "unknown option 'keep'", s.real(2, 3, 4), { keep = true } } }
    end,
  }
end

return records
