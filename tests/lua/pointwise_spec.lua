--- Traced functions: against the same composed of operations, their gradients and the gradients of these against
-- differences, special values, shapes, and what cannot be traced.
local sm = require "sm"
local helpers = dofile "tests/lua/helpers.lua"
local runtime = require "sm.runtime"
local message, has = helpers.message, helpers.has

local exact = runtime.real == "float64"

local function swish(x) return x * x:sigmoid() end
local function gelu(x) return 0.5 * x * (1 + (0.79788456 * (x + 0.044715 * x ^ 3)):tanh()) end
local function affine(x, mean, deviation, scale, shift) return (x - mean) / deviation * scale + shift end

--- Each as { function, arguments as shapes or numbers }; the numbers drawn are above 0 where `positive`.
local FUNCTIONS = {
  gelu = { gelu, { 3, 5 } },
  swish = { swish, { 7 } },
  normalisation = { affine, { 4, 3, 5 }, { 3, 1 }, { 4, 1, 1 }, { 5 }, { 1, 5 } },
  softplus = { function(x) return (x * 2):softplus() - x:relu() end, { 9 } },
  temperature = { function(x, t) return (x / t):tanh() * t end, { 4, 2 }, 0.3 },
  polynomial = { function(x, y) return x ^ 2 - 2 * x ^ 3 + 1 / (y ^ 2 + 1) - (-x) * y end, { 2, 3 }, { 3 } },
  roots = { function(x, y) return x:sqrt() + x:log() * y ^ 1.5 + (-x):exp() end, { 4 }, { 3, 1 }, positive = true },
  powers = { function(x, y) return x ^ y + 2 ^ x end, { 3 }, { 2, 3 }, positive = true },
  power_by_number = { function(x, p) return x ^ p end, { 5 }, 2.5, positive = true },
  distance = { function(x, y) return (x - y):abs() end, { 6 }, { 2, 6 } },
  clamped = { function(x) return x:clamp(-0.4, 0.45) * x end, { 8 } },
  scalar = { function(x, y) return x * y + x end, {}, { 2 } },
  alone = { function(x) return x:exp() end, {} },
  same_twice = { function(x) local t = x:tanh() return t * t + t end, { 4 } },
  constant_part = { function(x, y) return x * 0 + y end, { 3 }, { 3 } },
}
--- What only a traced function can be written with: also given as composed of operations on tensors.
local CHOICES = {
  huber = { function(x, y)
    local d = x - y
    local a = d:abs()
    return sm.where(a:le(1), 0.5 * d * d, a - 0.5)
  end, { 3, 4 }, { 4 } },
  elu = { function(x) return sm.where(x:gt(0), x, x:exp() - 1) end, { 5, 2 } },
  hinge = { function(x, y) return sm.maximum(1 - x * y, x) + sm.minimum(x, y) end, { 4, 3 }, { 3 } },
  activations = { function(x, slope)
    return x:gelu() * x:leaky_relu(slope) + x:mish() - x:hardtanh(-0.4, 0.45) * x:softshrink() + x:sin() / (x:cos() + 3)
  end, { 4, 3 }, 0.3 },
  choice_of_choices = { function(x, y)
    return sm.where(x:gt(y), sm.where(x:gt(0), x * y, y), (x - y):expm1()) + sm.where(y:gt(0), x, x * 3)
  end, { 3, 5 }, { 5 } },
  steps = { function(x) return x:sign() * x + (x * 3):floor() * x + (x * 3):round() end, { 8 } },
}

local function draw(given, positive)
  local arguments = {}
  for i = 2, #given do
    local x = given[i]
    if type(x) == "table" then
      x = positive and sm.rand(x) + 0.5 or sm.randn(x)
      x = x:detach():requires_grad()
    end
    arguments[i - 1] = x
  end
  return arguments
end

