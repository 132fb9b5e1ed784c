--- Groups of elements that belong together: equal ones or uneven ones of the last axis, or what lies along other axes.
-- @module sm.ops.grouping
local runtime = require "sm.runtime"
local arguments = require "sm.ops.arguments"
local check = require "sm.check"
local fail = require "sm.fail"
local primitives = require "sm.ops.primitives"
local shape_text = require "sm.text".shape
local traced = require "sm.ops.traced"

local T = runtime.tensor
local where = require "sm.ops.compare".where
local M = {}

--- The options that say what the groups are.
M.GROUPS = {
  groups = { type = "integer", min = 1, doc = "number of equal groups of the last axis; 1 where nothing is said" },
  sizes = { type = "table", doc = "or the sizes of uneven groups of the last axis" },
  axis = { type = { "integer", "table" }, doc = "or another axis, or a list of axes, as one group" },
}

--- Options of a softmax that are yes or no.
M.FLAGS = {
  scale = { type = "boolean", default = false, doc = "multiplies by the group's size, so that the mean is 1" },
  off = { type = "boolean", default = false, doc = "adds an option with logit 0, none of these, to every group" },
  hard = { type = "boolean", default = false,
    doc = "gives 1 for the largest and 0 for the others, with the gradient of what is soft" },
}

--- These, and others.
function M.options_with(more)
  return check.with(M.GROUPS, more)
end

--- Checks options of groups. Where nothing is said, the last axis is one group.
-- @param spec from options_with
-- @return a table of its own, with axis unless groups or sizes say more
function M.options(name, options, spec)
  local o = check.options(name, options, spec)
  if o.axis and (o.groups or o.sizes) then
    fail("%s: groups and sizes are of the last axis; give them or another axis, not both", name)
  end
  if o.groups and o.sizes then fail("%s: give groups (equal ones) or sizes (uneven ones), not both", name) end
  if o.sizes then o.sizes = check.sizes(name, o.sizes) end -- a copy: the gradient needs them as they are now
  if not (o.groups or o.sizes) then o.axis = o.axis or -1 end
  return o
end

--- The sizes of the groups of so many channels.
function M.sizes(o, channels)
  if o.sizes then return o.sizes end
  local sizes = {}
  for group = 1, o.groups do sizes[group] = channels // o.groups end
  return sizes
end

