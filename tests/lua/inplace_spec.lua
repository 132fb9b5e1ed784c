--- A gradient never uses numbers that were changed after its operation had used them: it raises instead.
local sm = require "sm"
local helpers = dofile "tests/lua/helpers.lua"
local message = helpers.message

local function leaf(...) return (sm.rand(...) + 0.5):requires_grad() end

--- Operations by name: which of the operands' numbers, and whether the result's ("y"), its gradient needs; and how it
--- is applied to three leaves.
local OPERATIONS = {
  neg = { {}, function(x) return -x end },
  exp = { { "y" }, function(x) return x:exp() end },
  log = { { 1 }, function(x) return x:log() end },
  sqrt = { { "y" }, function(x) return x:sqrt() end },
  abs = { { 1 }, function(x) return x:abs() end },
  tanh = { { "y" }, function(x) return x:tanh() end },
  sigmoid = { { "y" }, function(x) return x:sigmoid() end },
  relu = { { 1 }, function(x) return x:relu() end },
  softplus = { { 1 }, function(x) return x:softplus() end },
  clamp = { { 1 }, function(x) return x:clamp(0, 1) end },
  add = { {}, function(x, z) return x + z end },
  sub = { {}, function(x, z) return x - z end },
  mul = { { 1, 2 }, function(x, z) return x * z end },
  div = { { 2, "y" }, function(x, z) return x / z end },
  pow = { { 1, 2 }, function(x, z) return x ^ z end },
  sum = { {}, function(x) return x:sum(1) end },
  mean = { {}, function(x) return x:mean(1) end },
  max = { {}, function(x) return x:max(1) end },
  reshape = { {}, function(x) return x:reshape(-1) end },
  select = { {}, function(x) return x[1] end },
  slice = { {}, function(x) return x:slice(1, 2) end },
  clone = { {}, function(x) return x:clone() end },
  transpose = { {}, function(x) return x:transpose() end },
  matmul = { { 1, 2 }, function(x, z) return x:matmul(z) end },
  linear = { { 1, 2 }, function(x, z, b) return x:linear(z, b) end },
  conv2d = { { 1, 2 }, function(x, z) return x:reshape(1, 4, 4, 1):conv2d(z:reshape(4, 4, 1, 1)) end },
  conv2d_transpose = { { 1, 2 }, function(x, z)
    return x:reshape(1, 4, 4, 1):conv2d_transpose(z:reshape(4, 4, 1, 1))
  end },
  maxpool2d = { {}, function(x) return x:reshape(1, 4, 4, 1):maxpool2d(2) end },
  avgpool2d = { {}, function(x) return x:reshape(1, 4, 4, 1):avgpool2d(2) end },
  softmax = { { "y" }, function(x) return x:softmax { groups = 2 } end },
  dropout = { {}, function(x) return x:dropout(0.5) end },
  cross_entropy = { { 1 }, function(x) return x:cross_entropy(sm.zeros({ 4 }, "uint8")) end },
}

describe("changed in place after use", function()
  before_each(function() sm.seed(1) end)

  for name, case in pairs(OPERATIONS) do
    local needs, apply = {}, case[2]
    for _, which in ipairs(case[1]) do needs[which] = true end
    for _, changed in ipairs { 1, 2, 3, "y" } do
      local title = ("%s: %s may %schange"):format(name, changed == "y" and "its result" or "operand " .. changed,
        needs[changed] and "not " or "")
      it(title, function()
        local function gradients(change)
          sm.seed(2)
          local leaves = { leaf(4, 4), leaf(4, 4), leaf(4) }
          local y = apply(table.unpack(leaves))
          if change then
            local x = changed == "y" and y or leaves[changed]
            x:detach():copy_(x:detach() * 3 + 1)
          end
          y:backward(sm.ones(y.shape))
          local found = {}
          for i, x in ipairs(leaves) do found[i] = x.grad and x.grad:totable() or false end
          return found
        end
        if needs[changed] then
          assert.matches("^backward: the gradient of '" .. name .. "' needs a tensor of", message(gradients, true))
        else
          assert.same(gradients(false), gradients(true))
        end
      end)
    end
  end

  it("what one operand's gradient needs may change where only the other wants one", function()
    for _, apply in ipairs { OPERATIONS.mul[2], OPERATIONS.matmul[2], OPERATIONS.conv2d[2] } do
      local x, w = sm.rand(4, 4), leaf(4, 4)
      local y = apply(x, w)
      w:copy_(w:detach() * 2) -- the gradient of w reads x alone
      y:backward(sm.ones(y.shape))
      y = apply(x, w)
      x:copy_(x * 2)
      assert.matches("^backward: the gradient of", message(function() y:backward(sm.ones(y.shape)) end))
    end
  end)

  it("sees labels, parts and other views", function()
    local labels = sm.zeros({ 2 }, "int32")
    local loss = leaf(2, 3):cross_entropy(labels)
    labels:copy_(sm.ones({ 2 }, "int32"))
    assert.matches("'cross_entropy'", message(loss.backward, loss))
    local x = leaf(3, 2)
    local y = (x:reshape(6) * x:reshape(6)):sum()
    x[2]:copy_(sm.zeros(2))
    assert.matches("'mul'", message(y.backward, y))
  end)

  it("sees an optimizer's step between two losses", function()
    for _, name in ipairs { "sgd", "rmsprop", "adam", "adamw", "smorms3", "lion", "muon" } do
      local w = leaf(2)
      local opt = sm.optim[name] { lr = 1e-2 }
      opt:add { w = w }
      local first, second = (w * w):sum(), (w * w):sum()
      first:backward()
      opt:step()
      assert.matches("'mul'", message(second.backward, second))
      second = (w * w):sum()
      second:backward() -- used again, it is right again
    end
  end)

  it("lets an operation in Lua read its inputs, its output and what it kept", function()
    for _, which in ipairs { "x", "y", "own", "deep" } do
      local seen, deep
      local spy = sm.op {
        name = "triple",
        forward = function(ctx, x)
          ctx.own = x * 3
          seen, deep = ctx.own, x * 4
          ctx.tables = { { deep }, ctx }
          return ctx.own * 1
        end,
        backward = function(_, gy) return gy * 3 end,
      }
      local x = leaf(2)
      local y = spy(x)
      local changed = ({ x = x, y = y:detach(), own = seen, deep = deep })[which]
      changed:copy_(sm.zeros(2))
      assert.matches("'triple'", message(function() y:sum():backward() end))
    end
  end)
end)

