--- For the references of operations with windows: which pixels each window sees, by its options as users give them.
-- @module sm.ops.windowed
local M = {}

-- What is one number for both axes or {down, across}, of an axis.
local function on_axis(value, axis, default)
  if value == nil then return default end
  return type(value) == "table" and value[axis] or value
end

-- How many positions a window has on an axis, the padding in front of the first pixel and that behind the last.
local function plan(size, reach, stride, padding, axis, partial)
  if padding == "same" then
    local count = (size + stride - 1) // stride
    local whole = math.max(0, (count - 1) * stride + reach - size)
    return count, whole // 2, whole - whole // 2
  end
  local before = padding == "valid" and 0 or on_axis(padding, axis)
  local after = type(padding) == "table" and padding[axis + 2] or before
  local left = size + before + after - reach
  local count = partial and math.max(0, left + stride - 1) // stride + 1 or left // stride + 1
  if partial and (count - 1) * stride >= size + before then count = count - 1 end
  return count, before, after
end

--- A window over images: `at(p, visit)` calls visit(kernel row, column, row, column) for each pixel that it sees at
-- output position p, `count(p)` counts its elements on the image and its padding; `shape(channels)` is the result's.
-- @param shape of the images
-- @param kernel {height, width}
-- @param o options or nil
-- @param default {stride=, padding=} for what is not given
function M.window(shape, kernel, o, default)
  o = o or {}
  local axes = {}
  for axis = 1, 2 do
    local stride = on_axis(o.stride, axis, default.stride or kernel[axis])
    local dilation, padding = on_axis(o.dilation, axis, 1), o.padding or default.padding
    local size = shape[axis + 1]
    local count, before, after = plan(size, (kernel[axis] - 1) * dilation + 1, stride, padding, axis, o.partial)
    axes[axis] = { stride = stride, dilation = dilation, count = count, before = before, size = size, after = after }
  end
  local function elements(p, visit)
    local down, across = axes[1], axes[2]
    for i = 1, kernel[1] do
      for j = 1, kernel[2] do
        visit(i, j, (p[2] - 1) * down.stride - down.before + (i - 1) * down.dilation + 1,
          (p[3] - 1) * across.stride - across.before + (j - 1) * across.dilation + 1)
      end
    end
  end
  local window = {}
  function window.at(p, visit)
    elements(p, function(i, j, row, column)
      if row >= 1 and row <= axes[1].size and column >= 1 and column <= axes[2].size then visit(i, j, row, column) end
    end)
  end
  function window.count(p)
    local count = 0
    elements(p, function(_, _, row, column)
      if row <= axes[1].size + axes[1].after and column <= axes[2].size + axes[2].after then count = count + 1 end
    end)
    return count
  end
  function window.shape(channels) return { shape[1], axes[1].count, axes[2].count, channels } end
  return window
end

return M
