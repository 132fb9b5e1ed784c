--- sm.grad, and gradients of gradients: see tests/lua/records_spec.lua for those of each operation.
local sm = require "sm"
local helpers = dofile "tests/lua/helpers.lua"
local message = helpers.message
local nn = sm.nn

local exact = require "sm.runtime".real == "float64"

describe("sm.grad", function()
  it("gives gradients as a list and leaves .grad alone", function()
    local x, w = sm.tensor { 1, 2 }:requires_grad(), sm.tensor { 3, 4 }:requires_grad()
    local y = (x * x * w):sum()
    local got = sm.grad(y, { w, x })
    assert.equal(2, #got)
    assert.same({ 1, 4 }, got[1]:totable())
    assert.same({ 6, 16 }, got[2]:totable())
    assert.is_nil(x.grad)
    assert.is_nil(w.grad)
    assert.is_false(got[1]:tracks())
    helpers.has(message(y.backward, y), "already walked")
  end)

  it("takes one tensor, computed ones, y itself, one twice, and a gradient for many elements", function()
    local x = sm.tensor { 1, 2 }:requires_grad()
    local h = x * 3
    assert.same({ 2, 4 }, sm.grad((h * h):sum() / 3, h)[1]:totable())
    local y = x * 3
    local got = sm.grad(y, { y, x, x }, { gradient = sm.tensor { 1, 10 } })
    assert.same({ 1, 10 }, got[1]:totable())
    assert.same({ 3, 30 }, got[2]:totable())
    assert.same({ 3, 30 }, got[3]:totable())
    local given = sm.tensor { 1, 10 }
    got = sm.grad(x:reshape(2), x, { gradient = given })
    got[1]:copy_(sm.zeros(2))
    assert.same({ 1, 10 }, given:totable())
  end)

  it("says what does not fit", function()
    local x, other = sm.tensor { 1, 2 }:requires_grad(), sm.ones(3):requires_grad()
    local function error_of(...) return message(sm.grad, ...) end
    assert.equal("sm.grad: y does not depend on input 2, of shape {3}", error_of((x * 2):sum(), { x, other }))
    assert.equal("sm.grad: input 1, of shape {2}, wants no gradient: call requires_grad() before y is computed",
      error_of((x * 2):sum(), { sm.ones(2) }))
    assert.equal("sm.grad: y depends on no tensor that requires a gradient", error_of(sm.ones(1), { x }))
    assert.equal("sm.grad: argument 2 must be a list of tensors, got table", error_of((x * 2):sum(), {}))
    assert.equal("sm.grad: input 1 must be a tensor, got number 3", error_of((x * 2):sum(), { 3 }))
    assert.equal("sm.grad: expected a tensor, got number 3", error_of(3, { x }))
    helpers.has(error_of(x * 2, { x }), "sm.grad: expected a loss of one element, got shape {2}")
    helpers.has(error_of(x * 2, { x }, { gradient = sm.ones(3) }), "the gradient must be a")
    helpers.has(error_of((x * 2):sum(), { x }, { creategraph = true }), "did you mean 'create_graph'?")
  end)

  it("walks only what leads to what is wanted", function()
    local walked = {}
    local seen = sm.op {
      name = "seen", forward = function(_, x) return x * 1 end,
      backward = function(_, gy)
        walked[#walked + 1] = true
        return gy
      end,
    }
    local x, w = sm.ones(2):requires_grad(), sm.ones(2):requires_grad()
    local got = sm.grad((seen(w) * x):sum(), { x }, { create_graph = true })
    assert.same({ 1, 1 }, got[1]:totable())
    assert.equal(0, #walked)
  end)

  it("tells create_graph inside sm.no_grad, where nothing is recorded", function()
    local x = sm.randn(3):requires_grad()
    local y = (x * x):sum()
    helpers.has(message(sm.no_grad, function() sm.grad(y, x, { create_graph = true }) end),
      "nothing is recorded inside sm.no_grad")
    assert.same({ 3 }, sm.no_grad(sm.grad, y, x)[1].shape)
  end)
end)

describe("the gradients of norm and logsumexp where there is nothing to go by", function()
  it("are 0, also a second time", function()
    for _, case in ipairs { { "norm", 0 }, { "logsumexp", -math.huge } } do
      local x = sm.full({ 3 }, case[2]):requires_grad()
      local g = sm.grad(x[case[1]](x), x, { create_graph = true })[1]
      assert.same({ 0, 0, 0 }, g:totable())
      assert.same({ 0, 0, 0 }, sm.grad(g:sum(), x)[1]:totable())
    end
  end)
end)

describe("create_graph", function()
  it("keeps the graph, and gives gradients that have gradients", function()
    local x = sm.tensor { 1, 2, -3 }:requires_grad()
    local y = (x ^ 3):sum()
    local first = sm.grad(y, { x }, { create_graph = true })[1]
    assert.same({ 3, 12, 27 }, first:totable())
    local second = sm.grad(first:sum(), { x }, { create_graph = true })[1]
    assert.same({ 6, 12, -18 }, second:totable())
    local third = sm.grad(second:sum(), { x })[1]
    assert.same({ 6, 6, 6 }, third:totable())
  end)

  it("goes with backward, whose gradient stays where it was or becomes an option", function()
    local x = sm.tensor { 1, 2 }:requires_grad()
    local y = x * x * x
    y:backward { create_graph = true, gradient = sm.tensor { 1, 10 } }
    assert.same({ 3, 120 }, x.grad:totable())
    assert.is_true(x.grad:tracks())
    local penalty = x.grad:sum()
    x.grad = nil
    penalty:backward()
    assert.same({ 6, 120 }, x.grad:totable())
    assert.is_false(x.grad:tracks())
    x.grad = nil;
    (x * 2):backward(sm.tensor { 1, 10 })
    assert.same({ 2, 20 }, x.grad:totable())
    helpers.has(message(function() y:sum():backward { retain = true } end), "unknown option 'retain'")
  end)

  it("adds to a gradient that is there, recorded", function()
    local x = sm.tensor { 2 }:requires_grad();
    (x * x):sum():backward { create_graph = true };
    (x * x * x):sum():backward { create_graph = true }
    assert.same({ 16 }, x.grad:totable())
    local sum = x.grad:sum()
    x.grad = nil
    sum:backward()
    assert.same({ 14 }, x.grad:totable()) -- 2 + 6x
  end)

  it("is off otherwise, even where the gradient that is given is tracked", function()
    local x, v = sm.ones(2):requires_grad(), sm.ones(2):requires_grad();
    (x:reshape(1, 2):flip(1):reshape(2) * 2):backward(v)
    assert.is_false(x.grad:tracks())
  end)

  it("is refused by name where the gradient has none", function()
    local twice = sm.op {
      name = "my_own", forward = function(_, x) return x * 2 end, backward = function(_, gy) return gy * 2 end,
    }
    local x = sm.ones(2):requires_grad()
    local expected = "the gradient of 'my_own' has no gradient itself, which create_graph asks for"
    assert.equal(expected, message(sm.grad, twice(x):sum(), { x }, { create_graph = true }))
    assert.equal(expected, message(function() twice(x):sum():backward { create_graph = true } end))
    assert.same({ 2, 2 }, sm.grad(twice(x):sum(), { x })[1]:totable())
  end)

  it("notices what changed in place", function()
    local x = sm.tensor { 1, 2 }:requires_grad()
    local y = (x * x * x):sum()
    local g = sm.grad(y, { x }, { create_graph = true })[1]
    local penalty = (g * g):sum()
    sm.no_grad(function() x:copy_(sm.zeros(2)) end)
    helpers.has(message(penalty.backward, penalty), "changed it since")
  end)
end)

--- The gradient of a penalty on the input's gradient, by the weights of a model, against central differences.
local function check_penalty(model, x)
  model(x)
  x:requires_grad()
  local function penalty(graph)
    local score = model(x):sum()
    local g = sm.grad(score, { x }, { create_graph = graph })[1]
    local rows = g:reshape(g.shape[1], -1)
    local norm = ((rows * rows):sum(2) + 1e-12):sqrt()
    return ((norm - 1) ^ 2):mean()
  end
  local parameters = {}
  for _, parameter in pairs(model:parameters()) do parameters[#parameters + 1] = parameter end
  assert.is_true(#parameters > 0)
  penalty(true):backward()
  local checked = 0
  for _, w in ipairs(parameters) do
    local flat = w:detach():clone()
    local along = {}
    for i = 1, #w:reshape(-1) do along[i] = math.sin(i * 1.7) + 0.3 end
    along = sm.tensor(along):reshape(w.shape)
    local step = exact and 1e-5 or 1e-3
    local function at(distance)
      sm.no_grad(function() w:copy_(flat + along * distance) end)
      return penalty(false):item()
    end
    local numeric = (at(step) - at(-step)) / (2 * step)
    at(0)
    local analytic = w.grad and (w.grad * along):sum():item() or 0
    local size = math.max(1, w.grad and (w.grad * along):abs():sum():item() or 0)
    assert.is_true(math.abs(analytic - numeric) <= (exact and 1e-6 or 3e-2) * size,
      ("%g instead of %g"):format(analytic, numeric))
    checked = checked + (w.grad and 1 or 0)
  end
  assert.is_true(checked > 0)
end

describe("a gradient penalty, as WGAN-GP has it, through", function()
  before_each(function() sm.seed(4) end)

  it("linear layers", function()
    check_penalty(nn.sequential { nn.linear { 7 }, nn.tanh(), nn.linear { 1 } }, sm.randn(4, 5))
  end)
  it("linear layers with relu", function()
    check_penalty(nn.sequential { nn.linear { 9 }, nn.relu(), nn.linear { 3 }, nn.sigmoid() }, sm.randn(4, 5))
  end)
  it("convolutions and grouped softmax", function()
    check_penalty(nn.sequential { nn.conv2d { 4, kernel = 3 }, nn.softmax { groups = 2 }, nn.avgpool2d { 2 },
      nn.flatten(), nn.linear { 1 } }, sm.randn(2, 4, 4, 2))
  end)
  it("convolution, relu and max-pool in one pass", function()
    check_penalty(nn.sequential { nn.conv2d { 4, kernel = 3 }, nn.relu(), nn.maxpool2d { 2 },
      nn.conv2d { 3, kernel = 3 }, nn.maxpool2d { 2 }, nn.flatten(), nn.linear { 2 }, nn.tanh() },
      sm.randn(2, 8, 8, 2))
  end)
  it("batch normalisation", function()
    check_penalty(nn.sequential { nn.linear { 6 }, nn.batchnorm(), nn.tanh(), nn.linear { 2 }, nn.tanh() },
      sm.randn(5, 4))
  end)
end)
