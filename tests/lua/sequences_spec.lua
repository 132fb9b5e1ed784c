--- Layers over sequences: embedding, the recurrent ones, attention.
local sm = require "sm"
local helpers = dofile "tests/lua/helpers.lua"
local error_of, has = helpers.error_of, helpers.has

local nn = sm.nn

before_each(function() sm.seed(7) end)

describe("nn.embedding", function()
  it("takes tokens of either type, and trains the rows that they name", function()
    local model = nn.sequential { nn.embedding { 5, 3 }, nn.linear { 2 } }:build { 4 }
    assert.same({ 4, 3 }, model:layer "embedding1".output_shape)
    has(tostring(model), "embedding 5 of 3")
    local tokens = sm.tensor({ { 0, 4, 4, 1 }, { 1, 1, 0, 0 } }, "int32")
    local y = model(tokens)
    assert.same({ 2, 4, 2 }, y.shape)
    assert.equal("int32", model.input_dtype)
    y:sum():backward()
    local table_of = model:parameters()["embedding1.weight"]
    assert.same({ 5, 3 }, table_of.shape)
    local rows = table_of.grad:abs():sum(2):gt(0)
    assert.same({ 1, 1, 0, 0, 1 }, rows:totable())
  end)

  it("is built for tokens by its first call, and names a token that it does not have", function()
    local model = nn.sequential { nn.embedding { 5, 3, name = "words" } }
    local tokens = sm.tensor({ { 0, 1 }, { 2, 5 } }, "int32")
    model(sm.zeros({ 1, 2 }, "int32"))
    assert.equal("int32", model.input_dtype)
    local message = error_of(model, tokens)
    has(message, "in layer 'words' (embedding) given {2, 2}: embedding: expected tokens from 0 to 4, got 5 at position "
      .. "{2, 2}")
    has(message, "tokens count from 0")
    has(error_of(model, sm.zeros(1, 2)), "the model is built for examples of int32, got float")
    has(error_of(model, tokens:to "uint8"), "the model is built for examples of int32, got uint8")
    assert.equal("uint8", nn.embedding { 5, 3 }:build({ 4 }, "uint8").input_dtype)
    has(error_of(nn.embedding { 5, 3 }, sm.zeros(1, 2)), "the tokens must be an int32 or uint8 tensor")
    has(error_of(nn.embedding, { 5 }), "nn.embedding: argument 2 is missing")
  end)
end)

