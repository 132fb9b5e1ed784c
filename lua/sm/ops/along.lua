--- What records that reduce along axes share. See sm.ops.shape for what a record has.
-- @module sm.ops.along
local runtime = require "sm.runtime"
local arguments = require "sm.ops.arguments"
local check = require "sm.check"
local fail = require "sm.fail"
local primitives = require "sm.ops.primitives"

local M = {}

M.OPTIONS = {
  keepdim = { type = "boolean", default = false, doc = "whether the axes stay, with one element" },
}

--- How x is reduced along axes without a copy: step by step, neighbours as one axis, from the last to the first.
-- @param axis number, list or nil: all
-- @return list of steps {shape=a view of what is left so far, axis=one of it, or nil: all}
-- @return the shape of x with the axes as 1
function M.steps(where, x, axis)
  local shape = arguments.real(where, x).shape
  local gone, kept = {}, {}
  if axis ~= nil then
    local axes = arguments.axes(where, axis, shape)
    if #axes == 0 then
      local key = next(axis)
      fail("%s: expected at least one axis, got %s", where, key == nil and "an empty table"
        or ("the option '%s'; an axis comes before a table of options"):format(check.word(key)))
    end
    for _, a in ipairs(axes) do gone[a] = true end
  end
  local left = primitives.copy(shape)
  for a, size in ipairs(shape) do kept[a] = (axis == nil or gone[a]) and 1 or size end
  local steps, last = {}, #shape
  while last > 0 and axis ~= nil do
    if gone[last] then
      local first = last
      while gone[first - 1] do first = first - 1 end
      local seen, count = table.move(left, 1, first - 1, 1, {}), 1
      for a = first, last do count = count * left[a] end
      seen[first] = count
      table.move(left, last + 1, #left, first + 1, seen)
      steps[#steps + 1] = { shape = seen, axis = first }
      left = primitives.copy(seen)
      table.remove(left, first)
      last = first
    end
    last = last - 1
  end
  if #steps == 0 or #left == 0 and #steps == 1 then steps = { { shape = shape } } end
  return steps, kept
end

--- Reduces x along an axis, along several at once, or all of it.
-- @param axis number, list or nil: all
-- @param options {keepdim=false}: whether the axes stay, with size 1
-- @param f function(x, axis or nil: all) → what is left without that axis; a single axis is given as it came. Along
--   axes that are no neighbours f is called for each in turn.
function M.reduced(where, x, axis, options, f)
  local keep = options ~= nil and check.options(where, options, M.OPTIONS).keepdim
  if type(axis) ~= "table" and not keep then return f(x, axis) end
  local steps, kept = M.steps(where, x, axis)
  local y = x
  for _, step in ipairs(steps) do
    y = f(#step.shape == #y.shape and y or primitives.view(y, step.shape), step.axis)
  end
  return keep and primitives.view(y, kept) or y
end

--- The shape of x with an axis, or all of them, as 1.
function M.with_one(x, axis)
  local shape = primitives.copy(x.shape)
  for a = 1, #shape do
    if axis == nil or a == axis or a == axis + #shape + 1 then shape[a] = 1 end
  end
  return shape
end

--- For references: f of the list of elements along axes, or of all.
function M.reference(new, f, x, axis, o)
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

--- For references: the sum of a list.
function M.sum(list)
  local sum = 0
  for _, value in ipairs(list) do sum = sum + value end
  return sum
end

--- Samples of x, an axis and options; more of them where an empty axis has a result.
function M.samples(s, empty)
  local list = { { s.real(2, 3, 4), 1 }, { s.real(2, 3, 4), 2 }, { s.real(2, 3, 4), -1 }, { s.real(2, 3) },
    { s.real() }, { s.real(1, 4, 1), 1 }, { s.real(0, 3), 2 },
    { s.real(2, 3, 4), { 1, 3 } }, { s.real(2, 3, 4), { -1, 2 } }, { s.real(2, 3), { 2, 1 } }, { s.real(2, 3), { 1 } },
    { s.real(2, 3, 2), 2, { keepdim = true } }, { s.real(2, 3), nil, { keepdim = true } },
    { s.real(2, 3, 2, 2), { 3, 1 }, { keepdim = true } }, { s.real(2, 2, 2, 2, 2), { 1, 3, 5 } },
    { s.real(), nil, { keepdim = true } }, { s.real(130, 140), 1 }, { s.real(3, 40, 11), { 1, 3 } } }
  for _, sample in ipairs(empty and { { s.real(0, 3), 1 }, { s.real(0) }, { s.real(2, 0, 2), { 1, 2 } } } or {}) do
    list[#list + 1] = sample
  end
  return list
end

--- Arguments that are refused. An axis or an option is refused by its record.
function M.refused(s)
  return { { "axis 3 is out of range for shape {2, 3}", s.real(2, 3), 3 }, { 'got string "x"', s.real(2), "x" },
    { "a " .. runtime.real .. " tensor", s.uint8(2) }, { "axis 1 stands twice", s.real(2, 3), { 1, -2 } },
    { "expected at least one axis, got an empty table", s.real(2, 3), {} },
    { "unknown option 'keepdims'; did you mean 'keepdim'?", s.real(2), 1, { keepdims = true } },
    { "expected a table of options, got number 2", s.real(2, 3), 1, 2 } }
end

--- The same where an axis must have elements.
function M.refused_empty(s)
  return { { "axis 3 is out of range for shape {2, 3}", s.real(2, 3), 3 }, { 'got string "x"', s.real(2), "x" },
    { "of nothing: shape {0, 3} is empty along the axis", s.real(0, 3), 1 },
    { "of nothing: shape {0, 3} is empty along the axis", s.real(0, 3), { 1, 2 } } }
end

return M
