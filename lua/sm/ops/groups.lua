--- Other choices within groups: sparse ones, winners, the largest, and how undecided a group is. See sm.ops.shape for
-- what a record has, and docs/guide/04-groups.md for what they are good for.
-- @module sm.ops.groups
local runtime = require "sm.runtime"
local arguments = require "sm.ops.arguments"
local autograd = require "sm.autograd"
local check = require "sm.check"
local compare = require "sm.ops.compare"
local fail = require "sm.fail"
local grouping = require "sm.ops.grouping"
local primitives = require "sm.ops.primitives"
local shape_text = require "sm.text".shape
local traced = require "sm.ops.traced"

local T, S = runtime.tensor, runtime.softmax
local record, saved = autograd.record_twice, autograd.saved
local each, reference = grouping.each, grouping.reference
local samples_with, refused_by = grouping.samples_with, grouping.refused_by
local maximum, where = compare.maximum, compare.where

local records = {}

local function define(given) records[#records + 1] = given end

--- The gradient of sparsemax, which is its own.
local function sparse_gradient(gy, y, axis, reuse)
  return record(S.sparsemax_backward(gy, y, axis, reuse), "sparsemax", function(g, again, graph)
    return graph and sparse_gradient(g, y, axis) or S.sparsemax_backward(g, y, axis, again)
  end, saved(y), gy)
end

define {
  name = "sparsemax",
  options = grouping.GROUPS,
  doc = "x:sparsemax{groups = 1 | sizes = {…} | axis = -1}: the probabilities that are nearest to x, of which many are "
    .. "exactly 0: max(x - t, 0), with the t for which each group adds up to 1.",
  f = function(x, options)
    local o = grouping.options("sparsemax", options, grouping.GROUPS)
    return each("sparsemax", x, o, function(part, axis)
      local y = S.sparsemax(part, axis)
      return record(y, "sparsemax", function(gy, reuse, graph)
        return sparse_gradient(gy, y, axis, reuse and not graph)
      end, saved(y), part)
    end)
  end,
  twice = true,
  dtypes = "real",
  special = false,
  reference = function(new, x, o)
    return reference(new, x, o, function(list)
      local sorted = table.move(list, 1, #list, 1, {})
      table.sort(sorted, function(a, b) return a > b end)
      local sum, tau = 0, nil
      for k, value in ipairs(sorted) do
        sum = sum + value
        if 1 + k * value > sum then tau = (sum - 1) / k end
      end
      local y = {}
      for i, value in ipairs(list) do y[i] = math.max(value - tau, 0) end
      return y
    end)
  end,
  samples = function(s)
    local samples = samples_with()(s)
    for _, sample in ipairs(samples) do sample[1] = sample[1] * 0.381 end -- far from its corners
    samples[#samples + 1] = { s.real(3, 5) * 0.21 }
    samples[#samples + 1] = { s.real(3, 100) * 0.001 }
    samples[#samples + 1] = { s.tensor { { 1, -math.huge, 0.75, 0 } }, { groups = 2 }, gradient = false }
    return samples
  end,
  refused = refused_by(function(s) return { { "one channel", s.real(3, 4), { groups = 4 } } } end),
}

local MOST_WINNERS <const> = 32 -- that are looked for one by one; more are sorted

--- value at the k largest of each line of x along an axis, 0 elsewhere; x gets no gradient.
local function at_winners(value, x, axis, k, reuse)
  return record(S.winners(value, x, axis, k, reuse), "kwta", function(gy, again, graph)
    return graph and at_winners(gy, x, axis, k) or S.winners(gy, x, axis, k, again)
  end, saved(x), value)
end

local KWTA <const> = grouping.options_with {
  k = { type = "integer", min = 1, required = true, doc = "how many of each group are kept" },
}

define {
  name = "kwta",
  options = KWTA,
  doc = "x:kwta{k = 2, groups = 1 | sizes = {…} | axis = -1}: of each group the k largest, of equals the first, and 0 "
    .. "for the others (k winners take all). The gradient passes to the winners.",
  f = function(x, options)
    local o = grouping.options("kwta", options, KWTA)
    return each("kwta", x, o, function(part, axis)
      local shape = part.shape
      if o.k > shape[axis] and T.count(part) > 0 then
        fail("kwta: k must be at most the %d elements of a group, got %d", shape[axis], o.k)
      end
      local k = math.min(o.k, shape[axis])
      if k <= MOST_WINNERS then return at_winners(part, part, axis, k) end
      local values, positions = part:topk(k, axis)
      return primitives.scatter_add(shape, axis, positions, 1, values)
    end, false, true)
  end,
  twice = true,
  dtypes = "real",
  special = false,
  reference = function(new, x, o)
    return reference(new, x, o, function(list)
      local y = {}
      for i, value in ipairs(list) do
        local before = 0
        for j, other in ipairs(list) do
          if other > value or other == value and j < i then before = before + 1 end
        end
        y[i] = before < o.k and value or 0
      end
      return y
    end)
  end,
  samples = function(s)
    local samples = samples_with { k = 1 }(s)
    samples[#samples + 1] = { s.real(2, 6), { k = 2, groups = 2 } }
    samples[#samples + 1] = { s.real(2, 3, 2), { k = 3, axis = 2 } }
    samples[#samples + 1] = { s.tensor { 0, -1, 0, 2 }, { k = 2 }, gradient = false }
    samples[#samples + 1] = { s.tensor { { -1, 0, -math.huge, 0, 0, -2 } }, { k = 2 }, gradient = false }
    samples[#samples + 1] = { s.real(3, 200), { k = 7 } }
    samples[#samples + 1] = { s.real(3, 200), { k = 40 } }
    samples[#samples + 1] = { s.real(2, 9, 37), { k = 4, axis = 2 } }
    return samples
  end,
  refused = function(s)
    return { { "option 'k' is missing", s.real(2) }, { "option 'k' must be at least 1", s.real(2), { k = 0 } },
      { "k must be at most the 2 elements of a group, got 3", s.real(4), { k = 3, groups = 2 } },
      { "4 channels cannot be divided into 3 equal groups", s.real(4), { k = 1, groups = 3 } } }
  end,
}

local MAXOUT <const> = {
  pieces = { type = "integer", min = 1, required = true, doc = "channels of which the largest is taken" },
}

define {
  name = "maxout",
  options = MAXOUT,
  doc = "x:maxout{pieces = 2}: the largest of every so many neighbours along the last axis, {…, n} → {…, n/pieces}. Of "
    .. "equals the first gets the gradient.",
  f = function(x, options)
    local pieces = check.options("maxout", options, MAXOUT).pieces
    local shape = arguments.real("maxout", x).shape
    local n = shape[#shape] or 0
    if #shape == 0 or n % pieces ~= 0 then
      fail("maxout: expected a last axis that %d pieces divide, got shape %s", pieces, shape_text(shape))
    end
    shape[#shape], shape[#shape + 1] = n // pieces, pieces
    return primitives.view(x, shape):max(-1)
  end,
  twice = true,
  dtypes = "real",
  reference = function(new, x, o)
    local shape, rank = table.move(x.shape, 1, #x.shape, 1, {}), #x.shape
    shape[rank] = shape[rank] // o.pieces
    return new(shape, function(p)
      local best
      local first = (p[rank] - 1) * o.pieces
      for i = 1, o.pieces do
        p[rank] = first + i
        local value = x:at(p)
        if best == nil or value > best or value ~= value then best = value end
      end
      return best
    end)
  end,
  samples = function(s)
    return { { s.real(2, 6), { pieces = 2 } }, { s.real(2, 2, 6), { pieces = 3 } }, { s.real(4), { pieces = 1 } },
      { s.real(0, 4), { pieces = 2 } }, { s.real(130, 64), { pieces = 4 } } }
  end,
  refused = function(s)
    return { { "a last axis that 2 pieces divide, got shape {3}", s.real(3), { pieces = 2 } },
      { "option 'pieces' is missing", s.real(3) }, { "got shape {}", s.real(), { pieces = 1 } } }
  end,
}

local ENTROPY <const> = grouping.options_with {
  scale = { type = "boolean", default = false, doc = "whether the softmax was scaled" },
  off = { type = "boolean", default = false, doc = "whether the softmax had an implicit option" },
 }
local SMALLEST <const> = 0x1p-126 -- of the normal numbers of float32

-- -p log p, 0 at 0. The gradient, -1 - log p, has no end there; what follows p = 0 counts as if p were SMALLEST.
local surprise = traced.lazily("group_entropy", function(p) return -p * where(p:eq(0), SMALLEST, p):log() end, 1)

define {
  name = "group_entropy",
  options = ENTROPY,
  doc = "p:group_entropy{groups = 1 | sizes = {…} | axis = -1, scale = false, off = false}: the entropy, the sum of "
    .. "-p log p, of each group of probabilities: {…, groups}, or without the axes. scale and off as for the softmax "
    .. "that gave p.",
  f = function(p, options)
    local o = grouping.options("group_entropy", options, ENTROPY)
    return each("group_entropy", p, o, function(part, axis)
      if o.scale then part = part / part.shape[axis] end
      local keep = { keepdim = true }
      local entropy = surprise(part):sum(axis, keep)
      if o.off then entropy = entropy + surprise(maximum(1 - part:sum(axis, keep), 0)) end
      return entropy
    end, true, true)
  end,
  twice = true,
  dtypes = "real",
  special = false,
  reference = function(new, p, o)
    o = o or {}
    return reference(new, p, o, function(list)
      local sum, rest = 0, 1
      for _, value in ipairs(list) do
        value = value / (o.scale and #list or 1)
        rest = rest - value
        sum = sum - (value == 0 and 0 or value * math.log(value))
      end
      return { o.off and rest > 0 and sum - rest * math.log(rest) or sum }
    end, true)
  end,
  samples = function(s)
    local samples = {}
    for i, sample in ipairs(samples_with()(s)) do samples[i] = { sample[1]:abs() * 0.05 + 0.5, sample[2] } end
    samples[#samples + 1] = { s.real(2, 6):softmax { groups = 2, scale = true }, { groups = 2, scale = true } }
    samples[#samples + 1] = { s.real(2, 6):softmax { groups = 2, off = true }, { groups = 2, off = true } }
    samples[#samples + 1] = { s.tensor { 1, 0, 0.5, 0.5 }, { groups = 2 }, gradient = false }
    return samples
  end,
  refused = refused_by(),
}

return records
