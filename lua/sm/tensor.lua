--- Tensors in Lua: how they are made, their methods and operators, how they print.
-- @module sm.tensor
local runtime = require "sm.runtime"
local autograd = require "sm.autograd"
local check = require "sm.check"
local elsewhere = require "sm.elsewhere"
local fail = require "sm.fail"
local gradients = require "sm.gradients"
local records = require "sm.ops.records"
local random = require "sm.random"
local shape_text = require "sm.text".shape

local T = runtime.tensor
local M = {}

--- Sizes given as (2, 3) or ({2, 3}, dtype).
local function sizes(where, ...)
  local first, dtype = ...
  if type(first) == "table" then
    check.no_more(where, "a table of sizes and a dtype", select(3, ...))
    return first, dtype
  end
  for i = 1, select("#", ...) do
    local size = select(i, ...)
    if type(size) ~= "number" or not math.tointeger(size) then
      fail("%s: size %d must be an integer, got %s; a dtype follows a table of sizes: %s({2, 3}, \"uint8\")",
        where, i, check.describe(size), where)
    end
  end
  return { ... }
end

--- A tensor from a number or nested tables of numbers. Ragged tables are an error.
-- @param values e.g. {{1, 2}, {3, 4}}
-- @param dtype "float32" (the default; "float64" in the double build), "uint8", "int32"
function M.tensor(values, dtype) return T.tensor(values, dtype) end

--- sm.zeros(2, 3), sm.zeros({2, 3}, "uint8"): a tensor of 0; a dtype follows a table of sizes.
function M.zeros(...)
  local shape, dtype = sizes("zeros", ...)
  return T.full(shape, 0, dtype)
end

--- sm.ones(2, 3), sm.ones({2, 3}, "uint8"): a tensor of 1; a dtype follows a table of sizes.
function M.ones(...)
  local shape, dtype = sizes("ones", ...)
  return T.full(shape, 1, dtype)
end

--- sm.full({2, 3}, 7): a tensor of one number.
-- @param shape a table of sizes
-- @param value a number
-- @param dtype as for sm.tensor
function M.full(shape, value, dtype)
  if type(value) ~= "number" then fail("full: the value must be a number, got %s", check.describe(value)) end
  return T.full(shape, value, dtype)
end

--- sm.arange(n), sm.arange(first, limit, step): 0, 1, … n-1; or first, first+step, … below limit, as in NumPy. A dtype
-- may come last.
function M.arange(...)
  local given = table.pack(...)
  local dtype
  if type(given[given.n]) == "string" then
    dtype, given[given.n], given.n = given[given.n], nil, given.n - 1
  end
  if given.n > 3 then fail("arange takes first, limit and step, got a fourth, %s", check.describe(given[4])) end
  for i = 1, math.max(1, given.n) do
    if type(given[i]) ~= "number" or given[i] - given[i] ~= 0 then
      fail("arange: argument %d must be a finite number, got %s", i, check.describe(given[i]))
    end
  end
  local first, limit, step = given[1], given[2], given[3] or 1
  if given.n == 1 then first, limit = 0, given[1] end
  if step == 0 then fail "arange: the step must not be 0" end
  local count = math.ceil((limit - first) / step)
  if math.type(count) ~= "integer" then
    fail("arange: from %s to %s in steps of %s there are more numbers than memory can hold", first, limit, step)
  end
  return T.range(first, step, math.max(0, count), dtype)
end

local function real_sizes(where, ...)
  local shape, dtype = sizes(where, ...)
  if dtype ~= nil and dtype ~= runtime.real then
    fail("%s makes %s tensors, got the dtype %s; see x:to", where, runtime.real, check.describe(dtype))
  end
  return shape
end

--- sm.randn(2, 3): numbers of the standard normal distribution, from the general stream.
function M.randn(...) return random.normal(real_sizes("randn", ...), "general") end

--- sm.rand(2, 3): numbers uniform from 0, included, to 1, excluded, from the general stream.
function M.rand(...) return random.uniform(real_sizes("rand", ...), "general") end

local methods, operations, functions = {}, {}, {} -- functions: name → "sm.cat", of operations that are no methods
-- Of functions that do not say themselves how many they have.
local parameters = { copy_ = 2, item = 1, totable = 1, accuracy = 3 }
M.methods = methods
for _, operation in ipairs(records) do
  operations[operation.name], parameters[operation.name] = operation.f, operation.parameters
  if operation.call then functions[operation.name] = operation.call else methods[operation.name] = operation.f end