--- The group of each channel of a list of sizes, counted from 1: int32 {channels}.
function M.of_channels(sizes)
  local groups = {}
  for group, size in ipairs(sizes) do
    for _ = 1, size do groups[#groups + 1] = group end
  end
  return T.tensor(groups, "int32")
end

-- Raises unless the last axis can be divided as the options say, in groups of more than one unless `single`.
local function check_division(name, shape, o, single)
  local channels = shape[#shape]
  if not channels then fail("%s: expected a last axis of channels, got shape {}", name) end
  if o.groups and channels % o.groups ~= 0 then
    fail("%s: %d channels cannot be divided into %d equal groups (input %s)", name, channels, o.groups,
      shape_text(shape))
  end
  local sum, smallest = 0, o.groups and channels // o.groups or 2
  for _, size in ipairs(o.sizes or {}) do sum, smallest = sum + size, math.min(smallest, size) end
  if o.sizes and sum ~= channels then
    fail("%s: group sizes add up to %d, expected the %d channels of the last axis", name, sum, channels)
  elseif smallest < 1 or smallest == 1 and not single then
    fail("%s: a group of %s says nothing: use at least 2 channels a group", name, smallest == 1 and "one channel"
      or "no channels")
  end
end

--- Raises unless x is real and has groups as the options say.
-- @return x
function M.check(name, x, o, single)
  arguments.real(name, x)
  if o.axis then arguments.axes(name, o.axis, x.shape) else check_division(name, x.shape, o, single) end
  return x
end

--- x with axes as one: f(x {outer, n, inner}, 2) in x's shape, whose axes have what f leaves of them where `drop`.
local function over_axes(name, x, o, f, drop)
  local shape = x.shape
  local axes, moved = arguments.axes(name, o.axis, shape), {}
  if #axes == 0 then fail("%s: expected at least one axis, got an empty table", name) end
  for _, a in ipairs(axes) do moved[a] = true end
  table.sort(axes)
  local first, last, kept = axes[1], axes[#axes], {}
  for a, size in ipairs(shape) do
    if not moved[a] then kept[#kept + 1] = size end
  end
  if last - first + 1 == #axes then -- neighbours
    local outer, n, inner = 1, 1, 1
    for a, size in ipairs(shape) do
      if a < first then outer = outer * size elseif a > last then inner = inner * size else n = n * size end
    end
    local y = f(primitives.view(x, { outer, n, inner }), 2)
    return primitives.view(y, drop and kept or shape)
  end
  local order, inverse, sizes = {}, {}, primitives.copy(kept)
  for a = 1, #shape do
    if not moved[a] then order[#order + 1] = a end
  end
  for _, a in ipairs(axes) do
    order[#order + 1] = a
    sizes[#sizes + 1] = shape[a]
  end
  for i, a in ipairs(order) do inverse[a] = i end
  local outer, n = 1, 1
  for _, size in ipairs(kept) do outer = outer * size end
  for _, a in ipairs(axes) do n = n * shape[a] end
  local y = f(primitives.view(x:permute(order), { outer, n, 1 }), 2)
  if drop then return primitives.view(y, kept) end
  return primitives.view(y, sizes):permute(inverse)
end

--- Computes each group of x by itself.
-- @param o from M.options
-- @param f function(part, axis) → what each group, along that axis of `part`, becomes: as many elements, or with
--   `drop` one, along the same axis. It is called once, or for each of uneven groups
-- @param drop whether one element is left of a group: {…, groups}, or x's shape without the axes
-- @param single whether a group may have one element
function M.each(name, x, o, f, drop, single)
  arguments.real(name, x)
  if o.axis then return over_axes(name, x, o, f, drop) end
  local shape = x.shape
  check_division(name, shape, o, single)
  local rank = #shape
  if o.groups then
    local size = shape[rank] // o.groups
    local y = f(primitives.view(x, { T.count(x) // shape[rank] * o.groups, size, 1 }), 2)
    if drop then shape[rank] = o.groups end
    return primitives.view(y, shape)
  end
  local parts = x:split(o.sizes, rank)
  for group, part in ipairs(parts) do parts[group] = f(part, rank) end
  return primitives.joined(parts, rank)
end

--- For references: f(list of a group's elements) → what it becomes, a list, of which `drop` takes the first.
function M.reference(new, x, o, f, drop)
  o = o or {}
  local shape, over = x.shape, {}
  local rank = #shape
  local axes = not (o.groups or o.sizes) and (o.axis or -1) or nil
  for _, a in ipairs(type(axes) == "table" and axes or { axes }) do over[a < 0 and a + rank + 1 or a] = true end
  local sizes = not axes and M.sizes(o, shape[rank])
  local lists, where_in = {}, {}
  local function key(p)
    local left = {}
    for a, at in ipairs(p) do left[a] = over[a] and "*" or at end
    if sizes then
      local group, last = 1, sizes[1]
      while p[rank] > last do group, last = group + 1, last + sizes[group + 1] end
      left[rank] = group
    end
    return table.concat(left, ",")
  end
  new(shape, function(p)
    local k, flat = key(p), table.concat(p, ",")
    lists[k] = lists[k] or {}
    table.insert(lists[k], x:at(p))
    where_in[flat] = #lists[k]
    return 0
  end)
  local results = {}
  for k, list in pairs(lists) do results[k] = f(list) end
  if not drop then return new(shape, function(p) return results[key(p)][where_in[table.concat(p, ",")]] end) end
  local kept = {}
  for a, size in ipairs(shape) do
    if sizes and a == rank then size = #sizes end
    if not over[a] then kept[#kept + 1] = size end
  end
  return new(kept, function(p)
    local k, i = {}, 0
    for a = 1, rank do
      if not over[a] then i = i + 1 end
      k[a] = over[a] and "*" or p[i]
    end
    return (results[table.concat(k, ",")] or f {})[1]
  end)
end

--- Samples of groups along each kind of axis, with more options.
function M.samples_with(more)
  return function(s)
    local function with(options)
      for key, value in pairs(more or {}) do options[key] = value end
      return options
    end
    return { { s.real(2, 5), with {} }, { s.real(2, 6), with { groups = 3 } },
      { s.real(2, 1, 12), with { sizes = { 5, 3, 4 } } }, { s.real(4), with {} },
      { s.real(2, 3, 4), with { axis = 2 } },
      { s.real(2, 3, 4), with { axis = { 1, -1 } } }, { s.real(2, 3, 4), with { axis = { 2, 1 } } },
      { s.real(0, 4), with { groups = 2 } }, { s.real(3, 0, 2), with { axis = 2 } },
      { s.real(40, 64), with { groups = 16 } }, { s.real(3, 200), with {} },
      { s.real(2, 3, 70), with { axis = 2 } }, { s.real(2, 70, 33), with { axis = 2 } } }
  end
end

function M.refused_by(more)
  return function(s)
    local list = { { "2 channels cannot be divided into 3 equal groups (input {2})", s.real(2), { groups = 3 } },
      { "give groups (equal ones) or sizes (uneven ones), not both", s.real(2), { groups = 1, sizes = { 2 } } },
      { "give them or another axis, not both", s.real(2, 2), { axis = 1, groups = 2 } },
      { "axis 3 is out of range for shape {2, 2}", s.real(2, 2), { axis = 3 } },
      { "expected at least one axis", s.real(2, 2), { axis = {} } },
      { "size 2 must be an integer of at least 1, got number 0", s.real(2), { sizes = { 2, 0 } } },
      { "group sizes add up to 5, expected the 4 channels", s.real(2, 4), { sizes = { 2, 3 } } },
      { runtime.real .. " tensor", s.uint8(2) }, { "unknown option 'group'; did you mean", s.real(2), { group = 1 } } }
    return table.move(more and more(s) or {}, 1, more and #more(s) or 0, #list + 1, list)
  end
end

-- x / t, with infinities that stay what they are whatever t, and say nothing of it.
local divided = traced.lazily("temperature", function(x, t)
  local finite = x:abs():lt(math.huge)
  return where(finite, where(finite, x, 0) / t, x)
end, 2)

--- The option of a temperature: a number, or a tensor of one number or of one a group.
M.TEMPERATURE = { type = { "real", "tensor" }, above = 0, default = 1,
  doc = "divides the logits: a number, or a tensor of one number or of one for each group" }

--- x over a temperature that is a tensor, recorded; numbers are left to the kernels.
-- @return x or what it has become, the temperature that is left
function M.cooled(name, x, o)
  local t = o.temperature
  if type(t) == "number" then return x, t end
  arguments.real(name, t, "a real tensor as the temperature")
  arguments.real(name, x)
  local count = T.count(t)
  local groups = o.sizes and #o.sizes or o.groups or 1
  if count ~= 1 and (count ~= groups or #t.shape ~= 1) then
    fail("%s: a temperature has one number, or one for each of %d groups, got shape %s", name, groups,
      shape_text(t.shape))
  end
  for group, value in ipairs(T.totable(T.reshape(t, { count }))) do
    if not (value > 0 and value < math.huge) then
      fail("%s: the temperature%s must be above 0 and finite, got %g", name,
        count > 1 and (" of group %d"):format(group) or "", value)
    end
  end
  if count == 1 then return divided(x, primitives.view(t, {})), 1 end
  check_division(name, x.shape, o, true)
  local channels = x.shape[#x.shape]
  return divided(x, primitives.index_select(t, 1, M.of_channels(M.sizes(o, channels)), "index_select")), 1
end

return M
