--- Parts of a batch: what two or four processes compute of their examples has the bits of one process that has all.
package.path = "tests/lua/?.lua;" .. package.path
local helpers = require "helpers"
local runtime = require "sm.runtime"
local sm = require "sm"

local nn, parts = sm.nn, runtime.parts
local PARTS <const> = 4

local function assert_same(want, got, ...)
  assert.is_true((want - got):abs():max():item() == 0, (...):format(select(2, ...)))
end

--- y, the gradient of x, where it has one, and those of parameters, for rows first … last of x and of gy.
local function computed(f, x, gy, parameters, first, last)
  local own = x:slice(first, last):clone()
  if own.dtype == runtime.real then own:requires_grad() end
  for _, w in ipairs(parameters) do w.grad = nil end
  local y = f(own)
  y:backward(gy:slice(first, last):clone())
  local found = {}
  for i, w in ipairs(parameters) do found[i] = w.grad and w.grad:clone() or false end
  return y:detach(), own.dtype == runtime.real and own.grad, found
end

local function with_parts(own, ranks, f, ...)
  parts.set(own, ranks)
  local results = table.pack(pcall(f, ...))
  parts.set(parts.first, 1)
  if not results[1] then error(results[2], 0) end
  return table.unpack(results, 2, results.n)
end

