--- Reductions along axes, and running sums. See sm.ops.shape for what a record has.
-- @module sm.ops.reduce
local runtime = require "sm.runtime"
local autograd = require "sm.autograd"
local along = require "sm.ops.along"
local arguments = require "sm.ops.arguments"
local cat = require "sm.ops.parts".cat
local fail = require "sm.fail"
local check = require "sm.check"
local primitives = require "sm.ops.primitives"
local ranks = require "sm.ranks"

local T, K = runtime.tensor, runtime.math
local record, saved = autograd.record_twice, autograd.saved
local copy, reduced = primitives.copy, along.reduced

local records = {}

local function define(given) records[#records + 1] = given end

local AXES <const> = "along an axis or a list of axes, which are dropped unless keepdim, or "

--- The axis counted from 1.
local function from_end(axis, x)
  return axis < 0 and axis + #x.shape + 1 or axis
end

--- The axis of a vector is all that it has, and may be a batch's.
local function all_or(axis, x)
  return not ((axis == 1 or axis == -1) and T.is_tensor(x) and #x.shape == 1) and axis or nil
end

local function mean(x, axis)
  axis = all_or(axis, x)
  local y, total, all = K.mean(x, axis)
  if ranks.now and ranks.now:combines(x, axis) then y, all = ranks.now:quotient(total, all) end
  return record(y, "mean", function(gy, _, graph)
    local count = all or x.shape[from_end(axis, x)]
    return (graph and primitives.spread or K.spread)(gy, x.shape, axis, 1 / count)
  end, nil, x)
end
records.mean = mean -- for other families

local function sum(x, axis)
  axis = all_or(axis, x)
  local step = ranks.now and ranks.now:combines(x, axis) and ranks.now
  local y, total = K.sum(x, axis)
  if step then y = step:quotient(total, 1) end
  return record(y, "sum", function(gy, _, graph)
    return (graph and primitives.spread or K.spread)(gy, x.shape, axis, step and step:share_of_sum() or 1)
  end, nil, x)
end

define {
  name = "sum",
  unnamed = true,
  doc = "x:sum(axis, {keepdim = false}): " .. AXES .. "over all elements. Adds in double; of nothing 0.",
  options = along.OPTIONS,
  f = function(x, axis, options) return reduced("sum", x, axis, options, sum) end,
  twice = true,
  dtypes = "real",
  special = false,
  reference = function(new, x, axis, o) return along.reference(new, along.sum, x, axis, o) end,
  samples = function(s) return along.samples(s, true) end,
  refused = along.refused,
}

define {
  name = "mean",
  unnamed = true,
  doc = "x:mean(axis, {keepdim = false}): " .. AXES .. "over all elements. Adds in double; of nothing NaN.",
  options = along.OPTIONS,
  f = function(x, axis, options) return reduced("mean", x, axis, options, mean) end,
  twice = true,
  dtypes = "real",
  special = false,
  reference = function(new, x, axis, o)
    return along.reference(new, function(list) return along.sum(list) / #list end, x, axis, o)
  end,
  samples = function(s) return along.samples(s, true) end,
  refused = along.refused,
}

--- The product of the others at each element, times gy, recorded: the factors are multiplied in pairs until one is
-- left, and the gradient goes back through the pairs.
local function product_gradient(gy, x, axis)
  local shape, pairs_of = x.shape, {}
  local line = axis and x or primitives.view(x, { T.count(x) })
  axis = axis and from_end(axis, x) or 1
  local count = line.shape[axis]
  while count > 1 do
    local half = count // 2
    local parts = line:split({ half, half, count - 2 * half }, axis)
    pairs_of[#pairs_of + 1] = parts
    line, count = parts[1] * parts[2], count - half
    if parts[3].shape[axis] > 0 then line = cat({ line, parts[3] }, axis) end
  end
  local g = primitives.view(gy, line.shape)
  for i = #pairs_of, 1, -1 do
    local left, right, rest = table.unpack(pairs_of[i])
    local half, more = left.shape[axis], rest.shape[axis]
    local both = g:narrow(axis, 1, half)
    g = cat({ both * right, both * left, g:narrow(axis, half + 1, more) }, axis)
  end
  return primitives.view(g, shape)
end

local function prod(x, axis)
  return record(K.prod(x, axis), "prod", function(gy, _, graph)
    if not graph or T.count(x) == 0 then return K.prod_backward(gy, x, axis) end
    return product_gradient(gy, x, axis)
  end, saved(x), x)
end

define {
  name = "prod",
  doc = "x:prod(axis, {keepdim = false}): the product " .. AXES .. "of all elements; of nothing 1. The gradient of an "
    .. "element is the product of the others, also where some are 0.",
  options = along.OPTIONS,
  f = function(x, axis, options) return reduced("prod", x, axis, options, prod) end,
  unnamed = true,
  twice = true,
  dtypes = "real",
  special = false,
  reference = function(new, x, axis, o)
    return along.reference(new, function(list)
      local product = 1
      for _, value in ipairs(list) do product = product * value end
      return product
    end, x, axis, o)
  end,
  samples = function(s)
    local list = along.samples(s, true)
    for _, sample in ipairs(list) do sample[1] = #sample[1].shape > 0 and sample[1] * 0.5 + 0.7 or sample[1] end
    for _, zeros in ipairs { { 0, 2, 3 }, { 0, 2, 0 }, { 0, 0, 0 }, { 2, 3, -4, 0.5, 0 } } do
      list[#list + 1] = { s.tensor(zeros) }
      list[#list + 1] = { s.tensor { zeros, zeros }, 2, { keepdim = true } }
    end
    list[#list + 1] = { s.tensor { { 1, 0, 3 }, { 0, 0, 2 }, { 2, -1, 1 } }, 1 }
    return list
  end,
  refused = along.refused,
}

--- Records y as the elements of x at positions along an axis, 0-based.
local function chosen(y, position, name, x, axis)
  return record(y, name, function(gy, _, graph)
    if not graph then return K.extremes_backward(gy, position, x.shape, axis) end
    local shape, along_axis = axis and x.shape or { T.count(x) }, axis or 1
    if along_axis < 0 then along_axis = along_axis + #shape + 1 end
    local one = copy(shape)
    one[along_axis] = 1
    local added = primitives.scatter_add(shape, along_axis, T.reshape(position, one), 0, primitives.view(gy, one))
    return primitives.view(added, x.shape)
  end, nil, x)
end

for _, name in ipairs { "max", "min" } do
  local sign = name == "max" and 1 or -1
  define {
    name = name,
    doc = ("x:%s(axis, {keepdim = false}): the %s element %sof all; the gradient goes to the first of equals. NaN is "
      .. "%s than any number."):format(name, sign == 1 and "largest" or "smallest", AXES,
      sign == 1 and "larger" or "smaller"),
    options = along.OPTIONS,
    f = function(x, axis, options)
      return reduced(name, x, axis, options, function(part, along_axis)
        local y, position = K[name](part, along_axis)
        return chosen(y, position, name, part, along_axis)
      end)
    end,
    unnamed = true,
    twice = true,
    dtypes = "real",
    reference = function(new, x, axis, o)
      return along.reference(new, function(list)
        local best = list[1]
        for _, value in ipairs(list) do
          if sign * value > sign * best or value ~= value then best = value end
        end
        return best
      end, x, axis, o)
    end,
    samples = along.samples,
    refused = function(s)
      local list = along.refused_empty(s)
      list[#list + 1] = { "unknown option 'keepdims'", s.real(2), 1, { keepdims = true } }
      return list
    end,
  }
end

local function cumsum(x, axis, backwards)
  return record(K.cumsum(x, axis, backwards), "cumsum", function(gy) return cumsum(gy, axis, not backwards) end, nil, x)
end

define {
  name = "cumsum",
  doc = "x:cumsum(axis): the sums of the elements along an axis up to each, it included. Adds in double.",
  f = function(x, axis)
    arguments.real("cumsum", x)
    if type(axis) ~= "number" then fail("cumsum: expected one axis to add along, got %s", check.describe(axis)) end
    return cumsum(x, arguments.axis("cumsum", axis, x.shape), false)
  end,
  twice = true,
  dtypes = "real",
  special = false,
  reference = function(new, x, axis)
    axis = from_end(axis, x)
    return new(x.shape, function(p)
      local total, from = 0, copy(p)
      for i = 1, p[axis] do
        from[axis] = i
        total = total + x:at(from)
      end
      return total
    end)
  end,
  samples = function(s)
    return { { s.real(5), 1 }, { s.real(2, 3, 4), 1 }, { s.real(2, 3, 4), 2 }, { s.real(2, 3, 4), -1 },
      { s.real(0, 3), 1 },
      { s.real(0, 3), 2 }, { s.real(1, 1), 1 }, { s.real(3, 150), 2 }, { s.real(30, 20), -2 } }
  end,
  refused = function(s)
    return { { "axis 3 is out of range for shape {2, 3}", s.real(2, 3), 3 },
      { "one axis to add along, got nil", s.real(2) },
      { "got table", s.real(2, 2), { 1, 2 } }, { "axis 1 is out of range for shape {}", s.real(), 1 },
      { "expected a " .. runtime.real .. " tensor", s.int32(2), 1 } }
  end,
}

return records
