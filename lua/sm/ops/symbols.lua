--- Expressions as graphs: what a function that is called with symbols computes.
-- A node is { id=, graph=, op=, [1], [2], [3]=operands } with op one of runtime.expression.operations, "detach" (its
-- operand, through which no gradient passes), "given" (its first operand, whose gradient by the second is the third),
-- "input", or "number" with value=. What is computed alike is one node.
-- Nodes are simplified only where every result keeps its bits. A symbol is what a user's function has of a node.
-- @module sm.ops.symbols
local runtime = require "sm.runtime"
local check = require "sm.check"
local fail = require "sm.fail"

local is_tensor = runtime.tensor.is_tensor
local M = {}

-- Graphs --------------------------------------------------------------------------------------------------

--- An empty graph. Its nodes are in order: each comes after its operands.
function M.graph() return { known = {} } end

local function append(graph, node)
  node.id, node.graph = #graph + 1, graph
  graph[node.id] = node
  return node
end

function M.input(graph) return append(graph, { op = "input" }) end

--- The node of a number.
function M.number(graph, value)
  local key = "number " .. string.pack("n", value)
  local node = graph.known[key]
  if not node then
    node = append(graph, { op = "number", value = value + 0.0 })
    graph.known[key] = node
  end
  return node
end

local function is_number(node, value)
  return node.op == "number" and (value == nil or node.value == value)
end

local FOLDED = {
  neg = function(a) return -a end,
  add = function(a, b) return a + b end,
  sub = function(a, b) return a - b end,
  mul = function(a, b) return a * b end,
  div = function(a, b) return a / b end,
}

-- A node that has the result of another operation, or nil.
local SIMPLER = {
  neg = function(a) return a.op == "neg" and a[1] or nil end,
  add = function(a, b)
    if b.op == "neg" then return M.apply("sub", a, b[1]) end
    if a.op == "neg" then return M.apply("sub", b, a[1]) end
  end,
  sub = function(a, b)
    if b.op == "neg" then return M.apply("add", a, b[1]) end
    return is_number(b, 0) and 1 / b.value > 0 and a or nil
  end,
  mul = function(a, b) return is_number(b, 1) and a or is_number(a, 1) and b or nil end,
  div = function(a, b) return is_number(b, 1) and a or nil end,
  pow = function(a, b) return is_number(b, 1) and a or nil end,
  where = function(c, a, b)
    if a == b then return a end
    if is_number(c) then return c.value ~= 0 and a or b end
  end,
}

local ORDERLESS = { add = true, mul = true, eq = true, ne = true }

--- The node of an operation on nodes of one graph.
function M.apply(op, a, b, c)
  local graph, fold, simpler = a.graph, FOLDED[op], SIMPLER[op]
  if fold and is_number(a) and (not b or is_number(b)) then
    return M.number(graph, fold(a.value, b and b.value))
  end
  local same = simpler and simpler(a, b, c)
  if same then return same end
  local first, second = a.id, b and b.id or 0
  if ORDERLESS[op] and first > second then first, second = second, first end
  local key = ("%s %d %d %d"):format(op, first, second, c and c.id or 0)
  local node = graph.known[key]
  if not node then
    node = append(graph, { op = op, a, b, c })
    graph.known[key] = node
  end
  return node
end

-- Symbols -------------------------------------------------------------------------------------------------

local hidden <const> = setmetatable({}, { __mode = "k" }) -- symbol → its node, which no script sees

local Symbol = { __name = "symbol of sm.pointwise", __metatable = false }

function M.is_symbol(value)
  return type(value) == "table" and debug.getmetatable(value) == Symbol
end

--- What a user's function gets for a node.
function M.symbol(node)
  local symbol = setmetatable({}, Symbol)
  hidden[symbol] = node
  return symbol
end

--- The node of a symbol of this graph; raises on one of another.
function M.node(symbol, graph)
  local node = hidden[symbol]
  if node.graph ~= graph or graph.closed then
    fail "pointwise: a symbol is of use only in the call of the function that was given it"
  end
  return node
end

local VANISHING = { add = { true, true }, sub = { true, true }, mul = { true, true }, div = { true, false } }

--- Whether an operand that is nearly 0 may become it: a summand or a factor may.
function M.may_vanish(op, position) return VANISHING[op] ~= nil and VANISHING[op][position] end

--- The number that a kernel has of one, and whether it is one, too: not infinite, nor 0 unless it may vanish.
function M.rounded(value, may_vanish)
  local kept = runtime.math.rounded(value)
  return kept, (kept - kept == 0) == (value - value == 0) and (may_vanish or (kept == 0) == (value == 0))
end

local function check_number(op, position, value)
  local kept, fits = M.rounded(value, M.may_vanish(op, position))
  if not fits then fail("pointwise: the number %s does not fit %s, where it is %g", value, runtime.real, kept) end