end

--- The one element of a tensor, as a number.
methods.item = autograd.heard("item", function(x) return T.item(x) end)

--- Nested tables of numbers (a number for a scalar).
methods.totable = autograd.heard("totable", function(x) return T.totable(x) end)

local ACCURACY <const> = check.spec("x:accuracy", {
  ignore = { type = "integer", min = -1 << 31, max = (1 << 31) - 1, doc = "a label whose rows do not count" },
})

--- The fraction of rows of logits {…, classes} whose largest element is at the label: a number.
methods.accuracy = autograd.heard("accuracy", function(logits, labels, options)
  local correct, rows = runtime.loss.correct(logits, labels, check.options("accuracy", options, ACCURACY).ignore)
  return correct / rows
end)

--- x:copy_(y): y's numbers into x, in place. Nothing is recorded, so a gradient that should pass through raises.
methods.copy_ = autograd.heard("copy_", autograd.copy_)

methods.detach, methods.backward = autograd.detach, gradients.backward
methods.requires_grad = autograd.requires_grad

--- True when x, a leaf or computed from one, wants a gradient.
function methods.tracks(x) return autograd.tracks(x) end

-- Every method refuses arguments that it does not take: x:relu(0.1) is an error.
for name, method in pairs(methods) do
  methods[name] = check.public(name, method, { method = true, parameters = parameters[name] })
end

setmetatable(methods, {
  __index = function(_, key)
    local names = { "shape", "dtype", "grad" }
    for name in pairs(methods) do names[#names + 1] = name end
    table.sort(names)
    local hint = functions[key] and ("; it is a function, %s"):format(functions[key]) or elsewhere.hint("tensor", key)
    fail("a tensor has no method or field '%s'%s", key, hint or check.suggest(key, names))
  end,
})

local LONGEST_AXIS <const>, MOST_SHOWN <const> = 8, 20000

--- How many numbers each axis shows at either end where it is longer than twice as many: 3 of an axis of more than 8; 1
-- of the first axes where there would be too many numbers in all.
local function ends_of(shape)
  local ends, total = {}, 1
  for axis, size in ipairs(shape) do
    ends[axis] = size > LONGEST_AXIS and 3 or LONGEST_AXIS
    total = total * math.max(1, math.min(size, 2 * ends[axis]))
  end
  for axis, size in ipairs(shape) do
    if total <= MOST_SHOWN then break end
    total = total // math.max(1, math.min(size, 2 * ends[axis])) * math.max(1, math.min(size, 2))
    ends[axis] = 1
  end
  return ends
end

--- Numbers of a tensor as text: nested braces, long axes shortened in the middle.
local function format(x, ends, axis, number)
  if #x.shape == 0 then return number(x:item()) end
  local parts, size, indent = {}, x.shape[1], (" "):rep(axis - 1)
  local shown = size > 2 * ends[axis] and ends[axis] or size
  for i = 1, shown do parts[i] = format(T.select(x, i), ends, axis + 1, number) end
  if shown < size then parts[shown + 1] = "…" end
  for i = math.max(shown, size - shown) + 1, size do
    parts[#parts + 1] = format(T.select(x, i), ends, axis + 1, number)
  end
  return "{" .. table.concat(parts, #x.shape > 1 and ",\n" .. indent .. " " or ", ") .. "}"
end

local function text(x)
  local real = x.dtype == runtime.real
  local numbers = format(x, ends_of(x.shape), 1, function(v)
    return v ~= v and "nan" or (real and "%.4g" or "%d"):format(v)
  end)
  return ("%s  %s %s"):format(numbers, x.dtype, shape_text(x.shape))
end

-- Lua makes a single boolean of what < and > give.
local function refuse_order()
  fail "Lua's <, <=, > and >= cannot give a tensor: use x:lt(y), x:le(y), x:gt(y) or x:ge(y)"
end

T.define(methods, { add = operations.add, sub = operations.sub, mul = operations.mul, div = operations.div,
  pow = operations.pow, unm = operations.neg, lt = refuse_order, le = refuse_order, tostring = text })

return M
