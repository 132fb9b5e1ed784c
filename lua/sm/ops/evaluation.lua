--- Expressions of sm.ops.symbols on Lua's numbers, one element at a time: what references are made of.
-- @module sm.ops.evaluation
local M = {}

local function exp(x) return math.exp(x) end

--- Its series near 0; elsewhere the continued fraction of 1 - erf x (Abramowitz and Stegun 7.1.5, 7.1.14).
local function erf(x)
  local size = math.abs(x)
  if size < 3 then
    local term, sum = x, x
    for k = 1, 120 do
      term = -term * x * x / k
      sum = sum + term / (2 * k + 1)
    end
    return sum * 2 / math.pi ^ 0.5
  elseif size < 6 then
    local tail = 0
    for k = 120, 1, -1 do tail = k / 2 / (size + tail) end
    return (x < 0 and -1 or 1) * (1 - exp(-x * x) / (math.pi ^ 0.5 * (size + tail)))
  end
  return x ~= x and x or x < 0 and -1 or 1
end

local function expm1(x)
  if math.abs(x) > 1e-2 then return exp(x) - 1 end
  return x * (1 + x / 2 * (1 + x / 3 * (1 + x / 4 * (1 + x / 5 * (1 + x / 6 * (1 + x / 7))))))
end

local function log(x) return x < 0 and 0 / 0 or math.log(x) end

local function log1p(x)
  local sum = 1 + x
  if sum == 1 or x == math.huge then return x end
  return log(sum) * (x / (sum - 1)) -- Kahan: the error of the sum cancels
end

local function sigmoid(x) return 1 / (1 + exp(-x)) end

local function round(x)
  if x - x ~= 0 then return x end
  local below = math.floor(x)
  local rest = x - below
  return (rest > 0.5 or rest == 0.5 and below % 2 == 1) and below + 1 or below
end

local function number(holds) return holds and 1 or 0 end

local OPERATIONS <const> = {
  neg = function(a) return -a end, exp = exp, expm1 = expm1, log = log, log1p = log1p,
  sqrt = function(a) return a < 0 and 0 / 0 or a ^ 0.5 end, abs = math.abs, erf = erf,
  normal = function(a) return 0.5 * (1 + erf(a * 0.5 ^ 0.5)) end, sigmoid = sigmoid,
  sin = function(a) return a - a == 0 and math.sin(a) or 0 / 0 end,
  cos = function(a) return a - a == 0 and math.cos(a) or 0 / 0 end,
  tanh = function(a)
    local e = expm1(-2 * math.abs(a))
    return (a < 0 and 1 or -1) * e / (2 + e)
  end,
  relu = function(a) return a <= 0 and 0 or a end,
  softplus = function(a) return (a > 0 and a or 0) + log1p(exp(-math.abs(a))) end,
  sign = function(a) return a > 0 and 1 or a < 0 and -1 or a end,
  floor = function(a) return a - a == 0 and math.floor(a) or a end, round = round,
  add = function(a, b) return a + b end, sub = function(a, b) return a - b end,
  mul = function(a, b) return a * b end, div = function(a, b) return a / b end,
  pow = function(a, b) return (b == 0 or a == 1) and 1 or a ^ b end,
  lt = function(a, b) return number(a < b) end, le = function(a, b) return number(a <= b) end,
  gt = function(a, b) return number(a > b) end, ge = function(a, b) return number(a >= b) end,
  eq = function(a, b) return number(a == b) end, ne = function(a, b) return number(a ~= b) end,
  maximum = function(a, b) return (a > b or a ~= a) and a or b end,
  minimum = function(a, b) return (a < b or a ~= a) and a or b end,
  where = function(c, a, b) return c ~= 0 and a or b end,
  clamp = function(a, b, c) return a < b and b or a > c and c or a end,
  detach = function(a) return a end, given = function(a) return a end,
}

--- What an expression of sm.ops.traced computes of numbers.
function M.evaluate(expression, ...)
  local root, values = expression.roots[1], {}
  for i, input in ipairs(expression.inputs) do values[input] = (select(i, ...)) end
  for id = 1, root.id do
    local node = root.graph[id]
    local a, b, c = node[1], node[2], node[3]
    if node.op == "number" then
      values[node] = node.value
    elseif node.op ~= "input" and OPERATIONS[node.op] then
      values[node] = OPERATIONS[node.op](values[a], values[b], values[c])
    end
  end
  return values[root]
end

return M
