--- Numbers at the ends of their range: the result is right, or an error names what does not fit.
local sm = require "sm"
local runtime = require "sm.runtime"
local helpers = dofile "tests/lua/helpers.lua"
local message = helpers.message

local real, inf = runtime.real, math.huge
local exact = real == "float64"
local optim, nn = sm.optim, sm.nn

-- A gradient whose square is beyond the numbers of tensors.
local HUGE <const> = exact and 1e200 or 1e22

local function gradient_of(f, values)
  local x = sm.tensor(values):requires_grad()
  f(x):sum():backward()
  return x.grad:totable()
end

local function same(want, got)
  assert.equal(#want, #got)
  for i, value in ipairs(want) do
    if value ~= value then assert.is_true(got[i] ~= got[i], ("element %d: got %s"):format(i, got[i]))
    elseif math.abs(value) == inf then assert.equal(value, got[i])
    else assert.near(value, got[i], 1e-6 * math.max(1, math.abs(value))) end
  end
end

describe("a gradient whose square does not fit", function()
  for _, name in ipairs { "rmsprop", "adam", "adamw", "smorms3" } do
    it("is refused by " .. name .. ", by the parameter's name, and freezes nothing", function()
      local w = sm.ones(3):requires_grad()
      local opt = optim[name] { lr = 1e-3 }:add { weight = w }
      w.grad = sm.tensor { 1, 1, 1 }
      opt:step()
      local before, state = w:clone():totable(), {}
      for key, value in pairs(opt:state()) do state[key] = value:totable()[2] end
      w.grad = sm.tensor { 1, HUGE, 1 }
      local text = message(opt.step, opt)
      assert.matches("gradient of 'weight' is too large: it goes up to 1e%+%d+, and its square", text)
      assert.matches("does not fit " .. real, text)
      assert.equal(1, opt.steps)
      assert.equal(before[2], w:totable()[2])
      for key, value in pairs(opt:state()) do assert.equal(state[key], value:totable()[2]) end
      w.grad = sm.tensor { 1, 1, 1 }
      opt:step()
      assert.is_true(w:totable()[2] < before[2])
    end)

    it("is limited by clip_value and clip_norm in " .. name, function()
      for _, clip in ipairs { "clip_value", "clip_norm" } do
        if clip == "clip_value" or not exact then
          local w = sm.ones(3):requires_grad()
          local opt = optim[name] { lr = 1e-3, [clip] = 1 }:add { weight = w }
          w.grad = sm.tensor { 1, HUGE, 1 }
          opt:step()
          assert.is_true(w:totable()[2] < 1 and w:totable()[2] > 0.9)
        end
      end
    end)
  end

  it("is fine for sgd, whose step is refused where it does not fit", function()
    for _, momentum in ipairs { 0, 0.9 } do
      local w = sm.ones(2):requires_grad()
      local opt = optim.sgd { lr = 1, momentum = momentum }:add { w = w }
      w.grad = sm.tensor { HUGE, 1 }
      opt:step()
      same({ 1 - HUGE, 0 }, w:totable())
      local most = exact and 1.7e308 or 3.4e38
      w.grad = sm.tensor { most, 1 }
      opt:step()
      w.grad = sm.tensor { most, 1 }
      assert.matches("^gradient of 'w' is too large.*the step at a rate of 1 does not fit", message(opt.step, opt))
      assert.is_true(w:totable()[1] > -inf)
    end
  end)

  it("is not blamed for a weight or a state that is not finite", function()
    local w = sm.tensor({ 1, inf }):requires_grad()
    w.grad = sm.ones(2)
    local opt = optim.adam():add { w = w }
    assert.equal("parameter 'w' is not finite", message(opt.step, opt))
    w:copy_(sm.ones(2))
    opt:step()
    opt:state()["w.v"]:copy_(sm.tensor { 1, inf })
    assert.equal("state 'w.v' of the optimizer is not finite", message(opt.step, opt))
  end)

  it("does not hide one that is not finite", function()
    local w = sm.ones(2):requires_grad()
    local opt = optim.adam { clip_value = 1 }:add { w = w }
    w.grad = sm.tensor { inf, 1 }
    assert.equal("gradient of 'w' is not finite", message(opt.step, opt))
  end)
end)

if not exact then
  describe("a constant that does not survive float32 is refused, by its name:", function()
    local x = sm.ones(2, 2)
    local cases = {
      { "optim.rmsprop: option 'epsilon' must fit float32 and be above 0 and below inf, got 1e-46, which is 0 there",
        function() optim.rmsprop { lr = 1e-3, epsilon = 1e-46 } end },
      { "optim.adam: option 'beta2' must fit float32 and be at least 0 and below 1, got 0.999999999999, which is 1",
        function() optim.adam { beta2 = 1 - 1e-12 } end },
      { "optim.sgd: option 'momentum' must fit", function() optim.sgd { lr = 1, momentum = 1 - 1e-12 } end },
      { "optim.sgd: option 'lr' must fit", function() optim.sgd { lr = 1e39 } end },
      { "optim.sgd: option 'weight_decay' must fit", function() optim.sgd { lr = 1, weight_decay = 1e39 } end },
      { "optim.smorms3: option 'epsilon' must fit", function() optim.smorms3 { epsilon = 1e-50 } end },
      { "optim.adam: option 'clip_value' must fit", function() optim.adam { clip_value = 1e60 } end },
      { "optim.adam: option 'clip_norm' must fit", function() optim.adam { clip_norm = 1e-60 } end },
      { "optim.cosine: option 'lr' must fit", function() optim.cosine { lr = 1e60, steps = 3 } end },
      { "optim.warmup: option 'after' must fit", function() optim.warmup { after = 1e60, steps = 3 } end },
      { "opt:add: option 'lr' must fit",
        function() optim.adam():add({ x = sm.ones(1):requires_grad() }, { lr = 1e60 }) end },
      { "the schedule of sgd must return a learning rate of at least 0, got number 1e+60 at step 1; it must fit",
        function()
          local w = sm.ones(1):requires_grad()
          w.grad = sm.ones(1)
          optim.sgd { lr = function() return 1e60 end }:add(w):step()
        end },
      { "softmax: option 'temperature' must fit float32 and be above 0, got 1e+60, which is inf there",
        function() x:softmax { temperature = 1e60 } end },
      { "nn.softmax: option 'temperature' must fit", function() nn.softmax { temperature = 1e-60 } end },
      { "softmax temperature is 1e-40, expected 3.76e-37 to 2.66e+36 with float32",
        function() x:softmax { temperature = 1e-40 } end },
      { "nn.batchnorm: option 'epsilon' must fit", function() nn.batchnorm { epsilon = 1e-60 } end },
      { "nn.batchnorm: option 'momentum' must fit", function() nn.batchnorm { momentum = 1 - 1e-12 } end },
      { "nn.dropout: argument 1 must fit float32 and be at least 0 and below 1, got 0.999999999999, which is 1 there",
        function() nn.dropout { 1 - 1e-12 } end },
      { "mul: argument 2 must be a number that fits float32, where this is inf, got number 1e+60",
        function() return x * 1e60 end },
      { "sub: argument 1 must be a number that fits float32, where this is -inf, got number -1e+60",
        function() return -1e60 - x end },
      { "div: argument 2 must be a number that fits float32, where this is 0.0, got number 1e-46",
        function() return x / 1e-46 end },
      { "div: argument 1 must be", function() return 1e60 / x end },
      { "pow: argument 1 must be", function() return 1e-46 ^ x end },
      { "pow: argument 2 must be", function() return x ^ -1e-46 end },
      { "pow: argument 2 must be", function() return x ^ 1e39 end },
      { "clamp: argument 2 must fit", function() x:clamp(0, 1e60) end },
      { "clamp: argument 1 must fit", function() x:clamp(1e-60, 1) end },
      { "full: 1e+60 does not fit float32", function() sm.full({ 2 }, 1e60) end },
      { "full: argument 2 must be", function() sm.full({ 2 }, 1e-60) end },
      { "tensor: element 2 does not fit float32: -1e+60", function() sm.tensor { 1, -1e60 } end },
      { "arange: 4e+38 does not fit float32", function() sm.arange(0, 1e39, 1e38) end },
    }
    for _, case in ipairs(cases) do
      it(case[1], function()
        local text = message(case[2])
        assert.equal(case[1], text:sub(1, #case[1]))
      end)
    end
  end)
end

it("what is no integer, rate or boolean is refused rather than passed over", function()
  local x = sm.ones(2, 4)
  for text, f in pairs {
    ["softmax: option 'groups' must be an integer, got number 1e+60"] = function() x:softmax { groups = 1e60 } end,
    ["nn.conv2d: option 'stride' must be an integer from 1 to 2147483647 or {height, width} of such, got"] =
      function() nn.conv2d { 1, kernel = 3, stride = 1e60 } end,
    ["optim.cosine: option 'floor' must be at least 0 and below inf, got inf"] =
      function() optim.cosine { lr = 1, steps = 2, floor = inf } end,
    ["the schedule of sgd must return a learning rate of at least 0, got nil at step 1"] = function()
      local w = sm.ones(1):requires_grad()
      w.grad = sm.ones(1)
      optim.sgd { lr = optim.warmup { steps = 2, after = function() end } }:add(w):step()
    end,
    ['requires_grad: expected true or false, got string "false"'] = function() sm.ones(1):requires_grad "false" end,
    ["backward: the gradient must be a " .. real .. " tensor of shape {1}, got boolean false"] =
      function() sm.ones(1):requires_grad():backward(false) end,
  } do assert.equal(text, message(f):sub(1, #text)) end
end)

it("a summand or a factor may decay to nothing", function()
  local x = sm.tensor({ 1, -2 }):requires_grad()
  local factor = 1
  for _ = 1, 60 do factor = factor * 0.1 end
  assert.same({ 1, -2 }, (1e-46 + (x - 1e-50) + x * factor):totable())
  local y = x * factor + factor / x
  y:sum():backward()
  for _, values in ipairs { y:totable(), x.grad:totable() } do
    for _, value in ipairs(values) do assert.near(0, value, 1e-45) end
  end
end)

it("operations of single elements keep subnormal numbers, and products take them for 0", function()
  if exact then return end
  local x = sm.tensor { 0x1p-130, -0x1p-130, 1 }
  assert.same({ 0x1p-131, -0x1p-131, 0.5 }, (x * 0.5):totable())
  assert.same({ 0x1p-130, 0, 1 }, x:relu():totable())
  assert.same({ 1, 0, 1 }, x:gt(0):totable())
  assert.equal(inf, (x * inf)[1]:item())
  assert.is_true(math.abs(x:log()[1]:item() + 130 * math.log(2)) < 1e-4)
  assert.same({ { 1 } }, x:reshape(1, 3):matmul(sm.ones(3, 1)):totable())
  local small = x:narrow(1, 1, 1):expand { 1, 3 }
  assert.same({ { 0, 0, 0 }, { 0, 0, 0 } }, sm.ones(2, 1):matmul(small):totable())
end)

it("infinities and small data stay as they are", function()
  assert.same({ inf, -inf, 0 }, sm.tensor { inf, -inf, 1e-400 }:totable())
  assert.same({ inf }, (sm.ones(1) * inf):totable())
  assert.same({ 1 }, sm.ones(1):clamp(-inf, inf):totable())
  assert.truthy(optim.adam { clip_norm = inf, clip_value = inf })
  local w = sm.ones(1):requires_grad()
  w.grad = sm.ones(1)
  local opt = optim.sgd { lr = function() return 1e-320 end }:add(w) -- a rate that has decayed to nothing
  opt:step()
  assert.same({ 1 }, w:totable())
end)

it("dropout refuses a probability of which 24 bits keep nothing", function()
  assert.matches("^dropout: the probability must be at most 1 %- 2%^%-24",
    message(function() sm.ones(3):dropout(1 - 1e-9) end))
  sm.ones(3):dropout(1 - 2 ^ -24)
end)

describe("softmax", function()
  it("passes nothing where it is certain, at the lowest temperature", function()
    for _, size in ipairs { 2, 8, 16, 24, 1000, 1024 } do
      for _, off in ipairs { false, true } do
        local x = sm.arange(2 * size):reshape(2, size):detach():requires_grad()
        local y = x:softmax { temperature = 4e-37, scale = true, off = off }
        y:backward(sm.ones(2, size))
        assert.same({ size, size }, y:max(2):totable())
        if size & size - 1 == 0 then assert.equal(0, x.grad:abs():max():item()) end
        assert.is_true(runtime.math.is_finite(x.grad))
      end
    end
  end)

  it("adds up to 1 over very many channels", function()
    local n = 1 << 23
    local x = (sm.rand(1, n)):requires_grad()
    local y = x:softmax()
    assert.near(1, y:sum():item(), 1e-5);
    (y * sm.arange(n):reshape(1, n)):sum():backward()
    assert.near(0, x.grad:sum():item(), 1)
  end)

  it("is right for the largest logits at the highest temperature", function()
    local most = exact and 1.7e308 or 3.4e38
    same({ 1, 0 }, sm.tensor { most, -most }:softmax { temperature = most / 129 }:totable())
    same({ 0.5, 0.5 }, sm.tensor { most, most }:softmax():totable())
  end)
end)

describe("cross_entropy of infinite logits", function()
  local function of(logits, label)
    local x = sm.tensor { logits }:requires_grad()
    local loss = x:cross_entropy(sm.tensor({ label }, "uint8"))
    loss:backward()
    return loss:item(), x.grad:totable()[1]
  end
  it("is 0 at the label and infinite elsewhere, with finite gradients", function()
    local loss, gradient = of({ inf, 0, 0 }, 0)
    assert.equal(0, loss)
    same({ 0, 0, 0 }, gradient)
    loss, gradient = of({ inf, 0, 0 }, 1)
    assert.equal(inf, loss)
    same({ 1, -1, 0 }, gradient)
    loss, gradient = of({ inf, inf, 0 }, 0)
    assert.near(math.log(2), loss, 1e-6)
    same({ -0.5, 0.5, 0 }, gradient)
  end)
end)

describe("batchnorm", function()
  it("names the buffer that values too large would spoil, and keeps it", function()
    local norm = nn.batchnorm()
    local x = sm.tensor { { HUGE }, { -HUGE } }
    local text = message(function() nn.sequential { norm }(x) end)
    assert.matches("in layer 'batchnorm1'.*the buffer 'variance' would not be finite: values go up to 1e%+%d+", text)
    norm(sm.tensor { { 1 }, { inf } })
    assert.same({ 0 }, norm.mean:totable())
    assert.same({ 1 }, norm.variance:totable())
    assert.same({ 1, -1 }, norm(sm.tensor { { 1e18 }, { -1e18 } }):reshape(2):totable())
  end)

  it("is right for a small spread around a large mean", function()
    local y = nn.batchnorm { epsilon = 1e-12 }(sm.tensor { { 4096 }, { 4096.25 } }):reshape(2):totable()
    same({ -1, 1 }, y)
  end)
end)

describe("gradients of powers", function()
  local nan = 0 / 0
  it("at 0 and below, for numbers, tensors and what broadcasts", function()
    local a = { 0, 0, 0, 0, 2, -2, -2, 0 }
    local b = { 0, 1, 2, -1, 0, 2, 0, 0.5 }
    local by_a = { 0, 1, 0, -inf, 0, -4, 0, inf }
    local by_b = { 0, 0, 0, -inf, math.log(2), nan, nan, 0 }
    local x, y = sm.tensor(a):requires_grad(), sm.tensor(b):requires_grad();
    (x ^ y):sum():backward()
    same(by_a, x.grad:totable())
    same(by_b, y.grad:totable())
    for i = 1, #a do
      same({ by_a[i] }, gradient_of(function(t) return t ^ b[i] end, { a[i] }))
      same({ by_b[i] }, gradient_of(function(t) return a[i] ^ t end, { b[i] }))
      same({ by_b[i] }, gradient_of(function(t) return sm.tensor { { a[i] } } ^ t end, { b[i] }))
    end
    same({ 0 }, gradient_of(function(t) return sm.zeros(5, 1) ^ t end, { 0 }))
    same({ 2 * math.log(2) }, gradient_of(function(t) return sm.full({ 2, 1 }, 2) ^ t end, { 0 }))
  end)
end)

describe("softplus", function()
  it("is log(1 + exp x) everywhere, and its gradient the sigmoid", function()
    same({ 0, math.exp(-20), 0.313261688, math.log(2), 1.313261688, 1000, inf },
      sm.tensor { -1000, -20, -1, 0, 1, 1000, inf }:softplus():totable())
    same({ 0, 0.268941421, 0.5, 0.731058579, 1 },
      gradient_of(function(x) return x:softplus() end, { -1000, -1, 0, 1, 1000 }))
    assert.is_true(sm.gradcheck(function(x) return x:softplus() end, { sm.randn(3, 4) }) ~= false)
    same({ math.log(2) }, nn.sequential { nn.softplus() }(sm.zeros(1, 1)):reshape(1):totable())
  end)

  it("differs there from relu and abs, whose gradient at 0 is 0", function()
    same({ 0 }, gradient_of(function(x) return x:relu() end, { 0 }))
    same({ 0 }, gradient_of(function(x) return x:abs() end, { 0 }))
  end)
end)

it("a mean whose sum does not fit is right", function()
  if exact then return end
  assert.near(1, sm.full({ 4 }, 3e38):mean():item() / 3e38, 1e-6)
  assert.equal(inf, sm.full({ 4 }, 3e38):sum():item())
end)