describe("the recurrent layers", function()
  local GATES <const> = { rnn = 1, gru = 3, lstm = 4 }

  it("have PyTorch's parameters, and give the states of all steps or the last", function()
    for kind, gates in pairs(GATES) do
      local model = nn.sequential { nn[kind] { 6, name = "cell" } }:build { 5, 3 }
      local shapes = {}
      for name, parameter in pairs(model:parameters()) do
        shapes[#shapes + 1] = name .. " " .. tostring(parameter.shape)
        assert.is_true(parameter:abs():max():item() <= 1 / math.sqrt(6))
        assert.is_true(parameter:abs():max():item() > 0.3 / math.sqrt(6))
      end
      local wide = gates * 6
      assert.same({ ("cell.weight {3, %d}"):format(wide), ("cell.recurrent_weight {6, %d}"):format(wide),
        ("cell.bias {%d}"):format(wide), ("cell.recurrent_bias {%d}"):format(wide) }, shapes)
      local x = sm.randn(2, 5, 3)
      local y, p = model(x), model:layer "cell"
      assert.same({ 2, 5, 6 }, y.shape)
      local by_hand = x[kind](x, p.weight, p.recurrent_weight, { bias = p.bias, recurrent_bias = p.recurrent_bias })
      assert.equal(0, (y - by_hand):abs():max():item())

      for _, reverse in ipairs { false, true } do
        sm.seed(3)
        local all = nn[kind] { 6, reverse = reverse, bias = false }:build { 5, 3 }
        sm.seed(3)
        local last = nn[kind] { 6, reverse = reverse, bias = false, last = true }:build { 5, 3 }
        assert.equal(2, #last:parameters())
        assert.same({ 6 }, last.output_shape)
        assert.equal(0, (all(x):narrow(2, reverse and 1 or 5, 1):squeeze(2) - last(x)):abs():max():item())
      end
    end
  end)

  it("remember: the first token is told from the last state", function()
    local model = nn.sequential { nn.embedding { 4, 8 }, nn.lstm { 16, last = true }, nn.linear { 4 } }
    local optimizer, loss = sm.optim.adam { lr = 0.02 }, nil
    optimizer:add(model:parameters())
    for _ = 1, 150 do
      local tokens = (sm.rand(32, 6) * 4):to "int32"
      local first = tokens:narrow(2, 1, 1):squeeze(2)
      loss = model(tokens):cross_entropy(first)
      optimizer:zero_grad()
      loss:backward()
      optimizer:step()
    end
    assert.is_true(loss:item() < 0.2)
  end)

  it("carry a state from one part of a sequence to the next", function()
    local layer = nn.lstm { 4 }:build { 6, 3 }
    local x = sm.randn(2, 6, 3)
    local options = { bias = layer.bias, recurrent_bias = layer.recurrent_bias, state = true }
    local whole = x:lstm(layer.weight, layer.recurrent_weight, options)
    local first, h, c = x:narrow(2, 1, 4):lstm(layer.weight, layer.recurrent_weight, options)
    options.h, options.c = h, c
    local second = x:narrow(2, 5, 2):lstm(layer.weight, layer.recurrent_weight, options)
    assert.equal(0, (whole - sm.cat({ first, second }, 2)):abs():max():item())
  end)

  it("take a first state, and give the last one", function()
    for kind in pairs(GATES) do
      local model = nn[kind] { 4, state = true }
      local x = sm.randn(2, 6, 3)
      local y, h, c = model(x)
      assert.equal(kind == "lstm", c ~= nil)
      local first, middle_h, middle_c = model(x:narrow(2, 1, 4))
      local second, last_h, last_c = model(x:narrow(2, 5, 2), middle_h, middle_c)
      assert.equal(0, (y - sm.cat({ first, second }, 2)):abs():max():item())
      assert.equal(0, (h - last_h):abs():max():item())
      if c then assert.equal(0, (c - last_c):abs():max():item()) end
    end
    has(error_of(nn.gru { 4 }, sm.zeros(2, 5, 3), sm.zeros(2, 3)), "option 'h' must have shape {1, 4}, got {1, 3}")
    has(error_of(nn.gru { 4 }, sm.zeros(2, 5, 3), sm.zeros(2, 4), sm.zeros(2, 4)), "takes 2 inputs")
  end)

  it("have the gradients of central differences", function()
    local most = require "sm.runtime".real == "float64" and 1e-6 or 5e-2
    for name, layer in pairs {
      rnn = nn.rnn { 3 }, gru = nn.gru { 3, last = true }, lstm = nn.lstm { 3, reverse = true },
      attention = nn.attention { heads = 2, causal = true },
    } do
      local x = sm.randn(2, 3, 4)
      layer:build { 3, 4 }
      local inputs = { x }
      for _, parameter in pairs(layer:parameters()) do inputs[#inputs + 1] = parameter end
      assert.is_true(sm.gradcheck(function(given) return layer(given) end, inputs, { tolerance = most }) <= most, name)
    end
  end)

  it("go both ways in nn.concat", function()
    local model = nn.concat { nn.lstm { 4 }, nn.lstm { 4, reverse = true } }:build { 5, 3 }
    assert.same({ 5, 8 }, model.output_shape)
  end)

  it("take masks as an input", function()
    local attention = nn.attention { heads = 2 }:build { 5, 8 }
    local x, mask = sm.randn(2, 5, 8), sm.tensor({ { 1, 1, 1, 0, 0 }, { 1, 1, 1, 1, 1 } }, "uint8")
    local y = attention(x, mask)
    local short = attention(x:narrow(1, 1, 1):narrow(2, 1, 3))
    assert.is_true((y:narrow(1, 1, 1):narrow(2, 1, 3) - short):abs():max():item() < 1e-5)
    assert.is_true((y:narrow(1, 2, 1) - attention(x:narrow(1, 2, 1))):abs():max():item() < 1e-5)
    assert.is_true((y - attention(x, x, mask)):abs():max():item() < 1e-5)
    assert.same(y:totable(), attention(x, mask:reshape(2, 1, 5):tile(1, 5, 1)):totable())
    assert.same(y:totable(), attention(x, mask:reshape(2, 1, 1, 5)):totable())
    has(error_of(attention, x, mask, mask), "it takes x, context and mask, got two masks")
    has(error_of(attention, x, sm.ones(5):to "uint8"), "a mask is {N, S}, {N, T, S} or {N, heads, T, S}")
    local reader = nn.layer {
      kind = "reader",
      layers = function() return { embed = nn.embedding { 9, 8 }, look = nn.attention { heads = 2 } } end,
      forward = function(self, given) return self.look(self.embed(given.tokens), given.seen) end,
    }
    local tokens = sm.tensor({ { 1, 2, 3, 0, 0 }, { 4, 5, 6, 7, 8 } }, "int32")
    assert.same({ 2, 5, 8 }, reader {} { tokens = tokens, seen = mask }.shape)
  end)

  it("may have several layers, and go both ways", function()
    local x = sm.randn(2, 5, 3)
    for _, kind in ipairs { "rnn", "gru", "lstm" } do
      local deep = nn[kind] { 4, layers = 2, bidirectional = true, state = true }:build { 5, 3 }
      local function way(number, ending, reverse)
        local one = nn[kind] { 4, reverse = reverse, state = true }:build { 5, number == 1 and 3 or 8 }
        for name, w in pairs(one:parameters()) do sm.no_grad(w.copy_, w, deep[name .. ending]) end
        return one
      end
      local function both(number, ending, input)
        local there, h1, c1 = way(number, ending, false)(input)
        local back, h2, c2 = way(number, ending .. "_reverse", true)(input)
        return sm.cat({ there, back }, 3), { h1, h2 }, { c1, c2 }
      end
      local first, h, c = both(1, "", x)
      local second, more_h, more_c = both(2, "_2", first)
      local y, last_h, last_c = deep(x)
      assert.same(second:totable(), y:totable())
      assert.same(sm.stack({ h[1], h[2], more_h[1], more_h[2] }, 2):totable(), last_h:totable())
      if kind == "lstm" then
        assert.same(sm.stack({ c[1], c[2], more_c[1], more_c[2] }, 2):totable(), last_c:totable())
      end
      local last = nn[kind] { 4, layers = 2, bidirectional = true, last = true }:build { 5, 3 }
      last:load(deep:parameters())
      assert.same(sm.cat(more_h, 2):totable(), last(x):totable())
    end
    local noisy = nn.gru { 4, layers = 2, dropout = 0.5 }:build { 5, 3 }
    assert.not_same(noisy(x):totable(), noisy(x):totable())
    noisy:eval()
    assert.same(noisy(x):totable(), noisy(x):totable())
    assert.same({ 8, { 4, 12 } }, { #noisy:parameters(), { table.unpack(noisy.weight_2.shape) } })
    local shown = tostring(nn.sequential { nn.gru { 4, layers = 2, bidirectional = true } }:build { 5, 3 })
    has(shown, "gru 4, 2 layers, both ways")
    has(error_of(noisy, x, sm.zeros(2, 4)), "it takes first states {2, 2, 4}, got {2, 4}")
    has(error_of(nn.lstm, { 4, dropout = 0.5 }), "dropout is between layers, and there is one")
    has(error_of(nn.lstm, { 4, reverse = true, bidirectional = true }), "takes reverse or bidirectional, got both")
  end)

  it("say what does not fit", function()
    has(error_of(nn.gru { 4 }, sm.zeros(2, 3)), "in layer 'gru' (gru) given {N, 3}: gru: expected sequences {N, T, "
      .. "features}, got shape {1, 3}")
    has(error_of(nn.lstm, { 4, nonlinearity = "relu" }), "nn.lstm: unknown option 'nonlinearity'")
    has(error_of(nn.rnn, { 4, nonlinearity = "sigmoid" }), "option 'nonlinearity' must be one of 'tanh', 'relu'")
    has(error_of(nn.rnn, { 4, bias = false, bias_init = nn.init.zeros() }), "bias_init is given, but bias = false")
    has(tostring(nn.rnn { 4, reverse = true, last = true }:build { 2, 3 }), "rnn 4, reversed, last")
  end)
end)

describe("nn.attention", function()
  it("has the parameters of PyTorch's, and keeps the shape", function()
    local model = nn.sequential { nn.attention { heads = 2, causal = true, name = "look" } }:build { 5, 8 }
    local shapes = {}
    for name, parameter in pairs(model:parameters()) do
      shapes[#shapes + 1] = name .. " " .. tostring(parameter.shape)
    end
    assert.same({ "look.weight {8, 24}", "look.bias {24}", "look.out_weight {8, 8}", "look.out_bias {8}" }, shapes)
    has(tostring(model), "attention 2 heads, causal")
    local x, p = sm.randn(3, 5, 8), model:layer "look"
    local q, k, v = table.unpack(x:linear(p.weight, p.bias):split(8, 3))
    local want = sm.attention(q, k, v, { heads = 2, causal = true }):linear(p.out_weight, p.out_bias)
    assert.is_true((model(x) - want):abs():max():item() < 1e-6)
    assert.same({ 6, 8 }, nn.attention { heads = 2, size = 4, bias = false }:build({ 6, 8 }).output_shape)
  end)

  it("sees nothing of what comes after, where it is causal", function()
    local model = nn.attention { heads = 2, causal = true }:build { 70, 4 }
    local x = sm.randn(1, 70, 4)
    local y = model(x)
    local changed = sm.cat({ x:narrow(2, 1, 66), sm.randn(1, 4, 4) }, 2)
    assert.equal(0, (model(changed) - y):narrow(2, 1, 66):abs():max():item())
    assert.is_true((model(changed) - y):narrow(2, 67, 4):abs():min():item() > 0)
  end)

  it("looks at another sequence, where it is given one", function()
    local model = nn.attention { heads = 2, size = 6 }:build { 5, 8 }
    local x, context = sm.randn(3, 5, 8), sm.randn(3, 7, 8)
    local y = model(x, context)
    assert.same({ 3, 5, 8 }, y.shape)
    assert.is_true((model(x, x) - model(x)):abs():max():item() < 1e-5)
    local q = x:linear(model.weight:narrow(2, 1, 6), model.bias:narrow(1, 1, 6))
    local k = context:linear(model.weight:narrow(2, 7, 6), model.bias:narrow(1, 7, 6))
    local v = context:linear(model.weight:narrow(2, 13, 6), model.bias:narrow(1, 13, 6))
    local want = sm.attention(q, k, v, { heads = 2 }):linear(model.out_weight, model.out_bias)
    assert.is_true((y - want):abs():max():item() < 1e-5)
  end)

  it("drops weights in training alone", function()
    local model = nn.attention { dropout = 0.5 }:build { 6, 4 }
    local x = sm.randn(2, 6, 4)
    assert.is_true((model(x) - model(x)):abs():max():item() > 0)
    model:eval()
    assert.equal(0, (model(x) - model(x)):abs():max():item())
  end)

  it("says what does not fit", function()
    has(error_of(nn.attention { heads = 3 }, sm.zeros(2, 5, 4)),
      "in layer 'attention' (attention) given {N, 5, 4}: self_attention: 4 channels cannot be divided into 3 heads")
    has(error_of(nn.attention {}, sm.zeros(2, 4)), "it takes sequences {N, T, channels}")
    has(error_of(nn.attention, { heads = 3, size = 4 }), "nn.attention: a size of 4 cannot be divided into 3 heads")
  end)

  it("makes a transformer of what is there", function()
    local function block(size)
      return nn.sequential {
        nn.residual { nn.layernorm(), nn.attention { heads = 2, causal = true } },
        nn.residual { nn.linear { 2 * size }, nn.relu(), nn.linear { size } },
      }
    end
    local model = nn.sequential { nn.embedding { 5, 8 }, block(8), block(8), nn.linear { 5 } }:build { 12 }
    local optimizer, loss = sm.optim.adam { lr = 0.01 }, nil
    optimizer:add(model:parameters())
    for _ = 1, 200 do -- the token before, which positions are not needed for: tokens go round
      local start = (sm.rand(16, 1) * 5):floor()
      local tokens = (start + sm.arange(13)):to "int32"
      local round = (tokens:to(start.dtype) - (tokens:to(start.dtype) / 5):floor() * 5):to "int32"
      loss = model(round:narrow(2, 1, 12)):cross_entropy(round:narrow(2, 2, 12))
      optimizer:zero_grad()
      loss:backward()
      optimizer:step()
    end
    assert.is_true(loss:item() < 0.1)
  end)
end)
