--- Reductions along an axis. See sm.ops.shape for what a record has.
-- @module sm.ops.reduce
local runtime = require "sm.runtime"
local autograd = require "sm.autograd"
local primitives = require "sm.ops.primitives"

local T, K = runtime.tensor, runtime.math
local record = autograd.record_twice
local copy = primitives.copy

local records = {}

local function define(given) records[#records + 1] = given end

--- For references: f of the list of elements along an axis, or of all.
local function along(new, f, x, axis)
  local lists, shape = {}, {}
  if axis then
    shape = copy(x.shape)
    if axis < 0 then axis = axis + #shape + 1 end
    table.remove(shape, axis)
  end
  local function rest(p)
    if not axis then return "" end
    local left = copy(p)
    table.remove(left, axis)
    return table.concat(left, ",")
  end
  new(x.shape, function(p)
    local key = rest(p)
    lists[key] = lists[key] or {}
    table.insert(lists[key], x:at(p))
    return 0
  end)
  return new(shape, function(p) return f(lists[table.concat(p, ",")] or {}) end)
end

local function samples(s)
  return { { s.real(2, 3, 4), 1 }, { s.real(2, 3, 4), 2 }, { s.real(2, 3, 4), -1 }, { s.real(2, 3) }, { s.real() },
    { s.real(1, 4, 1), 1 }, { s.real(0, 3), 2 }, { s.real(130, 140), 1 } }
end

local function refused(s)
  return { { "axis 3 is out of range for shape {2, 3}", s.real(2, 3), 3 }, { 'got string "x"', s.real(2), "x" },
    { "must be a " .. runtime.real .. " tensor", s.uint8(2) } }
end

local function sum_of(list)
  local sum = 0
  for _, value in ipairs(list) do sum = sum + value end
  return sum
end

define {
  name = "sum",
  unnamed = true,
  doc = "x:sum(axis): along an axis, which is dropped, or over all elements. Adds in double.",
  f = function(x, axis)
    return record(K.sum(x, axis), "sum", function(gy, _, graph)
      return (graph and primitives.spread or K.spread)(gy, x.shape, axis, 1)
    end, nil, x)
  end,
  twice = true,
  dtypes = "real",
  special = false,
  reference = function(new, x, axis) return along(new, sum_of, x, axis) end,
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
  doc = "x:mean(axis): along an axis, which is dropped, or over all elements. Adds in double.",
  f = function(x, axis)
    return record(K.mean(x, axis), "mean", function(gy, _, graph)
      local count = axis and x.shape[axis < 0 and axis + #x.shape + 1 or axis] or T.count(x)
      return (graph and primitives.spread or K.spread)(gy, x.shape, axis, 1 / count)
    end, nil, x)
  end,
  twice = true,
  dtypes = "real",
  special = false,
  reference = function(new, x, axis) return along(new, function(list) return sum_of(list) / #list end, x, axis) end,
  samples = samples,
  refused = refused,
}

define {
  name = "max",
  unnamed = true,
  doc = "x:max(axis): the largest element along an axis, which is dropped, or of all; the gradient goes to the first "
    .. "of equals. NaN is larger than any number.",
  f = function(x, axis)
    local y, position = K.max(x, axis)
    return record(y, "max", function(gy, _, graph)
      if not graph then return K.max_backward(gy, position, x.shape, axis) end
      local shape, along_axis = axis and x.shape or { T.count(x) }, axis or 1
      if along_axis < 0 then along_axis = along_axis + #shape + 1 end
      local one = copy(shape)
      one[along_axis] = 1
      local added = primitives.scatter_add(shape, along_axis, T.reshape(position, one), 0, primitives.view(gy, one))
      return primitives.view(added, x.shape)
    end, nil, x)
  end,
  twice = true,
  dtypes = "real",
  reference = function(new, x, axis)
    return along(new, function(list)
      local best = list[1]
      for _, value in ipairs(list) do
        if value > best or value ~= value then best = value end
      end
      return best
    end, x, axis)
  end,
  samples = samples,
  refused = function(s)
    return { { "axis 3 is out of range for shape {2, 3}", s.real(2, 3), 3 }, { 'got string "x"', s.real(2), "x" },
      { "max of nothing: shape {0, 3} is empty along the axis", s.real(0, 3), 1 } }
  end,
}

return records