describe("copy_", function()
  it("refuses the result of an operation, whose history would be another's", function()
    local x = leaf(2)
    local y = x * 2
    assert.matches("^copy_: this tensor is the result of 'mul'", message(y.copy_, y, sm.zeros(2)))
    assert.matches("^copy_: this tensor is the result of 'select'", message(function()
      local rows = leaf(2, 2) * 2
      rows[1]:copy_(sm.zeros(2))
    end))
    sm.no_grad(y.copy_, y, sm.zeros(2)) -- whoever says so may
  end)

  it("changes leaves and their parts", function()
    local w = leaf(2, 2)
    w:copy_(w * 0 + 5)
    w[1]:copy_(w[2] * 2)
    assert.same({ { 10, 10 }, { 5, 5 } }, w:totable());
    (w * w):sum():backward()
    assert.same({ { 20, 20 }, { 10, 10 } }, w.grad:totable())
  end)

  it("lets no gradient get lost in a plain tensor", function()
    local w, plain = leaf(2), sm.zeros(2)
    plain:copy_(w * 2)
    assert.same((w * 2):totable(), plain:totable())
    assert.matches("would have to pass through copy_", message(function() (plain + w):sum():backward() end))
    plain:copy_((w * 2):detach());
    (plain + w):sum():backward()
    assert.same({ 1, 1 }, w.grad:totable())
    local rows = sm.zeros(2, 2)
    assert.matches("cannot pass into a part", message(function() rows[1]:copy_(w * 2) end))
    rows[1]:copy_((w * 0 + 2):detach())
    assert.same({ { 2, 2 }, { 0, 0 } }, rows:totable())
  end)

  it("lets none get lost between tensors that share memory", function()
    local function lost(from, into, read)
      local w, plain = leaf(1, 2), sm.zeros(1, 2)
      local earlier = plain:reshape(2)
      local y = from and from(w) or w * 2
      into(plain):copy_(y)
      return message(function() ((read and read(plain, earlier) or plain) + w):sum():backward() end)
    end
    local function whole(x) return x end
    local function flat(x) return x:reshape(-1) end
    local function doubled_flat(w) return (w * 2):reshape(-1) end
    for _, text in ipairs {
      lost(doubled_flat, flat), lost(nil, function(x) return x:slice(1, 1) end),
      lost(doubled_flat, function(x) return x[1] end),
      lost(nil, whole, function(_, earlier) return earlier end),
      lost(nil, whole, function(x) return x[1] end),
    } do assert.matches("would have to pass through copy_", text) end
  end)

  it("does not count what was detached", function()
    local w, plain = leaf(2), sm.zeros(2)
    local detached = plain:detach()
    plain:copy_(w * 2);
    (detached:reshape(2) + w):sum():backward()
    assert.same({ 1, 1 }, w.grad:totable())
    plain:reshape(2, 1):copy_(sm.zeros(2, 1)) -- and plain is free again
    detached:copy_(w * 2)
    w.grad = nil;
    (plain + w):sum():backward()
    assert.same({ 1, 1 }, w.grad:totable())
    assert.matches("would have to pass through copy_", message(function() (detached + w):sum():backward() end))
  end)

  it("keeps a running mean going, step after step", function()
    local w, mean = leaf(2), sm.zeros(2)
    for _ = 1, 3 do mean:copy_(mean * 0.5 + w * 0.5) end
    local expected = w:detach() * 0.875
    assert.is_true((mean:detach() - expected):abs():max():item() < 1e-6)
    mean:requires_grad() -- a leaf of its own, now
    mean:sum():backward()
    assert.same({ 1, 1 }, mean.grad:totable())
  end)
end)
