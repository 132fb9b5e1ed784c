--- Optimizers that are written with tensors: Muon, and a person's own.
local sm = require "sm"
local problem = require "sm.problem"
local runtime = require "sm.runtime"
local helpers = dofile "tests/lua/helpers.lua"
local error_of, has = helpers.error_of, helpers.has

local nn, optim = sm.nn, sm.optim
local exact = runtime.real == "float64"

local function leaf(values)
  return sm.tensor(values):requires_grad()
end

local function near(expected, got, tolerance)
  assert.equal(#expected, #got)
  for i, value in ipairs(expected) do
    assert.is_near(value, got[i], (tolerance or exact and 1e-10 or 2e-5) * math.max(1, math.abs(value)))
  end
end

-- Muon as its paper has it, in plain numbers: matrices are lists of rows.
local function multiply(a, b)
  local c = {}
  for i = 1, #a do
    c[i] = {}
    for j = 1, #b[1] do
      local sum = 0
      for k = 1, #b do sum = sum + a[i][k] * b[k][j] end
      c[i][j] = sum
    end
  end
  return c
end

local function transposed(a)
  local t = {}
  for j = 1, #a[1] do
    t[j] = {}
    for i = 1, #a do t[j][i] = a[i][j] end
  end
  return t
end

local function combined(f, ...)
  local given, made = { ... }, {}
  for i, row in ipairs(given[1]) do
    made[i] = {}
    for j in ipairs(row) do
      local numbers = {}
      for k, matrix in ipairs(given) do numbers[k] = matrix[i][j] end
      made[i][j] = f(table.unpack(numbers))
    end
  end
  return made
end

local function newton_schulz(x, rounds)
  local squares = 0
  for _, row in ipairs(x) do
    for _, value in ipairs(row) do squares = squares + value * value end
  end
  x = combined(function(v) return v / math.max(squares ^ 0.5, 1e-7) end, x)
  if #x > #x[1] then return transposed(newton_schulz(transposed(x), rounds)) end
  for _ = 1, rounds do
    local a = multiply(x, transposed(x))
    local b = combined(function(p, q) return -4.7750 * p + 2.0315 * q end, a, multiply(a, a))
    x = combined(function(p, q) return 3.4445 * p + q end, x, multiply(b, x))
  end
  return x
end

local function muon_step(w, m, g, o)
  m = combined(function(a, b) return o.momentum * a + (1 - o.momentum) * b end, m, g)
  local u = o.nesterov and combined(function(a, b) return o.momentum * a + (1 - o.momentum) * b end, m, g) or m
  local scale = math.max(1, #w[1] / #w) ^ 0.5
  local way = newton_schulz(u, o.steps)
  return combined(function(a, b) return a * (1 - o.lr * o.weight_decay) - o.lr * scale * b end, w, way), m
end

local function flat(matrix)
  local list = {}
  for _, row in ipairs(matrix) do table.move(row, 1, #row, #list + 1, list) end
  return list
end

local function matrix_of(rows, columns, f)
  local m = {}
  for i = 1, rows do
    m[i] = {}
    for j = 1, columns do m[i][j] = f(i, j) end
  end
  return m
end

describe("muon", function()
  it("moves matrices and filters as its formulas do", function()
    for _, case in ipairs {
      { { 3, 5 }, {} }, { { 6, 2 }, { nesterov = false, momentum = 0.8 } }, { { 2, 2, 3, 4 }, { steps = 3 } },
      { { 1, 4 }, { weight_decay = 0.5 } }, { { 4, 1 }, {} },
    } do
      local shape, o = case[1], case[2]
      local opt = optim.muon(o):add { w = sm.zeros(shape):requires_grad() }
      o = { lr = 1e-3, momentum = 0.95, nesterov = o.nesterov == nil, steps = o.steps or 5,
        weight_decay = o.weight_decay or 0.1 }
      if case[2].momentum then o.momentum = case[2].momentum end
      local columns, rows = shape[#shape], 1
      for i = 1, #shape - 1 do rows = rows * shape[i] end
      local w, m = matrix_of(rows, columns, function() return 0 end), matrix_of(rows, columns, function() return 0 end)
      for t = 1, 6 do
        local g = matrix_of(rows, columns, function(i, j) return math.sin(3 * i + 5 * j * j + t) end)
        opt:parameters().w.grad = sm.tensor(flat(g)):reshape(shape)
        opt:step()
        w, m = muon_step(w, m, g, o)
      end
      near(flat(w), opt:parameters().w:reshape(rows * columns):totable())
      near(flat(m), opt:state()["w.momentum"]:reshape(rows * columns):totable())
    end
  end)

  it("makes every singular value of a step about the same", function()
    local w = sm.zeros(20, 8):requires_grad()
    local opt = optim.muon { lr = 1, weight_decay = 0, momentum = 0 }:add { w = w }
    sm.seed(3)
    w.grad = sm.randn(20, 8) * (sm.arange(8) + 1) ^ 2
    opt:step()
    local gram = w:detach():transpose():matmul(w:detach())
    for i = 1, 8 do
      local own = gram[i][i]:item()
      assert.is_true(own > 0.3 and own < 1.7, tostring(own))
    end
  end)

  it("leaves all else to adamw, and what a group asks it to", function()
    local function after(opt, overrides)
      local bias, w = leaf { 1, -2, 3 }, leaf { { 1, 2 }, { 3, 4 } }
      opt:add({ bias = bias }):add({ w = w }, overrides)
      for t = 1, 5 do
        bias.grad, w.grad = sm.tensor { math.sin(t), -1, 0.25 }, sm.tensor { { t, 2 }, { -t, 1 } }
        opt:step()
      end
      return bias:totable(), w:totable()
    end
    local o = { lr = 0.01, weight_decay = 0.1, clip_norm = 1 }
    local bias, w = after(optim.muon(o), { adamw = true })
    local other_bias, other_w = after(optim.adamw(o))
    assert.same(other_bias, bias)
    assert.same(other_w, w)
    assert.not_same(other_w, select(2, after(optim.muon(o))))
  end)

  it("takes tensors without elements, and gradients of zeros", function()
    for _, shape in ipairs { { 0, 3 }, { 3, 0 }, { 0 }, {} } do
      local w = sm.zeros(shape):requires_grad()
      local opt = optim.muon():add { w = w }
      w.grad = sm.zeros(shape)
      opt:step()
      assert.equal(1, opt.steps)
    end
    local w = leaf { { 1, 2 }, { 3, 4 } }
    local opt = optim.muon { weight_decay = 0 }:add { w = w }
    w.grad = sm.zeros(2, 2)
    opt:step()
    assert.same({ { 1, 2 }, { 3, 4 } }, w:totable())
  end)
end)

describe("an optimizer of one's own", function()
  local function heavy(changes)
    local given = {
      name = "heavy",
      options = { keep = { type = "real", default = 0.9, min = 0, below = 1 } },
      state = function(shape) return { v = sm.zeros(shape) } end,
      step = function(w, g, state, at)
        state.v = at.keep * state.v + g
        return w - at.lr * state.v
      end,
    }
    for key, value in pairs(changes or {}) do given[key] = value end
    return optim.define(given)
  end

  local function trained(opt, w)
    opt:add { w = w }
    for t = 1, 20 do
      w.grad = sm.tensor { math.sin(t), 2 * math.cos(t), -0.1 }
      opt:watch()
      opt:step()
    end
    return w:totable(), opt:telemetry().step_rms
  end

  it("has groups, decay, clipping, schedules and telemetry as the library's have", function()
    for _, o in ipairs {
      { lr = 0.1 }, { lr = 0.1, weight_decay = 0.2 }, { lr = 0.1, clip_value = 0.5 },
      { lr = optim.cosine { lr = 0.1, floor = 0.01, steps = 15 }, clip_norm = 0.7, weight_decay = 0.1 },
    } do
      local mine, rms = trained(heavy() (o), leaf { 1, 2, 3 })
      local with_momentum = { momentum = 0.9 }
      for key, value in pairs(o) do with_momentum[key] = value end
      local expected, expected_rms = trained(optim.sgd(with_momentum), leaf { 1, 2, 3 })
      near(expected, mine)
      assert.is_near(expected_rms, rms, 1e-5)
    end
    assert.equal("optim.heavy { keep = 0.9, lr = 0.1, weight_decay = 0 }", tostring(heavy() { lr = 0.1 }))
  end)

  it("may have its weights decay by themselves", function()
    local seen
    local opt = optim.define {
      name = "plain", decoupled = true,
      step = function(w, g, _, at)
        seen = at
        return w - at.lr * g
      end,
    } { lr = 0.5, weight_decay = 0.5 }
    local w = leaf { 8, 4 }
    opt:add { w = w }
    w.grad = sm.tensor { 2, 0 }
    opt:step()
    assert.same({ 5, 3 }, w:totable())
    assert.equal(1, seen.step)
    assert.equal(0.5, seen.weight_decay)
    assert.equal(0, #opt:state())
  end)

  it("goes on from its state with the same bits, in runs as well", function()
    local function train(opt, w, from, to)
      for t = from, to do
        w.grad = sm.tensor { math.sin(t), 2 * math.cos(t), -0.1 }
        opt:step()
      end
    end
    local w = leaf { 1, 2, 3 }
    local straight = heavy() { lr = 0.1 }:add { w = w }
    train(straight, w, 1, 9)
    local first = leaf { 1, 2, 3 }
    local opt = heavy() { lr = 0.1 }:add { w = first }
    train(opt, first, 1, 4)
    local second = leaf(first:totable())
    local other = heavy() { lr = 0.1 }:add { w = second }
    other:restore(opt:state(), opt.steps)
    train(other, second, 5, 9)
    assert.same(w:totable(), second:totable())
    assert.same(straight:state()["w.v"]:totable(), other:state()["w.v"]:totable())
  end)

  it("keeps what it remembers to itself, whatever that was made of", function()
    local w = leaf { 1, 2 }
    local opt = heavy { state = function(shape) return { g = sm.zeros(shape), w = sm.zeros(shape) } end,
      step = function(weights, g, state, at)
        state.g, state.w = g, weights
        return weights - at.lr * g
      end }  { lr = 1 }:add { w = w }
    local gradient = sm.tensor { 1, 1 }
    w.grad = gradient
    opt:step()
    w.grad:copy_(sm.tensor { 5, 5 })
    assert.same({ 1, 1 }, opt:state()["w.g"]:totable())
    assert.same({ 1, 2 }, opt:state()["w.w"]:totable())
    assert.same({ 0, 1 }, w:totable())
  end)

  it("records nothing, and does a step wholly or not at all", function()
    local spoil = false
    local opt = heavy {
      step = function(w, g, state, at)
        assert(not (w * w):tracks())
        state.v = state.v + g
        return spoil and w / 0 or w - at.lr * g
      end,
    } { lr = 1 }
    local w = leaf { 1, 2 }
    opt:add { w = w }
    w.grad = sm.tensor { 1, 1 }
    opt:step()
    spoil = true
    local ok, met = pcall(opt.step, opt)
    assert.is_false(ok)
    assert.equal("not finite", problem.kind(met))
    assert.same({ 0, 1 }, w:totable())
    assert.same({ 1, 1 }, opt:state()["w.v"]:totable())
    assert.equal(1, opt.steps)
    w.grad = sm.tensor { 0 / 0, 1 }
    spoil = false
    has(error_of(opt.step, opt), "gradient of 'w' is not finite")
  end)

  it("trains a model", function()
    local model = nn.sequential { nn.linear { 3 } }
    local opt = heavy() { lr = 0.1 }
    opt:add(model:parameters())
    model:build { 4 }
    local x, y = sm.randn(8, 4), sm.tensor({ 0, 1, 2, 0, 1, 2, 0, 1 }, "int32")
    local first = model(x):cross_entropy(y):item()
    for _ = 1, 50 do
      opt:zero_grad()
      model(x):cross_entropy(y):backward()
      opt:step()
    end
    assert.is_true(model(x):cross_entropy(y):item() < first)
  end)

  it("may not read a gradient that it has kept when there is another", function()
    local kept
    local keeping = optim.define { name = "keeping", step = function(w, g)
      kept = kept or g
      return w - g
    end }
    local w = leaf { 1, 2 }
    local opt = keeping { lr = 1 }:add { w = w }
    for scale = 1, 3 do
      opt:zero_grad()
      ;(w * w * scale):sum():backward()
      if scale == 1 then opt:step() end
    end
    has(error_of(function() return kept:totable() end), "this tensor was released")
    near({ 0, 0 }, (w - w.grad / 6):totable())
    local seen = w.grad -- which stays as it is
    w.grad = nil
    ;(w * 5):sum():backward()
    near({ 6 * w[1]:item(), 6 * w[2]:item() }, seen:totable())
    near({ 5, 5 }, w.grad:totable())
  end)

  it("is told what is wrong with it", function()
    has(error_of(optim.define, {}), "optim.define: option 'name' is missing")
    has(error_of(optim.define, { name = "x" }), "optim.define: option 'step' is missing")
    has(error_of(optim.define, { name = "x y", step = print }), "letters, digits and _, got 'x y'")
    has(error_of(heavy, { stat = print }), "unknown option 'stat'; did you mean 'state'?")
    has(error_of(heavy, { options = { clip_norm = {} } }), "an option cannot be called 'clip_norm', which every")
    has(error_of(heavy, { options = { [1] = {} } }), "an option cannot be called '1'; expected letters")
    has(error_of(heavy, { options = { k = { typ = "real" } } }), "unknown option 'typ'; did you mean 'type'?")
    has(error_of(heavy, { options = { k = { type = "intger" } } }), "got 'intger'; did you mean 'integer'?")
    has(error_of(heavy(), {}), "optim.heavy: option 'lr' is missing")
    has(error_of(heavy(), { lr = 1, kep = 2 }), "optim.heavy: unknown option 'kep'; did you mean 'keep'?")
    has(error_of(heavy(), { lr = 1, keep = 1 }), "option 'keep' must be at least 0 and below 1, got 1")
    local function stepping(changes)
      local w = leaf { 1, 2 }
      w.grad = sm.ones(2)
      local opt = heavy(changes) { lr = 1 }:add { w = w }
      return error_of(opt.step, opt)
    end
    has(stepping { step = function() end }, "optim.heavy: step must give the new weights, a ")
    has(stepping { step = function() return sm.ones(3) end }, "tensor {2}, got tensor {3}")
    has(stepping { step = function(w, _, state) state.u = w return w end },
      "step has added 'u' to the state, which is none of what state() makes")
    has(stepping { step = function(w, _, state) state.v = nil return w end }, "step has removed 'v' from the state")
    has(stepping { step = function(w, _, state) state.v = sm.ones(1) return w end }, "'v' of the state")
    has(stepping { state = function() return 3 end }, "state must give a table of tensors by name, got number 3")
    has(stepping { state = function() return { v = 3 } end }, "got number 3 for 'v' (the shape is {2})")
  end)
end)
