local sm = require "sm"
local ordered = require "sm.ordered"
local random = require "sm.random"
local runtime = require "sm.runtime"
local helpers = dofile "tests/lua/helpers.lua"
local error_of, has = helpers.error_of, helpers.has

local nn, optim = sm.nn, sm.optim
local exact = runtime.real == "float64"

local function leaf(values)
  return sm.tensor(values):requires_grad()
end

-- Every rule once more for one weight, in double precision, as its paper has it: p is the weight and its
-- state, g the gradient, t the step from 1, o the options.
local rules = {
  sgd = function(p, g, _, o)
    if o.momentum == 0 then
      p.w = p.w - o.lr * g
      return
    end
    p.v = o.momentum * (p.v or 0) + g
    p.w = p.w - o.lr * (o.nesterov and g + o.momentum * p.v or p.v)
  end,
  rmsprop = function(p, g, _, o)
    p.square = o.decay * (p.square or 0) + (1 - o.decay) * g * g
    p.w = p.w - o.lr * g / (math.sqrt(p.square) + o.epsilon)
  end,
  adam = function(p, g, t, o)
    p.m = o.beta1 * (p.m or 0) + (1 - o.beta1) * g
    p.v = o.beta2 * (p.v or 0) + (1 - o.beta2) * g * g
    local rate = o.lr * math.sqrt(1 - o.beta2 ^ t) / (1 - o.beta1 ^ t)
    if o.decoupled then p.w = p.w - o.lr * o.decoupled * p.w end
    p.w = p.w - rate * p.m / (math.sqrt(p.v) + o.epsilon)
  end,
  lion = function(p, g, _, o)
    local m = p.m or 0
    local toward = o.beta1 * m + (1 - o.beta1) * g
    p.w = p.w * (1 - o.lr * o.decoupled) - o.lr * (toward > 0 and 1 or toward < 0 and -1 or 0)
    p.m = o.beta2 * m + (1 - o.beta2) * g
  end,
  smorms3 = function(p, g, t, o)
    local mem = p.mem or 1
    local r = 1 / (mem + 1)
    p.g = (1 - r) * (p.g or 0) + r * g
    p.g2 = (1 - r) * (p.g2 or 0) + r * g * g
    local x = p.g * p.g / (p.g2 + o.epsilon)
    local cap = o.ease_in > 0 and o.lr * math.min(1, t / o.ease_in) or o.lr
    p.w = p.w - g * math.min(x, cap) / (math.sqrt(p.g2) + o.epsilon)
    p.mem = 1 + mem * (1 - x)
  end,
}

-- Runs an optimizer and its transcription for 1,000 steps on noisy parabolas of different curvature.
local function compare(rule, opt, o)
  local count = 37
  local start, weights = {}, {}
  for i = 1, count do start[i] = math.cos(i) end
  for i = 1, count do weights[i] = { w = start[i] } end
  local w = leaf(start)
  opt:add { w = w }
  for t = 1, 1000 do
    local gradient = {}
    for i, p in ipairs(weights) do
      gradient[i] = (i / 10) * (p.w - 0.3) + 0.2 * math.sin(7 * t + i * i)
    end
    w.grad = sm.tensor(gradient)
    opt:step()
    for i, p in ipairs(weights) do
      local g = gradient[i]
      if o.clip then g = math.max(-o.clip, math.min(o.clip, g)) end
      rule(p, g + (o.weight_decay or 0) * p.w, t, o)
    end
  end
  assert.are.equal(1000, opt.steps)
  local tolerance = exact and 1e-11 or 2e-4
  for i, value in ipairs(w:totable()) do
    assert.is_near(weights[i].w, value, tolerance * math.max(1, math.abs(weights[i].w)))
    assert.are_not.equal(start[i], value)
  end
end

