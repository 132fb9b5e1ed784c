--- Sizes, positions and counts beyond what there can be: each is refused before anything is read, written or drawn.
local sm = require "sm"
local fused = require "sm.fused"
local random = require "sm.random"
local runtime = require "sm.runtime"
local helpers = dofile "tests/lua/helpers.lua"
local message = helpers.message

local real, inf = runtime.real, math.huge
local T, K, S, L, C = runtime.tensor, runtime.math, runtime.softmax, runtime.loss, runtime.conv

describe("a shape whose product wraps is refused by", function()
  local WRAPS <const> = { 274177, 67280421310721 } -- 2^64 + 1
  local cases = {
    reshape = function() return sm.zeros(1):reshape(WRAPS) end,
    ["reshape of nothing"] = function() return sm.zeros(0):reshape(1 << 32, 1 << 32) end,
    ["reshape with -1"] = function() return sm.zeros(4):reshape(1 << 32, 1 << 32, -1) end,
    zeros = function() return sm.zeros(WRAPS) end,
    ["zeros of bytes"] = function() return sm.zeros(WRAPS, "uint8") end,
    ["zeros beside 0"] = function() return sm.zeros(0, 1 << 32, 1 << 32) end,
    randn = function() return sm.randn(WRAPS) end,
    rand = function() return sm.rand(1 << 62, 4) end,
    broadcasting = function() return sm.zeros(1 << 40, 1, 0) + sm.zeros(1, 1 << 40, 0) end,
    ["a gradient's place"] = function() return T.place(sm.zeros(0), WRAPS, 0) end,
    spread = function() return K.spread(sm.zeros(), WRAPS, nil, 1) end,
    sum_to = function() return K.sum_to(sm.zeros(1), WRAPS) end,
  }
  for name, case in pairs(cases) do
    it(name, function() assert.matches("is larger than memory can be$", message(case)) end)
  end

  it("tables nested in one another", function()
    local nested = { 1 }
    for _ = 1, 7 do nested = { nested, nested, nested, nested } end
    local wide = {}
    for i = 1, 1 << 12 do wide[i] = 1 end
    for _ = 1, 7 do
      local outer = {}
      for i = 1, 1 << 12 do outer[i] = wide end
      wide = outer
    end
    assert.matches("is larger than memory can be$", message(sm.tensor, wide))
    assert.equal(4 ^ 7, sm.tensor(nested):sum():item())
  end)
end)

describe("what is empty and wide takes no time:", function()
  local wide = sm.zeros(1 << 40, 0)
  it("transpose", function() assert.same({ 1 << 40, 0 }, sm.zeros(0, 1 << 40):transpose().shape) end)
  it("transpose of the widest", function() assert.same({ 1 << 59, 0 }, sm.zeros(0, 1 << 59):transpose().shape) end)
  it("print", function() assert.matches("^{{},\n {},\n {},\n …,.*{1099511627776, 0}$", tostring(wide)) end)
  it("totable", function()
    assert.equal("totable: shape {1099511627776, 0} has no elements, and more than 16777216 empty tables",
      message(wide.totable, wide))
    assert.same({ {}, {} }, sm.zeros(2, 0):totable())
    assert.same({}, sm.zeros(0, 1 << 40):totable())
  end)
  it("copy_, clone and arithmetic", function()
    assert.same({ 1 << 40, 0 }, (wide:clone():copy_(wide) * 2 + wide):exp():reshape(1 << 40, 0).shape)
    assert.equal(0, wide:sum():item())
    assert.same({ 0 }, wide:sum(1).shape)
  end)
  it("pools, forward and back", function()
    local shapes = { { 1 << 38, 0, 0, 1 }, { 1 << 38, 4, 4, 0 }, { 1 << 38, 0, 4, 3 }, { 0, 1 << 29, 1 << 29, 1 } }
    for _, shape in ipairs(shapes) do
      for _, pool in ipairs { "maxpool2d", "avgpool2d" } do
        local x = sm.zeros(shape):requires_grad()
        x[pool](x, 2, { padding = "same" }):sum():backward()
        assert.same(shape, x.grad.shape)
      end
    end
  end)
  it("convolutions, forward and back", function()
    local function check(shape, filters, options)
      local x, w = sm.zeros(shape):requires_grad(), sm.ones(filters):requires_grad()
      local b = sm.ones(filters[4]):requires_grad()
      for _, pooled in ipairs { false, true } do
        local o = { bias = b, stride = options.stride, padding = options.padding }
        local y = pooled and fused.conv2d_maxpool2d(x, w, o, 2, { padding = "same" }, true) or x:conv2d(w, o)
        y:sum():backward()
        assert.equal(0, y:sum():item() + x.grad:sum():item() + w.grad:sum():item() + b.grad:sum():item())
        assert.same(shape, x.grad.shape)
      end
    end
    for _, sizes in ipairs { { 3, 3, 1 }, { 5, 16, 16 }, { 5, 0, 3 }, { 5, 16, 0 } } do
      for _, images in ipairs { { 1 << 38, 0, 0 }, { 1 << 38, 0, 14 }, { 1 << 38, 14, 0 }, { 0, 1 << 10, 1 << 10 } } do
        check({ images[1], images[2], images[3], sizes[2] }, { sizes[1], sizes[1], sizes[2], sizes[3] }, { stride = 2 })
      end
    end
    check({ 1 << 38, 4, 4, 0 }, { 3, 3, 0, 0 }, {})
    check({ 0, 4, 4, 16 }, { 5, 5, 16, 16 }, {})
  end)
  it("the gradient of a maximum", function()
    local x = sm.zeros(1 << 40, 1, 0):requires_grad()
    x:max(2):sum():backward()
    assert.same({ 1 << 40, 1, 0 }, x.grad.shape)
  end)
end)

