local sm = require "sm"
local runtime = require "sm.runtime"
local autograd = require "sm.autograd"
local helpers = dofile "tests/lua/helpers.lua"
local message = helpers.message

describe("autograd", function()
  it("adds up gradients over uses and over calls", function()
    local x = sm.tensor { 1, 2 }:requires_grad()
    local y = x * x + x
    y:sum():backward()
    assert.same({ 3, 5 }, x.grad:totable());
    (x * 10):sum():backward()
    assert.same({ 13, 15 }, x.grad:totable())
    x.grad = nil
    assert.is_nil(x.grad)
  end)

  it("gives every gradient the shape of its tensor", function()
    local x, w, b = sm.ones(2, 3), sm.ones(3, 4), sm.ones(1, 4):requires_grad()
    x:linear(w, b):sum():backward()
    assert.same({ { 2, 2, 2, 2 } }, b.grad:totable())
    local y = autograd.record(sm.zeros(2), "wrong", function() return sm.zeros(3) end, nil, sm.zeros(2):requires_grad())
    assert.equal("backward: the gradient of 'wrong' for its input 1 has shape {3}, the input {2}",
      message(function() y:backward(sm.ones(2)) end))
  end)

  it("calls and checks whatever can be called", function()
    local model = sm.nn.sequential { sm.nn.linear { 2 }, sm.nn.tanh() }
    local x = sm.randn(3, 2)
    assert.is_false(sm.no_grad(model, x):tracks())
    assert.is_true(model(x):tracks())
    assert.is_true(sm.gradcheck(model, x) < 2e-2)
    assert.equal("no_grad: expected a function, got table", message(sm.no_grad, {}))
    assert.equal("gradcheck: argument 1 must be a function, got number 3", message(sm.gradcheck, 3))
  end)

  it("gives two leaves of one sum the same gradient", function()
    local a, b = sm.ones(2):requires_grad(), sm.ones(2):requires_grad();
    (a + b):sum():backward();
    (a + b):sum():backward()
    assert.same({ 2, 2 }, a.grad:totable())
    assert.same({ 2, 2 }, b.grad:totable())
  end)

  it("gives each leaf a gradient of its own", function()
    local a, b = sm.ones(2):requires_grad(), sm.ones(2):requires_grad()
    local given = sm.tensor { 1, 2 };
    (a + b):backward(given)
    a.grad:copy_(a.grad * 10)
    assert.same({ 10, 20 }, a.grad:totable())
    assert.same({ 1, 2 }, b.grad:totable())
    assert.same({ 1, 2 }, given:totable())
  end)

  it("keeps a gradient that somebody has seen, and gives the memory of others back at once", function()
    local x = sm.zeros(1000):requires_grad()
    local function step() (x * 3):sum():backward() end
    step()
    local seen = x.grad
    x.grad = nil
    step()
    collectgarbage()
    local live = runtime.tensor.memory()
    x.grad = nil
    local after = runtime.tensor.memory()
    assert.is_true(live - after >= 1000 * 4)
    assert.equal(3, seen[1]:item())
    step()
    step() -- adds to a gradient that nobody has seen
    assert.equal(6, x.grad[1]:item())
  end)

  it("overwrites a gradient only where nobody else needs it", function()
    local function check(wrap)
      local x, w = sm.tensor { -1, 2, 3 }:requires_grad(), sm.tensor { 1, 1, 1 }:requires_grad()
      local r = x:relu()
      local y = wrap(r, w)
      local given = sm.tensor { 5, 7, 11 }
      y:backward(given)
      assert.same({ 5, 7, 11 }, given:totable())
      return x.grad:totable(), w.grad and w.grad:totable()
    end
    assert.same({ 0, 7, 11 }, (check(function(r) return r end)))
    local gx, gw = check(function(r, w) return r + w end) -- one gradient for both
    assert.same({ 0, 7, 11 }, gx)
    assert.same({ 5, 7, 11 }, gw)
    gx, gw = check(function(r, w) return r:reshape(3) + w:reshape(3):relu() end) -- two tensors over one memory
    assert.same({ 0, 7, 11 }, gx)
    assert.same({ 5, 7, 11 }, gw)
    gx = check(function(r) return r:relu() + r end) -- used twice
    assert.same({ 0, 14, 22 }, gx)
  end)

  it("gives a leaf no memory that another tensor has", function()
    local x, w, z = sm.ones(4):requires_grad(), sm.ones(2, 2):requires_grad(), sm.ones(4):requires_grad();
    (x:reshape(2, 2) + w):sum():backward()
    x.grad:copy_(x.grad * 10)
    assert.same({ { 1, 1 }, { 1, 1 } }, w.grad:totable())
    local given = sm.tensor { { 1, 2, 3, 4 } }
    z:reshape(1, 4):backward(given)
    given:copy_(given * 0)
    assert.same({ 1, 2, 3, 4 }, z.grad:totable())
  end)

  it("walks a diamond once per node, in the right order", function()
    local x = sm.tensor(2):requires_grad()
    local a = x * 3
    local b, c = a * a, a + 1
    (b * c):backward() -- 9x²(3x+1): 81x²+18x
    assert.equal(81 * 4 + 18 * 2, x.grad:item())
  end)

  it("takes a gradient for an output of many elements", function()
    local x = sm.tensor { 1, 2 }:requires_grad();
    (x * 2):backward(sm.tensor { 1, 10 })
    assert.same({ 2, 20 }, x.grad:totable())
  end)

  it("records nothing without leaves or inside no_grad, and resumes after an error in it", function()
    local x = sm.ones(2):requires_grad()
    assert.is_false((sm.ones(2) * 2):tracks())
    assert.is_false(sm.no_grad(function() return x * 2 end):tracks())
    pcall(sm.no_grad, error)
    assert.is_true((x * 2):tracks())
    assert.is_false(x:detach():tracks())
    assert.is_false(x:requires_grad(false):tracks())
  end)

  it("records inside enable_grad, the innermost of several deciding", function()
    local x = sm.ones(2):requires_grad()
    local function records() return (x * 2):tracks() end
    local off, on = sm.no_grad, sm.enable_grad
    assert.same({ true, false, true, true },
      { off(on, records), on(off, records), off(on, off, on, records), records() })
    off(function()
      pcall(on, error)
      assert.is_false(records())
      assert.same({ 2, 2 }, on(function() return sm.grad(x:sum() * 2, { x })[1] end):totable())
      local slope = on(function() return sm.grad((x ^ 3):sum(), { x }, { create_graph = true })[1] end)
      assert.is_true(slope:tracks())
    end)
    assert.equal("enable_grad: expected a function, got nil", message(sm.enable_grad))
  end)

  it("records inside enable_grad of a coroutine until that yields", function()
    local x = sm.ones(2):requires_grad()
    local function records() return (x * 2):tracks() end
    local inner = coroutine.wrap(function()
      sm.enable_grad(function()
        coroutine.yield(records())
        coroutine.yield(records())
      end)
    end)
    assert.same({ true, false }, sm.no_grad(function() return { inner(), records() } end))
    assert.is_true(inner())
    local other = coroutine.wrap(function() return records(), sm.enable_grad(records) end)
    assert.same({ false, true }, { sm.no_grad(other) })
  end)

  it("refuses a second walk", function()
    local x = sm.ones(2):requires_grad()
    local loss = (x * x):sum()
    loss:backward()
    assert.equal("backward: the graph of this 'sum' was already walked by an earlier backward() and its intermediate "
      .. "results are freed; compute the loss again", message(loss.backward, loss))
  end)
  it("refuses a graph that is walked while it is walked", function()
    local x, loss = sm.ones(2):requires_grad(), nil
    local again = sm.op { name = "again", forward = function(_, v) return v * 2 end,
      backward = function(_, gy)
        loss:backward()
        return gy * 2
      end }
    loss = again(x * 3):sum()
    assert.matches("already walked by an earlier backward", message(loss.backward, loss))
    local y = x * 3
    local other = y:sum()
    local inner = sm.op { name = "inner", forward = function(_, v) return v * 2 end,
      backward = function(_, gy)
        other:backward()
        return gy * 2
      end }
    assert.matches("the graph of this 'mul' was already walked", message(function() inner(y):sum():backward() end))
  end)

  it("says what is wrong with a loss", function()
    local x = sm.ones(2):requires_grad()
    assert.equal("backward: expected a loss of one element, got shape {2}; reduce it, or pass its gradient",
      message(function() (x * 1):backward() end))
    assert.equal("backward: this tensor depends on no tensor that requires a gradient",
      message(function() sm.ones(1):backward() end))
    assert.matches("^backward: the gradient must be a float%d+ tensor of shape {2}, got tensor {3}",
      message(function() (x * 1):backward(sm.ones(3)) end))
    assert.equal("no_grad: expected a function, got nil", message(sm.no_grad))
    assert.matches("only a float%d+ tensor can have a gradient, this is uint8",
      message(function() sm.zeros({ 1 }, "uint8"):requires_grad() end))
  end)

  it("gives a step's memory back", function()
    local w = sm.randn(64, 64):requires_grad()
    local x = sm.randn(512, 64)
    local live = {}
    for step = 1, 60 do
      w.grad = nil
      local h = x
      for _ = 1, 6 do h = h:matmul(w):tanh() end
      h:mean():backward()
      runtime.tensor.collect()
      live[step] = runtime.tensor.memory()
    end
    assert.is_true(live[60] <= live[20] * 1.5, ("%d bytes, then %d"):format(live[20], live[60]))
  end)
end)