describe("1,000 steps agree with the rule in double precision:", function()
  it("sgd", function()
    compare(rules.sgd, optim.sgd { lr = 0.01 }, { lr = 0.01, momentum = 0 })
    compare(rules.sgd, optim.sgd { lr = 0.01, momentum = 0.9 }, { lr = 0.01, momentum = 0.9 })
    compare(rules.sgd, optim.sgd { lr = 0.01, momentum = 0.8, nesterov = true, weight_decay = 0.1 },
      { lr = 0.01, momentum = 0.8, nesterov = true, weight_decay = 0.1 })
  end)

  it("rmsprop", function()
    compare(rules.rmsprop, optim.rmsprop { lr = 0.003 }, { lr = 0.003, decay = 0.9, epsilon = 1e-8 })
    compare(rules.rmsprop, optim.rmsprop { lr = 0.003, decay = 0.99, epsilon = 1e-3, clip_value = 0.25 },
      { lr = 0.003, decay = 0.99, epsilon = 1e-3, clip = 0.25 })
  end)

  it("adam and adamw", function()
    local o = { lr = 1e-3, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8 }
    compare(rules.adam, optim.adam(), o)
    o.weight_decay = 0.05
    compare(rules.adam, optim.adam { weight_decay = 0.05 }, o)
    compare(rules.adam, optim.adamw { lr = 0.01, beta1 = 0.8, beta2 = 0.99, epsilon = 1e-4 },
      { lr = 0.01, beta1 = 0.8, beta2 = 0.99, epsilon = 1e-4, decoupled = 0.01 })
  end)

  it("lion", function()
    compare(rules.lion, optim.lion { lr = 2 ^ -10 }, { lr = 2 ^ -10, beta1 = 0.9, beta2 = 0.99, decoupled = 0 })
    compare(rules.lion, optim.lion { lr = 2 ^ -10, beta1 = 0.5, beta2 = 0.75, weight_decay = 0.25, clip_value = 0.25 },
      { lr = 2 ^ -10, beta1 = 0.5, beta2 = 0.75, decoupled = 0.25, clip = 0.25 })
  end)

  it("smorms3", function()
    compare(rules.smorms3, optim.smorms3(), { lr = 1e-3, ease_in = 0, epsilon = 1e-16 })
    compare(rules.smorms3, optim.smorms3 { lr = 0.01, ease_in = 300 },
      { lr = 0.01, ease_in = 300, epsilon = 1e-16 })
  end)
end)

describe("smorms3", function()
  it("moves every weight by lr·√2 on its first step", function()
    local w = leaf { 0, 0, 0 }
    local opt = optim.smorms3 { lr = 1e-3 }:add(w)
    w.grad = sm.tensor { 5, -0.1, 3e-3 }
    opt:step()
    for i, sign in ipairs { -1, 1, -1 } do
      assert.is_near(sign * 1e-3 * math.sqrt(2), w[i]:item(), 1e-8)
    end
  end)

  it("eases in by its cap, in a straight line, and not by its memory", function()
    local w = leaf { 0 }
    local opt = optim.smorms3 { lr = 0.1, ease_in = 4 }:add { w = w }
    assert.is_near(0.025, opt:rate(), 1e-12)
    for step = 1, 6 do
      w.grad = sm.tensor { 1 }
      opt:step()
      assert.is_near(0.1 * math.min(1, step / 4), opt:rate(), 1e-12)
      if step == 1 then assert.is_near(1.5, opt:state()["w.mem"]:totable()[1], 1e-6) end
    end
  end)
end)

describe("gradient clipping", function()
  it("by the length over all parameters and groups", function()
    local a, b = leaf { 1, 1 }, leaf { { 1 } }
    local opt = optim.sgd { lr = 1, clip_norm = 2.5 }:add({ a = a }):add({ b = b }, { lr = 2 })
    a.grad, b.grad = sm.tensor { 3, 0 }, sm.tensor { { 4 } }
    opt:step()
    assert.is_near(1 - 1.5, a[1]:item(), 1e-6)
    assert.is_near(1 - 2 * 2, b:item(), 1e-6)
    a.grad, b.grad = sm.tensor { 1, 0 }, sm.tensor { { 0 } }
    opt:step()
    assert.is_near(-0.5 - 1, a[1]:item(), 1e-6)
  end)

  it("by the size of each element", function()
    local a = leaf { 0, 0, 0 }
    local opt = optim.sgd { lr = 1, clip_value = 0.5 }:add(a)
    a.grad = sm.tensor { 3, -0.25, -7 }
    opt:step()
    assert.are.same({ -0.5, 0.25, 0.5 }, a:totable())
  end)
end)

