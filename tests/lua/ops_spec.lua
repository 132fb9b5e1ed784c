--- Gradients of operations against central differences, beyond the samples of their records, and what else holds for
-- them; meant for the double build, run in both.
local sm = require "sm"
local exact = require "sm.runtime".real == "float64"

--- The float build checks only that nothing is grossly wrong: its differences have few digits.
local function gradcheck(f, ...)
  return sm.gradcheck(f, { ... }, not exact and { tolerance = 5e-2, epsilon = 1e-2 } or nil)
end

local function randn(...)
  return sm.randn(...)
end

--- Distinct values, far enough apart that a difference step does not change which one is the largest.
local function scrambled(...)
  local count = 1
  for _, size in ipairs { ... } do count = count * size end
  local values = {}
  for i = 1, count do values[i] = i * 7919 % (count + 1) * 0.1 end
  return sm.tensor(values):reshape(...)
end

describe("the gradient of", function()
  before_each(function() sm.seed(3) end)

  local shapes = { { { 2, 3 }, { 2, 3 } }, { { 2, 3 }, { 3 } }, { { 2, 1 }, { 1, 3 } }, { { 4, 1, 2, 3 }, { 5, 1, 3 } },
    { {}, { 2, 2 } }, { { 1, 3, 1, 2 }, { 2, 1, 4, 1 } }, { { 0, 3 }, { 3 } }, { { 1 }, {} } }
  for _, pair in ipairs(shapes) do
    local title = ("{%s} and {%s}"):format(table.concat(pair[1], ", "), table.concat(pair[2], ", "))
    it("the operators on " .. title, function()
      local a, b = randn(pair[1]), randn(pair[2])
      gradcheck(function(x, y) return x + y end, a, b)
      gradcheck(function(x, y) return x - y end, a, b)
      gradcheck(function(x, y) return x * y end, a, b)
      gradcheck(function(x, y) return x / y end, a, sm.rand(pair[2]) + 0.7)
      gradcheck(function(x, y) return x ^ y end, sm.rand(pair[1]) + 0.7, b)
    end)
  end
  it("powers at and below 0", function()
    local x = sm.tensor { 0, 2 }:requires_grad();
    (x ^ 0):sum():backward()
    assert.same({ 0, 0 }, x.grad:totable())
    local exponent = sm.tensor { 1, 2 }:requires_grad();
    (0 ^ exponent):sum():backward()
    assert.same({ 0, 0 }, exponent.grad:totable())
    exponent.grad = nil;
    (sm.tensor { 0, -2 } ^ exponent):sum():backward()
    local gradient = exponent.grad:totable()
    assert.equal(0, gradient[1])
    assert.is_true(gradient[2] ~= gradient[2])
  end)
  it("operators with numbers", function()
    local x = sm.rand(5) + 0.7
    gradcheck(function(v) return 2 * v + 1 - v / 3 + 3 / v + v ^ 2.5 + 2 ^ v - (5 - v) end, x)
  end)

  local windows = {
    -- height, width, in, kernel height, kernel width, out, options
    { 5, 5, 1, 3, 3, 2, {} }, { 5, 4, 2, 2, 2, 3, {} }, { 4, 4, 2, 1, 1, 3, { padding = "valid" } },
    { 6, 5, 2, 3, 3, 2, { stride = 2 } }, { 7, 7, 1, 3, 3, 2, { stride = 2, padding = "valid" } },
    { 5, 5, 1, 5, 5, 2, { padding = "same" } }, { 3, 3, 1, 4, 4, 1, { padding = 2 } },
    { 4, 6, 2, 2, 3, 2, { padding = 1, stride = 2 } }, { 5, 5, 1, 4, 4, 2, { stride = 3 } },
    { 1, 1, 3, 1, 1, 2, {} }, { 4, 4, 3, 3, 3, 17, {} },
  }
  for _, c in ipairs(windows) do
    local title = ("%dx%dx%d with %dx%d to %d, stride %s, padding %s"):format(c[1], c[2], c[3], c[4], c[5], c[6],
      c[7].stride or 1, c[7].padding or "same")
    it("conv2d, " .. title, function()
      for _, batch in ipairs { 1, 3 } do
        local x, w, b = randn(batch, c[1], c[2], c[3]), randn(c[4], c[5], c[3], c[6]), randn(c[6])
        local y
        gradcheck(function(image, filter, bias)
          local o = { stride = c[7].stride, padding = c[7].padding, bias = bias }
          y = image:conv2d(filter, o)
          return y
        end, x, w, b)
        -- The transposed convolution is the adjoint: <conv(x), z> = <x, convT(z)>.
        local z = randn(y.shape)
        local o = { stride = c[7].stride, padding = c[7].padding, size = { c[1], c[2] } }
        local back = z:conv2d_transpose(w, o)
        local left = (x:conv2d(w, { stride = o.stride, padding = o.padding }) * z):sum():item()
        assert.near(left, (x * back):sum():item(), (exact and 1e-10 or 1e-3) * (1 + math.abs(left)))
        gradcheck(function(image, filter) return image:conv2d_transpose(filter, o) end, z, w)
      end
    end)
  end
  it("conv2d of no image", function()
    local x, w = sm.zeros(0, 4, 4, 2):requires_grad(), randn(3, 3, 2, 5):requires_grad()
    local y = x:conv2d(w)
    assert.same({ 0, 4, 4, 5 }, y.shape)
    y:sum():backward()
    assert.equal(0, w.grad:abs():sum():item())
    assert.same({ 0, 4, 4, 2 }, x.grad.shape)
  end)

  it("pooling", function()
    for _, o in ipairs { {}, { stride = 1 }, { padding = "same" }, { padding = 1, stride = 2 } } do
      gradcheck(function(x) return x:maxpool2d(2, o) end, scrambled(2, 5, 5, 3))
      gradcheck(function(x) return x:avgpool2d(2, o) end, randn(2, 5, 5, 3))
    end
    gradcheck(function(x) return x:maxpool2d({ 1, 3 }) end, randn(1, 3, 6, 2))
    gradcheck(function(x) return x:avgpool2d(3) end, randn(1, 6, 6, 2))
  end)

  it("dropout, with the forward pass's choice", function()
    local x = (sm.rand(200) + 0.5):requires_grad()
    local y = x:dropout(0.25)
    y:sum():backward()
    for i, value in ipairs(y:totable()) do
      assert.near(value == 0 and 0 or 4 / 3, x.grad:totable()[i], 1e-6)
    end
  end)
end)

