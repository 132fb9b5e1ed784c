--- Elements in order along an axis. Equal ones keep their order, and NaN is larger than any number. See sm.ops.shape
-- for what a record has.
-- @module sm.ops.sort
local runtime = require "sm.runtime"
local autograd = require "sm.autograd"
local arguments = require "sm.ops.arguments"
local check = require "sm.check"
local primitives = require "sm.ops.primitives"

local record = autograd.record_twice

local records = {}

local function define(given) records[#records + 1] = given end

local SORT = { descending = { type = "boolean", default = false, doc = "the largest first" } }
local TOPK = { largest = { type = "boolean", default = true, doc = "the largest, or else the smallest" } }

--- The first `count` elements of an axis in order, and their positions.
local function first(x, count, axis, descending, name)
  local values, positions = runtime.index.topk(x, count, axis, descending)
  return record(values, name, function(gy)
    return primitives.scatter_add(x.shape, axis, positions, 1, gy)
  end, autograd.saved(positions), x), positions
end

--- The axis, the last by default, and how many elements it has.
local function along(where, x, axis)
  local shape = arguments.tensor(where, x).shape
  axis = arguments.axis(where, axis == nil and -1 or axis, shape)
  return axis, shape[axis]
end

--- For references: positions of an axis in order, one list for the other positions of each line.
local function sorted_lines(x, axis, descending)
  local lines = {}
  return function(p)
    local line = table.move(p, 1, #p, 1, {})
    line[axis] = "*"
    local key = table.concat(line, ",")
    if not lines[key] then
      local items = {}
      for i = 1, x.shape[axis] do
        line[axis] = i
        items[i] = { x:at(line), i }
      end
      table.sort(items, function(a, b)
        local nan_a, nan_b = a[1] ~= a[1], b[1] ~= b[1]
        local equal = a[1] == b[1] or nan_a and nan_b
        if equal then return a[2] < b[2] end
        local less = not nan_a and (nan_b or a[1] < b[1])
        return less ~= descending
      end)
      lines[key] = items
    end
    return lines[key][p[axis]]
  end
end

local function sort_reference(new, x, axis, options, count)
  axis = axis or -1
  if axis < 0 then axis = axis + #x.shape + 1 end
  local item = sorted_lines(x, axis, options and options.descending or false)
  local shape = table.move(x.shape, 1, #x.shape, 1, {})
  shape[axis] = count or shape[axis]
  return new(shape, function(p) return item(p)[1] end), new(shape, function(p) return item(p)[2] end)
end

define {
  name = "sort",
  options = SORT,
  doc = "x:sort(axis, {descending}): the elements in order along an axis, by default the last, and their "
    .. "positions: two tensors. Equal ones keep their order; NaN is the largest.",
  f = function(x, axis, options)
    local count
    axis, count = along("sort", x, axis)
    return first(x, count, axis, check.options("sort", options, SORT).descending, "sort")
  end,
  twice = true,
  reference = sort_reference,
  samples = function(s)
    return { { s.real(3, 5) }, { s.real(4, 3), 1 }, { s.real(2, 20, 2), 2, { descending = true } }, { s.real(1) },
      { s.real(0, 3) }, { s.real(3, 0) }, { s.tensor { 2, 1, 2, 1, 2 }, -1, { descending = true }, gradient = false },
      { s.tensor { 2, 1, 2, 1, 2 }, gradient = false }, { s.real(1500), 1 } }
  end,
  refused = function(s)
    return { { "axis 2 is out of range", s.real(3), 2 }, { "axis -1 is out of range for shape {}", s.real() },
      { "unknown option 'desc'", s.real(3), 1, { desc = true } },
      { "option 'descending' must be a boolean", s.real(3), 1, { descending = 1 } } }
  end,
}

define {
  name = "argsort",
  options = SORT,
  doc = "x:argsort(axis, {descending}): the positions that x:sort gives.",
  f = function(x, axis, options)
    local count
    axis, count = along("argsort", x, axis)
    return (select(2, runtime.index.topk(x, count, axis, check.options("argsort", options, SORT).descending)))
  end,
  differentiable = false,
  reference = function(...) return (select(2, sort_reference(...))) end,
  samples = function(s)
    return { { s.real(3, 5) }, { s.real(4, 3), 1, { descending = true } }, { s.real(0, 3) },
      { s.tensor { 2, 1, 2, 1 } } }
  end,
  refused = function(s)
    return { { "axis 0 is out of range", s.real(3), 0 }, { "unknown option 'x'", s.real(3), 1, { x = 1 } } }
  end,
}

define {
  name = "topk",
  options = TOPK,
  doc = "x:topk(k, axis, {largest}): the k largest elements along an axis, by default the last, the largest "
    .. "first, and their positions: two tensors. Of equal ones the first; NaN is the largest.",
  f = function(x, k, axis, options)
    local count
    axis, count = along("topk", x, axis)
    k = arguments.integer("topk", ("k, for an axis of %d,"):format(count), k, 0, count)
    return first(x, k, axis, check.options("topk", options, TOPK).largest, "topk")
  end,
  twice = true,
  reference = function(new, x, k, axis, options)
    return sort_reference(new, x, axis, { descending = not options or options.largest ~= false }, k)
  end,
  samples = function(s)
    return { { s.real(3, 5), 2 }, { s.real(6, 3), 4, 1 }, { s.real(2, 40), 3, -1, { largest = false } },
      { s.real(5), 5 },
      { s.real(3), 0 }, { s.real(0, 3), 1 }, { s.tensor { 1, 2, 2, 2, 1 }, 2, gradient = false } }
  end,
  refused = function(s)
    return { { "must be from 0 to 3, got 4", s.real(3), 4 }, { "must be an integer, got nil", s.real(3) },
      { "axis 2 is out of range", s.real(3), 1, 2 }, { "unknown option 'sorted'", s.real(3), 1, 1, { sorted = true } } }
  end,
}

return records
