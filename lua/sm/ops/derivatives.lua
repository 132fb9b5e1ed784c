--- Derivatives of expressions, as expressions of the same graph.
-- @module sm.ops.derivatives
local symbols = require "sm.ops.symbols"

local apply = symbols.apply

local function number(node, value) return symbols.number(node.graph, value) end

local function nothing() end

local function negative(node) return apply("neg", node) end

local function product(first, second, ...)
  if second == nil then return first end
  return product(apply("mul", first, second), ...)
end

local function less_one(power) return apply("sub", power, number(power, 1)) end

-- For every operation: from its node y and the gradient g of that, the gradients of its operands, nil where there is
-- none. They are what the single operations compute, term by term.
local RULES = {
  detach = nothing, sign = nothing, floor = nothing, round = nothing,
  lt = nothing, le = nothing, gt = nothing, ge = nothing, eq = nothing, ne = nothing,
  neg = negative,
  exp = function(g, y) return product(g, y) end,
  expm1 = function(g, _, a) return product(g, apply("exp", a)) end,
  log = function(g, _, a) return apply("div", g, a) end,
  log1p = function(g, _, a) return apply("div", g, apply("add", a, number(g, 1))) end,
  sin = function(g, _, a) return product(g, apply("cos", a)) end,
  cos = function(g, _, a) return negative(product(g, apply("sin", a))) end,
  erf = function(g, _, a) return apply("erf_backward", g, a) end,
  sqrt = function(g, y) return apply("sqrt_backward", g, y) end,
  abs = function(g, _, a) return apply("abs_backward", g, a) end,
  tanh = function(g, y) return apply("tanh_backward", g, y) end,
  sigmoid = function(g, y) return apply("sigmoid_backward", g, y) end,
  relu = function(g, _, a) return apply("relu_backward", g, a) end,
  softplus = function(g, _, a) return apply("softplus_backward", g, a) end,
  -- of gradients: by the gradient a, by what b it belongs to
  sqrt_backward = function(g, y, _, b)
    return apply("sqrt_backward", g, b), negative(apply("div", product(g, y), b))
  end,
  abs_backward = function(g, _, _, b) return apply("abs_backward", g, b) end,
  tanh_backward = function(g, _, a, b)
    return apply("tanh_backward", g, b), product(g, a, b, number(g, -2))
  end,
  sigmoid_backward = function(g, _, a, b)
    return apply("sigmoid_backward", g, b), product(g, a, apply("sub", number(g, 1), product(b, number(g, 2))))
  end,
  relu_backward = function(g, _, _, b) return apply("relu_backward", g, b) end,
  softplus_backward = function(g, _, a, b)
    return apply("softplus_backward", g, b), product(g, apply("sigmoid_backward", a, apply("sigmoid", b)))
  end,
  normal = function(g, _, a) return apply("normal_backward", g, a) end,
  normal_backward = function(g, y, _, b) return apply("normal_backward", g, b), negative(product(g, y, b)) end,
  erf_backward = function(g, y, _, b)
    return apply("erf_backward", g, b), product(g, y, b, number(g, -2))
  end,
  clamp = function(g, y, a, low, high)
    local zero = number(g, 0)
    return apply("pass", g, a, y), apply("where", apply("lt", a, low), g, zero),
      apply("where", apply("gt", a, high), g, zero)
  end,
  pass = function(g, _, _, b, c) return apply("pass", g, b, c) end,
  given = function(g, _, _, _, slope) return nil, product(g, slope) end,
  add = function(g) return g, g end,
  sub = function(g) return g, apply("neg", g) end,
  mul = function(g, _, a, b) return apply("mul", g, b), apply("mul", g, a) end,
  div = function(g, y, _, b) return apply("div", g, b), apply("neg", apply("div", apply("mul", g, y), b)) end,
  where = function(g, _, c)
    local zero = number(g, 0)
    return nil, apply("where", c, g, zero), apply("where", c, zero, g)
  end,
  pow = function(g, _, a, b)
    if b.op ~= "number" then
      return apply("mul", g, apply("pow_slope", a, b)), apply("mul", g, apply("pow_growth", a, b))
    end
    if b.value == 0 then return nil end
    return apply("mul", g, apply("mul", apply("pow", a, less_one(b)), b))
  end,
  -- b a^(b-1): by a, b times the slope of a^(b-1); by b, a^(b-1) + b a^(b-1) log a
  pow_slope = function(g, _, a, b)
    local less = less_one(b)
    return apply("mul", g, apply("mul", b, apply("pow_slope", a, less))),
      apply("mul", g, apply("add", apply("pow", a, less), apply("mul", b, apply("pow_growth", a, less))))
  end,
  -- a^b log a: by a, a^(b-1) + b a^(b-1) log a; by b, a^b (log a)², 0 where a^b log a is
  pow_growth = function(g, y, a, b)
    local less, zero = less_one(b), number(g, 0)
    return apply("mul", g, apply("add", apply("pow", a, less), apply("mul", b, apply("pow_growth", a, less)))),
      apply("mul", g, apply("where", apply("eq", y, zero), zero, apply("mul", y, apply("log", a))))
  end,
}

for _, op in ipairs { "maximum", "minimum" } do
  local pass = op .. "_pass"
  RULES[op] = function(g, _, a, b) return apply(pass, g, a, b), apply(pass, g, b, a) end
  RULES[pass] = function(g, _, _, b, c) return apply(pass, g, b, c) end
end

local M = {}

local LARGEST_BRANCH <const> = 8 -- nodes

--- Whether a node is computed of inputs in a few steps without a choice.
local function is_plain(node, depends, seen)
  if not depends[node] or seen[node] then return true end
  seen[node], seen.count = true, seen.count + 1
  if seen.count > LARGEST_BRANCH or node.op == "where" then return false end
  for _, operand in ipairs(node) do
    if not is_plain(operand, depends, seen) then return false end
  end
  return true
end

--- The gradients of a root by inputs.
-- @param root node
-- @param gradient node: that of the root
-- @param inputs list of nodes
-- @return list of nodes, in the order of the inputs
function M.of(root, gradient, inputs)
  local graph, depends, arrived = root.graph, {}, { [root] = gradient }
  for _, input in ipairs(inputs) do depends[input] = true end
  for id = 1, root.id do
    local node = graph[id]
    for _, operand in ipairs(node) do depends[node] = depends[node] or depends[operand] end
  end
  for id = root.id, 1, -1 do
    local node = graph[id]
    local g, rule = arrived[node], RULES[node.op]
    local a, b = node[2], node[3]
    if g and node.op == "where" and depends[node] and is_plain(a, depends, { count = 0 })
      and is_plain(b, depends, { count = 0 }) then
      -- One choice between the gradients of both, instead of two gradients, each of which is 0 in places.
      local by_a, by_b = M.of(a, g, inputs), M.of(b, g, inputs)
      for i, input in ipairs(inputs) do
        local part = apply("where", node[1], by_a[i], by_b[i])
        if part.op ~= "number" then arrived[input] = arrived[input] and apply("add", arrived[input], part) or part end
      end
    elseif g and rule and depends[node] then
      local gradients = table.pack(rule(g, node, node[1], node[2], node[3]))
      for i = 1, gradients.n do
        local operand, part = node[i], gradients[i]
        if part and depends[operand] then
          arrived[operand] = arrived[operand] and apply("add", arrived[operand], part) or part
        end
      end
    end
  end
  local found = {}
  for i, input in ipairs(inputs) do found[i] = arrived[input] or symbols.number(graph, 0) end
  return found
end

return M