end

local function node_of(op, position, value, graph)
  if M.is_symbol(value) then return M.node(value, graph) end
  if type(value) == "number" then
    check_number(op, position, value)
    return M.number(graph, value)
  end
  if is_tensor(value) then
    fail("pointwise: '%s' got a %s from outside the function; give it to the function as one more argument", op,
      check.describe(value))
  end
  fail("pointwise: '%s' expected a symbol or a number as operand %d, got %s", op, position, check.describe(value))
end

--- The nodes of symbols and numbers, at least one a symbol.
local function nodes_of(op, ...)
  local graph, nodes = nil, {}
  for i = 1, select("#", ...) do
    local value = select(i, ...)
    if not graph and M.is_symbol(value) then graph = hidden[value].graph end
  end
  for i = 1, select("#", ...) do nodes[i] = node_of(op, i, (select(i, ...)), graph) end
  return nodes, graph
end

--- A symbol whose gradient by another one is said to be a third: an expression of its own, in fewer steps.
function M.with_slope(value, x, slope) return M.operate("given", value, x, slope) end

--- An operation on symbols and numbers, at least one a symbol.
function M.operate(op, ...) return M.symbol(M.apply(op, table.unpack((nodes_of(op, ...))))) end

--- A node of another graph, with symbols and numbers, at least one a symbol, in the place of its inputs.
function M.substitute(root, inputs, ...)
  local nodes, graph = nodes_of("pointwise", ...)
  local into = {}
  for i, input in ipairs(inputs) do into[input] = nodes[i] end
  for id = 1, root.id do
    local node = root.graph[id]
    if node.op == "number" then
      into[node] = M.number(graph, node.value)
    elseif node.op ~= "input" then
      into[node] = M.apply(node.op, into[node[1]], into[node[2]], into[node[3]])
    end
  end
  return M.symbol(into[root])
end

--- Whether one of some values is a symbol, which an operation on tensors then leaves to M.operate.
function M.any(value, ...)
  return M.is_symbol(value) or select("#", ...) > 0 and M.any(...)
end

local methods, checked = {}, {} -- checked: those that have been asked for, as public functions
for _, op in ipairs { "neg", "exp", "expm1", "log", "log1p", "sqrt", "abs", "sin", "cos", "tanh", "erf", "sigmoid",
  "relu", "softplus", "sign", "floor", "round", "detach" } do
  methods[op] = function(x) return M.operate(op, x) end
end
for _, op in ipairs { "add", "sub", "mul", "div", "pow", "lt", "le", "gt", "ge", "eq", "ne" } do
  methods[op] = function(x, y) return M.operate(op, x, y) end
end

--- A method that is a formula of symbols, unless it is an operation of its own.
function M.add_method(name, f) methods[name] = methods[name] or f end

for _, op in ipairs { "add", "sub", "mul", "div", "pow" } do
  Symbol["__" .. op] = function(a, b) return M.operate(op, a, b) end
end
function Symbol.__unm(x) return M.operate("neg", x) end

local function refuse(what, instead)
  return function()
    fail("pointwise: %s cannot be traced, for the function is called once, with symbols%s", what, instead or "")
  end
end

local CHOOSE <const> = "; choose with sm.where(x:lt(y), a, b)"
Symbol.__lt, Symbol.__le = refuse("'<'", CHOOSE), refuse("'<='", CHOOSE)
Symbol.__eq = refuse("'=='", "; compare with x:eq(y), and choose with sm.where")
Symbol.__len, Symbol.__concat = refuse "the length of a symbol", refuse "'..'"
Symbol.__call, Symbol.__newindex = refuse "calling a symbol", refuse "assigning to a symbol"
Symbol.__mod, Symbol.__idiv = refuse "'%'", refuse("'//'", "; see x:floor()")
for op, sign in pairs { band = "&", bor = "|", bxor = "~", bnot = "~", shl = "<<", shr = ">>" } do
  Symbol["__" .. op] = refuse(("'%s'"):format(sign))
end
Symbol.__pairs = refuse "going through a symbol"
function Symbol.__tostring() return "symbol of sm.pointwise" end

function Symbol.__index(_, key)
  if methods[key] then
    checked[key] = checked[key] or check.public(key, methods[key], { method = true })
    return checked[key]
  end
  if type(key) ~= "string" then
    fail("pointwise: an element of a symbol, [%s], cannot be traced: the function gets every element of its own, and "
      .. "sees no other", check.word(key))
  end
  local names = {}
  for name in pairs(methods) do names[#names + 1] = name end
  table.sort(names)
  fail("pointwise: '%s' of a symbol cannot be traced%s (there are sm.where, sm.maximum, sm.minimum, operators, and the "
    .. "methods %s)", key, check.suggest(key, names), table.concat(names, ", "))
end

return M
