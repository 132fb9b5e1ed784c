--- Recurrent networks over sequences {N, T, features}. See sm.ops.shape for what a record has.
-- @module sm.ops.recurrent
local runtime = require "sm.runtime"
local arguments = require "sm.ops.arguments"
local autograd = require "sm.autograd"
local check = require "sm.check"
local fail = require "sm.fail"
local primitives = require "sm.ops.primitives"
local shape_text = require "sm.text".shape

local T, K, R = runtime.tensor, runtime.math, runtime.recurrent
local tracks = autograd.tracks

local records = {}

local function define(given) records[#records + 1] = given end

local OPTIONS = {
  bias = { type = "tensor", doc = "of as many numbers as w has columns, added to x·w" },
  recurrent_bias = { type = "tensor", doc = "of as many, added to h'·v" },
  h = { type = "tensor", doc = "{N, size}, the state before the first step; zeros by default" },
  reverse = { type = "boolean", default = false, doc = "whether it goes from the last step to the first" },
  state = { type = "boolean", default = false, doc = "whether the state after the last step is given, too" },
}

-- For each: how many gates it has, its options, and a step written with operations: a and r are the parts of the input
-- and of the state before, cut into gates.
local CELLS <const> = {
  rnn = {
    gates = 1,
    options = check.with(OPTIONS, {
      nonlinearity = { type = "string", choices = { "tanh", "relu" }, default = "tanh", doc = "what gives the state" },
    }),
    step = function(a, r, _, _, o)
      local sum = a[1] + r[1]
      return o.nonlinearity == "relu" and sum:relu() or sum:tanh()
    end,
  },
  gru = {
    gates = 3,
    options = OPTIONS,
    step = function(a, r, h)
      local reset, update = (a[1] + r[1]):sigmoid(), (a[2] + r[2]):sigmoid()
      local next_h = (a[3] + reset * r[3]):tanh()
      return next_h + update * (h - next_h)
    end,
  },
  lstm = {
    gates = 4,
    options = check.with(OPTIONS, {
      c = { type = "tensor", doc = "{N, size}, the cells before the first step; zeros by default" },
    }),
    step = function(a, r, _, c)
      local next_c = (a[2] + r[2]):sigmoid() * c + (a[1] + r[1]):sigmoid() * (a[3] + r[3]):tanh()
      return (a[4] + r[4]):sigmoid() * next_c:tanh(), next_c
    end,
  },
}

--- Raises unless x {N, T, in}, w {in, G size} and v {size, G size} fit, and each of the options its place.
local function check_shapes(name, gates, x, w, v, o)
  arguments.real(name, x)
  arguments.real(name, w, "a weight {in, " .. gates .. " size}")
  arguments.real(name, v, "a recurrent weight {size, " .. gates .. " size}")
  local shape, size = x.shape, v.shape[1]
  if #shape ~= 3 then fail("%s: expected sequences {N, T, features}, got shape %s", name, shape_text(shape)) end
  local wide = gates * (size or 0)
  local function fits(what, tensor, expected)
    if tensor and shape_text(arguments.real(name, tensor).shape) ~= shape_text(expected) then
      fail("%s: %s must have shape %s, got %s", name, what, shape_text(expected), shape_text(tensor.shape))
    end
  end
  if #v.shape ~= 2 or v.shape[2] ~= wide then
    fail("%s: expected a recurrent weight {size, %d size}, got shape %s", name, gates, shape_text(v.shape))
  end
  fits(("the weight for %d features and a state of %d"):format(shape[3], size), w, { shape[3], wide })
  fits("option 'bias'", o.bias, { wide })
  fits("option 'recurrent_bias'", o.recurrent_bias, { wide })
  fits("option 'h'", o.h, { shape[1], size })
  fits("option 'c'", o.c, { shape[1], size })
  if o.state and shape[2] == 0 then fail("%s: sequences of no steps have no last state", name) end
end

--- The same as the kernels give, made of operations.
local function composed(name, o, x, w, v, b, d, h, c)
  local size, steps, states = v.shape[1], x.shape[2], {}
  local a = x:matmul(w)
  if b then a = a + b end
  h = h or T.full({ x.shape[1], size }, 0)
  if name == "lstm" then c = c or T.full({ x.shape[1], size }, 0) end
  for time = 1, steps do
    local step = o.reverse and steps + 1 - time or time
    local r = h:matmul(v)
    if d then r = r + d end
    h, c = CELLS[name].step(a:narrow(2, step, 1):squeeze(2):split(size, 2), r:split(size, 2), h, c, o)
    states[step] = primitives.view(h, { x.shape[1], 1, size })
  end
  local y = primitives.joined(states, 2)
  if not (o.state and name == "lstm") then return y end
  return primitives.joined({ primitives.view(y, { -1 }), primitives.view(c, { -1 }) }, 1)
end

--- The states of all steps and, of an lstm whose last c is wanted, that after them: flat.
local function run(name, o, x, w, v, b, d, h, c)
  local shape, size = x.shape, v.shape[1]
  local cell = o.nonlinearity or name
  local flat = name == "lstm" and o.state
  local rows, wide = T.reshape(x, { shape[1] * shape[2], shape[3] }), w.shape[2]
  local gates = T.reshape(K.matmul(rows, w, false, false, b, false, "rows"), { shape[1], shape[2], wide })
  local y, kept = R.forward(cell, gates, v, d, h, c, o.reverse, flat)
  local all, count = { shape[1], shape[2], size }, shape[1] * shape[2] * size
  local function states_of(from) return flat and T.reshape(T.slice(from, 1, count), all) or from end
  return autograd.record_twice(y, name, function(gy, _, graph)
    if graph and shape[2] > 0 then -- of no steps all gradients are 0, and so are theirs
      return primitives.gradients_of(function(...) return composed(name, o, ...) end, gy, x, w, v, b, d, h, c)
    end
    local states = states_of(y)
    local gc_last = flat and T.reshape(T.slice(gy, count + 1, count + shape[1] * size), { shape[1], size }) or nil
    local ga, gr, gh, gc = R.backward(cell, gates, v, states, kept, h, c, states_of(gy), gc_last, o.reverse,
      tracks(h) or tracks(c))
    local gx, gw, gv, gb, gd
    if tracks(x) then gx = T.reshape(K.matmul(ga, w, false, true, nil, false, "rows"), shape) end
    if tracks(w) then gw = K.matmul(rows, ga, true, false, nil, false, "terms") end
    if tracks(v) then
      local before = T.reshape(R.before(states, h, o.reverse), { shape[1] * shape[2], size })
      gv = K.matmul(before, gr, true, false, nil, false, "terms")
    end
    if tracks(b) then gb = K.sum_batch(ga) end
    if tracks(d) then gd = ga == gr and gb or K.sum_batch(gr) end
    return gx, gw, gv, gb, gd, gh, gc, ga
  end, autograd.saved(tracks(x) and w, tracks(w) and x, v, h, c, y), x, w, v, b, d, h, c)
end

--- For references: numbers as the kernel's formulas have them, step by step.
local function reference(name)
  local gates = CELLS[name].gates
  local function logistic(x) return 1 / (1 + math.exp(-x)) end
  return function(new, x, w, v, o)
    o = o or {}
    local batch, steps, features, size = x.shape[1], x.shape[2], x.shape[3], v.shape[1]
    local h, c, states = {}, {}, {}
    for i = 1, batch do
      h[i], c[i], states[i] = {}, {}, {}
      for j = 1, size do h[i][j], c[i][j] = o.h and o.h:at { i, j } or 0, o.c and o.c:at { i, j } or 0 end
      for time = 1, steps do
        local step, a, r = o.reverse and steps + 1 - time or time, {}, {}
        for k = 1, gates * size do
          a[k], r[k] = o.bias and o.bias[k] or 0, o.recurrent_bias and o.recurrent_bias[k] or 0
          for f = 1, features do a[k] = a[k] + x:at { i, step, f } * w:at { f, k } end
          for j = 1, size do r[k] = r[k] + h[i][j] * v:at { j, k } end
        end
        local next_h = {}
        for j = 1, size do
          local function sum(gate) return a[gate * size + j] + r[gate * size + j] end
          if name == "rnn" then
            local s = sum(0)
            next_h[j] = o.nonlinearity == "relu" and math.max(s, 0) or 1 - 2 / (math.exp(2 * s) + 1)
          elseif name == "gru" then
            local reset, update, s = logistic(sum(0)), logistic(sum(1)), a[2 * size + j]
            local n = 1 - 2 / (math.exp(2 * (s + reset * r[2 * size + j])) + 1)
            next_h[j] = (1 - update) * n + update * h[i][j]
          else
            local g = 1 - 2 / (math.exp(2 * sum(2)) + 1)
            c[i][j] = logistic(sum(1)) * c[i][j] + logistic(sum(0)) * g
            next_h[j] = logistic(sum(3)) * (1 - 2 / (math.exp(2 * c[i][j]) + 1))
          end
        end
        h[i], states[i][step] = next_h, next_h
      end
    end
    local y = new({ batch, steps, size }, function(p) return states[p[1]][p[2]][p[3]] end)
    if not o.state then return y end
    local function last(of) return new({ batch, size }, function(p) return of[p[1]][p[2]] end) end
    if name == "lstm" then return y, last(h), last(c) end
    return y, last(h)
  end
end

local WORDS <const> = {
  rnn = { "nonlinearity = \"tanh\" | \"relu\"", "h = f(x·w + bias + h'·v + recurrent_bias)" },
  gru = { "", "gates r, z, n, with n = tanh(x·w + bias + r * (h'·v + recurrent_bias)) and h = (1-z) n + z h'" },
  lstm = { "c", "gates i, f, g, o, with c = f c' + i g and h = o tanh c" },
}

for _, name in ipairs { "rnn", "gru", "lstm" } do
  local cell, words = CELLS[name], WORDS[name]
  local gates = cell.gates
  local columns = gates == 1 and "size" or gates .. " size"
  define {
    name = name,
    options = cell.options,
    doc = ("x:%s(w, v, {bias, recurrent_bias, h, %s%sreverse = false, state = false}): the states {N, T, size} over "
      .. "sequences x {N, T, in}, from weights w {in, %s} and v {size, %s}: %s. The names and orders are "
      .. "PyTorch's. It begins with h%s, zeros by default; reverse goes from the last step to the first; with state "
      .. "the last h%s {N, size} come%s after the states."):format(name, words[1], words[1] == "" and "" or ", ",
      columns, columns, words[2], name == "lstm" and " and c" or "", name == "lstm" and " and c" or "",
      name == "lstm" and "" or "s"),
    f = function(x, w, v, options)
      local o = check.options(name, options, cell.options)
      check_shapes(name, gates, x, w, v, o)
      local y = run(name, o, x, w, v, o.bias, o.recurrent_bias, o.h, o.c)
      if not o.state then return y end
      local batch, steps, size, c = x.shape[1], x.shape[2], v.shape[1], nil
      if name == "lstm" then
        local count = batch * steps * size
        c = y:slice(count + 1, count + batch * size):reshape(batch, size)
        y = y:slice(1, count):reshape(batch, steps, size)
      end
      return y, y:narrow(2, o.reverse and 1 or steps, 1):squeeze(2), c
    end,
    twice = true,
    dtypes = "real",
    special = false,
    reference = reference(name),
    samples = function(s)
      local function small(...) return s.real(...) * 0.3 end
      local wide = gates * 2
      local c = name == "lstm" and small(2, 2) or nil
      return { { s.real(2, 3, 1), small(1, wide), small(2, wide) },
        { s.real(2, 2, 2), small(2, wide), small(2, wide), { bias = small(wide) + 1, recurrent_bias = small(wide),
          h = small(2, 2), c = c, nonlinearity = name == "rnn" and "relu" or nil } },
        { s.real(1, 3, 2), small(2, wide), small(2, wide), { recurrent_bias = small(wide), reverse = true } },
        { s.real(2, 2, 1), small(1, wide), small(2, wide), { bias = small(wide), h = small(2, 2), c = c,
          reverse = true, state = true } },
        { s.real(2, 3, 1), small(1, wide), small(2, wide), { state = true } },
        { s.real(0, 3, 2), small(2, wide), small(2, wide), gradient = false },
        { s.real(2, 0, 2), small(2, wide), small(2, wide), gradient = false },
        { s.real(37, 5, 3) * 0.1, small(3, gates * 21) * 0.03, small(21, gates * 21) * 0.003,
          { bias = small(gates * 21), recurrent_bias = small(gates * 21) } } }
    end,
    refused = function(s)
      local w, v = s.real(3, gates * 2), s.real(2, gates * 2)
      return { { "expected sequences {N, T, features}, got shape {2, 3}", s.real(2, 3), w, v },
        { ("a state of 2 must have shape {4, %d}, got {3, %d}"):format(gates * 2, gates * 2), s.real(1, 2, 4), w, v },
        { ("expected a recurrent weight {size, %d size}, got shape {2, 30}"):format(gates), s.real(1, 2, 3), w,
          s.real(2, 30) },
        { "option 'h' must have shape {1, 2}, got {2}", s.real(1, 2, 3), w, v, { h = s.real(2) } },
        { ("option 'bias' must have shape {%d}"):format(gates * 2), s.real(1, 2, 3), w, v, { bias = s.real(1) } },
        { "have no last state", s.real(1, 0, 3), w, v, { state = true } },
        { "unknown option 'hidden'", s.real(1, 2, 3), w, v, { hidden = 1 } },
        { "got nil", s.real(1, 2, 3), w }, { "expected a " .. runtime.real, s.uint8(1, 2, 3), w, v } }
    end,
  }
end

return records