describe("telemetry", function()
  local cases = {
    { "sgd", { lr = 0.1, weight_decay = 0.3 } }, { "sgd", { lr = 0.1, momentum = 0.9, nesterov = true } },
    { "rmsprop", { lr = 0.01, clip_value = 0.2 } }, { "adam", {} }, { "adamw", { weight_decay = 0.5 } },
    { "smorms3", { ease_in = 2, weight_decay = 0.2, clip_norm = 0.7 } },
    { "lion", { weight_decay = 0.3 } }, { "muon", { clip_value = 0.5 } },
  }

  local function steps(opt, a, b, watched)
    local figures
    for t = 1, 3 do
      a.grad, b.grad = sm.tensor { math.sin(t), -1, 0.25 }, sm.tensor { { 3 / t } }
      if watched then opt:watch() end
      opt:step()
      if watched then figures = opt:telemetry() end
    end
    return figures
  end

  it("has the root mean square of what every weight moved by, and what the rule adds", function()
    for _, case in ipairs(cases) do
      local a, b, idle = leaf { 1, 2, 3 }, leaf { { 4 } }, leaf { 9, 9, 9, 9 }
      local opt = optim[case[1]](case[2]):add({ a = a, idle = idle }):add({ b = b }, { lr = 0.02 })
      steps(opt, a, b, true)
      local before = { a:clone(), b:clone() }
      a.grad, b.grad = sm.tensor { 1, 0, -2 }, sm.tensor { { 0.5 } }
      opt:watch()
      opt:step()
      local figures, names = opt:telemetry(), {}
      local moved = ((a - before[1]) ^ 2):sum():item() + ((b - before[2]) ^ 2):sum():item()
      assert.is_true(moved > 0)
      assert.is_near(math.sqrt(moved / 4), figures.step_rms, 1e-6 * math.sqrt(moved))
      for name in pairs(figures) do names[name] = true end
      for _, name in ipairs(opt.telemetry_names) do
        assert.is_true(names[name])
        names[name] = nil
      end
      assert.is_nil(next(names))
    end
  end)

  it("changes no bit of the weights and of the memory", function()
    for _, case in ipairs(cases) do
      local found = {}
      for run = 1, 2 do
        local a, b = leaf { 1, 2, 3 }, leaf { { 4 } }
        local opt = optim[case[1]](case[2]):add { a = a, b = b }
        steps(opt, a, b, run == 2)
        found[run] = { a:totable(), b:totable() }
        for name, tensor in pairs(opt:state()) do found[run][name] = tensor:totable() end
      end
      assert.are.same(found[1], found[2])
    end
  end)

  it("tells how many weights the cap of smorms3 holds, and how long its memory is", function()
    local w = leaf { 0, 0, 0, 0 }
    local opt = optim.smorms3 { lr = 1e-3 }:add(w)
    w.grad = sm.tensor { 5, -0.1, 3e-3, 0 }
    opt:watch()
    opt:step() -- x = 1/2, so mem = 3/2; where there is no gradient x = 0 and mem = 2
    local figures = opt:telemetry()
    assert.are.equal(0.75, figures.cap_share)
    assert.is_near(1.5, figures.mem_p10, 1.5 / 256)
    assert.is_near(1.5, figures.mem_p50, 1.5 / 256)
    assert.is_near(2, figures.mem_p90, 2 / 256)
    assert.is_near(math.sqrt(3 / 4 * 2) * 1e-3, figures.step_rms, 1e-8)

    w = leaf { 0, 0 }
    opt = optim.smorms3 { lr = 0.9, ease_in = 2 }:add(w) -- the cap: 0.45, then 0.9
    local shares = {}
    for t = 1, 2 do
      w.grad = sm.tensor { 1, t == 1 and 1 or -1 } -- x is 1/2; then 0.7 and 0.014
      opt:watch()
      opt:step()
      shares[t] = opt:telemetry().cap_share
    end
    assert.are.same({ 1, 0 }, shares)
  end)

  it("looks only at what moved in the step", function()
    local still, w = leaf { 7, 7, 7 }, leaf { 0 }
    local opt = optim.smorms3 { lr = 1e-3 }:add { still = still, w = w }
    still.grad, w.grad = sm.tensor { 1, 1, 1 }, sm.tensor { 1 }
    opt:step()
    for step = 2, 3 do -- a memory of its own, but no gradient now
      still.grad, w.grad = nil, sm.tensor { 1 }
      local before = w:item()
      opt:watch()
      opt:step()
      local figures = opt:telemetry()
      assert.is_near(math.abs(w:item() - before), figures.step_rms, 1e-9, step)
      assert.are.equal(1, figures.cap_share)
    end
    still.grad, w.grad = sm.tensor { 1, 1, 1 }, nil
    opt:restore(opt:state(), 1) -- w was moved last by a step that is now to come
    local before = still:clone()
    opt:watch()
    opt:step()
    assert.is_near(math.abs(still:totable()[1] - before:totable()[1]), opt:telemetry().step_rms, 1e-9)
  end)

  it("wants to be announced", function()
    local w, v = leaf { 0 }, leaf { 0 }
    local opt = optim.adam():add { w = w }
    w.grad, v.grad = sm.tensor { 1 }, sm.tensor { 1 }
    local message = "opt:telemetry: there is no step to look at; call opt:watch() right before opt:step()"
    has(error_of(opt.telemetry, opt), message)
    opt:watch()
    has(error_of(opt.telemetry, opt), message)
    opt:step()
    opt:telemetry()
    has(error_of(opt.telemetry, opt), message)
    opt:watch()
    opt:watch() -- again: that is the one that counts
    opt:add { v = v }
    opt:step()
    has(error_of(opt.telemetry, opt), "'v' was added after opt:watch()")
  end)
end)

