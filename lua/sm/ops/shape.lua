--- Other shapes and orders of the same elements. An operation is one record:
-- name, doc; f, forward and gradient side by side; `call` for what is no method ("sm.cat"); twice where its gradient is
-- written with operations, so that it has a gradient itself; reference, a slow one on arrays of Lua's numbers; samples
-- and refused arguments, which tests/lua/records_spec.lua runs through. dtypes = "real": it takes no others; special =
-- false: special values are no test of it; unnamed: its errors, such as an operator's, do not begin with its name.
-- @module sm.ops.shape
local runtime = require "sm.runtime"
local autograd = require "sm.autograd"
local arguments = require "sm.ops.arguments"
local primitives = require "sm.ops.primitives"
local check = require "sm.check"
local fail = require "sm.fail"
local shape_text = require "sm.text".shape

local V = runtime.stride
local record = autograd.record_twice
local copy, steps_of, view = primitives.copy, primitives.steps_of, primitives.view

local records = {}

local function define(given) records[#records + 1] = given end

local function permuted(x, axes, name)
  local shape, steps, inverse = x.shape, steps_of(x.shape), {}
  local sizes, own = {}, {}
  for i, axis in ipairs(axes) do sizes[i], own[i], inverse[axis] = shape[axis], steps[axis], i end
  return record(V.view(x, sizes, sizes, own, 0), name, function(gy) return permuted(gy, inverse, name) end, nil, x)
end

define {
  name = "permute",
  doc = "x:permute(3, 1, 2) or x:permute{3, 1, 2}: the axes in another order.",
  f = function(x, ...)
    arguments.tensor("permute", x)
    local shape, given = x.shape, arguments.many("permute", "axes", ...)
    local axes = arguments.axes("permute", given, shape)
    if #axes ~= #shape then
      fail("permute: expected %d axes, one for each of shape %s, got %s", #shape, shape_text(shape),
        shape_text(given))
    end
    return permuted(x, axes, "permute")
  end,
  twice = true,
  reference = function(new, x, ...)
    local axes, shape = { ... }, {}
    for i, axis in ipairs(axes) do
      axes[i] = axis < 0 and axis + #axes + 1 or axis
      shape[i] = x.shape[axes[i]]
    end
    return new(shape, function(p)
      local from = {}
      for i, axis in ipairs(axes) do from[axis] = p[i] end
      return x:at(from)
    end)
  end,
  samples = function(s)
    return { { s.real(2, 3, 4), 3, 1, 2 }, { s.real(3, 2), -1, 1 }, { s.real() }, { s.real(0, 3, 2), 2, 3, 1 },
      { s.real(1, 5, 1), 3, 2, 1 }, { s.real(2, 3, 2, 1, 2, 1, 2, 1), 8, 7, 6, 5, 4, 3, 2, 1 },
      { s.real(37, 41), 2, 1 }, { s.real(5, 9, 33), 2, 1, 3 } }
  end,
  refused = function(s)
    return { { "axis 4 is out of range for shape {2, 3, 4}", s.real(2, 3, 4), 4, 1, 2 },
      { "axis 1 stands twice", s.real(2, 3), 1, 1 }, { "expected 3 axes", s.real(2, 3, 4), 1, 2 },
      { 'got string "a"', s.real(2, 3), "a", 1 }, { "axis 0 is out of range", s.real(2), 0 } }
  end,
}

define {
  name = "transpose",
  doc = "x:transpose(a, b): two axes exchanged; of a matrix x:transpose().",
  f = function(x, a, b)
    arguments.tensor("transpose", x)
    local shape = x.shape
    if a == nil and b == nil then
      if #shape ~= 2 then
        fail("transpose: expected a matrix, got shape %s; name the two axes, as in x:transpose(1, 2)",
          shape_text(shape))
      end
      a, b = 1, 2
    end
    a, b = arguments.axis("transpose", a, shape), arguments.axis("transpose", b, shape)
    local axes = {}
    for axis = 1, #shape do axes[axis] = axis == a and b or axis == b and a or axis end
    return permuted(x, axes, "transpose")
  end,
  twice = true,
  reference = function(new, x, a, b)
    local rank, shape = #x.shape, copy(x.shape)
    a, b = a or 1, b or 2
    if a < 0 then a = a + rank + 1 end
    if b < 0 then b = b + rank + 1 end
    shape[a], shape[b] = shape[b], shape[a]
    return new(shape, function(p)
      local from = copy(p)
      from[a], from[b] = from[b], from[a]
      return x:at(from)
    end)
  end,
  samples = function(s)
    return { { s.real(3, 4) }, { s.real(2, 3, 4), 1, 3 }, { s.real(2, 3, 4), -1, -2 }, { s.real(2, 3), 2, 2 },
      { s.real(0, 3) }, { s.real(1, 1), 1, 2 }, { s.real(65, 34) }, { s.real(3, 40, 2, 5), 2, 4 } }
  end,
  refused = function(s)
    return { { "expected a matrix, got shape {2, 3, 4}", s.real(2, 3, 4) }, { "got nil", s.real(2, 3), 1 },
      { "axis 3 is out of range for shape {2, 3}", s.real(2, 3), 1, 3 } }
  end,
}

define {
  name = "squeeze",
  doc = "x:squeeze(axis): without an axis of size 1, or those in a list, or all of them; other sizes stay. Shares "
    .. "storage.",
  f = function(x, axis)
    arguments.tensor("squeeze", x)
    local shape, dropped, left = x.shape, {}, {}
    for _, given in ipairs(axis ~= nil and arguments.axes("squeeze", axis, shape) or {}) do dropped[given] = true end
    for i, size in ipairs(shape) do
      if size ~= 1 or axis ~= nil and not dropped[i] then left[#left + 1] = size end
    end
    return view(x, left)
  end,
  twice = true,
  view = true,
  reference = function(new, x, axis)
    local kept, shape = {}, {}
    local wanted = type(axis) == "table" and axis or { axis }
    for i, size in ipairs(x.shape) do
      local drop = size == 1 and axis == nil
      for _, a in ipairs(wanted) do drop = drop or size == 1 and (a == i or a + #x.shape + 1 == i) end
      if not drop then kept[#kept + 1], shape[#shape + 1] = i, size end
    end
    return new(shape, function(p)
      local from = {}
      for i = 1, #x.shape do from[i] = 1 end
      for i, k in ipairs(kept) do from[k] = p[i] end
      return x:at(from)
    end)
  end,
  samples = function(s)
    return { { s.real(2, 1, 3), 2 }, { s.real(1, 2, 1) }, { s.real(2, 3), 1 }, { s.real(1, 1) }, { s.real(1, 0), -2 },
      { s.real(1, 3, 1, 1), { 1, -1 } }, { s.real() } }
  end,
  refused = function(s)
    return { { "axis 3 is out of range for shape {2, 1}", s.real(2, 1), 3 }, { 'got string "x"', s.real(1), "x" },
      { "axis 1 stands twice", s.real(1, 2), { 1, -2 } } }
  end,
}

define {
  name = "unsqueeze",
  doc = "x:unsqueeze(axis): with a new axis of size 1 there; -1 is behind the last. Shares storage.",
  f = function(x, axis)
    arguments.tensor("unsqueeze", x)
    local shape = copy(x.shape)
    if #shape == arguments.MOST_AXES then
      fail("unsqueeze: a tensor has at most %d axes, shape %s has them all", arguments.MOST_AXES, shape_text(shape))
    end
    local position = arguments.integer("unsqueeze", "the new axis", axis, -#shape - 1, #shape + 1)
    if position == 0 then fail "unsqueeze: axis 0 is out of range; axes count from 1, or from -1 at the end" end
    table.insert(shape, position < 0 and position + #shape + 2 or position, 1)
    return view(x, shape)
  end,
  twice = true,
  view = true,
  reference = function(new, x, axis)
    local shape = copy(x.shape)
    local at = axis < 0 and axis + #shape + 2 or axis
    table.insert(shape, at, 1)
    return new(shape, function(p)
      local from = copy(p)
      table.remove(from, at)
      return x:at(from)
    end)
  end,
  samples = function(s)
    return { { s.real(2, 3), 1 }, { s.real(2, 3), 3 }, { s.real(2, 3), -1 }, { s.real(2, 3), -3 }, { s.real(), 1 },
      { s.real(0, 2), 2 }, { s.real(1), 1 } }
  end,
  refused = function(s)
    return { { "must be from -3 to 3, got 4", s.real(2, 3), 4 }, { "axis 0 is out of range", s.real(2), 0 },
      { "at most 8 axes", s.real(1, 1, 1, 1, 1, 1, 1, 1), 1 }, { "got nil", s.real(2) } }
  end,
}

define {
  name = "expand",
  doc = "x:expand(shape): axes of size 1, and new ones in front, repeated to these sizes; -1 keeps a size. A copy.",
  f = function(x, ...)
    arguments.tensor("expand", x)
    local own, shape = x.shape, arguments.many("expand", "sizes", ...)
    for axis, size in ipairs(shape) do
      shape[axis] = arguments.integer("expand", ("size %d"):format(axis), size, -1, math.maxinteger)
    end
    if #shape < #own or #shape > arguments.MOST_AXES then
      fail("expand: expected %d to %d sizes for shape %s, got %s", #own, arguments.MOST_AXES, shape_text(own),
        shape_text(shape))
    end
    local given = copy(shape)
    for axis, size in ipairs(shape) do
      local i = axis - #shape + #own
      if size == -1 then shape[axis] = own[i] end
      if not shape[axis] or own[i] and own[i] ~= 1 and own[i] ~= shape[axis] then
        fail("expand: shape %s does not expand to %s: only axes of size 1 and new ones in front are repeated",
          shape_text(own), shape_text(given))
      end
    end
    return primitives.expanded(x, shape)
  end,
  twice = true,
  reference = function(new, x, shape)
    local sizes, behind = {}, #shape - #x.shape
    for axis, size in ipairs(shape) do sizes[axis] = size == -1 and x.shape[axis - behind] or size end
    return new(sizes, function(p)
      local from = {}
      for axis, size in ipairs(x.shape) do from[axis] = size == 1 and 1 or p[axis + behind] end
      return x:at(from)
    end)
  end,
  samples = function(s)
    return { { s.real(3, 1), { 3, 4 } }, { s.real(3), { 2, 3 } }, { s.real(), { 2, 2 } }, { s.real(2, 1), { -1, 3 } },
      { s.real(1, 3, 1), { 2, 2, 3, 4 } }, { s.real(1, 2), { 0, 2 } }, { s.real(2, 3), { 2, 3 } }, { s.real(0),
      { 2, 0 } } }
  end,
  refused = function(s)
    return { { "shape {2, 3} does not expand to {2, 4}", s.real(2, 3), { 2, 4 } },
      { "expected 2 to 8 sizes for shape {2, 3}, got {3}", s.real(2, 3), { 3 } },
      { "shape {3} does not expand to {-1, 3}", s.real(3), { -1, 3 } },
      { 'size 1 must be an integer, got string "2"', s.real(1), { "2" } } }
  end,
}

local function flipped(x, axes)
  local shape, steps, offset = x.shape, steps_of(x.shape), 0
  for _, axis in ipairs(axes) do
    if shape[axis] > 0 then offset = offset + (shape[axis] - 1) * steps[axis] end
    steps[axis] = -steps[axis]
  end
  return record(V.view(x, shape, shape, steps, offset), "flip", function(gy) return flipped(gy, axes) end, nil, x)
end

define {
  name = "flip",
  doc = "x:flip(axis), or a list of axes: the elements along it in the opposite order.",
  f = function(x, axis)
    arguments.tensor("flip", x)
    if axis == nil then fail "flip: expected an axis or a list of axes, got nil" end
    return flipped(x, arguments.axes("flip", axis, x.shape))
  end,
  twice = true,
  reference = function(new, x, axis)
    local turned = {}
    for _, a in ipairs(type(axis) == "table" and axis or { axis }) do turned[a < 0 and a + #x.shape + 1 or a] = true end
    return new(x.shape, function(p)
      local from = copy(p)
      for a in pairs(turned) do from[a] = x.shape[a] + 1 - p[a] end
      return x:at(from)
    end)
  end,
  samples = function(s)
    return { { s.real(2, 3), 1 }, { s.real(2, 3, 4), { 1, -1 } }, { s.real(2, 0), 2 }, { s.real(1, 3), 1 },
      { s.real(5), -1 }, { s.real(3, 2), {} }, { s.real(3, 1000), 2 } }
  end,
  refused = function(s)
    return { { "expected an axis or a list of axes, got nil", s.real(2) }, { "axis 2 is out of range", s.real(3), 2 },
      { "axis 1 stands twice", s.real(3, 3), { 1, 1 } } }
  end,
}

local function rolled(x, n, axis)
  return record(V.roll(x, n, axis), "roll", function(gy) return rolled(gy, -n, axis) end, nil, x)
end

define {
  name = "roll",
  doc = "x:roll(n, axis), or a list of both: every element n positions further, those at the end to the beginning. "
    .. "Without an axis the elements are taken in a row.",
  f = function(x, n, axis)
    arguments.tensor("roll", x)
    local shifts = arguments.list("roll", n, "a list of integers")
    for i, shift in ipairs(shifts) do
      shifts[i] = arguments.integer("roll", "how far", shift, -math.maxinteger, math.maxinteger)
    end
    if #shifts == 0 then fail("roll: expected how far, an integer, got %s", check.describe(n)) end
    if axis == nil then
      if #shifts > 1 then fail("roll: expected an axis for each of %d shifts, got nil", #shifts) end
      return view(rolled(view(x, { -1 }), shifts[1], 1), x.shape)
    end
    local axes = arguments.list("roll", axis, "a list of axes")
    if #axes ~= #shifts then
      fail("roll: expected an axis for each shift, got %d shifts and %d axes", #shifts, #axes)
    end
    for i, shift in ipairs(shifts) do x = rolled(x, shift, arguments.axis("roll", axes[i], x.shape)) end
    return x
  end,
  twice = true,
  reference = function(new, x, n, axis)
    if not axis then
      local flat = {}
      new(x.shape, function(p) flat[#flat + 1] = x:at(p) return 0 end)
      local i = 0
      return new(x.shape, function() i = i + 1 return flat[(i - 1 - n) % #flat + 1] end)
    end
    local shifts, axes = type(n) == "table" and n or { n }, type(axis) == "table" and axis or { axis }
    return new(x.shape, function(p)
      local from = copy(p)
      for i, a in ipairs(axes) do
        a = a < 0 and a + #x.shape + 1 or a
        from[a] = (from[a] - 1 - shifts[i]) % x.shape[a] + 1
      end
      return x:at(from)
    end)
  end,
  samples = function(s)
    return { { s.real(2, 5), 2, 2 }, { s.real(4, 3), -1, 1 }, { s.real(2, 3), 4 }, { s.real(3, 4), { 1, -2 },
      { 1, -1 } },
      { s.real(0, 3), 1, 1 }, { s.real(1), 7, 1 }, { s.real(3), 300, 1 }, { s.real(2, 3), 0, 2 }, { s.real(), 3 } }
  end,
  refused = function(s)
    return { { "how far must be an integer, got number 1.5", s.real(3), 1.5, 1 },
      { "axis 3 is out of range", s.real(2, 2), 1, 3 },
      { "got 2 shifts and 1 axes", s.real(2, 2), { 1, 2 }, 1 }, { "got nil", s.real(2) } }
  end,
}

return records
