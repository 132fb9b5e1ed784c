--- Containers: layers one after the other, and the residual block x + f(x).
local check = require "sm.check"
local fail = require "sm.fail"
local layer = require "sm.nn.layer"

-- Splits what a container was given into its options and the array of its layers.
local function split(where, given)
  local options, layers, last = {}, {}, 0
  for key, value in pairs(given) do
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

-- The layer that does the work of two in a row, one of them relu, in one pass over memory and with the same bits; nil
-- where there is none. Whoever looks on sees each layer by itself.
local function doing_both(first, second)
  if not second then return nil end
  if first.kind == "linear" and second.kind == "relu" then return first end
  if first.kind == "relu" and second.kind == "maxpool2d" then return second end
  return nil
end

local function chain(self, x, observer)
  local layers, i = self.layers, 1
  while i <= #layers do
    local both = not observer and doing_both(layers[i], layers[i + 1])
    x = (both or layers[i]):apply(x, observer, both and true)
    i = i + (both and 2 or 1)
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
        layer.shape_text(x.shape), layer.shape_text(y.shape))
    end
    return x + y
  end,
  describe = function() return "x + f(x)" end,
})

return M
