--- sm.pointwise: functions of elements that are traced, differentiated, and computed in one pass over memory.
-- @module sm.ops.traced
local runtime = require "sm.runtime"
local autograd = require "sm.autograd"
local check = require "sm.check"
local fail = require "sm.fail"
local primitives = require "sm.ops.primitives"
local ranks = require "sm.ranks"
local symbols = require "sm.ops.symbols"

local T, E = runtime.tensor, runtime.expression
local record, saved, tracks = autograd.record_twice, autograd.saved, autograd.tracks

local M = {}

-- An expression: { name=, inputs = nodes, roots = nodes } of one graph; `program` is it compiled, `reads[i]` whether it
-- uses input i, and `gradients` its gradients by which they are of.

local ALIASES <const> = { detach = true, given = true } -- operations that have the number of their first operand

--- Compiles an expression, once.
local function compiled(expression)
  if expression.program then return expression.program end
  local graph, value, used, last = expression.roots[1].graph, {}, {}, 0
  for _, root in ipairs(expression.roots) do
    used[root] = true
    last = math.max(last, root.id)
  end
  for id = last, 1, -1 do
    local node = graph[id]
    for k = 1, used[node] and (ALIASES[node.op] and 1 or #node) or 0 do used[node[k]] = true end
  end
  local reads, constants, instructions, outputs = {}, {}, {}, {}
  for i, input in ipairs(expression.inputs) do
    value[input] = i - 1
    reads[i] = used[input] or false
  end
  for id = 1, last do
    local node = graph[id]
    if used[node] and node.op == "number" then
      value[node] = #expression.inputs + #constants
      constants[#constants + 1] = node.value
    end
  end
  local next_value = #expression.inputs + #constants
  for id = 1, last do
    local node = graph[id]
    if used[node] and ALIASES[node.op] then
      value[node] = value[node[1]]
    elseif used[node] and E.operations[node.op] then
      instructions[#instructions + 1] = E.operations[node.op]
      for k = 1, 3 do instructions[#instructions + 1] = node[k] and value[node[k]] or 0 end
      value[node] = next_value
      next_value = next_value + 1
    end
  end
  for k, root in ipairs(expression.roots) do outputs[k] = value[root] end
  expression.program = E.make(#expression.inputs, constants, instructions, outputs, expression.name)
  expression.reads = reads
  return expression.program
end

local ONE_SUM <const> = { 1 }
local MOST_SUMS <const> = 1024 -- that are added up in the same pass

--- How many sums the gradient of a tensor is, which broadcasting has repeated as a whole: 0 where it is not.
local function period_of(shape, whole)
  local count, repeated = 1, 1
  for i = 1, #whole do
    local own = shape[i - #whole + #shape] or 1
    count, repeated = count * own, repeated * whole[i]
    if own ~= whole[i] and own ~= 1 or own == 1 and whole[i] ~= 1 and count > 1 then return 0 end
  end
  return (count == repeated or count > MOST_SUMS or repeated == 0) and 0 or count
end

--- The gradients of a root by those inputs that are wanted: an expression of the root's gradient and the inputs. For
-- input i, `from[i]` is the number of its root, 0 where its gradient is that of the root; for root k, `periods[k]` says
-- how many sums it is.
-- @param wanted list: how many sums the gradient of each input is, or false
local function gradients_of(expression, root, wanted)
  local key = ("%d"):format(root)
  for i = 1, #expression.inputs do key = ("%s %s"):format(key, wanted[i]) end
  local known = expression.gradients[key]
  if known then return known end
  local graph, by = expression.roots[root].graph, {}
  for i, input in ipairs(expression.inputs) do by[#by + 1] = wanted[i] and input or nil end
  local gy = symbols.input(graph)
  local nodes = require "sm.ops.derivatives".of(expression.roots[root], gy, by)
  local roots, periods, number, from, position = {}, {}, { [0] = { [gy] = 0 } }, {}, 0
  for i = 1, #expression.inputs do
    local period = wanted[i]
    if period then
      position = position + 1
      number[period] = number[period] or {}
      local node = nodes[position]
      if not number[period][node] then
        roots[#roots + 1], periods[#roots + 1] = node, period
        number[period][node] = #roots
      end
      from[i] = number[period][node]
    end
  end
  known = { name = expression.name, inputs = { gy, table.unpack(expression.inputs) }, roots = roots,
    periods = periods, from = from, gradients = {}, reads = {} }
  if #roots > 0 then compiled(known) end
  expression.gradients[key] = known
  return known
end

--- A gradient of each argument that wants one, from that of one of the expression's results; false for the others. Then
-- one tensor more, which nobody needs, where there is one.
-- @param shape of the result, to which gy broadcasts
local function backward(expression, root, gy, wanted, given, shape)
  local recorded, sums = autograd.records(gy, table.unpack(given, 1, given.n)), {}
  for i = 1, given.n do
    sums[i] = wanted[i] and (recorded and 0 or period_of(given[i].shape, shape))
  end
  local gradients = gradients_of(expression, root, sums)
  local computed = {}
  if #gradients.roots > 0 and recorded then
    computed = { M.run(gradients, gy, table.unpack(given, 1, given.n)) }
  elseif #gradients.roots > 0 then
    computed = { E.run(gradients.program, gradients.periods, nil, gy, table.unpack(given, 1, given.n)) }
  end
  computed[0] = gy
  local by, kept, rest = {}, { [gy] = true }, nil
  for i = 1, given.n do
    local from = gradients.from[i]
    if from and sums[i] > 0 then
      by[i] = T.reshape(computed[from], given[i].shape)
      kept[computed[from]] = true
    else
      by[i] = from and primitives.sum_to(computed[from], given[i].shape) or false
    end
    kept[by[i]] = true
  end
  for _, g in ipairs(computed) do rest = rest or not kept[g] and g or nil end
  by[given.n + 1] = rest
  return table.unpack(by, 1, given.n + 1)
end

--- Records that y was computed from arguments as a root of an expression.
-- @param shape to which the arguments broadcast
-- @param divisor of y's gradient, or nil
local function recorded_as(y, expression, root, shape, divisor, ...)
  if not autograd.records(...) then return record(y, expression.name, nil, nil, ...) end
  local given, wanted, plain, read = table.pack(...), {}, {}, {}
  for i = 1, given.n do
    wanted[i] = tracks(given[i])
    plain[i] = wanted[i] and 0
  end
  local gradients = gradients_of(expression, root, plain)
  for i = 1, given.n do read[i] = gradients.reads[i + 1] and given[i] end
  return record(y, expression.name, function(gy)
    return backward(expression, root, divisor and gy / divisor or gy, wanted, given, shape)
  end, saved(table.unpack(read, 1, given.n)), ...)
end

--- Computes all roots, and records each as an operation of its own.
-- @return one tensor for each root
M.run = autograd.heard("formula", function(expression, ...)
  local results = table.pack(E.run(compiled(expression), nil, nil, ...))
  for root, y in ipairs(results) do recorded_as(y, expression, root, y.shape, nil, ...) end
  return table.unpack(results)
end)

--- The expression that a function computes of `count` arguments.
local function trace(name, f, count)
  local graph, inputs, arguments = symbols.graph(), {}, {}
  for i = 1, count do
    inputs[i] = symbols.input(graph)
    arguments[i] = symbols.symbol(inputs[i])
  end
  local results = table.pack(f(table.unpack(arguments)))
  local y = results[1]
  if results.n ~= 1 then fail("pointwise: the function must return one value, it returned %d", results.n) end
  if not symbols.is_symbol(y) then
    if T.is_tensor(y) then fail "pointwise: the function returned a tensor that does not depend on its arguments" end
    fail("pointwise: the function must return what it computes of its arguments, it returned %s", check.describe(y))
  end
  local expression = { name = name, inputs = inputs, roots = { symbols.node(y, graph) }, gradients = {} }
  compiled(expression)
  graph.closed = true
  return expression
end

--- A function of tensors and numbers that computes f of every element, for an operation: f is traced at the first call,
-- and the arguments have been checked.
-- @param name of the operation, for messages
-- @param count of arguments
-- @return function(...), and one that gives the expression
function M.lazily(name, f, count)
  local expression
  local function traced()
    expression = expression or trace(name, f, count)
    return expression
  end
  return function(...) return (M.run(traced(), ...)) end, traced
end

--- The same for the sum over all elements, in double, divided by a number: function(divisor, x, …). The other arguments
-- have x's shape, or are numbers.
function M.lazily_summed(name, f, count)
  local _, traced = M.lazily(name, f, count)
  return function(divisor, x, ...)
    local y, total = E.run(compiled(traced()), ONE_SUM, divisor, x, ...)
    if ranks.now and ranks.now.call then y, divisor = ranks.now:quotient(total, divisor) else y = T.reshape(y, {}) end
    return recorded_as(y, traced(), 1, x.shape, divisor, x, ...)
  end
end

local MOST <const> = 16 -- arguments; gradients have more inputs

--- The inputs of an expression that a number nearly 0 may not become 0 for, by their positions.
local function strict_inputs(expression)
  local strict, position = {}, {}
  for i, input in ipairs(expression.inputs) do position[input] = i end
  for _, node in ipairs(expression.roots[1].graph) do
    for k, operand in ipairs(node) do
      if position[operand] and not symbols.may_vanish(node.op, k) then strict[position[operand]] = true end
    end
  end
  return strict
end

--- Raises unless arguments are tensors and numbers, at least one a tensor.
-- @return the arguments, with numbers as a kernel has them
local function checked(count, strict, ...)
  local given, tensors = table.pack(...), 0
  for i = 1, count do
    local x = given[i]
    if T.is_tensor(x) then
      tensors = tensors + 1
      if x.dtype ~= runtime.real and x.dtype ~= "uint8" then
        fail('pointwise: argument %d must be a %s or uint8 tensor or a number, got an %s tensor (x:to("%s") '
          .. 'converts)', i, runtime.real, x.dtype, runtime.real)
      end
    elseif type(x) == "number" then
      local kept, fits = symbols.rounded(x, not strict[i])
      if not fits then
        fail("pointwise: argument %d must be a number that fits %s, where this is %g, got %s", i, runtime.real, kept,
          check.describe(x))
      end
      given[i] = kept
    else
      fail("pointwise: argument %d must be a tensor or a number, got %s", i, check.describe(x))
    end
  end
  if tensors == 0 then fail "pointwise: at least one argument must be a tensor" end
  return table.unpack(given, 1, count)
end

--- The functions that `pointwise` has made: function → {arguments=(how many), code=(a checksum of what is computed)}.
M.made = setmetatable({}, { __mode = "k" })

--- Whether a table is an expression.
function M.is_expression(value) return rawget(value, "roots") ~= nil and rawget(value, "gradients") ~= nil end

--- What an expression computes, as it was traced: its derivatives are made in the same graph, when they are wanted.
function M.code_of(expression)
  local root, words = expression.roots[1], {}
  for id = 1, root.id do
    local node = root.graph[id]
    words[id] = node.op .. (node.value and ("%a"):format(node.value) or "")
    for _, operand in ipairs(node) do words[id] = words[id] .. " " .. operand.id end
  end
  return runtime.io.checksum(table.concat(words, ","))
end

--- A function of tensors and numbers that computes f of every element, in one pass over memory; operands broadcast.
-- f is called once, with symbols. It may use operators, the methods of symbols, sm.where, comparisons, sm.maximum and
-- sm.minimum, and other traced functions. What it reads from outside is read then, so numbers that change are
-- arguments. The result is of the real type; arguments may be uint8 tensors, too. Its gradients are one pass as well,
-- and have gradients of their own.
-- @param f function of 1 to 16 arguments that returns one value
-- @return function(...) of as many tensors and numbers, at least one a tensor
function M.pointwise(f)
  if type(f) ~= "function" then fail("pointwise: expected a function, got %s", check.describe(f)) end
  local info = debug.getinfo(f, "u")
  if info.isvararg then fail "pointwise: the function must name its arguments, and not take any number of them" end
  local count = info.nparams
  if count < 1 or count > MOST then
    fail("pointwise: the function must take 1 to %d arguments, it takes %d", MOST, count)
  end
  local expression = trace("pointwise", f, count)
  local strict = strict_inputs(expression)
  local function computing(...)
    local given = select("#", ...)
    if given ~= count then
      fail("pointwise: the function takes %d argument%s, got %d", count, count == 1 and "" or "s", given)
    end
    if symbols.any(...) then return symbols.substitute(expression.roots[1], expression.inputs, ...) end
    return (M.run(expression, checked(count, strict, ...)))
  end
  local traced = runtime.traced(computing)
  M.made[traced] = { arguments = count, code = M.code_of(expression) }
  return traced
end

return M
