--- How smooth filters are, how different from one another, and how many of them are used: numbers without a
-- unit.
--
-- Roughness is the mean square difference of neighbouring pixels over twice their mean square: von Neumann's
-- ratio (1941), or Geary's (1954) without centring, on the filter's grid. It is 0 for one even patch, 1 on
-- average for white noise, 2 for a checkerboard.
--
-- Spread is the number of dimensions that the filters' directions fill: the participation ratio (Σλ)²/Σλ² of
-- the eigenvalues of their Gram matrix. It is 1 where all are multiples of one filter, n for n orthogonal
-- ones. Neither changes when a filter is multiplied by a number.
--
-- Both are of filters less their mean: over the filters of a group where a softmax follows, which is blind to what
-- its options have in common, over all filters where another activation does (or a softmax with an option of its
-- own, `off`, beside each group). What is compared is how features differ from one another. Were the common part
-- left in where it has an effect, it would count there and not with a softmax: 32 filters of 5×5 pixels of noise with
-- one pattern, somewhat larger, added to all of them fill 2 or 3 dimensions as they are, 14 less their mean.
--
-- Filters that nobody listens to keep the noise that they began with. So both are weighted by use: a filter's
-- share of the variance of the layer's activations, over images and locations. `used` is the effective share
-- of filters, 1/(n Σ share²): 1 where all are used alike, 1/n where one is. It shows how much the other two
-- leave out.
-- @module sm.view.measure
local define = require "sm.columns".define

local M = {}

--- The names of the numbers, as they end columns of metrics.csv.
M.names = define { heading = "Filters",
  { "roughness", words = "how much neighbouring pixels of a filter differ: 0 for an even patch, 1 for white noise, 2 "
    .. "for a checkerboard" },
  { "spread", words = "how many dimensions the filters' directions fill: 1 where all are multiples of one filter" },
  { "used", words = "the effective share of the filters that do something: 1 where all are used alike" },
}

--- The numbers of a tensor in one flat table.
local function flat(x)
  return x:reshape(-1):totable()
end

local function square_sum(values)
  local sum = 0
  for _, value in ipairs(values) do sum = sum + value * value end
  return sum
end

--- @param filter real {rows, columns} or {rows, columns, channels}
-- @return nil where there is nothing to compare: a filter of one pixel, or of zeros alone
function M.roughness(filter)
  local rows, columns, channels = table.unpack(filter.shape)
  channels = channels or 1
  local values, width = flat(filter), columns * channels
  local squares, differences = square_sum(values), 0
  local neighbours = ((rows - 1) * columns + rows * (columns - 1)) * channels
  if squares == 0 or neighbours == 0 then return nil end
  for i, value in ipairs(values) do
    local above = i > width and value - values[i - width] or 0
    local left = (i - 1) % width >= channels and value - values[i - channels] or 0
    differences = differences + above ^ 2 + left ^ 2
  end
  return differences / neighbours / (2 * squares / #values)
end

--- @param filters array of real tensors of one shape
-- @param shares of use, of at least 0, which add up to 1; those of filters of zeros are left out
-- @return nil where no filter that is used is other than zero
function M.spread(filters, shares)
  local directions, weights, total = {}, {}, 0
  for i, filter in ipairs(filters) do
    local values = flat(filter)
    local length = math.sqrt(square_sum(values))
    if length > 0 and shares[i] > 0 then
      for k, value in ipairs(values) do values[k] = value / length end
      directions[#directions + 1], weights[#weights + 1] = values, shares[i]
      total = total + shares[i]
    end
  end
  if total == 0 then return nil end
  local sum = 0
  for i, one in ipairs(directions) do
    for k = 1, i do
      local cosine = 0
      for p, value in ipairs(directions[k]) do cosine = cosine + value * one[p] end
      sum = sum + (k < i and 2 or 1) * weights[i] * weights[k] * cosine * cosine
    end
  end
  return total * total / sum
end

--- @param filters array of real tensors of one shape, less their mean
-- @param variances of the filters' activations
-- @return {roughness=, spread=, used=}; nil for the first two where no filter is used
function M.filters(filters, variances)
  local total = 0
  for _, variance in ipairs(variances) do total = total + variance end
  if total == 0 then return { used = 0 } end
  local shares, roughness, compared = {}, 0, 0
  for i, filter in ipairs(filters) do
    shares[i] = variances[i] / total
    local own = M.roughness(filter)
    if own then roughness, compared = roughness + shares[i] * own, compared + shares[i] end
  end
  return {
    roughness = compared > 0 and roughness / compared or nil,
    spread = M.spread(filters, shares),
    used = 1 / (#filters * square_sum(shares)),
  }
end

return M
