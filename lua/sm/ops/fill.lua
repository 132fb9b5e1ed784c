--- Tensors with more around or behind them: padding, tiles. See sm.ops.shape for what a record has.
-- @module sm.ops.fill
local runtime = require "sm.runtime"
local autograd = require "sm.autograd"
local arguments = require "sm.ops.arguments"
local check = require "sm.check"
local fail = require "sm.fail"
local primitives = require "sm.ops.primitives"
local shape_text = require "sm.text".shape

local V = runtime.stride
local record = autograd.record_twice
local copy, steps_of, view = primitives.copy, primitives.steps_of, primitives.view

local records = {}

local function define(given) records[#records + 1] = given end

local MOST <const> = 1 << 40 -- elements of padding on one side

local PAD = {
  value = { type = "real", default = 0, doc = "what the new elements are, with the mode constant" },
  mode = { type = "string", choices = { "constant", "reflect", "replicate", "circular" }, default = "constant",
    doc = "what is shown: a value, x turned about its last element, that element again, or x from the other end" },
}
for i = 1, 2 * arguments.MOST_AXES do
  PAD[i] = { type = "integer", min = -MOST, max = MOST,
    doc = "elements before and after, in pairs from the last axis on" }
end

--- The padding of each axis from {before, after, …}, which begins with the last axis.
local function sides(o, shape)
  local given, before, after = 0, {}, {}
  for i = 1, 2 * arguments.MOST_AXES do given = o[i] and i or given end
  for i = 1, given do
    if not o[i] then fail("pad: expected pairs of integers, got nil as number %d", i) end
  end
  if given == 0 or given % 2 == 1 then
    fail("pad: expected pairs of integers, {before, after, …} of the last axis first, got %d of them", given)
  end
  if given // 2 > #shape then
    fail("pad: expected at most %d pairs of integers for shape %s, got %d", #shape, shape_text(shape), given // 2)
  end
  for axis = 1, #shape do
    local pair = #shape - axis
    before[axis], after[axis] = o[2 * pair + 1] or 0, o[2 * pair + 2] or 0
  end
  return before, after
end

--- Positions along an axis of `size` that padding beyond its ends shows, 1-based.
local SHOWN <const> = {
  reflect = function(i, size) return i < 1 and 2 - i or i > size and 2 * size - i or i end,
  replicate = function(i, size) return math.max(1, math.min(i, size)) end,
  circular = function(i, size) return (i - 1) % size + 1 end,
}

--- How many elements each mode can add on one side.
local function most_shown(mode, size)
  return mode == "reflect" and math.max(0, size - 1) or mode == "circular" and size or size > 0 and MOST or 0
end

--- An axis with others' elements around it, by their positions.
local function shown(x, axis, before, after, mode)
  local size, positions = x.shape[axis], {}
  for i = 1 - before, size + after do positions[#positions + 1] = SHOWN[mode](i, size) end
  return primitives.index_select(x, axis, runtime.tensor.tensor(positions, "int32"), "pad")
end

define {
  name = "pad",
  doc = "x:pad{before, after, …, value, mode}: elements added around x, a pair for the last axis, then for the one "
    .. "before it and so on; negative ones take away. A mode other than constant shows x itself instead of a value.",
  options = PAD,
  f = function(x, options)
    local shape = copy(arguments.tensor("pad", x).shape)
    if type(options) ~= "table" then fail("pad: expected a table like {1, 1}, got %s", check.describe(options)) end
    local o = check.options("pad", options, PAD)
    local before, after = sides(o, shape)
    if o.mode ~= "constant" then
      if options.value then fail("pad: a value goes with the mode constant, got mode %s", o.mode) end
      for axis, size in ipairs(shape) do
        local most = most_shown(o.mode, size)
        for _, amount in ipairs { before[axis], after[axis] } do
          if amount < 0 or amount > most then
            fail("pad: with mode %s axis %d of shape %s takes from 0 to %d on a side, got %d", o.mode, axis,
              shape_text(shape), most, amount)
          end
        end
        if before[axis] + after[axis] > 0 then x = shown(x, axis, before[axis], after[axis], o.mode) end
      end
      return x
    end
    local own = copy(shape)
    for axis, size in ipairs(own) do
      shape[axis] = size + before[axis] + after[axis]
      if shape[axis] < 0 then
        fail("pad: axis %d of shape %s would have %d elements", axis, shape_text(own), shape[axis])
      end
    end
    if x.dtype ~= runtime.real then
      arguments.integer("pad", ("option 'value' for %s"):format(x.dtype), o.value,
        runtime.tensor.limits(x.dtype))
    end
    return primitives.place(x, shape, before, o.value, "pad")
  end,
  twice = true,
  reference = function(new, x, o)
    local shape, before = {}, {}
    for axis, size in ipairs(x.shape) do
      local pair = #x.shape - axis
      before[axis] = o[2 * pair + 1] or 0
      shape[axis] = size + before[axis] + (o[2 * pair + 2] or 0)
    end
    return new(shape, function(p)
      local from = {}
      for axis, size in ipairs(x.shape) do
        local i = p[axis] - before[axis]
        if i < 1 or i > size then
          if o.mode == nil then return o.value or 0 end
          if o.mode == "replicate" then i = i < 1 and 1 or size end
          if o.mode == "circular" then i = i < 1 and i + size or i - size end
          if o.mode == "reflect" then i = i < 1 and 2 - i or size - (i - size) end
        end
        from[axis] = i
      end
      return x:at(from)
    end)
  end,
  samples = function(s)
    return { { s.real(2, 3), { 1, 2 } }, { s.real(2, 3), { 0, 1, 2, 0, value = 7 } }, { s.real(3, 4),
      { -1, 1, 0, -2 } },
      { s.real(0, 2), { 0, 0, 1, 1 } }, { s.real(2, 2), { 3, -4, 0, 0 } }, { s.real(4), { -3, -1 } },
      { s.real(2, 5), { 4, 3, mode = "reflect" } }, { s.real(2, 2), { 1, 3, 2, 0, mode = "replicate" } },
      { s.real(3, 2), { 2, 1, 1, 3, mode = "circular" } }, { s.real(2, 3), { 0, 0 } }, { s.real(1, 1, 2),
      { 1, 1, 1, 1, 1, 1 } } }
  end,
  refused = function(s)
    return { { "pairs of integers", s.real(3), { 1 } }, { "at most 1 pairs of integers for shape {3}", s.real(3),
      { 1, 1, 1, 1 } },
      { "axis 1 of shape {3} would have -1 elements", s.real(3), { -2, -2 } }, { "unknown option 'vale'", s.real(3),
      { 1, 1, vale = 2 } },
      { "takes from 0 to 2 on a side, got 3", s.real(3), { 3, 0, mode = "reflect" } }, { "got nil", s.real(3) },
      { "must be from 0 to 255, got 300", s.uint8(3), { 1, 1, value = 300 } },
      { "goes with the mode constant", s.real(3), { 1, 1, value = 1, mode = "circular" } } }
  end,
}

define {
  name = "tile",
  doc = "x:tile(2, 3) or x:tile{2, 3}: x repeated so often along each axis; with fewer numbers than axes along the "
    .. "last ones, with more along new ones in front.",
  f = function(x, ...)
    local own, repeats = copy(arguments.tensor("tile", x).shape), arguments.many("tile", "numbers of repeats", ...)
    if #repeats > arguments.MOST_AXES then
      fail("tile: a tensor has at most %d axes, got %d numbers of repeats", arguments.MOST_AXES, #repeats)
    end
    for i, n in ipairs(repeats) do
      repeats[i] = arguments.integer("tile", ("number %d of repeats"):format(i), n, 0, math.maxinteger)
    end
    while #repeats < #own do table.insert(repeats, 1, 1) end
    while #own < #repeats do table.insert(own, 1, 1) end
    local steps, shape, sizes, walk = steps_of(own), {}, {}, {}
    for axis, n in ipairs(repeats) do
      if own[axis] > 0 and n > math.maxinteger // own[axis] then
        fail("tile: %d repeats of axis %d of shape %s are larger than memory can be", n, axis, shape_text(own))
      end
      shape[axis] = own[axis] * n
      sizes[2 * axis - 1], sizes[2 * axis] = n, own[axis]
      walk[2 * axis - 1], walk[2 * axis] = 0, steps[axis]
    end
    return record(V.view(x, shape, sizes, walk, 0), "tile", function(gy)
      local left = copy(shape)
      for axis, n in ipairs(repeats) do
        if n ~= 1 then
          local outer, inner = 1, own[axis]
          for i = 1, axis - 1 do outer = outer * left[i] end
          for i = axis + 1, #left do inner = inner * left[i] end
          left[axis] = own[axis]
          gy = view(gy, { outer, n, inner }):sum(2)
        end
      end
      return view(gy, x.shape)
    end, nil, x)
  end,
  twice = true,
  reference = function(new, x, ...)
    local repeats, own, shape = { ... }, copy(x.shape), {}
    local added = math.max(0, #repeats - #own)
    while #repeats < #own do table.insert(repeats, 1, 1) end
    for axis, n in ipairs(repeats) do shape[axis] = n * (own[axis - added] or 1) end
    return new(shape, function(p)
      local from = {}
      for axis, size in ipairs(own) do from[axis] = (p[axis + added] - 1) % size + 1 end
      return x:at(from)
    end)
  end,
  samples = function(s)
    return { { s.real(2, 3), 2, 3 }, { s.real(2, 3), 2 }, { s.real(2), 3, 2 }, { s.real(), 2 }, { s.real(2, 2), 1, 1 },
      { s.real(0, 2), 2, 2 }, { s.real(2, 2), 0, 1 }, { s.real(1, 2, 1, 2), 2, 2, 2, 2 } }
  end,
  refused = function(s)
    return { { 'number 1 of repeats must be an integer, got string "x"', s.real(2), "x" },
      { "must be from 0", s.real(2), -1 },
      { "got 9 numbers", s.real(2), 1, 1, 1, 1, 1, 1, 1, 1, 1 }, { "larger than memory", s.real(2), math.maxinteger } }
  end,
}

return records