--- Compares the whole batch with halves and quarters.
-- @param sums whether gradients of parameters are compared as well
local function check(name, f, x, parameters, sums)
  local y = sm.no_grad(f, x)
  local gy = sm.randn(y.shape)
  local batch = x.shape[1]
  local whole, gx, gradients = with_parts(PARTS, 1, computed, f, x, gy, parameters, 1, batch)
  for _, ranks in ipairs { 2, 4 } do
    local count, all = batch // ranks, {}
    for rank = 1, ranks do
      local first, last = (rank - 1) * count + 1, rank * count
      local own, own_gx, own_gradients = with_parts(PARTS // ranks, ranks, computed, f, x, gy, parameters, first, last)
      assert_same(whole:slice(first, last), own, "%s: results of rank %d of %d", name, rank, ranks)
      if gx then
        assert_same(gx:slice(first, last), own_gx, "%s: gradients of examples of rank %d of %d", name, rank, ranks)
      end
      all[rank] = own_gradients
    end
    for i, gradient in ipairs(sums and gradients or {}) do
      if gradient then
        local sum = all[1][i] + all[2][i]
        if ranks == 4 then sum = sum + (all[3][i] + all[4][i]) end
        assert_same(gradient, sum, "%s: gradient of parameter %d with %d ranks", name, i, ranks)
      end
    end
  end
end

--- A layer with its parameters, made for the shape of one example.
local function layer(given, x)
  local model = nn.sequential { given }
  sm.no_grad(function() return model(x) end)
  local list = {}
  for _, p in ipairs(model:parameters()) do list[#list + 1] = p end
  return model, list
end

local function parameter(...) return (sm.randn(...) * 0.3):requires_grad() end

describe("examples and parts of a batch", function()
  after_each(function() parts.set(parts.first, 1) end)

  local LAYERS <const> = {
    { "linear", { 5 }, function() return nn.linear { 7 } end },
    { "a large linear", { 300 }, function() return nn.linear { 260 } end },
    { "linear of sequences", { 6, 33 }, function() return nn.linear { 65 } end },
    { "layernorm", { 37 }, function() return nn.layernorm() end },
    { "layernorm of sequences", { 9, 64 }, function() return nn.layernorm() end },
    { "groupnorm", { 6, 5, 12 }, function() return nn.groupnorm { groups = 3 } end },
    { "rnn", { 5, 7 }, function() return nn.rnn { 12 } end },
    { "gru", { 5, 7 }, function() return nn.gru { 33 } end },
    { "lstm", { 7, 20 }, function() return nn.lstm { 40 } end },
    { "prelu", { 6, 5 }, function() return nn.prelu() end },
    { "attention", { 10, 32 }, function() return nn.attention { heads = 4 } end },
    { "maxpool", { 8, 8, 3 }, function() return nn.maxpool2d { 2 } end },
    { "avgpool", { 8, 8, 3 }, function() return nn.avgpool2d { 2 } end },
    { "softmax", { 24 }, function() return nn.softmax { groups = 4 } end },
    { "gelu", { 24 }, function() return nn.gelu() end },
    { "conv of one channel", { 9, 9, 1 }, function() return nn.conv2d { 6, kernel = 3 } end, false },
    { "conv 3x3", { 12, 12, 16 }, function() return nn.conv2d { 32, kernel = 3, padding = "same" } end, false },
    { "conv 5x5", { 14, 14, 16 }, function() return nn.conv2d { 16, kernel = 5, padding = "same" } end, false },
    { "conv with stride", { 12, 12, 16 }, function() return nn.conv2d { 16, kernel = 3, stride = 2 } end, false },
  }
  for _, case in ipairs(LAYERS) do
    it(("have the same bits: %s"):format(case[1]), function()
      for _, batch in ipairs { 4, 36 } do
        local x = sm.randn(batch, table.unpack(case[2]))
        local model, list = layer(case[3](), x)
        local name = ("%s, batch of %d"):format(case[1], batch)
        check(name, function(own) return model(own) end, x, list, case[4] ~= false)
      end
    end)
  end

  local OPERATIONS <const> = {
    { "matmul with a matrix", { 19 }, { { 19, 8 } }, function(x, w) return x:matmul(w) end },
    { "matmul of sequences", { 5, 19 }, { { 19, 8 } }, function(x, w) return x:matmul(w) end },
    { "matmul from the left", { 6, 9 }, { { 4, 6 } }, function(x, w) return w:matmul(x) end },
    { "matmul of a transposed weight", { 19 }, { { 8, 19 } }, function(x, w) return x:matmul(w:transpose()) end },
    { "einsum", { 5, 6 }, { { 6, 4, 3 } }, function(x, w) return sm.einsum("bti,ijk->btjk", x, w) end },
    { "einsum of three", { 6 }, { { 6, 4 }, { 4, 3 } },
      function(x, w, v) return sm.einsum("io,bi,oj->bj", w, x, v) end },
    { "einsum over time", { 5, 6 }, { { 5, 7 } }, function(x, w) return sm.einsum("bti,tj->bji", x, w) end },
    { "products within an example", { 5, 6 }, {}, function(x) return x:matmul(x:transpose(2, 3)) end },
    { "a sum", { 6, 5, 4 }, { { 4 }, { 5, 1 }, { 6, 1, 1 }, { 1 } },
      function(x, a, b, c, d) return (x + a) * b + c * x - d end },
    { "a formula", { 6, 5 }, { { 5 }, { 1 } },
      (function()
        local f = sm.pointwise(function(x, a, b) return x * a + (x * b):tanh() end)
        return function(x, a, b) return f(x, a, b) end
      end)() },
    { "an expanded tensor", { 6, 5 }, { { 5 } }, function(x, a) return x * a:expand { x.shape[1], 6, 5 } end },
  }
  for _, case in ipairs(OPERATIONS) do
    it(("have the same bits: %s"):format(case[1]), function()
      for _, batch in ipairs { 8, 12, 52 } do -- of one example an axis is none, and its products go another way
        local list = {}
        for i, shape in ipairs(case[3]) do list[i] = parameter(shape) end
        check(("%s, batch of %d"):format(case[1], batch), function(x) return case[4](x, table.unpack(list)) end,
          sm.randn(batch, table.unpack(case[2])), list, true)
      end
    end)
  end

  it("have the same bits: an embedding", function()
    for _, batch in ipairs { 4, 12, 64 } do
      local tokens = (sm.rand(batch, 9) * 11):floor():to "int32"
      local w = parameter(13, 20)
      check("embedding", function(x) return w:embedding(x) end, tokens, { w }, true)
    end
  end)

  it("add losses up in double", function()
    local x, labels = sm.randn(12, 5), (sm.rand(12) * 5):floor():to "int32"
    local function totals(first, last)
      local own = x:slice(first, last):clone()
      local _, _, divisor, total = runtime.loss.cross_entropy(own, labels:slice(first, last):clone(), nil, 0, nil)
      local sum = select(2, runtime.math.sum(own))
      local _, all, count = runtime.math.mean(own)
      return { total, divisor, sum, all, count }
    end
    local whole = with_parts(4, 1, totals, 1, 12)
    local one, other = with_parts(2, 2, totals, 1, 6), with_parts(2, 2, totals, 7, 12)
    assert.equal(5, #whole)
    for i, total in ipairs(whole) do assert.equal(total, one[i] + other[i]) end
  end)

  it("are as many as a power of two", function()
    for _, bad in ipairs { { 3, 1 }, { 1, 3 }, { 64, 2 }, { 0, 1 } } do
      assert.is_false((pcall(parts.set, table.unpack(bad))))
    end
    assert.same({ parts.first, 1 }, { parts.get() })
    helpers.has(helpers.message(parts.set, 6, 1), "expected powers of two")
  end)
end)
