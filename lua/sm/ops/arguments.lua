--- Checks of the arguments that operations share.
-- @module sm.ops.arguments
local runtime = require "sm.runtime"
local check = require "sm.check"
local fail = require "sm.fail"
local shape_text = require "sm.text".shape

local M = {}

local is_tensor = runtime.tensor.is_tensor

M.MOST_AXES = 8

--- Raises unless x is a tensor.
-- @param where the operation
-- @param what x is, in words; "a tensor" by default
-- @return x
function M.tensor(where, x, what)
  if not is_tensor(x) then fail("%s: expected %s, got %s", where, what or "a tensor", check.describe(x)) end
  return x
end

--- Raises unless x is a tensor of the real type.
function M.real(where, x, what)
  M.tensor(where, x, what)
  if x.dtype ~= runtime.real then
    fail('%s: expected a %s tensor (x:to("%s") converts), got %s %s', where, runtime.real, runtime.real, x.dtype,
      shape_text(x.shape))
  end
  return x
end

--- An integer within bounds.
-- @param what it is, in words
-- @return as an integer
function M.integer(where, what, value, low, high)
  local exact = type(value) == "number" and math.tointeger(value)
  if not exact then fail("%s: %s must be an integer, got %s", where, what, check.describe(value)) end
  if exact < low or exact > high then
    fail("%s: %s must be from %d to %d, got %d", where, what, low, high, exact)
  end
  return exact
end

--- An axis of a shape, counted from 1, or from -1 at the end.
-- @return counted from 1
function M.axis(where, axis, shape)
  local exact = type(axis) == "number" and math.tointeger(axis)
  if not exact then fail("%s: expected an axis, an integer, got %s", where, check.describe(axis)) end
  local position = exact < 0 and exact + #shape + 1 or exact
  if exact == 0 or position < 1 or position > #shape then
    fail("%s: axis %d is out of range for shape %s; axes count from 1, or from -1 at the end", where, exact,
      shape_text(shape))
  end
  return position
end

--- A copy of a list, or a list of one thing that is none.
-- @param what it should be, in words: "a list of tensors"
function M.list(where, given, what)
  if type(given) ~= "table" then return { given } end
  check.plain(where, given)
  local copy = {}
  for i = 1, rawlen(given) do
    copy[i] = rawget(given, i)
    if copy[i] == nil then fail("%s: expected %s, got one with a gap at %d", where, what, i) end
  end
  return copy
end

--- What was given as f(1, 2) or as f{1, 2}.
function M.many(where, what, ...)
  local first = ...
  if type(first) == "table" then
    check.no_more(where, "one table of " .. what, select(2, ...))
    return M.list(where, first, "a list of " .. what)
  end
  local given = table.pack(...)
  for i = 1, given.n do
    if given[i] == nil then fail("%s: expected %s, got nil as number %d", where, what, i) end
  end
  given.n = nil
  return given
end

--- Axes of a shape, each of which may stand there once.
-- @param given one axis or a list
-- @return list, counted from 1
function M.axes(where, given, shape)
  local axes, seen = M.list(where, given, "a list of axes"), {}
  for i, axis in ipairs(axes) do axes[i] = M.axis(where, axis, shape) end
  for _, axis in ipairs(axes) do
    if seen[axis] then fail("%s: axis %d stands twice in %s", where, axis, shape_text(axes)) end
    seen[axis] = true
  end
  return axes
end

return M
