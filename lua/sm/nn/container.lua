--- Containers: layers one after the other, and the residual block x + f(x).
local check = require "sm.check"
local fail = require "sm.fail"
local layer = require "sm.nn.layer"
local shape_text = require "sm.text".shape

-- Splits what a container was given into its options and the array of its layers.
local function split(where, given)
  local options, layers, last = {}, {}, 0
  for key, value in check.each(where, given) do
    if math.type(key) == "integer" and key > 0 then
      layers[key] = value
      last = math.max(last, key)
    else
      options[key] = value
    end
  end
  if last == 0 then fail("%s needs at least one layer", where) end
  for position = 1, last do
    if not layer.is(layers[position]) then
      fail("%s: argument %d must be a layer, got %s", where, position, check.describe(layers[position]))
    end
  end
  return options, layers
end

-- Whether images have the size that a layer was built for, so that no window in a row of layers is too large for them.
local function is_as_built(self, x)
  local shape, built = x.shape, self.input_shape
  return built and #shape == 4 and shape[2] == built[1] and shape[3] == built[2]
end

-- Which layers in a row one of them does in one pass over memory, with the same bits: how many from `i` on, and that
-- layer with what its `forward` takes for it; 1 where each goes by itself. Whoever looks on sees each layer.
local function in_one_pass(layers, i, x)
  local first, second, third = layers[i], layers[i + 1], layers[i + 2]
  if not second then return 1, first end
  if first.kind == "linear" and second.kind == "relu" then return 2, first, true end
  if first.kind == "relu" and second.kind == "maxpool2d" then return 2, second, true end
  local relu = second.kind == "relu"
  local pool = relu and third or second
  if first.kind == "conv2d" and pool and pool.kind == "maxpool2d" and is_as_built(first, x) then
    return relu and 3 or 2, first, pool, relu
  end
  return 1, first
end

local function chain(self, x, observer)
  local layers, i = self.layers, 1
  while i <= #layers do
    if observer then
      x = layers[i]:apply(x, observer)
      i = i + 1
    else
      local count, doing, with, relu = in_one_pass(layers, i, x)
      x = doing:apply(x, nil, with, relu)
      i = i + count
    end
  end
  return x
end

local function same_shape(a, b)
  if #a ~= #b then return false end
  for axis, size in ipairs(a) do
    if b[axis] ~= size then return false end
  end
  return true
end

local M = {}

--- Layers one after the other: nn.sequential { layer, … }.
M.sequential = layer.define("sequential", { container = split, forward = chain })

--- A residual block, y = x + f(x), where f is the layers one after the other: nn.residual { layer, … }.
--- f must keep the shape. He et al. 2016, arxiv.org/abs/1512.03385.
M.residual = layer.define("residual", {
  container = split,
  forward = function(self, x, observer)
    local y = chain(self, x, observer)
    if not same_shape(x.shape, y.shape) then
      self:fail(x, observer, "x + f(x) needs equal shapes, but f turned %s into %s",
        shape_text(x.shape), shape_text(y.shape))
    end
    return x + y
  end,
  describe = function() return "x + f(x)" end,
})

return M
