--- What a call of a kernel cannot go below: its operations, and the bytes that it has to move, from its arguments and
--- results. A kernel that is not known has bytes alone.
local M = {}

local WIDTHS <const> = { uint8 = 1, int32 = 4, float32 = 4, float64 = 8 }

local function elements(x)
  local count = 1
  for _, size in ipairs(x.shape) do count = count * size end
  return count
end

function M.bytes(x) return elements(x) * WIDTHS[x.dtype] end

local function along(value, axis) return type(value) == "table" and value[axis] or value or 1 end

--- Pixels before the first one that windows of a convolution see.
local function before(padding, axis, size, positions, stride, reach)
  if padding == "valid" then return 0 end
  if padding == "same" then return math.max(0, (positions - 1) * stride + reach - size) // 2 end
  return along(padding, axis)
end

-- Of one axis the pairs of a position and an element of the window there that lie on the image.
local function pairs_on_axis(axis, size, positions, kernel, o)
  local stride, dilation = along(o.stride, axis), along(o.dilation, axis)
  local first = -before(o.padding or "same", axis, size, positions, stride, (kernel - 1) * dilation + 1)
  local count = 0
  for position = 0, positions - 1 do
    for element = 0, kernel - 1 do
      local pixel = first + position * stride + element * dilation
      if pixel >= 0 and pixel < size then count = count + 1 end
    end
  end
  return count
end

--- Operations of the direct sum, without padding. A filter has the channels of its group alone.
local function convolution(x, w, y, o)
  return 2 * x[1] * pairs_on_axis(1, x[2], y[2], w[1], o) * pairs_on_axis(2, x[3], y[3], w[2], o) * w[3] * w[4]
end

-- Products of attention: each of queries, keys, width of all heads, half of them where a step sees none after it.
local function attention(products, q, k, heads, causal)
  local shape = q.shape
  local queries = shape[#shape - 1]
  local keys, rank = (k or q).shape[#shape - 1], #shape
  local width = rank == 4 and shape[2] * shape[4] or shape[3] // (k and 1 or 3)
  local all = 2 * products * shape[1] * queries * keys * width
  return heads and (causal and all / 2 or all) or 0
end

-- Operations of a call, from its arguments and its results.
local operations = {
  matmul = function(given, y) return 2 * elements(y) * given[1].shape[given[3] and 1 or 2] end,
  contract = function(given)
    local plan = given[4]
    local count = 2 * plan[1] * plan[2] * plan[3]
    for i = 11, #plan, 4 do count = count * plan[i] end
    return count
  end,
  conv2d = function(given, y) return convolution(given[1].shape, given[2].shape, y.shape, given[4]) end,
  conv2d_maxpool2d = function(given, _, _, y) return convolution(given[1].shape, given[2].shape, y, given[4]) end,
  conv2d_backward_data = function(given) return convolution(given[3], given[2].shape, given[1].shape, given[4]) end,
  conv2d_backward_filter = function(given) return convolution(given[2].shape, given[3], given[1].shape, given[4]) end,
  conv2d_transpose = function(given, x) return convolution(x.shape, given[2].shape, given[1].shape, given[3]) end,
  ["recurrent.forward"] = function(given) return 2 * elements(given[2]) * given[3].shape[1] end,
  ["recurrent.backward"] = function(given) return 2 * elements(given[2]) * given[3].shape[1] end,
  ["attention.forward"] = function(given) return attention(2, given[1], given[2], given[5], given[6]) end,
  ["attention.backward"] = function(given) return attention(5, given[4], given[5], given[8], given[9]) end,
}

--- @param name string of the kernel
--- @param given table its arguments
--- @return number operations, 0 where they are not counted
function M.operations(name, given, ...)
  local count = operations[name]
  return count and count(given, ...) or 0
end

return M