local function tensors(arguments)
  local found = {}
  for _, x in ipairs(arguments) do found[#found + 1] = sm.is_tensor(x) and x or nil end
  return found
end

local function numbers(x) return x:reshape(-1):totable() end

local function assert_near(got, want, what)
  assert.same(want.shape, got.shape, what)
  local a, b = numbers(got:detach()), numbers(want:detach())
  for i, value in ipairs(a) do
    local near = value == b[i] or value ~= value and b[i] ~= b[i]
      or math.abs(value - b[i]) <= (exact and 1e-12 or 2e-5) * math.max(1, math.abs(b[i]))
    assert.is_true(near, ("%s, element %d: %s instead of %s"):format(what, i, value, b[i]))
  end
end

describe("sm.pointwise", function()
  for _, group in ipairs { FUNCTIONS, CHOICES } do
    for name, given in pairs(group) do
      it("computes what operations do, and its gradients: " .. name, function()
        sm.seed(7)
        local traced = sm.pointwise(given[1])
        local arguments = draw(given, given.positive)
        local inputs = tensors(arguments)
        local y, want = traced(table.unpack(arguments)), given[1](table.unpack(arguments))
        assert_near(y, want, name)
        local g = sm.randn(want.shape)
        local gradients, wanted = sm.grad(y, inputs, { gradient = g }), sm.grad(want, inputs, { gradient = g })
        for i, x in ipairs(gradients) do assert_near(x, wanted[i], name .. ", gradient " .. i) end
      end)
    end
  end

  local function called(traced, arguments)
    return function(...)
      local now, given, k = {}, { ... }, 0
      for i, x in ipairs(arguments) do
        if sm.is_tensor(x) then k = k + 1 end
        now[i] = sm.is_tensor(x) and given[k] or x
      end
      return traced(table.unpack(now))
    end
  end

  for _, group in ipairs(exact and { FUNCTIONS, CHOICES } or {}) do
    for name, given in pairs(group) do
      it("agrees with differences, once and twice: " .. name, function()
        sm.seed(11)
        local arguments = draw(given, given.positive)
        local inputs, f = tensors(arguments), called(sm.pointwise(given[1]), arguments)
        local options = { epsilon = 1e-6 }
        assert.is_true(sm.gradcheck(f, inputs, options) < 1e-6)
        local v = {}
        for i, x in ipairs(inputs) do v[i] = sm.randn(x.shape) end

        --- The gradients of f, projected on v.
        local function gradient(leaves)
          local y, sum = f(table.unpack(leaves)), nil
          local weights = sm.arange(math.max(1, #numbers(y:detach()))):reshape(y.shape) * 0.3 + 0.2
          for i, g in ipairs(sm.grad(y, leaves, { gradient = weights, create_graph = true })) do
            local part = (g * v[i]):sum()
            sum = sum and sum + part or part
          end
          return sum
        end
        local function moved(k, position, step)
          local leaves = {}
          for i, x in ipairs(inputs) do
            local values = numbers(x:detach())
            if i == k then values[position] = values[position] + step end
            leaves[i] = sm.tensor(values):reshape(x.shape):requires_grad()
          end
          return gradient(leaves):item()
        end
        local root, step = gradient(inputs), 1e-5
        if root:tracks() then root:backward() end
        for k, x in ipairs(inputs) do
          local second = x.grad and numbers(x.grad)
          for i = 1, #numbers(x:detach()) do
            local numeric = (moved(k, i, step) - moved(k, i, -step)) / (2 * step)
            local analytic = second and second[i] or 0
            assert.is_true(math.abs(analytic - numeric) <= 1e-6 * math.max(1, math.abs(numeric)),
              ("%s, input %d, element %d: %s instead of %s"):format(name, k, i, analytic, numeric))
          end
        end
      end)
    end
  end

  local STEPS = {
    function(x, y) return x + y end, function(x, y) return x - y end, function(x, y) return x * y end,
    function(x, y) return x / (y:abs() + 1) end, function(x) return x * 0.5 + 1 end, function(x) return 1 - x end,
    function(x) return -x end, function(x) return x:tanh() end, function(x) return x:sigmoid() end,
    function(x) return x:relu() end, function(x) return x:softplus() end, function(x) return x:tanh():exp() end,
    function(x) return (x:abs() + 0.1):sqrt() end, function(x) return (x:abs() + 0.5):log() end,
    function(x) return x ^ 2 end, function(x) return x:tanh() ^ 3 end, function(x) return (x:abs() + 0.5) ^ -0.5 end,
    function(x, y) return (x:abs() + 0.5) ^ y:tanh() end, function(x) return x:clamp(-0.5, 0.7) end,
    function(x, y) return sm.maximum(x, y) end, function(x, y) return sm.minimum(x, y) end,
    function(x) return sm.maximum(x, 0.25) end, function(x, y) return sm.where(x:lt(y), x * 2, y) end,
    function(x, y) return sm.where(x:ge(0), y, 0.5) end, function(x, y) return x:sign() * y end,
    function(x, y) return x:round() + y end, function(x, y) return x:floor() * y end,
    function(x) return x * 1 end, function(x) return x - 0 end, function(x) return x / 1 end,
  }

  it("has the bits of the operations in random functions, and their gradients", function()
    local random = math.random
    for seed = 1, 150 do
      local function f(a, b, c)
        math.randomseed(seed)
        local values = { a, b, c }
        for _ = 1, random(3, 12) do
          values[#values + 1] = STEPS[random(#STEPS)](values[random(#values)], values[random(#values)])
        end
        return values[#values] + values[random(#values)] * a
      end
      sm.seed(seed)
      local inputs = { sm.randn(5, 7):requires_grad(), sm.randn(7):requires_grad(), sm.randn(5, 1):requires_grad() }
      local y, want = sm.pointwise(f)(table.unpack(inputs)), f(table.unpack(inputs))
      assert.same(want.shape, y.shape)
      assert.same(numbers(want:detach()), numbers(y:detach()), "function " .. seed)
      local g = sm.randn(y.shape)
      y:backward(g)
      local got = {}
      for i, x in ipairs(inputs) do got[i], x.grad = x.grad, nil end
      want:backward(g)
      for i, x in ipairs(inputs) do
        assert_near(got[i], x.grad or sm.zeros(x.shape), ("function %d, gradient %d"):format(seed, i))
      end
    end
  end)

  it("has the same bits with any number of threads", function()
    local f = sm.pointwise(affine)
    local x, m, d, s, b = sm.randn(37, 1000), sm.randn(37, 1), sm.rand(37, 1) + 1, sm.randn(1000), sm.randn(1)
    local first
    for threads = 1, 3 do
      local before = runtime.system.threads()
      runtime.system.set_threads(threads)
      local y = f(x, m, d, s, b)
      runtime.system.set_threads(before)
      first = first or y
      assert.is_true(y:eq(first):all():item() == 1)
    end
  end)

  it("treats special values as the operations do", function()
    local x = sm.tensor { 0 / 0, math.huge, -math.huge, 0.0, -0.0, 1, -1, 100, -100 }
    for name, f in pairs { gelu = gelu, swish = swish, softplus = function(v) return v:softplus() end,
      elu = CHOICES.elu[1], clamp = function(v) return v:clamp(-1, 2) end, relu = function(v) return v:relu() end,
      maximum = function(v) return sm.maximum(v, 0.5) end, minimum = function(v) return sm.minimum(0.5, v) end,
      zero = function(v) return v * 0 end, plus = function(v) return v + 0 end, one = function(v) return v ^ 0 end } do
      local got, want = sm.pointwise(f)(x), f(x)
      assert_near(got, want, name)
      for i, value in ipairs(numbers(got)) do -- the sign of a 0
        if value == 0 then assert.equal(1 / numbers(want)[i], 1 / value, name) end
      end
    end
  end)

  it("takes masks and empty tensors, and calls the function once", function()
    local calls = 0
    local f = sm.pointwise(function(c, x, t)
      calls = calls + 1
      return sm.where(c, x * t, -1)
    end)
    local x = sm.tensor { { 1, 2, 3 }, { 4, 5, 6 } }
    assert.same({ { 2, -1, 6 }, { 8, -1, 12 } }, f(sm.tensor({ 1, 0, 7 }, "uint8"), x, 2):totable())
    assert.same({ { 0.5, -1, 1.5 }, { 2, -1, 3 } }, f(sm.tensor({ 1, 0, 7 }, "uint8"), x, 0.5):totable())
    assert.same({ 0, 3 }, f(sm.zeros({ 1, 3 }, "uint8"), sm.zeros(0, 3):requires_grad(), 2).shape)
    local empty = sm.zeros(0, 3):requires_grad()
    local scale = sm.ones(3):requires_grad()
    f(sm.ones({ 3 }, "uint8"), empty, scale):sum():backward()
    assert.same({ 0, 0, 0 }, scale.grad:totable())
    assert.same({ 0, 3 }, empty.grad.shape)
    assert.equal(1, calls)
    assert.equal(6, sm.pointwise(function(a, b) return a * b end)(sm.tensor(2), 3):item())
  end)

  it("passes no gradient through detach, and none to what only compares", function()
    local x = sm.tensor { 1.5, -2 }:requires_grad()
    local hard = sm.pointwise(function(v) return (v:gt(0) - v):detach() + v end)
    local y = hard(x)
    assert.same({ 1, 0 }, y:totable())
    y:sum():backward()
    assert.same({ 1, 1 }, x.grad:totable())
    x.grad = nil
    sm.pointwise(function(v) return v:gt(0) end)(x):sum():backward()
    assert.same({ 0, 0 }, x.grad:totable())
  end)

  it("is of use within another, and with one tensor in two places", function()
    local half = sm.pointwise(function(x, t) return (x * t):tanh() end)
    local whole = sm.pointwise(function(x, y) return half(x, 0.5) + half(y, x) end)
    local x, y = sm.randn(4):requires_grad(), sm.randn(4):requires_grad()
    local function composed(a, b) return (a * 0.5):tanh() + (b * a):tanh() end
    assert_near(whole(x, y), composed(x, y), "nested")
    for i, g in ipairs(sm.grad(whole(x, y):sum(), { x, y })) do
      assert_near(g, sm.grad(composed(x, y):sum(), { x, y })[i], "nested, gradient " .. i)
    end
    assert_near(sm.grad(whole(x, x):sum(), x)[1], sm.grad(composed(x, x):sum(), x)[1], "one in two places")
    has(message(sm.pointwise, function(v) return half(v) end), "the function takes 2 arguments, got 1")
    has(message(sm.pointwise, function(v) return half(v, x) end), "'pointwise' got a tensor {4} from outside")
  end)

  it("keeps no history where nothing wants a gradient, or twice", function()
    local f = sm.pointwise(swish)
    local x = sm.randn(3)
    assert.is_false(f(x):tracks())
    x:requires_grad()
    assert.is_false(sm.no_grad(f, x):tracks())
    f(x):sum():backward()
    assert.is_false(x.grad:tracks())
  end)

  it("refuses a gradient of numbers that have changed, where it reads them", function()
    local x, s, b = sm.randn(3):requires_grad(), sm.randn(3):requires_grad(), sm.randn(3):requires_grad()
    local f = sm.pointwise(function(v, scale, shift) return v * scale + shift end)
    local y = f(x, s, b):sum()
    b:copy_(sm.randn(3))
    y:backward()
    y = f(x, s, b):sum()
    s:copy_(sm.randn(3))
    has(message(y.backward, y), "the gradient of 'pointwise' needs a tensor of shape {3} as it was")
  end)

  it("says what cannot be traced, at the user's line", function()
    local outside = sm.randn(3)
    local cases = {
      { "'<' cannot be traced", function(x) if x < 1 then return x end return -x end },
      { "'<=' cannot be traced", function(x) return x >= 1 and x or 0 end },
      { "'==' cannot be traced", function(x) return x == -x and x or 0 end },
      { "an element of a symbol, [1]", function(x) return x[1] end },
      { "'shape' of a symbol cannot be traced", function(x) return x.shape end },
      { "'sqr' of a symbol cannot be traced; did you mean 'sqrt'?", function(x) return x:sqr() end },
      { "number expected, got symbol of sm.pointwise", function(x) return math.exp(x) end },
      { "got a tensor {3} from outside the function; give it to the function as one more argument",
        function(x) return x * outside end },
      { "got symbol of sm.pointwise", function(x) return outside * x end },
      { "got a tensor {3} from outside", function(x) return sm.maximum(x, outside) end },
      { "'add' expected a symbol or a number as operand 2, got string", function(x) return x + "a" end },
      { "'add' expected a symbol or a number as operand 2, got nil", function(x) return x + nil end },
      { "exp takes no arguments", function(x) return x:exp(2) end },
      { "'..' cannot be traced", function(x) return x .. "" end },
      { "the length of a symbol cannot be traced", function(x) return #x end },
      { "'%' cannot be traced", function(x) return x % 2 end },
      { "'//' cannot be traced", function(x) return x // 2 end },
      { "assigning to a symbol cannot be traced", function(x) x.a = 1 return x end },
      { "clamp: expected low <= high", function(x) return x:clamp(2, 1) end },
      { "must return one value, it returned 0", function(x) x:exp() end },
      { "it returned nil", function(_) return nil end },
      { "it returned number 3", function(_) return 3 end },
      { "it returned 2", function(x) return x, x end },
      { "returned a tensor that does not depend", function(_) return outside end },
      { "must name its arguments", function(...) return (...) end },
    }
    for _, case in ipairs(cases) do
      local text = helpers.error_of(function() return sm.pointwise(case[2]) end)
      has(text, case[1])
      assert.matches("^tests/lua/pointwise_spec%.lua:%d+: ", text)
    end
    if not exact then
      has(message(sm.pointwise, function(x) return x * 1e60 end), "1e+60 does not fit float32, where it is inf")
      has(message(sm.pointwise, function(x) return x / 1e-60 end), "1e-60 does not fit float32, where it is 0")
      assert.same({ 1 }, sm.pointwise(function(x) return x + 1e-60 end)(sm.ones(1)):totable())
    end
    has(message(sm.pointwise, function() return 3 end), "must take 1 to 16 arguments, it takes 0")
    has(message(sm.pointwise, 3), "expected a function, got number 3")
    has(message(sm.pointwise), "expected a function, got nil")
  end)

  it("says what a traced function does not take", function()
    local f = sm.pointwise(function(x, y) return x + y end)
    local x = sm.randn(2, 3)
    has(message(f, x), "the function takes 2 arguments, got 1")
    has(message(f, x, 1, 2), "the function takes 2 arguments, got 3")
    has(message(f, x, "1"), 'argument 2 must be a tensor or a number, got string "1"')
    has(message(f, nil, x), "argument 1 must be a tensor or a number, got nil")
    has(message(f, 1, 2), "at least one argument must be a tensor")
    has(message(f, x, sm.zeros(2)), "shapes {2, 3} and {2} do not broadcast")
    has(message(f, x, sm.zeros({ 3 }, "int32")), "argument 2 must be a " .. runtime.real .. " or uint8 tensor")
    assert.matches("^tests/lua/pointwise_spec%.lua:%d+: ", helpers.error_of(function() return f(x, sm.zeros(2)) end))
    local by = sm.pointwise(function(v, factor, divisor) return v * factor / divisor end)
    assert.is_true(by(sm.ones(1), 1e-320, 1):item() < 1e-300)
    if not exact then
      has(message(by, x, 1, 1e-60), "argument 3 must be a number that fits float32, where this is 0, got number 1e-60")
      has(message(by, x, 1e60, 1), "argument 2 must be a number that fits float32, where this is inf, got number 1e+60")
    end
  end)

  it("has symbols of one call only", function()
    local kept
    local f = sm.pointwise(function(x) kept = x return x * 2 end)
    has(message(sm.pointwise, function(x) return x + kept end), "a symbol is of use only in the call")
    has(message(sm.pointwise, function(_) return kept end), "a symbol is of use only in the call")
    has(message(function() return kept + 1 end), "a symbol is of use only in the call")
    has(message(f, kept), "a symbol is of use only in the call")
  end)

  it("takes no gradient from the side of a choice that is not taken", function()
    local x = sm.tensor { 0, 4 }:requires_grad()
    sm.pointwise(function(v) return sm.where(v:gt(0), v:sqrt(), v) end)(x):sum():backward()
    assert.same({ 1, 0.25 }, x.grad:totable())
  end)

  it("names the operation that is a formula", function()
    has(message(sm.randn(2).leaky_relu, sm.randn(2), 0 / 0), "leaky_relu: argument 1 must be")
    has(message(function() return sm.randn(2):celu(0) end), "celu: argument 1 must be above 0")
    has(message(function() return sm.randn(2):gelu { approximate = "tan" } end), "did you mean 'tanh'")
    has(message(function() return sm.randn(2):relu6(1) end), "relu6 takes no arguments")
    has(message(sm.pointwise, function(x) return x:gleu() end), "did you mean 'gelu'")
  end)

  it("says that a function is too large", function()
    local text = message(sm.pointwise, function(x)
      for i = 1, 2000 do x = x * x + i end
      return x
    end)
    has(text, "the function is too large: it takes more than ")
  end)
end)

describe("runtime.expression", function()
  local E = runtime.expression
  local add = E.operations.add

  it("refuses programs with numbers out of range", function()
    local bad = { { 1, {}, { add, 0, 1, 0 }, { 1 } }, { 1, {}, { add, 0, -1, 0 }, { 1 } },
      { 1, {}, { add, 0, 0, 0 }, { 2 } },
      { 1, {}, { add, 0, 0, 0 }, {} }, { 1, {}, { add, 0, 0 }, { 1 } }, { 1, {}, { 1000, 0, 0, 0 }, { 1 } },
      { 1, {}, { -1, 0, 0, 0 }, { 1 } }, { 33, {}, {}, { 0 } }, { -1, {}, {}, { 0 } }, { 1, { "1" }, {}, { 0 } },
      { 1, {}, { add, 0, 0.5, 0 }, { 1 } }, { 1, {}, { add, 0, 1 << 40, 0 }, { 1 } }, { 1, {}, "x", { 0 } },
      { 1, {}, setmetatable({}, { __index = function() return 0 end }), { 0 } }, { 1, {}, {}, { 1 << 30 } } }
    for i, given in ipairs(bad) do
      assert.is_false((pcall(E.make, table.unpack(given))), "program " .. i)
    end
  end)

  it("makes of random numbers a program that runs, or an error", function()
    local random, made = math.random, 0
    math.randomseed(3)
    for _ = 1, 2000 do
      local inputs, constants, instructions, outputs = random(0, 3), {}, {}, {}
      for i = 1, random(0, 2) do constants[i] = random() end
      for i = 1, random(0, 6) do
        local known = inputs + #constants + i - 1
        instructions[#instructions + 1] = random(0, 50)
        for _ = 1, 3 do instructions[#instructions + 1] = random(0, math.max(0, known - (random(9) > 1 and 1 or 0))) end
      end
      for k = 1, random(1, 3) do outputs[k] = random(0, math.max(0, inputs + #constants + #instructions // 4 - 1)) end
      local ok, program = pcall(E.make, inputs, constants, instructions, outputs)
      if ok then
        made = made + 1
        local x, count = {}, 0
        for i = 1, inputs do
          x[i] = random(3) == 1 and random() or random(2) == 1 and sm.randn(2, 3) or sm.ones({ 3 }, "uint8")
          count = math.max(count, sm.is_tensor(x[i]) and #numbers(x[i]) or 1)
        end
        local y = { E.run(program, nil, nil, table.unpack(x)) }
        assert.equal(#outputs, #y)
        for _, tensor in ipairs(y) do assert.equal(math.max(1, count), #numbers(tensor)) end
      end
    end
    assert.is_true(made > 100 and made < 1900, made)
  end)

  it("adds outputs up", function()
    local program = E.make(1, {}, { add, 0, 0, 0 }, { 1, 0, 1 })
    local x = sm.tensor { { 1, 2, 3 }, { 4, 5, 6 } }
    local full, columns, all = E.run(program, { 0, 3, 1 }, 2, x)
    assert.same({ { 2, 4, 6 }, { 8, 10, 12 } }, full:totable())
    assert.same({ 2.5, 3.5, 4.5 }, columns:totable())
    assert.same({ 21 }, all:totable())
    for _, bad in ipairs { { 4, 0, 0 }, { 0, 0 }, { 0, -1, 0 }, { 2000, 0, 0 }, "x", { 0, "1", 0 } } do
      assert.is_false((pcall(E.run, program, bad, 1, x)))
    end
  end)

  it("is given to run alone, with its inputs", function()
    local program = E.make(2, {}, { add, 0, 1, 0 }, { 2 })
    assert.same({ 3 }, E.run(program, nil, 1, sm.tensor { 1 }, 2):totable())
    assert.is_false((pcall(E.run, program, nil, 1, sm.tensor { 1 })))
    assert.is_false((pcall(E.run, program, nil, 1, sm.tensor { 1 }, 2, 3)))
    assert.is_false((pcall(E.run, program, nil, 1, sm.tensor { 1 }, {})))
    assert.is_false((pcall(E.run, io.stdout, nil, 1, sm.tensor { 1 }, 1)))
    assert.is_false((pcall(E.run, {}, nil, 1, sm.tensor { 1 }, 1)))
    assert.is_false((pcall(E.run, program, nil, 1, sm.tensor({ 1 }, "int32"), 1)))
    assert.is_false((pcall(E.run, program, nil, "1", sm.tensor { 1 }, 2)))
    assert.is_false(getmetatable(program))
  end)
end)
