--- Functions of one element, arithmetic, comparisons, choices. A form is function(graph, call, …) of what the operation
-- was given, with values in the place of tensors; it gives the names of what the operation gave.
-- @module sm.onnx.forms.pointwise
local runtime = require "sm.runtime"
local sizes = require "sm.onnx.sizes"

local REAL <const> = runtime.real
local forms = {}

-- What an operation of sm.ops.symbols is called in ONNX, where it is one operator.
local SAME <const> = {
  neg = "Neg", exp = "Exp", log = "Log", sqrt = "Sqrt", abs = "Abs", tanh = "Tanh", sigmoid = "Sigmoid", relu = "Relu",
  softplus = "Softplus", sin = "Sin", cos = "Cos", erf = "Erf", sign = "Sign", floor = "Floor", round = "Round",
  add = "Add", sub = "Sub", mul = "Mul", div = "Div", pow = "Pow", maximum = "Max", minimum = "Min",
}
local COMPARISONS <const> = { lt = "Less", le = "LessOrEqual", gt = "Greater", ge = "GreaterOrEqual", eq = "Equal" }

--- An operand: a value, or a number of a type, which may depend on the size of the batch.
local function operand(g, x, dtype)
  if sizes.varies(x) then return g:reshape(g:cast(g:sizes { x }, dtype or REAL), {}) end
  return type(x) == "number" and g:number(x, dtype) or x
end

for name, op in pairs(SAME) do
  forms[name] = function(g, _, a, b) return g:node(op, { operand(g, a), b and operand(g, b) or nil }) end
end

--- Which of two numbers is the larger and so on, as bool. What differs in type is compared in double.
local function compared(g, name, a, b)
  if name == "ne" then return g:node("Not", { compared(g, "eq", a, b) }) end
  return g:node(COMPARISONS[name], { a, b })
end

for _, name in ipairs { "lt", "le", "gt", "ge", "eq", "ne" } do
  forms[name] = function(g, _, a, b)
    local function is_number(x) return type(x) == "number" or sizes.varies(x) end
    local function wide(x) return is_number(x) and operand(g, x, "float64") or g:cast(x, "float64") end
    local real = (is_number(a) or a.dtype == REAL) and (is_number(b) or b.dtype == REAL)
    if real then return g:cast(compared(g, name, operand(g, a), operand(g, b)), "uint8") end
    return g:cast(compared(g, name, wide(a), wide(b)), "uint8")
  end
end

function forms.where(g, _, condition, a, b)
  local dtype = type(a) == "table" and a.dtype or type(b) == "table" and b.dtype or REAL
  return g:node("Where", { g:cast(condition, "bool"), operand(g, a, dtype), operand(g, b, dtype) })
end

function forms.isfinite(g, _, x)
  if x.dtype ~= REAL then x = g:cast(x, REAL) end
  local not_one = g:node("Or", { g:node("IsNaN", { x }), g:node("IsInf", { x }) })
  return g:cast(g:node("Not", { not_one }), "uint8")
end

function forms.to(g, _, x, dtype) return g:cast(x, dtype) end
function forms.clone(g, _, x) return g:node("Identity", { x }) end

-- Formulas ------------------------------------------------------------------------------------------------

local function one(g) return g:number(1) end

-- The operations of a formula that are not one operator.
local COMPOSED <const> = {
  expm1 = function(g, a) return g:node("Sub", { g:node("Exp", { a }), one(g) }) end,
  log1p = function(g, a) return g:node("Log", { g:node("Add", { a, one(g) }) }) end,
  normal = function(g, a) -- the share of the normal distribution below a
    local erf = g:node("Erf", { g:node("Mul", { a, g:number(0.5 ^ 0.5) }) })
    return g:node("Mul", { g:node("Add", { erf, one(g) }), g:number(0.5) })
  end,
  clamp = function(g, a, low, high) return g:node("Min", { g:node("Max", { a, low }), high }) end,
  detach = function(_, a) return a end,
  given = function(_, a) return a end,
}

--- Whether a formula is made of what has a form; the name of what has none.
local function formless(node, seen)
  if seen[node] then return nil end
  seen[node] = true
  local op = node.op
  local known = SAME[op] or COMPARISONS[op] or COMPOSED[op] or op == "ne" or op == "where" or op == "number"
    or op == "input"
  if not known then return op end
  for i = 1, (op == "given" or op == "detach") and 1 or #node do
    local found = formless(node[i], seen)
    if found then return found end
  end
end

function forms.formula(g, call, expression, ...)
  local root, names, bools, given = expression.roots[1], {}, {}, { ... }
  local wrong = formless(root, {})
  if wrong then call:refuse(("the operation '%s' of a formula has no ONNX form"):format(wrong)) end
  for i, input in ipairs(expression.inputs) do
    local x = given[i]
    names[input] = (type(x) == "number" or sizes.varies(x)) and operand(g, x) or x.dtype == REAL and g:name(x)
      or g:cast(x, REAL)
  end

  local name_of

  --- As a condition; a number is one where it is not 0.
  local function condition(node)
    local name = name_of(node)
    return bools[node] or g:node("Not", { g:node("Equal", { name, g:number(0) }) })
  end

  local function compute(node)
    local op, operands = node.op, {}
    if op == "number" then return g:number(node.value) end
    if op == "where" then return g:node("Where", { condition(node[1]), name_of(node[2]), name_of(node[3]) }) end
    for i = 1, (op == "given" or op == "detach") and 1 or #node do operands[i] = name_of(node[i]) end
    if COMPOSED[op] then return COMPOSED[op](g, table.unpack(operands)) end
    if SAME[op] then return g:node(SAME[op], operands) end
    bools[node] = compared(g, op, operands[1], operands[2])
    return g:cast(bools[node], REAL)
  end

  function name_of(node)
    names[node] = names[node] or compute(node)
    return names[node]
  end

  return name_of(root)
end

return forms