it("the largest of more than an int32 counts is refused", function()
  local x = sm.zeros(1 << 31, 0)
  assert.equal("argmax: the largest of 2147483648 elements: positions, which are int32, count to 2147483647",
    message(x.argmax, x, 1))
  assert.matches("^max: the largest of 2147483648 elements", message(x.max, x, 1))
  assert.same({ 0 }, sm.zeros((1 << 31) - 1, 0):argmax(1).shape)
end)

describe("a draw that fails leaves its stream where it was:", function()
  local x = sm.ones(4)
  local cases = {
    ["randn(-1)"] = function() sm.randn(-1) end,
    ["rand(2, -3)"] = function() sm.rand(2, -3) end,
    ["randn(1 << 40)"] = function() sm.randn(1 << 40) end,
    ["randn {2, 'x'}"] = function() sm.randn { 2, "x" } end,
    ["truncated {-1}"] = function() random.truncated({ -1 }, "general") end,
    ["permutation(-1)"] = function() random.permutation(-1, "general") end,
    ["permutation(1 << 40)"] = function() random.permutation(1 << 40, "general") end,
    ["dropout(2)"] = function() x:dropout(2) end,
    ["dropout of bytes"] = function() sm.zeros({ 3 }, "uint8"):dropout(0.5) end,
  }
  for name, case in pairs(cases) do
    it(name, function()
      sm.seed(5)
      local before = random.state()
      message(case)
      assert.same(before, random.state())
      local drawn = sm.randn(4):totable()
      sm.seed(5)
      assert.same(sm.randn(4):totable(), drawn)
    end)
  end

  it("and so does one beyond its end", function()
    local kept = random.state()
    local state = random.state()
    state.general = math.maxinteger - 5
    random.restore(state)
    assert.equal("this random stream has 5 numbers left, not 6", message(sm.randn, 6))
    assert.same({ 5 }, sm.rand(5).shape)
    assert.equal("this random stream has 0 numbers left, not 1", message(sm.rand, 1))
    random.restore(kept)
  end)
end)

describe("from numbers to integers", function()
  it("x:to takes the nearest there is, and 0 for NaN", function()
    assert.same({ 2147483647, -2147483648, 7, -7 }, sm.tensor { inf, -inf, 7.9, -7.9 }:to("int32"):totable())
    assert.same({ 255, 0, 0 }, sm.tensor { 1e30, -1e30, 0.5 }:to("uint8"):totable())
    assert.same({ 255, 1, 0 }, sm.tensor { inf, 1, 0 / 0 }:to("uint8"):totable())
  end)

  it("data must be integers", function()
    assert.equal("tensor: element 1 does not fit int32: 1.5", message(sm.tensor, { 1.5 }, "int32"))
    assert.equal("tensor: element 2 does not fit int32: 2147483648.0", message(sm.tensor, { 1, 1 << 31 }, "int32"))
    assert.equal("tensor: element 1 does not fit uint8: -1.0", message(sm.tensor, { -1 }, "uint8"))
  end)

  it("arange counts no further than memory goes", function()
    assert.matches("^arange: from 0 to 1e%+30 in steps of 1 there are more numbers than memory can hold$",
      message(sm.arange, 1e30))
    assert.matches("^arange: from %-1e%+308 to 1e%+308 in steps of 1 there are more", message(sm.arange, -1e308, 1e308))
    assert.matches("out of memory", message(sm.arange, 1e17))
  end)
end)