describe("sm.op", function()
  local double_exp = sm.op {
    name = "double_exp",
    forward = function(ctx, x, factor)
      ctx.y, ctx.factor = (x * factor):exp(), factor
      return ctx.y
    end,
    backward = function(ctx, gy) return gy * ctx.y * ctx.factor end,
  }

  it("is differentiable", function()
    sm.seed(2)
    local exact = runtime.real == "float64"
    sm.gradcheck(function(x) return double_exp(x, 2) * x end, sm.randn(3, 3), not exact and { tolerance = 0.05 } or nil)
  end)

  it("may return its input and keep what it is given", function()
    local kept
    local identity = sm.op { name = "identity", forward = function(_, x) return x end,
      backward = function(_, gy) kept = gy return gy end }
    local x = sm.ones(3):requires_grad();
    (identity(x * 2) * 3):sum():backward()
    assert.same({ 6, 6, 6 }, x.grad:totable())
    assert.same({ 3, 3, 3 }, kept:totable())
  end)

  it("names itself when it returns nonsense", function()
    local bad = sm.op { name = "bad", forward = function(_, x) return x * 2 end,
      backward = function() return sm.ones(7) end }
    local x = sm.ones(3):requires_grad()
    assert.equal("op 'bad': backward returned tensor {7} as the gradient of argument 1, which is tensor {3}",
      message(function() bad(x):sum():backward() end))
    local none = sm.op { name = "none", forward = function() end, backward = function() end }
    assert.equal("op 'none': forward must return a tensor, got nil", message(none, x))
    assert.matches("sm.op: unknown option 'fordward'",
      message(sm.op, { name = "x", fordward = print, backward = print }))
  end)
end)

