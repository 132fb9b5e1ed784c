--- Softmax over groups. See sm.ops.shape for what a record has.
-- @module sm.ops.normalise
local runtime = require "sm.runtime"
local arguments = require "sm.ops.arguments"
local autograd = require "sm.autograd"
local check = require "sm.check"
local fail = require "sm.fail"
local primitives = require "sm.ops.primitives"

local T, S = runtime.tensor, runtime.softmax
local record, saved = autograd.record_twice, autograd.saved

local records = {}

local function define(given) records[#records + 1] = given end

local SOFTMAX = {
  axis = { type = { "integer", "table" } },
  groups = { type = "integer", min = 1 },
  sizes = { type = "table" },
  temperature = { type = "real", above = 0, default = 1 },
  scale = { type = "boolean", default = false },
  off = { type = "boolean", default = false },
}

local function softmax_options(options)
  local o = check.options("softmax", options, SOFTMAX)
  if o.axis and (o.groups or o.sizes) then
    fail "softmax: groups and sizes are of the last axis; give them or another axis, not both"
  end
  if o.groups and o.sizes then fail "softmax: give groups (equal ones) or sizes (uneven ones), not both" end
  if o.sizes then o.groups = check.sizes("softmax", o.sizes) end -- a copy: the gradient needs them as they are now
  o.groups = o.groups or 1
  return o
end

--- The sizes of the groups of so many channels.
local function sizes_of(groups, channels)
  if type(groups) == "table" then return groups end
  local sizes = {}
  for group = 1, groups do sizes[group] = channels // groups end
  return sizes
end

--- The gradient of softmax, recorded: (gy * y - y / scale * the sum of gy * y over the group) / temperature. The
-- implicit option has no gradient, and changes nothing here.
local function softmax_gradient(gy, y, o)
  local shape = y.shape
  local channels = shape[#shape]
  if T.count(y) == 0 then return gy * y end
  local group_of, factors, sizes = {}, {}, sizes_of(o.groups, channels)
  for group, size in ipairs(sizes) do
    for _ = 1, size do
      group_of[#group_of + 1] = group
      factors[#factors + 1] = o.scale and size or 1
    end
  end
  local rows = { T.count(y) // channels, channels }
  local flat, weighted = primitives.view(y, rows), primitives.view(gy * y, rows)
  group_of = T.tensor(group_of, "int32")
  local sums = primitives.index_add(weighted, { rows[1], #sizes }, 2, group_of)
  local shares = primitives.index_select(sums, 2, group_of, "index_select")
  local inner = weighted - flat * shares / T.tensor(factors)
  return primitives.view(inner / o.temperature, shape)
end

--- f(x with the axes as its last one), and the axes where they were.
local function over_axes(where, x, axis, f)
  arguments.real(where, x)
  local shape = x.shape
  local axes, moved, order, count, sizes = arguments.axes(where, axis, shape), {}, {}, 1, {}
  if #axes == 0 then fail("%s: expected at least one axis, got an empty table", where) end
  for _, a in ipairs(axes) do moved[a] = true end
  for a, size in ipairs(shape) do
    if not moved[a] then order[#order + 1], sizes[#sizes + 1] = a, size end
  end
  local left = primitives.copy(sizes)
  for a, size in ipairs(shape) do
    if moved[a] then order[#order + 1], sizes[#sizes + 1], count = a, size, count * size end
  end
  left[#left + 1] = count
  local inverse = {}
  for i, a in ipairs(order) do inverse[a] = i end
  return primitives.view(f(primitives.view(x:permute(order), left)), sizes):permute(inverse)
end

--- For references: softmax over axes.
local function softmax_over(new, x, o)
  local sums, sizes, over = {}, {}, {}
  for _, a in ipairs(type(o.axis) == "table" and o.axis or { o.axis }) do
    over[a < 0 and a + #x.shape + 1 or a] = true
  end
  local function key(p)
    local left = {}
    for a, at in ipairs(p) do left[a] = over[a] and "*" or at end
    return table.concat(left, ",")
  end
  local function exponential(p) return math.exp(x:at(p) / (o.temperature or 1)) end
  new(x.shape, function(p)
    local k = key(p)
    sums[k], sizes[k] = (sums[k] or o.off and 1 or 0) + exponential(p), (sizes[k] or 0) + 1
    return 0
  end)
  return new(x.shape, function(p) return exponential(p) / sums[key(p)] * (o.scale and sizes[key(p)] or 1) end)
end

--- A tensor of 1 in x's place, with no gradient: the softmax over one element.
local function certain(x)
  return record(T.full(x.shape, 1), "softmax", function() return T.full(x.shape, 0) end, nil, x)
end

define {
  name = "softmax",
  doc = "x:softmax{groups = 1 | sizes = {…} | axis = …, temperature = 1, scale = false, off = false}: softmax over "
    .. "each group of the last axis, or over another axis or a list of axes. scale multiplies by the group's size; off "
    .. "adds an implicit option with logit 0.",
  f = function(x, options)
    local o = softmax_options(options)
    if o.axis then
      return over_axes("softmax", x, o.axis, function(rows)
        if rows.shape[#rows.shape] == 1 and not o.off then return certain(rows) end
        return rows:softmax { temperature = o.temperature, scale = o.scale, off = o.off }
      end)
    end
    local y = S.softmax(x, o.groups, o.temperature, o.scale, o.off)
    return record(y, "softmax", function(gy, reuse, graph)
      if graph then return softmax_gradient(gy, y, o) end
      return S.softmax_backward(gy, y, o.groups, o.temperature, o.scale, o.off, reuse)
    end, saved(y), x)
  end,
  twice = true,
  dtypes = "real",
  special = false,
  reference = function(new, x, o)
    o = o or {}
    if o.axis then return softmax_over(new, x, o) end
    local sizes = sizes_of(o.sizes or o.groups or 1, x.shape[#x.shape])
    return new(x.shape, function(p)
      local from, first, own = table.move(p, 1, #p, 1, {}), 1, 1
      while p[#p] >= first + sizes[own] do first, own = first + sizes[own], own + 1 end
      local largest, sum = o.off and 0 or -math.huge, 0
      local function logit(i)
        from[#from] = i
        return x:at(from) / (o.temperature or 1)
      end
      for i = first, first + sizes[own] - 1 do largest = math.max(largest, logit(i)) end
      for i = first, first + sizes[own] - 1 do sum = sum + math.exp(logit(i) - largest) end
      if o.off then sum = sum + math.exp(-largest) end
      return math.exp(logit(p[#p]) - largest) / sum * (o.scale and sizes[own] or 1)
    end)
  end,
  samples = function(s)
    return { { s.real(2, 5) }, { s.real(2, 6), { groups = 3 } }, { s.real(2, 1, 12), { sizes = { 5, 3, 4 } } },
      { s.real(1, 6), { groups = 6, off = true } }, { s.real(2, 6), { groups = 2, temperature = 0.5 } },
      { s.real(3, 4), { groups = 2, scale = true } },
      { s.real(2, 12), { sizes = { 2, 10 }, temperature = 2, scale = true, off = true } }, { s.real(4) },
      { s.real(2, 3, 4), { axis = 2 } }, { s.real(2, 3, 4), { axis = { 1, -1 }, temperature = 2 } },
      { s.real(3, 1), { axis = 2 } }, { s.real(3, 2), { axis = 1, scale = true, off = true } },
      { s.real(0, 4), { groups = 2 } }, { s.real(40, 64), { groups = 16 } } }
  end,
  refused = function(s)
    return { { "2 channels cannot be divided into 3 equal groups (input {2})", s.real(2), { groups = 3 } },
      { "give groups (equal ones) or sizes (uneven ones), not both", s.real(2), { groups = 1, sizes = { 2 } } },
      { "give them or another axis, not both", s.real(2, 2), { axis = 1, groups = 2 } },
      { "axis 3 is out of range for shape {2, 2}", s.real(2, 2), { axis = 3 } },
      { "expected at least one axis", s.real(2, 2), { axis = {} } },
      { "option 'temperature' must be above 0", s.real(2), { temperature = 0 } },
      { "size 2 must be an integer of at least 1, got number 0", s.real(2), { sizes = { 2, 0 } } },
      { "must be a " .. runtime.real .. " tensor", s.uint8(2) } }
  end,
}

local LOG_SOFTMAX <const> = {
  axis = { type = { "integer", "table" }, default = -1 },
  temperature = SOFTMAX.temperature,
}

define {
  name = "log_softmax",
  doc = "x:log_softmax{axis = -1, temperature = 1}: the logarithm of the softmax over an axis or a list of axes, safe "
    .. "for any finite x.",
  f = function(x, options)
    local o = check.options("log_softmax", options, LOG_SOFTMAX)
    arguments.real("log_softmax", x)
    if o.temperature ~= 1 then x = x / o.temperature end
    return x - x:logsumexp(o.axis, { keepdim = true })
  end,
  unnamed = true,
  twice = true,
  dtypes = "real",
  special = false,
  reference = function(new, x, o)
    o = o or {}
    local p = softmax_over(new, x, { axis = o.axis or -1, temperature = o.temperature })
    local i = 0
    return new(x.shape, function()
      i = i + 1
      return math.log(p[i])
    end)
  end,
  samples = function(s)
    return { { s.real(2, 5) }, { s.real(2, 3, 4), { axis = 2 } }, { s.real(2, 3, 4), { axis = { 1, -1 },
      temperature = 2 } }, { s.real(3, 1) }, { s.real(4) }, { s.real(0, 3) }, { s.real(13, 40), { axis = 1 } } }
  end,
  refused = function(s)
    return { { "axis 3 is out of range for shape {2, 2}", s.real(2, 2), { axis = 3 } },
      { "option 'temperature' must be above 0", s.real(2), { temperature = 0 } },
      { "unknown option 'groups'", s.real(2), { groups = 1 } }, { "a " .. runtime.real .. " tensor", s.uint8(2) } }
  end,
}

return records