it("a position and an axis are integers, and no text", function()
  local x = sm.ones(3, 2)
  assert.equal('select: argument 2 must be an integer position, got string "1"', message(x.select, x, "1"))
  assert.equal("select: argument 2 must be an integer position, got number 1.5", message(x.select, x, 1.5))
  assert.equal('argmax: expected an axis, an integer, got string "1"', message(x.argmax, x, "1"))
  assert.matches("^slice: argument 2 must be an integer", message(x.slice, x, "1"))
end)

it("a group of more channels than an int32 counts is refused", function()
  assert.equal("softmax: size 2 must be at most 2147483647, got 1099511627776",
    message(function() sm.ones(2):softmax { sizes = { 2, 1 << 40 } } end))
  assert.equal("softmax: expected groups of 1 to 2147483647 channels, got shape {0, 274877906944}",
    message(function() sm.zeros(0, 1 << 38):softmax() end))
end)

describe("a kernel that a script can reach checks the shapes it is given:", function()
  local one, scalar = sm.ones(1), sm.ones {}
  local cases = {
    { "place", T.place, sm.ones(5), { 2 }, 1 },
    { "place", T.place, one, { 2 }, 1 << 61 },
    { "place", T.place, one, {}, 0 },
    { "extremes_backward", K.extremes_backward, one, sm.zeros({ 1 }, "int32"), { 3 }, 1 },
    { "extremes_backward", K.extremes_backward, scalar, sm.full({}, 3, "int32"), { 3 }, 1 },
    { "extremes_backward", K.extremes_backward, scalar, sm.full({}, -1, "int32"), { 3 }, 1 },
    { "extremes_backward", K.extremes_backward, sm.ones(2), sm.zeros({ 3 }, "int32"), { 3, 3 }, 1 },
    { "spread", K.spread, one, { 3, 1000 }, 2, 1 },
    { "spread", K.spread, one, { 3, 1000 }, nil, 1 },
    { "maxpool2d_backward", C.maxpool2d_backward, sm.ones(1, 1, 1, 1), sm.full({ 1, 1, 1, 1 }, 4, "uint8"),
      { 1, 2, 2, 1 }, 2, { stride = 2 } },
    { "maxpool2d_backward", C.maxpool2d_backward, sm.ones(1, 1, 1, 1), sm.full({ 1, 1, 1, 1 }, -1, "int32"),
      { 1, 17, 17, 1 }, 17, { stride = 17 } },
    { "sum_to", K.sum_to, sm.ones(3), { 100000 } },
    { "sum_to", K.sum_to, sm.ones(3), { 1, 3 } },
    { "sum_to", K.sum_to, sm.ones(2, 3), { 2 } },
    { "cross_entropy_backward", L.cross_entropy_backward, scalar, one, 9, sm.ones(9, 3), sm.zeros({ 9 }, "uint8"),
      nil, 0 },
    { "softmax_backward", S.softmax_backward, one, sm.ones(9), 1, 1 },
  }
  for i, case in ipairs(cases) do
    it(("%s, %d"):format(case[1], i), function() message(table.unpack(case, 2, 7)) end)
  end

  it("and a gradient's place is filled as ever", function()
    assert.same({ 0, 1, 1, 0 }, T.place(sm.ones(2), { 4 }, 1):totable())
    assert.same({ 0, 0 }, T.place(sm.ones(0), { 2 }, 2):totable())
    assert.equal(real, T.place(sm.ones(0, 3), { 2, 3 }, 2).dtype)
  end)
end)

it("a runtime that is loaded again shares the memory of the first", function()
  if os.getenv "EMULATED" then return pending "a program of this processor cannot load it" end
  local program = [[
    local first = require "sm.runtime"
    local kept = first.tensor.full({ 1000 }, 1)
    package.loaded["sm.runtime"] = nil
    local second = require "sm.runtime"
    assert(first.tensor.memory() == second.tensor.memory() and first.tensor.memory() > 0)
    first, second, package.loaded["sm.runtime"] = nil, nil, nil
    collectgarbage()
    for i = 1, 100 do require "sm.runtime".tensor.full({ 1000 }, i) end
    assert(require "sm.runtime".tensor.item(require "sm.runtime".math.sum(kept)) == 1000)]]
  assert.is_true(os.execute(("lua5.4 -e '%s'"):format(program)))
end)