describe("groups", function()
  it("have their own learning rate and weight decay", function()
    local a, b = leaf { 1 }, leaf { 1 }
    local opt = optim.sgd { lr = 0.5, weight_decay = 1 }
    opt:add({ a = a }):add({ b = b }, { lr = function(step) return step / 10 end, weight_decay = 0 })
    a.grad, b.grad = sm.tensor { 1 }, sm.tensor { 1 }
    opt:step()
    assert.are.equal(0, a:item())
    assert.is_near(0.9, b:item(), 1e-6)
    opt:step()
    assert.is_near(0.7, b:item(), 1e-6)
    assert.are.equal(0.5, opt:rate())
  end)

  it("refuse settings that do not exist or hold for the whole", function()
    local opt = optim.sgd { lr = 0.5 }
    has(error_of(opt.add, opt, { a = leaf { 1 } }, { lrr = 1 }),
      "opt:add: unknown option 'lrr'; did you mean 'lr'")
    has(error_of(opt.add, opt, { a = leaf { 1 } }, { clip_norm = 1 }),
      "'clip_norm' holds for the whole optimizer")
    has(error_of(opt.add, opt, { a = leaf { 1 } }, 1e-3), "argument 2 must be a table of settings")
    has(error_of(opt.add, opt, { a = leaf { 1 } }, { nesterov = true }), "nesterov needs a momentum above 0")
  end)

  it("take the parameters of a model before it is built, as a whole or by layer", function()
    local model = nn.sequential { nn.linear { 4 }, nn.tanh(), nn.linear { 3 } }
    local opt = optim.sgd { lr = 1, momentum = 0.5 }:add(model:parameters())
    has(error_of(opt.step, opt), "the optimizer has no parameters")
    model:build { 2 }
    local before = model:layer("linear2").bias:totable()
    opt:zero_grad()
    model(sm.ones(1, 2)):cross_entropy(sm.tensor({ 1 }, "int32")):backward()
    opt:step()
    assert.are_not.same(before, model:layer("linear2").bias:totable())
    assert.are.equal(4, #opt:state())

    model = nn.sequential { nn.linear { 4 }, nn.linear { 3 } }
    opt = optim.sgd { lr = 1 }
    opt:add(model:layer("linear1"):parameters(), { lr = 0 }):add(model:layer("linear2"):parameters())
    model:build { 2 }
    local still, moving = model.layers[1].weight:totable(), model.layers[2].weight:totable()
    model(sm.ones(1, 2)):cross_entropy(sm.tensor({ 1 }, "int32")):backward()
    opt:step()
    assert.are.same(still, model.layers[1].weight:totable())
    assert.are_not.same(moving, model.layers[2].weight:totable())
  end)

  it("refuse what is added twice, or cannot be trained", function()
    local w = leaf { 1 }
    local opt = optim.adam():add { w = w }
    has(error_of(opt.add, opt, { v = w }), "opt:add: 'v' was added before, as 'w'")
    has(error_of(opt.add, opt, { w = leaf { 1 } }), "there is another parameter named 'w' already")
    has(error_of(opt.add, opt, { x = sm.zeros(1) }),
      "opt:add: 'x' wants no gradient, so that nothing would move it; mark it with x:requires_grad()")
    has(error_of(opt.add, opt, { x = sm.zeros({ 1 }, "int32") }), "'x' is of int32; only a " .. runtime.real)
    has(error_of(opt.add, opt, { x = leaf { 1 } * 0.1 }), "opt:add: 'x' was computed from other tensors")
    has(error_of(opt.add, opt, { x = leaf { 1 } * 0.1 }), "or mark the result: (sm.randn(3) * 0.1):requires_grad()")
    has(error_of(opt.add, opt, sm.zeros(1)), "opt:add: 'parameter1' wants no gradient")
    has(error_of(opt.add, opt, sm.nn.linear { 2 }), "opt:add takes model:parameters(), a table of named tensors or a "
      .. "tensor, got a model")
    has(error_of(opt.add, opt, {}), "opt:add: the table is empty; a layer has no tensors before the model is built")
    has(error_of(opt.add, opt, { fine = leaf { 1 }, y = 3 }), "'y' must be a tensor, got number 3")
    has(error_of(opt.add, opt, setmetatable({ x = leaf { 1 } }, { __index = { y = leaf { 1 } } })),
      "opt:add: expected a plain table; this one's metatable has an __index")
    opt:add { fine = leaf { 1 } } -- nothing was taken from the table that was refused
    has(error_of(opt.add, opt, { leaf { 1 } }), "number 1 is not a name")
    has(error_of(opt.add, opt, 3),
      "opt:add takes model:parameters(), a table of named tensors or a tensor, got number 3")
    local model = nn.linear { 2 }
    opt:add(model:parameters())
    has(error_of(opt.add, opt, model:parameters()), "these parameters were added before")
  end)

  it("take a model's frozen parameters, and leave them as they are until they want a gradient again", function()
    local model = nn.linear { 2 }
    model:build { 3 }
    model.weight:requires_grad(false)
    local opt, before = optim.adam { weight_decay = 0.1 }:add(model:parameters()), model.weight:totable()
    local function step()
      opt:zero_grad()
      model(sm.ones(4, 3)):sum():backward()
      opt:step()
    end
    step()
    assert.same(before, model.weight:totable())
    model.weight:requires_grad()
    step()
    assert.are_not.same(before, model.weight:totable())
  end)

  it("of two models whose names are the same say where they were added", function()
    local one, other = nn.linear { 2 }, nn.linear { 2 }
    local opt = optim.sgd { lr = 1 }:add(one:parameters()):add(other:parameters())
    one:build { 3 }
    other:build { 3 }
    has(error_of(opt.step, opt),
      "there is another parameter named 'weight' already (added at tests/lua/optim_spec.lua:")
  end)
end)

describe("a step", function()
  it("leaves parameters without a gradient alone", function()
    local a, b = leaf { 1 }, leaf { 1 }
    local opt = optim.adam { weight_decay = 0.1 }:add { a = a, b = b }
    a.grad = sm.tensor { 1 }
    opt:step()
    assert.are.equal(1, b:item())
    local names = {}
    for name in pairs(opt:state()) do names[#names + 1] = name end
    assert.are.same({ "a.m", "a.v" }, names)
    opt:zero_grad()
    assert.is_nil(a.grad)
    has(error_of(opt.step, opt), "no parameter has a gradient; call loss:backward() before opt:step()")
    assert.are.equal(1, opt.steps)
  end)

  it("refuses a gradient that is not finite, names the parameter, and does not count", function()
    local cases = { sgd = { lr = 1 }, rmsprop = { lr = 1 }, adam = {}, adamw = {}, smorms3 = {}, lion = {}, muon = {} }
    for name, options in pairs(cases) do
      for _, clip in ipairs { false, 1 } do
        for _, bad in ipairs { 0 / 0, math.huge, -math.huge } do
          options.clip_norm = clip or nil
          local w = leaf { 1, 2, 3 }
          local opt = optim[name](options):add { ["conv1.weight"] = w }
          w.grad = sm.tensor { 1, bad, 0 }
          has(error_of(opt.step, opt), "gradient of 'conv1.weight' is not finite")
          assert.are.equal(0, opt.steps)
        end
      end
    end
  end)

  it("follows a schedule, and refuses one that makes no sense", function()
    local w = leaf { 0 }
    local opt = optim.sgd { lr = optim.step { lr = 1, every = 2, factor = 0.5 } }:add(w)
    assert.are.equal(1, opt:rate())
    local expected = { -1, -2, -2.5, -3 }
    for step = 1, 4 do
      w.grad = sm.tensor { 1 }
      opt:step()
      assert.are.equal(expected[step], w:item())
    end
    assert.are.equal(0.5, opt:rate())
    for _, value in ipairs { false, "x", -1, math.huge, 0 / 0 } do
      local wrong = optim.sgd { lr = function() return value or nil end }:add(leaf { 1 })
      has(error_of(wrong.rate, wrong), "the schedule of sgd must return a learning rate of at least 0, got")
    end
  end)
end)

describe("arguments beyond those that there are", function()
  it("are refused by every constructor, which shows its form", function()
    local model = nn.linear { 2 }
    for _, name in ipairs { "sgd", "rmsprop", "adam", "adamw", "smorms3", "lion", "muon" } do
      local text = ("optim.%s takes one table of options, as in opt = optim.%s { lr = 1e-3 } "
        .. "(opt:add(model:parameters()) says what it moves, and an experiment does so by itself), got ")
        :format(name, name)
      has(error_of(optim[name], model:parameters(), 1e-3), text .. "another argument, number 0.001")
      has(error_of(optim[name], { lr = 1 }, 1e-3), text .. "another argument, number 0.001")
      has(error_of(optim[name], model:parameters()), text .. "parameters")
      has(error_of(optim[name], sm.zeros(3)), text .. "tensor {3}")
    end
    for _, name in ipairs { "constant", "step", "cosine", "warmup" } do
      has(error_of(optim[name], name == "constant" and 1 or { lr = 1 }, 2),
        ("optim.%s takes 1 argument, got another argument, number 2"):format(name))
    end
  end)

  it("are refused by every method", function()
    local w = leaf { 1 }
    local opt = optim.adam():add { w = w }
    w.grad = sm.ones(1)
    has(error_of(opt.step, opt, 1), "opt:step takes no arguments, got number 1")
    has(error_of(opt.zero_grad, opt, w), "opt:zero_grad takes no arguments, got tensor {1}")
    has(error_of(opt.add, opt, { v = leaf { 1 } }, { lr = 1 }, 3), "opt:add takes 2 arguments, got another")
    for _, name in ipairs { "rate", "watch", "telemetry", "state" } do
      has(error_of(opt[name], opt, true), ("opt:%s takes no arguments, got boolean true"):format(name))
    end
    has(error_of(opt.restore, opt, {}, 0, 1), "opt:restore takes 2 arguments, got another")
    assert.equal(0, opt.steps)
  end)
end)

describe("options", function()
  it("are checked, and kept for the record", function()
    has(error_of(optim.adam, { beta1 = 1.5 }),
      "optim.adam: option 'beta1' must be at least 0 and below 1, got 1.5")
    has(error_of(optim.adam, { lr = "fast" }),
      "optim.adam: option 'lr' must be a number or a function, got string")
    has(error_of(optim.sgd), "optim.sgd: option 'lr' is missing")
    has(error_of(optim.sgd, { lr = math.huge }), "optim.sgd: option 'lr' must be at least 0 and below inf, got inf")
    has(error_of(function() return optim.adm end), "sm.optim has no 'adm'; did you mean 'adam'?")
    has(error_of(optim.sgd, { lr = 1, nesterov = true }), "optim.sgd: nesterov needs a momentum above 0")
    has(error_of(optim.smorms3, { easein = 3 }),
      "optim.smorms3: unknown option 'easein'; did you mean 'ease_in'?")
    has(error_of(optim.sgd, { lr = 1, clip_norm = 0 }),
      "optim.sgd: option 'clip_norm' must be above 0, got 0")
    local opt = optim.smorms3 { ease_in = 200 }
    assert.are.equal("smorms3", opt.name)
    assert.are.same({ lr = 1e-3, ease_in = 200, epsilon = 1e-16, weight_decay = 0 }, opt.settings)
  end)
end)

describe("state", function()
  local function problem(name, options)
    random.seed(5)
    local model = nn.sequential { nn.linear { 5 }, nn.tanh(), nn.linear { 3 } }:build { 4 }
    local opt = optim[name](options):add(model:parameters())
    local x, y = sm.randn(8, 4), sm.tensor({ 0, 1, 2, 0, 1, 2, 0, 1 }, "int32")
    local function train(steps)
      for _ = 1, steps do
        opt:zero_grad()
        model(x):cross_entropy(y):backward()
        opt:step()
      end
    end
    return model, opt, train
  end

  it("restored gives the bits of a run that was never interrupted", function()
    for name, options in pairs {
      sgd = { lr = 0.1, momentum = 0.9 }, rmsprop = { lr = 0.01 }, adam = { lr = 0.01 },
      adamw = { lr = 0.01 }, smorms3 = { lr = 0.01, ease_in = 8 }, lion = { lr = 0.01 }, muon = { lr = 0.02 },
    } do
      local straight, straight_opt, train = problem(name, options)
      train(10)
      local first, first_opt, train_first = problem(name, options)
      train_first(4)
      local second, second_opt, train_second = problem(name, options)
      for key, value in pairs(first:parameters()) do second:parameters()[key]:copy_(value) end
      second_opt:restore(first_opt:state(), first_opt.steps)
      train_first(2) -- what was restored is a copy
      train_second(6)
      assert.are.equal(10, second_opt.steps)
      for key, value in pairs(straight:parameters()) do
        assert.are.same(value:totable(), second:parameters()[key]:totable())
      end
      for key, value in pairs(straight_opt:state()) do
        assert.are.same(value:totable(), second_opt:state()[key]:totable())
      end
    end
  end)

  it("has ordered names, rule by rule", function()
    local _, opt, train = problem("smorms3", {})
    train(1)
    local names = {}
    for name in pairs(opt:state()) do names[#names + 1] = name end
    assert.are.equal("linear1.weight.mem linear1.weight.g linear1.weight.g2 linear1.bias.mem",
      table.concat(names, " ", 1, 4))
    assert.are.equal(12, #names)
  end)

  it("is taken over wholly or not at all", function()
    local _, opt, train = problem("adam", {})
    train(3)
    local before = opt:state()["linear1.bias.m"]:totable()
    local function with(change)
      local copy = {}
      for name, value in pairs(opt:state()) do copy[name] = value * 2 end
      change(copy)
      return error_of(opt.restore, opt, copy, 9)
    end
    has(with(function(s) s["linear1.bias.v"] = nil end), "opt:restore: 'linear1.bias.v' is missing")
    has(with(function(s) s["linear1.bais.v"] = sm.zeros(5) end),
      "opt:restore: 'linear1.bais.v' is no state of adam; did you mean 'linear1.bias.v'?")
    has(with(function(s) s["linear2.bias.m"] = sm.zeros(4) end), "'linear2.bias.m' must be tensor {3} of "
      .. runtime.real .. ", got tensor {4} of " .. runtime.real)
    has(with(function(s) s["linear2.bias.m"] = sm.zeros({ 3 }, "int32") end), "got tensor {3} of int32")
    has(with(function(s) s["linear2.bias.m"] = 3 end), "got number 3")
    has(error_of(opt.restore, opt, 3, 1), "opt:restore takes what opt:state() gave, got number 3")
    has(error_of(opt.restore, opt, {}, -1), "argument 2 must be the number of steps done, got number -1")
    assert.are.same(before, opt:state()["linear1.bias.m"]:totable())
    assert.are.equal(3, opt.steps)
  end)
end)

describe("the option groups", function()
  local function model()
    return sm.nn.sequential { sm.nn.linear { 4 }, sm.nn.linear { 3, name = "head" } }
  end

  it("gives names that a pattern finds settings of their own, the first pattern that does", function()
    local net = model()
    local opt = sm.optim.sgd { lr = 0.25, weight_decay = 0.5,
      groups = { { "^head%.weight", lr = 1 }, { "^head", lr = 0.125 }, { "bias$", weight_decay = 0 } } }
    opt:add(net:parameters())                  -- before there are any
    net:build { 2 }
    for _, w in pairs(net:parameters()) do
      sm.no_grad(w.copy_, w, sm.ones(w.shape))
      w.grad = sm.ones(w.shape)
    end
    opt:step()
    local expected = { ["linear1.weight"] = 1 - 0.25 * 1.5, ["linear1.bias"] = 0.75, ["head.weight"] = -0.5,
      ["head.bias"] = 1 - 0.125 * 1.5 }
    for name, w in pairs(net:parameters()) do assert.equal(expected[name], w:mean():item(), name) end
    assert.equal(0.25, opt:rate())
    local copy = sm.optim.sgd { lr = 0.25, groups = { { "bias$", lr = 1 } } }:add(net:parameters())
    assert.same({ "linear1.weight", "head.weight", "linear1.bias", "head.bias" }, ordered.keys(copy:parameters()))
  end)

  it("is a list of patterns that find something", function()
    local function refused(given, ...)
      local net = model():build { 2 }
      for _, w in pairs(net:parameters()) do w.grad = sm.ones(w.shape) end
      has(error_of(function() sm.optim.adam { lr = 1, groups = given }:add(net:parameters()):step() end), ...)
    end
    refused({ { "^hed" } }, "optim.adam: option 'groups': '^hed' matches no parameter", "head.bias")
    refused({ { "head" }, { "^head%.bias" } }, "'^head%.bias' matches no parameter that no pattern before it has taken")
    refused({ { "head", rl = 1 } }, "unknown option 'rl'; did you mean 'lr'?")
    refused({ { "head", clip_norm = 1 } }, "'clip_norm' holds for the whole optimizer")
    refused({ { "%" } }, 'got string "%" as a pattern at 1')
    refused({ "head" }, 'got string "head" at 1')
    refused({ head = { lr = 1 } }, "got 'head'")
  end)
end)

describe("ordered maps", function()
  it("keep their order, count their keys and refuse others", function()
    local map = ordered.new()
    local keys = { "z", "a", "m", "b" }
    for i, key in ipairs(keys) do ordered.set(map, key, i) end
    local seen = {}
    for key, value in pairs(map) do
      seen[#seen + 1] = key
      assert.are.equal(#seen, value)
    end
    assert.are.same(keys, seen)
    assert.are.equal(4, #map)
    assert.is_true(ordered.is(map))
    assert.is_false(ordered.is {})
    has(error_of(ordered.set, map, "a", 1), "there is a 'a' already")
    has(error_of(function() map.other = 1 end), "read-only")
  end)
end)
