--- Reductions along an axis. See sm.ops.shape for what a record has.
-- @module sm.ops.reduce
local runtime = require "sm.runtime"
local autograd = require "sm.autograd"
local arguments = require "sm.ops.arguments"
local check = require "sm.check"
local fail = require "sm.fail"
local compare = require "sm.ops.compare"
local primitives = require "sm.ops.primitives"

local T, K, C = runtime.tensor, runtime.math, runtime.compare
local record, saved = autograd.record_twice, autograd.saved
local copy = primitives.copy

local records = {}

local function define(given) records[#records + 1] = given end

local OPTIONS <const> = { keepdim = { type = "boolean", default = false } }

--- Reduces x along an axis, along several at once, or all of it.
-- @param axis number, list or nil: all
-- @param options {keepdim=false}: whether the axes stay, with size 1
-- @param f function(x, axis or nil: all) → what is left without that axis; a single axis is given as it came
local function reduced(where, x, axis, options, f)
  local keep = options ~= nil and check.options(where, options, OPTIONS).keepdim
  if type(axis) ~= "table" and not keep then return f(x, axis) end
  local shape = arguments.real(where, x).shape
  local gone, order, left, kept, count = {}, {}, {}, {}, 1
  if axis ~= nil then
    local axes = arguments.axes(where, axis, shape)
    if #axes == 0 then fail("%s: expected at least one axis, got an empty table", where) end
    for _, a in ipairs(axes) do gone[a] = true end
  end
  for a, size in ipairs(shape) do
    local goes = axis == nil or gone[a]
    kept[a] = goes and 1 or size
    if goes then count = count * size else order[#order + 1], left[#left + 1] = a, size end
  end
  local y
  if #left == 0 then
    y = f(x, nil)
  else
    local behind, first = #order + 1, nil -- where the axes lie when they are moved behind the others; the first of them
    for a = 1, #shape do
      if gone[a] then order[#order + 1], first = a, first or a end
    end
    if order[#order] == first + #order - behind then -- neighbours: one axis, where they are
      table.insert(left, first, count)
      y = f(#left == #shape and x or primitives.view(x, left), first)
    else
      left[#left + 1] = count
      y = f(primitives.view(x:permute(order), left), behind)
    end
  end
  return keep and primitives.view(y, kept) or y
end

--- For references: f of the list of elements along axes, or of all.
local function along(new, f, x, axis, o)
  local lists, shape, gone = {}, {}, {}
  for _, a in ipairs(type(axis) == "table" and axis or { axis }) do gone[a < 0 and a + #x.shape + 1 or a] = true end
  local keep = o and o.keepdim
  for a, size in ipairs(x.shape) do
    local goes = axis == nil or gone[a]
    if keep or not goes then shape[#shape + 1] = goes and 1 or size end
  end
  local function key(p)
    local left = {}
    for a, at in ipairs(p) do
      local goes = axis == nil or gone[a]
      if keep or not goes then left[#left + 1] = goes and 1 or at end
    end
    return table.concat(left, ",")
  end
  new(x.shape, function(p)
    local k = key(p)
    lists[k] = lists[k] or {}
    table.insert(lists[k], x:at(p))
    return 0
  end)
  return new(shape, function(p) return f(lists[table.concat(p, ",")] or {}) end)
end

local function samples(s)
  return { { s.real(2, 3, 4), 1 }, { s.real(2, 3, 4), 2 }, { s.real(2, 3, 4), -1 }, { s.real(2, 3) }, { s.real() },
    { s.real(1, 4, 1), 1 }, { s.real(0, 3), 2 },
    { s.real(2, 3, 4), { 1, 3 } }, { s.real(2, 3, 4), { -1, 2 } }, { s.real(2, 3), { 2, 1 } }, { s.real(2, 3), { 1 } },
    { s.real(2, 3, 2), 2, { keepdim = true } }, { s.real(2, 3), nil, { keepdim = true } },
    { s.real(2, 3, 2, 2), { 3, 1 }, { keepdim = true } }, { s.real(130, 140), 1 } }
end

local function refused(s)
  return { { "axis 3 is out of range for shape {2, 3}", s.real(2, 3), 3 }, { 'got string "x"', s.real(2), "x" },
    { "a " .. runtime.real .. " tensor", s.uint8(2) }, { "axis 1 stands twice", s.real(2, 3), { 1, -2 } },
    { "expected at least one axis, got an empty table", s.real(2, 3), {} },
    { "unknown option 'keepdims'; did you mean 'keepdim'?", s.real(2), 1, { keepdims = true } },
    { "expected a table of options, got number 2", s.real(2, 3), 1, 2 } }
end

local function sum_of(list)
  local sum = 0
  for _, value in ipairs(list) do sum = sum + value end
  return sum
end

local function sum(x, axis)
  return record(K.sum(x, axis), "sum", function(gy, _, graph)
    return (graph and primitives.spread or K.spread)(gy, x.shape, axis, 1)
  end, nil, x)
end

local function mean(x, axis)
  return record(K.mean(x, axis), "mean", function(gy, _, graph)
    local count = axis and x.shape[axis < 0 and axis + #x.shape + 1 or axis] or T.count(x)
    return (graph and primitives.spread or K.spread)(gy, x.shape, axis, 1 / count)
  end, nil, x)
end

--- Records y as the elements of x at positions along an axis, 0-based.
local function chosen(y, position, name, x, axis)
  return record(y, name, function(gy, _, graph)
    if not graph then return K.max_backward(gy, position, x.shape, axis) end
    local shape, along_axis = axis and x.shape or { T.count(x) }, axis or 1
    if along_axis < 0 then along_axis = along_axis + #shape + 1 end
    local one = copy(shape)
    one[along_axis] = 1
    local added = primitives.scatter_add(shape, along_axis, T.reshape(position, one), 0, primitives.view(gy, one))
    return primitives.view(added, x.shape)
  end, nil, x)
end

local function max(x, axis)
  local y, position = K.max(x, axis)
  return chosen(y, position, "max", x, axis)
end

define {
  name = "sum",
  unnamed = true,
  doc = "x:sum(axis, {keepdim = false}): along an axis or a list of axes, which are dropped, or over "
    .. "all elements. Adds in double.",
  f = function(x, axis, options) return reduced("sum", x, axis, options, sum) end,
  twice = true,
  dtypes = "real",
  special = false,
  reference = function(new, x, axis, o) return along(new, sum_of, x, axis, o) end,
  samples = function(s)
    local more = samples(s)
    more[#more + 1] = { s.real(0, 3), 1 }
    return more
  end,
  refused = refused,
}

define {
  name = "mean",
  unnamed = true,
  doc = "x:mean(axis, {keepdim = false}): along an axis or a list of axes, which are dropped, or over "
    .. "all elements. Adds in double.",
  f = function(x, axis, options) return reduced("mean", x, axis, options, mean) end,
  twice = true,
  dtypes = "real",
  special = false,
  reference = function(new, x, axis, o)
    return along(new, function(list) return sum_of(list) / #list end, x, axis, o)
  end,
  samples = samples,
  refused = refused,
}

define {
  name = "max",
  unnamed = true,
  doc = "x:max(axis, {keepdim = false}): the largest element along an axis or a list of axes, which are dropped, or of "
    .. "all; the gradient goes to the first of equals. NaN is larger than any number.",
  f = function(x, axis, options) return reduced("max", x, axis, options, max) end,
  twice = true,
  dtypes = "real",
  reference = function(new, x, axis, o)
    return along(new, function(list)
      local best = list[1]
      for _, value in ipairs(list) do
        if value > best or value ~= value then best = value end
      end
      return best
    end, x, axis, o)
  end,
  samples = samples,
  refused = function(s)
    return { { "axis 3 is out of range for shape {2, 3}", s.real(2, 3), 3 }, { 'got string "x"', s.real(2), "x" },
      { "max of nothing: shape {0, 3} is empty along the axis", s.real(0, 3), 1 } }
  end,
}

define {
  name = "min",
  doc = "x:min(axis, {keepdim = false}): the smallest element, as max gives the largest; NaN is smaller than any "
    .. "number.",
  f = function(x, axis, options)
    return reduced("min", x, axis, options, function(part, along_axis)
      local y, position = K.max(K.neg(part), along_axis)
      return chosen(K.neg(y), position, "min", part, along_axis)
    end)
  end,
  unnamed = true,
  twice = true,
  dtypes = "real",
  reference = function(new, x, axis, o)
    return along(new, function(list)
      local best = list[1]
      for _, value in ipairs(list) do
        if value < best or value ~= value then best = value end
      end
      return best
    end, x, axis, o)
  end,
  samples = samples,
  refused = function(s)
    return { { "axis 3 is out of range for shape {2, 3}", s.real(2, 3), 3 },
      { "of nothing: shape {0, 3} is empty along the axis", s.real(0, 3), 1 } }
  end,
}

local SPREAD <const> = { keepdim = OPTIONS.keepdim, unbiased = { type = "boolean", default = true } }

--- The mean square of the differences from the mean.
local function variance(where, x, axis, options)
  local o = check.options(where, options, SPREAD)
  arguments.real(where, x)
  local centred = x - reduced(where, x, axis, { keepdim = true }, mean)
  local total = reduced(where, centred * centred, axis, { keepdim = o.keepdim }, sum)
  local count = T.count(x) // math.max(1, T.count(total))
  return total / math.max(0, count - (o.unbiased and 1 or 0))
end

local function variance_of(list, o)
  local middle, total = sum_of(list) / #list, 0
  for _, value in ipairs(list) do total = total + (value - middle) ^ 2 end
  return total / (#list - ((o or {}).unbiased == false and 0 or 1))
end

for _, name in ipairs { "var", "std" } do
  local deviation = name == "std"
  define {
    name = name,
    doc = ("x:%s(axis, {keepdim = false, unbiased = true}): the %s along an axis or a list of axes, which are dropped, "
      .. "or of all elements; divides by their number less 1, with unbiased = false by their number."):format(name,
      deviation and "standard deviation" or "variance"),
    f = function(x, axis, options)
      local y = variance(name, x, axis, options)
      return deviation and y:sqrt() or y
    end,
    twice = true,
    dtypes = "real",
    special = false,
    reference = function(new, x, axis, o)
      return along(new, function(list)
        local y = variance_of(list, o)
        return deviation and y ^ 0.5 or y
      end, x, axis, o)
    end,
    samples = function(s)
      return { { s.real(3, 4), 2 }, { s.real(3, 2) }, { s.real(2, 3, 4), { 1, -1 } }, { s.real(0, 3), 2 },
        { s.real(4, 3), 1, { unbiased = false, keepdim = true } }, { s.real(13, 40), 1 } }
    end,
    refused = function(s)
      return { { "axis 3 is out of range for shape {2, 3}", s.real(2, 3), 3 }, { "a " .. runtime.real, s.uint8(2) },
        { "unknown option 'bias'", s.real(2), 1, { bias = true } } }
    end,
  }
end

define {
  name = "norm",
  doc = "x:norm(axis, {keepdim = false}): the Euclidean norm along an axis or a list of axes, which are dropped, or of "
    .. "all elements. The gradient at 0 is 0.",
  f = function(x, axis, options)
    return reduced("norm", x, axis, options, function(part, along_axis)
      arguments.real("norm", part)
      local y = K.sqrt(K.sum(K.mul(part, part), along_axis))
      return record(y, "norm", function(gy)
        local none = C.eq(y, 0)
        local share = compare.where(none, 0, gy / compare.where(none, 1, y))
        return part * primitives.spread(share, part.shape, along_axis, 1)
      end, saved(part, y), part)
    end)
  end,
  unnamed = true,
  twice = true,
  dtypes = "real",
  special = false,
  reference = function(new, x, axis, o)
    return along(new, function(list)
      local total = 0
      for _, value in ipairs(list) do total = total + value * value end
      return total ^ 0.5
    end, x, axis, o)
  end,
  samples = samples,
  refused = refused,
}

define {
  name = "logsumexp",
  doc = "x:logsumexp(axis, {keepdim = false}): log of the sum of e^x along an axis or a list of axes, which are "
    .. "dropped, or over all elements; safe for large x.",
  f = function(x, axis, options)
    return reduced("logsumexp", x, axis, options, function(part, along_axis)
      local shape = arguments.real("logsumexp", part).shape
      local largest = K.max(part, along_axis)
      largest = C.where(C.isfinite(largest), largest, 0)
      local shifted = K.sub(part, K.spread(largest, shape, along_axis, 1))
      local y = K.add(K.log(K.sum(K.exp(shifted), along_axis)), largest)
      return record(y, "logsumexp", function(gy)
        local base = compare.where(C.eq(y, -math.huge), 0, y) -- of nothing but -inf the gradient is 0
        local p = (part - primitives.spread(base, shape, along_axis, 1)):exp()
        return p * primitives.spread(gy, shape, along_axis, 1)
      end, saved(part, y), part)
    end)
  end,
  unnamed = true,
  twice = true,
  dtypes = "real",
  reference = function(new, x, axis, o)
    return along(new, function(list)
      local largest, total = -math.huge, 0
      for _, value in ipairs(list) do largest = value ~= value and value or math.max(largest, value) end
      if largest - largest ~= 0 then largest = 0 end
      for _, value in ipairs(list) do total = total + math.exp(value - largest) end
      return math.log(total) + largest
    end, x, axis, o)
  end,
  samples = samples,
  refused = function(s)
    return { { "axis 3 is out of range for shape {2, 3}", s.real(2, 3), 3 }, { 'got string "x"', s.real(2), "x" },
      { "expected a tensor, got number 3", 3 },
      { "of nothing: shape {0, 3} is empty along the axis", s.real(0, 3), 1 } }
  end,
}

return records