describe("gradcheck", function()
  it("takes no rounding for a gradient, and no result that is infinite for rounding", function()
    local exact = runtime.real == "float64"
    local tiny = exact and 1e-15 or 1e-9
    assert.equal(0, sm.gradcheck(function(x) return x * tiny + 1 end, sm.tensor { 1, 2 }))
    local largest = sm.tensor { exact and 709.78 or 88.72 } -- whose exp is finite
    assert.matches("central differences", message(sm.gradcheck, function(x) return x:exp() end, largest))
  end)

  it("finds a wrong gradient and names the worst element", function()
    local wrong = sm.op { name = "wrong", forward = function(_, x) return x * x end,
      backward = function(_, gy) return gy * sm.tensor { 2, 2, 5 } end }
    local text = message(sm.gradcheck, wrong, { sm.tensor { 1, 1, 1 } })
    assert.matches("^gradcheck: input 1, element {3}: backward gives", text)
  end)
  it("finds a function that is not deterministic", function()
    assert.matches("^gradcheck: f is not deterministic",
      message(sm.gradcheck, function(x) return x * sm.rand(3) end, sm.ones(3)))
  end)
  it("leaves the inputs as they were", function()
    local x = sm.tensor { 1, 2, 3 }
    sm.gradcheck(function(v) return v * v end, x)
    assert.same({ 1, 2, 3 }, x:totable())
    assert.is_false(x:tracks())
    pcall(sm.gradcheck, error, x)
    assert.is_false(x:tracks())
  end)
  it("says what it takes", function()
    assert.equal("gradcheck: argument 1 must be a function, got nil", message(sm.gradcheck))
    assert.equal("gradcheck: argument 2 must be a tensor or a list of tensors, got table",
      message(sm.gradcheck, print, { x = sm.ones(1) }))
    assert.equal("gradcheck: f must return a tensor, got nil", message(sm.gradcheck, function() end, sm.ones(1)))
  end)
end)
