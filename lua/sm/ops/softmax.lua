--- Softmax over groups of options, its logarithm, and draws from it. See sm.ops.shape for what a record has, and
-- docs/guide/04-groups.md for what they are good for.
-- @module sm.ops.softmax
local runtime = require "sm.runtime"
local autograd = require "sm.autograd"
local compare = require "sm.ops.compare"
local grouping = require "sm.ops.grouping"
local primitives = require "sm.ops.primitives"
local random = require "sm.random"
local traced = require "sm.ops.traced"

local T, K, S, C = runtime.tensor, runtime.math, runtime.softmax, runtime.compare
local record, saved = autograd.record_twice, autograd.saved
local each, reference = grouping.each, grouping.reference
local samples_with, refused_by = grouping.samples_with, grouping.refused_by
local maximum, where = compare.maximum, compare.where

local records = {}

local function define(given) records[#records + 1] = given end

local SOFTMAX <const> = grouping.options_with {
  temperature = grouping.TEMPERATURE,
  scale = grouping.FLAGS.scale, off = grouping.FLAGS.off, hard = grouping.FLAGS.hard,
}
local LOG_SOFTMAX <const> = grouping.options_with { temperature = SOFTMAX.temperature, off = SOFTMAX.off }
local GUMBEL <const> = grouping.options_with { temperature = SOFTMAX.temperature, hard = SOFTMAX.hard }

--- The gradient of softmax over groups, recorded: (gy * y - y / scale * the sum of gy * y over the group) divided by
-- the temperature. The implicit option has no gradient, and changes nothing here.
local function groups_gradient(gy, y, o, temperature)
  local shape = y.shape
  local channels = shape[#shape]
  if T.count(y) == 0 then return gy * y end
  local sizes, factors = grouping.sizes(o, channels), {}
  for _, size in ipairs(sizes) do
    for _ = 1, size do factors[#factors + 1] = o.scale and size or 1 end
  end
  local rows, group_of = { T.count(y) // channels, channels }, grouping.of_channels(sizes)
  local flat, weighted = primitives.view(y, rows), primitives.view(gy * y, rows)
  local sums = primitives.index_add(weighted, { rows[1], #sizes }, 2, group_of)
  local shares = primitives.index_select(sums, 2, group_of, "index_select")
  local inner = weighted - flat * shares / T.tensor(factors)
  return primitives.view(inner / temperature, shape)
end

local function softmax_groups(x, o, temperature)
  local groups = o.sizes or o.groups
  local y = S.softmax(x, groups, temperature, o.scale, o.off)
  return record(y, "softmax", function(gy, reuse, graph)
    if graph then return groups_gradient(gy, y, o, temperature) end
    return S.softmax_backward(gy, y, groups, temperature, o.scale, o.off, reuse)
  end, saved(y), x)
end

--- Softmax, or its logarithm, of x {outer, n, inner} along an axis.
local function softmax_along(x, axis, o, temperature, log)
  local n, keep = x.shape[axis], { keepdim = true }
  local y = S.softmax_axis(x, axis, temperature, o.scale, o.off, log)
  return record(y, log and "log_softmax" or "softmax", function(gy, reuse, graph)
    if not graph then return S.softmax_axis_backward(gy, y, axis, temperature, o.scale, o.off, log, reuse) end
    if log then return (gy - y:exp() * gy:sum(axis, keep)) / temperature end
    local weighted = gy * y
    return (weighted - y * weighted:sum(axis, keep) / (o.scale and n or 1)) / temperature
  end, saved(y), x)
end

--- 1, or the group's size where it is scaled, at the largest of each group, the first of equals, and 0 elsewhere; with
-- `off` 0 everywhere where none is at least 0. Nothing is recorded.
local function winners(name, x, o)
  return each(name, runtime.tape.detach(x), o, function(part, axis)
    if T.count(part) == 0 then return part end
    local top, position = K.max(part, axis)
    local shape = part.shape
    local value = o.scale and shape[axis] or 1
    shape[axis] = 1
    local one = T.full(shape, value)
    if o.off then one = where(C.ge(T.reshape(top, shape), 0), one, 0) end
    return runtime.index.scatter_add(part.shape, axis, T.reshape(position, shape), 0, one)
  end, false, true)
end

local function softmax(name, x, o)
  local cooled, temperature = grouping.cooled(name, x, o)
  local y
  if not o.axis then
    y = softmax_groups(cooled, o, temperature)
  else
    y = each(name, cooled, o, function(part, axis)
      local outer, n, inner = table.unpack(part.shape)
      if inner ~= 1 or n < 2 then return softmax_along(part, axis, o, temperature) end
      local rows = softmax_groups(primitives.view(part, { outer, n }), { groups = 1, scale = o.scale, off = o.off },
        temperature)
      return primitives.view(rows, { outer, n, 1 })
    end)
  end
  if not o.hard then return y end
  return record(winners(name, x, o), name, function(gy) return gy end, nil, y)
end

--- For references: softmax of a list, or its logarithm.
local function softmax_of(list, scale, off, log)
  local top, sum, y = off and 0 or -math.huge, 0, {}
  for _, value in ipairs(list) do top = math.max(top, value) end
  for i, value in ipairs(list) do
    y[i] = value == top and 1 or math.exp(value - top)
    sum = sum + y[i]
  end
  if off then sum = sum + math.exp(-top) end
  for i, value in ipairs(list) do
    y[i] = log and (value == top and 0 or value - top) - math.log(sum) or y[i] / sum * (scale and #list or 1)
  end
  return y
end

--- For references: logits over their temperature, which may be a tensor.
local function cooled_reference(new, x, o)
  local t, sizes, rank = o.temperature or 1, nil, #x.shape
  if type(t) == "number" then return new(x.shape, function(p) return x:at(p) / t end) end
  if #t > 1 then sizes = grouping.sizes(o, x.shape[rank]) end
  return new(x.shape, function(p)
    local group, last = 1, sizes and sizes[1]
    while sizes and p[rank] > last do group, last = group + 1, last + sizes[group + 1] end
    return x:at(p) / t[group]
  end)
end

local function softmax_reference(new, x, o, log)
  o = o or {}
  return reference(new, cooled_reference(new, x, o), o, function(list)
    local y, best = softmax_of(list, o.scale, o.off, log), 1
    if not o.hard then return y end
    for i, value in ipairs(list) do
      if value > list[best] then best = i end
    end
    for i in ipairs(list) do
      y[i] = i == best and not (o.off and list[i] < 0) and (o.scale and #list or 1) or 0
    end
    return y
  end)
end

local function temperatures_refused(s)
  return { { "option 'temperature' must be above 0", s.real(2), { temperature = 0 } },
    { "the temperature of group 2 must be above 0 and finite, got -1", s.real(4),
      { groups = 2, temperature = s.tensor { 1, -1 } } },
    { "one number, or one for each of 2 groups, got shape {3}", s.real(4),
      { groups = 2, temperature = s.tensor { 1, 1, 1 } } },
    { "option 'temperature' must be a number or a tensor", s.real(4), { temperature = "hot" } } }
end

local function softmax_refused(s)
  local list = temperatures_refused(s)
  list[#list + 1] = { "one channel", s.real(3, 4), { groups = 4 } }
  list[#list + 1] = { "one channel", s.real(3, 4), { sizes = { 3, 1 } } }
  return list
end

define {
  name = "softmax",
  options = SOFTMAX,
  doc = "x:softmax{groups = 1 | sizes = {…} | axis = -1, temperature = 1, scale = false, off = false, hard = false}: "
    .. "softmax over each group of the last axis, or over another axis or a list of axes. temperature, a number or a "
    .. "tensor of one number or of one a group, divides the logits. scale multiplies by the group's size; off adds an "
    .. "implicit option with logit 0; hard gives 1 to the largest and 0 to the others, with the gradient of the "
    .. "softmax.",
  f = function(x, options) return softmax("softmax", x, grouping.options("softmax", options, SOFTMAX)) end,
  twice = true,
  dtypes = "real",
  special = false,
  reference = softmax_reference,
  samples = function(s)
    local samples = samples_with()(s)
    for _, sample in ipairs {
      { s.real(1, 6), { groups = 6, off = true } }, { s.real(2, 6), { groups = 2, temperature = 0.5 } },
      { s.real(3, 4), { groups = 2, scale = true } },
      { s.real(2, 12), { sizes = { 2, 10 }, temperature = 2, scale = true, off = true } },
      { s.real(2, 3, 4), { axis = { 1, -1 }, temperature = 2 } }, { s.real(3, 1), { axis = 2 } }, { s.real(3, 1) },
      { s.real(3, 2), { axis = 1, scale = true, off = true } },
      { s.real(3, 2, 2), { axis = 2, temperature = 0.5, scale = true } },
      { s.real(2, 6), { groups = 2, temperature = s.tensor { 0.5, 2 } } },
      { s.real(2, 6), { sizes = { 2, 4 }, temperature = s.tensor { 3 } } },
      { s.real(2, 3, 2), { axis = 2, temperature = s.tensor(1.5) } },
      { s.tensor { { 1, -math.huge, 2, -math.huge, -math.huge, 0.5 } }, { groups = 2 }, gradient = false },
      { s.tensor { { 1, -math.huge }, { -math.huge, 0 } }, { axis = 1 }, gradient = false },
      { s.tensor { { 1, -math.huge, 2 } }, { temperature = s.tensor(0.5) }, gradient = false },
      { s.real(2, 6), { groups = 2, hard = true }, gradient = false },
      { s.real(2, 6), { sizes = { 2, 4 }, hard = true, scale = true, off = true }, gradient = false },
      { s.real(2, 6, 3), { axis = 2, hard = true }, gradient = false },
    } do samples[#samples + 1] = sample end
    return samples
  end,
  refused = refused_by(softmax_refused),
}

define {
  name = "log_softmax",
  options = LOG_SOFTMAX,
  doc = "x:log_softmax{groups = 1 | sizes = {…} | axis = -1, temperature = 1, off = false}: the logarithm of the "
    .. "softmax, safe where that would be 0.",
  f = function(x, options)
    local o = grouping.options("log_softmax", options, LOG_SOFTMAX)
    local cooled, temperature = grouping.cooled("log_softmax", x, o)
    return each("log_softmax", cooled, o, function(part, axis)
      return softmax_along(part, axis, o, temperature, true)
    end, false, o.off)
  end,
  twice = true,
  dtypes = "real",
  special = false,
  reference = function(new, x, o) return softmax_reference(new, x, o, true) end,
  samples = function(s)
    local samples = samples_with { temperature = 0.7 }(s)
    for _, sample in ipairs {
      { s.real(3, 1) }, { s.real(13, 40), { axis = 1 } }, { s.real(2, 5), { off = true } },
      { s.real(3, 2), { groups = 2, off = true } }, { s.real(2, 4), { groups = 2, temperature = s.tensor { 0.5, 3 } } },
      { s.tensor { { 1, -math.huge, 2, 1000 } }, {}, gradient = false },
    } do samples[#samples + 1] = sample end
    return samples
  end,
  refused = refused_by(softmax_refused),
}

-- x + Gumbel noise, -log(-log u), of uniform numbers u from 0 to 1 - 2^-24; a 0 counts as 2^-25.
local noisy = traced.lazily("gumbel_softmax", function(x, u) return x - (-maximum(u, 0x1p-25):log()):log() end, 2)

define {
  name = "gumbel_softmax",
  options = GUMBEL,
  doc = "x:gumbel_softmax{groups = 1 | sizes = {…} | axis = -1, temperature = 1, hard = false}: softmax of logits with "
    .. "Gumbel noise, so that the largest of a group is a draw from its softmax. hard gives 1 to it and 0 to the "
    .. "others, with the gradient of the softmax.",
  f = function(x, options)
    local o = grouping.options("gumbel_softmax", options, GUMBEL)
    grouping.check("gumbel_softmax", x, o)
    return softmax("gumbel_softmax", noisy(x, random.uniform(x.shape, "dropout")), o)
  end,
  twice = true,
  dtypes = "real",
  special = false,
  reference = function(new, x, o)
    local u = random.uniform(x.shape, "dropout"):reshape(-1):totable()
    local i = 0
    return softmax_reference(new, new(x.shape, function(p)
      i = i + 1
      return x:at(p) - math.log(-math.log(math.max(u[i], 0x1p-25)))
    end), o)
  end,
  samples = function(s)
    local samples = samples_with { temperature = 0.7 }(s)
    samples[#samples + 1] = { s.real(2, 6), { groups = 2, hard = true }, gradient = false }
    samples[#samples + 1] = { s.real(2, 6), { groups = 2, temperature = s.tensor { 0.5, 2 } } }
    return samples
  end,
  refused = refused_by(softmax_refused),
}

return records