describe("softmax", function()
  local inf = math.huge
  it("survives -inf and huge logits", function()
    local p = sm.tensor { { -inf, 0, 0, -inf }, { 1e38, -1e38, 0, 1e38 }, { -inf, -inf, -inf, 5 } }
    local one = p:softmax {}:totable()
    assert.same({ 0, 0.5, 0.5, 0 }, one[1])
    assert.same({ 0.5, 0, 0, 0.5 }, one[2])
    assert.same({ 0, 0, 0, 1 }, one[3])
    local two = p:softmax { groups = 2 }:totable()
    assert.same({ 0, 1, 1, 0 }, two[1])
    assert.same({ 0.5, 0.5, 0, 1 }, two[3]) -- a group of nothing but -inf is uniform
    assert.same({ 0, 0 }, sm.tensor { -inf, -inf }:softmax { off = true }:totable())
  end)
  it("of a pair is the logistic, and of one with off too", function()
    sm.seed(1)
    local a = sm.randn(50)
    local pair = (a:reshape(50, 1) * sm.tensor { 1, 0 }):softmax {}
    local single = a:reshape(50, 1):softmax { groups = 1, off = true }
    local logistic = a:sigmoid():totable()
    for i = 1, 50 do
      assert.near(logistic[i], pair[i][1]:item(), 1e-6)
      assert.near(logistic[i], single[i][1]:item(), 1e-6)
    end
  end)
  it("with scale has mean activation 1", function()
    local y = sm.randn(4, 6):softmax { sizes = { 2, 4 }, scale = true }
    for _, mean in ipairs(y:mean(2):totable()) do assert.near(1, mean, 1e-6) end
  end)
  it("cross-entropy is stable", function()
    assert.near(0, sm.tensor { { 1e4, 0 } }:cross_entropy(sm.tensor({ 0 }, "uint8")):item(), 1e-12)
    assert.near(1e4, sm.tensor { { 1e4, 0 } }:cross_entropy(sm.tensor({ 1 }, "uint8")):item(), 1e-2)
    assert.equal(inf, sm.tensor { { -inf, 0 } }:cross_entropy(sm.tensor({ 0 }, "uint8")):item())
    assert.equal(0.5, sm.tensor { { 1, 0 }, { 1, 0 } }:accuracy(sm.tensor({ 0, 1 }, "uint8")))
  end)
end)
