--- What a layer sees of the image: the receptive field of each of its locations, and the mean of the image
-- over it, weighted by how much each channel responds there.
-- @module sm.view.field
local chain = require "sm.view.chain"
local runtime = require "sm.runtime"
local tensor = require "sm.tensor"

local M = {}

-- What is one number for both axes or {down, across}, of an axis.
local function on_axis(value, axis)
  return type(value) == "table" and value[axis] or value
end

--- Pixels of padding before the first row (axis 1) or column (axis 2) of a window layer's input.
-- @param kernel pixels that the window spans
local function padding_before(layer, axis, kernel)
  local padding = layer.window.padding
  if padding == "valid" then return 0 end
  if padding ~= "same" then return on_axis(padding, axis) end
  local reach = (layer.output_shape[axis] - 1) * on_axis(layer.window.stride, axis) + kernel
  return math.max(0, reach - layer.input_shape[axis]) // 2
end

local function is_image(shape)
  return #shape == 3
end

--- The receptive field of a layer's locations, from the windows of the layers up to it. A layer that is no
-- window and keeps height and width works on each location by itself; any other sees the whole image, and so does a
-- container whose layers do not stand in a row.
-- @param layer built, of a model of images {height, width, channels}
-- @return {size={rows, columns}, before={…} pixels that the first location sees above and left of the image,
--   step={down, across} pixels from one location to the next, whole= true where each location sees the whole image}
function M.of(layer)
  local leaves = chain.up_to(layer)
  local image = leaves[1].input_shape
  local field = { size = { 1, 1 }, before = { 0, 0 }, step = { 1, 1 }, whole = false }
  for _, leaf in ipairs(leaves) do
    if leaf.window then
      for axis = 1, 2 do
        local kernel, step = (leaf.kernel[axis] - 1) * leaf.window.dilation[axis] + 1, field.step[axis]
        field.size[axis] = field.size[axis] + (kernel - 1) * step
        field.before[axis] = field.before[axis] + padding_before(leaf, axis, kernel) * step
        field.step[axis] = step * on_axis(leaf.window.stride, axis)
      end
    elseif leaf.layers or not is_image(leaf.output_shape) or leaf.output_shape[1] ~= leaf.input_shape[1]
      or leaf.output_shape[2] ~= leaf.input_shape[2] then
      field.whole = true
    end
  end
  if field.whole then field = { size = { image[1], image[2] }, before = { 0, 0 }, step = { 1, 1 }, whole = true } end
  return field
end

local function greatest_divisor(a, b)
  while b > 0 do a, b = b, a % b end
  return a
end

-- Images with zeros between their pixels, so that these are `spread` {down, across} apart.
local function spread_out(x, spread)
  local shape, window = x.shape, { stride = spread, padding = "valid" }
  if spread[1] == 1 and spread[2] == 1 then return x end
  for axis = 1, 2 do shape[axis + 1] = (shape[axis + 1] - 1) * spread[axis] + 1 end
  local first = tensor.zeros(x.shape):to "uint8" -- of windows of one pixel
  return runtime.conv.maxpool2d_backward(x, first, shape, { 1, 1 }, window)
end

local Mean = {}
Mean.__index = Mean

--- Starts a mean of patches.
-- @param layer whose locations are meant
-- @param channels how many weights each location has
function M.mean(layer, channels)
  local image = chain.up_to(layer)[1].input_shape
  local field = M.of(layer)
  local places = field.whole and { 1, 1 } or layer.output_shape
  -- One convolution whose windows start at the same pixels, and between them where steps down and across differ: padded
  -- alike on all sides, its windows reach beyond the field, and what is beyond is cut off at the end.
  local padding, kernel, step = 0, {}, field.step
  for axis = 1, 2 do
    local seen = (places[axis] - 1) * step[axis] - field.before[axis] + field.size[axis] -- up to this row
    padding = math.max(padding, field.before[axis], seen - image[axis])
  end
  for axis = 1, 2 do kernel[axis] = image[axis] + 2 * padding - (places[axis] - 1) * step[axis] end
  local common = greatest_divisor(step[1], step[2])
  return setmetatable({
    field = field, padding = padding, places = places, depth = image[3], channels = channels,
    shape = { kernel[1], kernel[2], image[3], channels },
    window = { stride = common, padding = padding }, spread = { step[1] // common, step[2] // common },
    patches = tensor.zeros { kernel[1], kernel[2], image[3], channels }, weights = tensor.zeros { channels },
  }, Mean)
end

--- Takes in a batch of images. The patches, weighted, summed over all locations, are what a convolution's
-- filters get as gradient when the weights come back as the gradient of its output.
-- @param weights real {count, …, channels} of at least 0, one for each location
-- @param x real {count, height, width, depth}
function Mean:add(weights, x)
  local count = #x
  local rows = weights:reshape(count, -1, self.channels)
  if self.field.whole then rows = rows:sum(2) end
  local gradient = rows:reshape(count, self.places[1], self.places[2], self.channels)
  gradient = spread_out(gradient, self.spread)
  local sum = runtime.conv.conv2d_backward_filter(gradient, x, self.shape, self.window, false)
  self.patches = self.patches + sum
  self.weights = self.weights + weights:reshape(-1, self.channels):sum(1)
end

--- Rows first+1 … first+count of a matrix-like view {rows, rest} of x.
local function cut(x, rows, first, count)
  return x:reshape(rows, -1):slice(first + 1, first + count)
end

--- The mean patch of each channel; what lies outside the image counts as 0. A channel that never responded
-- has 0.
-- @return real {rows, columns, depth, channels}
function Mean:result()
  local field, rest = self.field, self.depth * self.channels
  local rows = cut(self.patches, self.shape[1], self.padding - field.before[1], field.size[1])
  local turned = rows:reshape(field.size[1], self.shape[2] * rest):transpose()
  local first = (self.padding - field.before[2]) * rest
  local columns = turned:slice(first + 1, first + field.size[2] * rest):transpose()
  local sums = columns:reshape(field.size[1], field.size[2], self.depth, self.channels)
  return sums / self.weights:clamp(1e-30, math.huge)
end

return M
