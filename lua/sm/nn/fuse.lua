--- Which neighbours in a row of layers one pass over memory does, with the bits of the separate ones. Only where nobody
--- looks on: whoever does sees each layer.
local fused = require "sm.fused"
local T = require "sm.runtime".tensor

local is_tensor, sizes <const> = T.is_tensor, T.sizes

local M = {}

-- Whether images have the size that a layer was built for, so that no window in a row of layers is too large for them.
local function is_as_built(layer, x)
  local built = layer.input_shape
  if not built or not is_tensor(x) then return false end
  local _, height, width, channels, more = sizes(x)
  return channels and not more and #built == 3 and height == built[1] and width == built[2]
end

-- What one pass does: the constructors of the layers; `does`, the position of the one that errors name; `run`, which
-- gives a function (that layer, x) → y for the layers from i on; `fits`, whether it can take x. The longest come first.
local RULES <const> = {
  { "nn.conv2d", "nn.relu", "nn.maxpool2d", does = 1, fits = is_as_built, run = function(layers, i)
    local pool = layers[i + 2]
    return function(conv, x)
      return fused.conv2d_maxpool2d(x, conv.weight, conv.window, pool.kernel, pool.window, true)
    end
  end },
  { "nn.conv2d", "nn.maxpool2d", does = 1, fits = is_as_built, run = function(layers, i)
    local pool = layers[i + 1]
    return function(conv, x)
      return fused.conv2d_maxpool2d(x, conv.weight, conv.window, pool.kernel, pool.window, false)
    end
  end },
  { "nn.linear", "nn.relu", does = 1, run = function()
    return function(linear, x) return fused.linear(x, linear.weight, linear.bias, true) end
  end },
  { "nn.relu", "nn.maxpool2d", does = 2, run = function()
    return function(pool, x) return fused.maxpool2d(x, pool.kernel, pool.window, true) end
  end },
}

-- A batchnorm in training, and what comes after it.
table.insert(RULES, { "nn.batchnorm", "nn.relu", does = 1, run = function()
  return function(norm, x) return norm:with(x, nil, true) end
end, fits = function(norm, x) return norm:takes_more(x) end })
table.insert(RULES, { "nn.batchnorm", "nn.relu6", does = 1, run = function()
  return function(norm, x) return norm:with(x, nil, 6) end
end, fits = function(norm, x) return norm:takes_more(x) end })

-- A residual block whose addition follows a batchnorm in training: see nn.residual.
table.insert(RULES, { "nn.residual", "nn.relu", does = 1, run = function()
  return function(residual, x) return residual:joined(x, true) end
end, fits = function(residual) return residual:ends_in_norm() end })

local by_first = {}
for _, rule in ipairs(RULES) do
  by_first[rule[1]] = by_first[rule[1]] or {}
  table.insert(by_first[rule[1]], rule)
end

local function follows(rule, layers, i, last)
  local length <const> = #rule
  if i + length - 1 > last then return false end
  for step = 2, length do
    local layer = layers[i + step - 1]
    if type(layer) ~= "table" or layer.constructor ~= rule[step] then return false end
  end
  return true
end

--- What is done next in a row of layers.
--- @param i integer the position of the next layer
--- @param last integer that of the last
--- @param x tensor its input
--- @return integer how many layers it does
--- @return table the layer that does them
--- @return function|nil (layer, x) → y; nil where it is the layer by itself
function M.at(layers, i, last, x)
  local first = layers[i]
  local rules <const> = by_first[first.constructor]
  for k = 1, rules and #rules or 0 do
    local rule <const> = rules[k]
    if follows(rule, layers, i, last) and (not rule.fits or rule.fits(first, x)) then
      return #rule, layers[i + rule.does - 1], rule.run(layers, i)
    end
  end
  return 1, first
end

return M
