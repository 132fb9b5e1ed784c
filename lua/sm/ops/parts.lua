--- Parts of tensors, and tensors made of parts. See sm.ops.shape for what a record has.
-- @module sm.ops.parts
local runtime = require "sm.runtime"
local autograd = require "sm.autograd"
local arguments = require "sm.ops.arguments"
local check = require "sm.check"
local fail = require "sm.fail"
local primitives = require "sm.ops.primitives"
local shape_text = require "sm.text".shape

local T, V = runtime.tensor, runtime.stride
local copy, place, view = primitives.copy, primitives.place, primitives.view
local part, narrowed, joined = primitives.part, primitives.narrowed, primitives.joined

local records = {}

local function define(given) records[#records + 1] = given end

define {
  name = "narrow",
  doc = "x:narrow(axis, start, length): so many elements along an axis; start counts from 1, or from -1 at the end. "
    .. "Along the first axis it shares storage, else it is a copy.",
  f = function(x, axis, start, length)
    local shape = arguments.tensor("narrow", x).shape
    axis = arguments.axis("narrow", axis, shape)
    local size = shape[axis]
    start = arguments.integer("narrow", "start", start, math.mininteger, math.maxinteger)
    length = arguments.integer("narrow", "length", length, 0, math.maxinteger)
    local first = start < 0 and start + size + 1 or start
    if start == 0 or first < 1 or first > size + 1 or length > size + 1 - first then
      fail("narrow: %d elements from position %d are not all among the %d of axis %d%s", length, start, size, axis,
        start == 0 and "; positions count from 1" or "")
    end
    return narrowed(x, axis, first - 1, length)
  end,
  twice = true,
  view = function(_, axis) return axis == 1 end,
  reference = function(new, x, axis, start, length)
    local shape = copy(x.shape)
    axis = axis < 0 and axis + #shape + 1 or axis
    if start < 0 then start = start + shape[axis] + 1 end
    shape[axis] = length
    return new(shape, function(p)
      local from = copy(p)
      from[axis] = from[axis] + start - 1
      return x:at(from)
    end)
  end,
  samples = function(s)
    return { { s.real(2, 5, 3), 2, 2, 3 }, { s.real(5, 2), 1, 4, 2 }, { s.real(2, 3), -1, -2, 2 },
      { s.real(2, 3), 2, 4, 0 },
      { s.real(4), 1, 1, 4 }, { s.real(0, 2), 1, 1, 0 }, { s.real(3, 3, 1), 3, 1, 1 } }
  end,
  refused = function(s)
    return { { "3 elements from position 3 are not all among the 4 of axis 1", s.real(4), 1, 3, 3 },
      { "positions count from 1", s.real(4), 1, 0, 1 }, { "length must be from 0", s.real(4), 1, 1, -1 },
      { "axis 2 is out of range", s.real(4), 2, 1, 1 }, { "start must be an integer, got nil", s.real(4), 1 } }
  end,
}

--- How long the pieces are: of n each, or of these sizes.
local function lengths(size, sizes, axis)
  local given = {}
  if type(sizes) ~= "table" then
    local n = arguments.integer("split", "how many elements a piece has", sizes, 1, math.maxinteger)
    for first = 0, math.max(0, size - 1), n do given[#given + 1] = math.min(n, size - first) end
    return given
  end
  local sum = 0
  for i, length in ipairs(arguments.list("split", sizes, "a list of sizes")) do
    given[i] = arguments.integer("split", ("size %d"):format(i), length, 0, math.maxinteger)
    sum = sum + given[i]
  end
  if sum ~= size then
    fail("split: the sizes %s add up to %d, but axis %d has %d elements", shape_text(given), sum, axis, size)
  end
  return given
end

define {
  name = "split",
  doc = "x:split(n, axis): a list of pieces of n elements along an axis, by default the first, of which the last may "
    .. "be shorter; x:split({2, 3}, axis): of these sizes. Along the first axis they share storage.",
  f = function(x, sizes, axis)
    local shape = arguments.tensor("split", x).shape
    axis = arguments.axis("split", axis or 1, shape)
    local pieces, skipped = {}, 0
    local given = lengths(shape[axis], sizes, axis)
    if autograd.is_leaf(x) then -- each piece has a gradient of its own, so that backward may go from one alone
      for i, length in ipairs(given) do
        pieces[i] = narrowed(x, axis, skipped, length)
        skipped = skipped + length
      end
      return pieces
    end
    -- The pieces' gradients are added in place to one tensor, the gradient of this handle, which nobody else has.
    local whole, sum = view(x, shape), nil
    local function gradient(gy, before, graph)
      if graph then return place(gy, shape, before, 0, "pad") end
      if sum then
        V.add_into(sum, gy, before)
        return
      end
      sum = V.pad(gy, shape, before, 0)
      return sum
    end
    for i, length in ipairs(given) do
      pieces[i] = part(whole, axis, skipped, length, gradient)
      skipped = skipped + length
    end
    return pieces
  end,
  twice = true,
  view = function(_, _, axis) return axis == nil or axis == 1 end,
  reference = function(new, x, sizes, axis)
    axis = axis or 1
    if axis < 0 then axis = axis + #x.shape + 1 end
    local pieces, skipped = {}, 0
    local given = type(sizes) == "table" and sizes or {}
    if given ~= sizes then
      local size = x.shape[axis]
      for first = 0, math.max(0, size - 1), sizes do given[#given + 1] = math.min(sizes, size - first) end
    end
    for i, length in ipairs(given) do
      local shape, skip = copy(x.shape), skipped
      shape[axis] = length
      pieces[i] = new(shape, function(p)
        local from = copy(p)
        from[axis] = from[axis] + skip
        return x:at(from)
      end)
      skipped = skipped + length
    end
    return pieces
  end,
  samples = function(s)
    return { { s.real(5, 2), 2 }, { s.real(2, 5), { 1, 4 }, 2 }, { s.real(2, 6, 2), 3, -2 }, { s.real(4), { 4 } },
      { s.real(3, 2), { 0, 3, 0 } }, { s.real(0, 2), 3 }, { s.real(3), 7 } }
  end,
  refused = function(s)
    return { { "sizes {2, 2} add up to 4, but axis 1 has 5", s.real(5), { 2, 2 } },
      { "must be from 1 to", s.real(5), 0 }, { "axis 2 is out of range", s.real(5), 1, 2 },
      { 'size 2 must be an integer, got string "x"', s.real(5), { 1, "x" } }, { "got nil", s.real(5) } }
  end,
}

--- A list of at least one tensor; raises where it is none.
local function tensors(where, given)
  if type(given) ~= "table" then fail("%s: expected a list of tensors, got %s", where, check.describe(given)) end
  local list = arguments.list(where, given, "a list of tensors")
  if #list == 0 then fail("%s: expected a list of at least one tensor, got an empty table", where) end
  for i, x in ipairs(list) do arguments.tensor(where, x, ("a tensor as element %d of the list"):format(i)) end
  return list
end

define {
  name = "cat",
  call = "sm.cat",
  doc = "sm.cat({a, b}, axis): tensors of one type joined along an axis, by default the first; the other sizes are "
    .. "alike.",
  f = function(list, axis)
    list = tensors("cat", list)
    if #list[1].shape == 0 then fail "cat: a scalar has no axis to join along; sm.stack makes one" end
    return joined(list, arguments.axis("cat", axis or 1, list[1].shape))
  end,
  twice = true,
  reference = function(new, list, axis)
    axis = axis or 1
    if axis < 0 then axis = axis + #list[1].shape + 1 end
    local shape = copy(list[1].shape)
    for i = 2, #list do shape[axis] = shape[axis] + list[i].shape[axis] end
    return new(shape, function(p)
      local from = copy(p)
      for _, x in ipairs(list) do
        if from[axis] <= x.shape[axis] then return x:at(from) end
        from[axis] = from[axis] - x.shape[axis]
      end
    end)
  end,
  samples = function(s)
    local x = s.real(2, 2)
    return { { { s.real(2, 3), s.real(1, 3) } }, { { s.real(2, 3), s.real(2, 1), s.real(2, 0) }, 2 }, { { s.real(3) } },
      { { s.real(2, 1, 2), s.real(2, 4, 2) }, -2 }, { { s.real(0, 2), s.real(0, 2) } }, { { x, x }, 2 },
      { { s.real(40, 300), s.real(40, 120) }, 2 } }
  end,
  refused = function(s)
    return { { "tensor 2 must have shape {2, 3} but for axis 1, got {2, 4}", { s.real(2, 3), s.real(2, 4) } },
      { "got number 3", { s.real(2), 3 } }, { "at least one tensor, got an empty table", {} },
      { "a scalar has no axis", { s.real() } }, { "must be", { s.real(2), s.uint8(2) } }, { "got nil" },
      { "axis 3 is out of range", { s.real(2, 2) }, 3 } }
  end,
}
records.cat = records[#records].f -- for other families

define {
  name = "stack",
  call = "sm.stack",
  doc = "sm.stack({a, b}, axis): tensors of one shape along a new axis, by default the first; -1 is behind the last.",
  f = function(list, axis)
    list = tensors("stack", list)
    local shape = copy(list[1].shape)
    if #shape == arguments.MOST_AXES then
      fail("stack: a tensor has at most %d axes, shape %s has them all", arguments.MOST_AXES, shape_text(shape))
    end
    local position = arguments.integer("stack", "the new axis", axis or 1, -#shape - 1, #shape + 1)
    if position == 0 then fail "stack: axis 0 is out of range; axes count from 1, or from -1 at the end" end
    if position < 0 then position = position + #shape + 2 end
    local one = copy(shape)
    table.insert(one, position, 1)
    for i, x in ipairs(list) do
      if not T.same_shape(x, list[1]) or x.dtype ~= list[1].dtype then
        fail("stack: tensor %d must be %s %s, as the first is, got %s %s", i, list[1].dtype, shape_text(shape),
          x.dtype, shape_text(x.shape))
      end
    end
    for i, x in ipairs(list) do list[i] = view(x, one) end
    return joined(list, position)
  end,
  twice = true,
  reference = function(new, list, axis)
    axis = axis or 1
    local shape = copy(list[1].shape)
    if axis < 0 then axis = axis + #shape + 2 end
    table.insert(shape, axis, #list)
    return new(shape, function(p)
      local from = copy(p)
      return list[table.remove(from, axis)]:at(from)
    end)
  end,
  samples = function(s)
    return { { { s.real(2, 3), s.real(2, 3) } }, { { s.real(2, 3), s.real(2, 3) }, 3 },
      { { s.real(), s.real(), s.real() } },
      { { s.real(2, 1), s.real(2, 1) }, -2 }, { { s.real(0), s.real(0) }, -1 }, { { s.real(4) }, 2 } }
  end,
  refused = function(s)
    return { { "{2}, as the first is, got", { s.real(2), s.real(3) } }, { "must be from -2 to 2, got 3",
      { s.real(2) }, 3 },
      { "axis 0 is out of range", { s.real(2) }, 0 }, { "as the first is", { s.real(2), s.uint8(2) } },
      { "got an empty table", {} }, { "got number 1", 1 } }
  end,
}

return records
