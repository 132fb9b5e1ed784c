-- Layers and models: building, both passes, what they tell of themselves.
return function(add)
  local sm, nn, images, rows

  local function prepare()
    sm = require "sm"
    nn = sm.nn
    sm.seed(5)
    images, rows = sm.rand(2, 8, 8, 1), sm.randn(4, 3)
  end

  -- The output, the gradients of its sum, and all that the model keeps.
  local function trained(model, x)
    local y = model(x)
    local out = { y, tostring(model), model.input_shape }
    if y:tracks() then y:sum():backward() end
    for name, parameter in pairs(model:parameters()) do out[#out + 1] = { name, parameter, parameter.grad } end
    for name, buffer in pairs(model:buffers()) do out[#out + 1] = { name, buffer } end
    return out
  end

  local function case(name, run)
    add(name, run, { prepare = prepare, before = function() sm.seed(5) end })
  end

  for _, kind in ipairs { "relu", "softplus", "sigmoid", "tanh", "flatten" } do
    case("layer " .. kind, function()
      sm.seed(1)
      return trained(nn.sequential { nn.linear { 4 }, nn[kind](), nn.linear { 2 } }, rows)
    end)
  end

  case("layers of elements", function()
    sm.seed(1)
    local layers = { nn.linear { 4 } }
    for _, kind in ipairs { "celu", "elu", "gelu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu",
      "logsigmoid", "mish", "prelu", "relu6", "selu", "silu", "softshrink", "softsign", "tanhshrink" } do
      layers[#layers + 1] = nn[kind]()
    end
    layers[#layers + 1] = nn.threshold { 0.1, 20 }
    return trained(nn.sequential(layers), rows)
  end)

  case("layers over sequences", function()
    sm.seed(1)
    return trained(nn.sequential {
      nn.embedding { 9, 4 }, nn.rnn { 4 }, nn.gru { 4 }, nn.attention { heads = 2 }, nn.lstm { 3, last = true },
    }, sm.tensor({ { 1, 2, 3 }, { 8, 0, 1 } }, "int32"))
  end)

  case("sequences both ways", function()
    sm.seed(1)
    return trained(nn.sequential { nn.identity(), nn.gru { 2, layers = 2, bidirectional = true, dropout = 0.1 } },
      sm.arange(12):reshape(2, 3, 2) / 12)
  end)

  case("pools over sequences", function()
    sm.seed(1)
    return trained(nn.sequential {
      nn.conv1d { 3, kernel = 2 }, nn.maxpool1d { 2, stride = 1 }, nn.avgpool1d { 2, stride = 1, padding = "same" },
    }, sm.arange(12):reshape(2, 3, 2) / 12)
  end)

  case("layers of windows", function()
    sm.seed(1)
    local pooled = trained(nn.sequential {
      nn.conv2d_transpose { 3, kernel = 2, stride = 2 }, nn.upsample2d { factor = 2 }, nn.global_maxpool(),
      nn.linear { 2 },
    }, images)
    return { pooled, trained(nn.global_avgpool(), images),
      trained(nn.conv1d { 2, kernel = 3 }, images:reshape(2, 8, 8)) }
  end)

  case("layers over images", function()
    sm.seed(1)
    return trained(nn.sequential {
      nn.conv2d { 4, kernel = 3, padding = "same" }, nn.batchnorm(), nn.softmax { groups = 2 }, nn.maxpool2d { 2 },
      nn.avgpool2d { 2 }, nn.dropout { 0.3 }, nn.flatten(), nn.linear { 3 },
    }, images)
  end)

  case("layers of groups", function()
    sm.seed(1)
    return trained(nn.sequential {
      nn.linear { 6 }, nn.softmax { groups = 2, temperature = "learned" },
      nn.gumbel_softmax { groups = 2, temperature = function(step) return 1 / step end },
      nn.sparsemax { sizes = { 2, 4 } }, nn.maxout { 2 },
    }, rows)
  end)

  case("layers that normalise", function()
    sm.seed(1)
    return trained(nn.sequential {
      nn.conv2d { 4, kernel = 3 }, nn.groupnorm { groups = 2 }, nn.softmax { axis = { 2, 3 } },
      nn.kwta { k = 1, groups = 2 }, nn.flatten(), nn.layernorm(), nn.linear { 2 },
    }, images)
  end)

  case("layers in one pass", function()
    sm.seed(1)
    return trained(nn.sequential {
      nn.conv2d { 4, kernel = 3 }, nn.relu(), nn.maxpool2d { 2 }, nn.flatten(), nn.linear { 5 }, nn.relu(),
      nn.linear { 2 },
    }, images)
  end)

  case("residual and fn", function()
    sm.seed(1)
    return trained(nn.sequential {
      nn.residual { nn.linear { 3 }, nn.tanh() }, nn.fn(function(x) return x * x end), nn.linear { 2, name = "last" },
    }, rows)
  end)

  case("layers beside each other", function()
    sm.seed(1)
    local shared = nn.linear { 3 }
    local out = trained(nn.sequential {
      shared, nn.concat { nn.linear { 2 }, nn.tanh() }, nn.reshape { 5, 1 }, nn.flatten(), nn.linear { 3 }, shared,
      nn.residual { nn.linear { 2 }, shortcut = nn.linear { 2 } }, nn.add { nn.linear { 2 }, nn.linear { 2 } },
    }, rows)
    local y = nn.branch { mean = nn.linear { 2 }, width = nn.softplus() }(rows)
    return { out, y.mean, y.width }
  end)

  case("layers of one's own", function()
    sm.seed(1)
    local scale = nn.layer {
      kind = "scale", options = { { type = "number", default = 2 } },
      layers = function() return { linear = nn.linear { 3 } } end,
      build_values = function(self, x)
        self:make_parameter("gain", { x[2] }, nn.init.constant(self.options[1]))
        self:make_buffer("kept", sm.zeros(1))
      end,
      forward = function(self, x, y) return self.linear(x * self.gain) + y end,
    }
    local model = nn.sequential { scale { 3 }, nn.linear { 2 } }:build { { 3 }, { 3 } }
    return { model(rows, rows), model:summary() }
  end)

  -- What is loaded is loaded whole, or not at all.
  local loaded, before
  add("weights from elsewhere", function()
    local _, report = loaded:load({ a = sm.ones(3, 2), b = sm.ones(2) }, { strict = false,
      names = { a = "linear1.weight", b = "linear1.bias" } })
    loaded:freeze "^linear1"
    return { report.missing, loaded:layer("linear1").weight, loaded:layer("linear1").bias:tracks() }
  end, { prepare = prepare, before = function()
    sm.seed(1)
    loaded = nn.sequential { nn.linear { 2 }, nn.linear { 1 } }:build { 3 }
    before = loaded:layer("linear1").weight:totable()[1][1]
  end, after = function(done)
    local weight, bias = loaded:layer("linear1").weight:totable()[1][1], loaded:layer("linear1").bias:totable()[1]
    assert(done or (weight == before) == (bias == 0), "the model is loaded in part")
  end })

  case("initialisers", function()
    sm.seed(1)
    local out = {}
    for _, init in ipairs { nn.init.truncated_normal(0.1), nn.init.normal(0.1), nn.init.constant(2), nn.init.zeros(),
      nn.init.he_normal(), nn.init.he_uniform(), nn.init.glorot_normal(), nn.init.glorot_uniform() } do
      out[#out + 1] = init({ 3, 2 }, 3, 2)
    end
    return out
  end)

  case("a model's methods", function()
    sm.seed(1)
    local model = nn.sequential { nn.linear { 4 }, nn.dropout { 0.5 }, nn.linear { 2 } }
    model:build({ 3 }, sm.rand(1).dtype)
    model:eval()
    local evaluated = model(rows)
    model:train()
    local activations = {}
    for name, y in pairs(model:activations(rows)) do activations[#activations + 1] = { name, y } end
    return { evaluated, activations, model:layer("linear2").weight, model:layer("linear1").input_shape,
      model:layer("dropout1").training }
  end)

  -- A model that was not built because memory ran out is built the next time, with the same numbers, in its mode.
  local model
  add("build again", function()
    model(rows)
    local out = { model(rows), model.training, model:layer("dropout1").training, tostring(model) }
    for name, parameter in pairs(model:parameters()) do out[#out + 1] = { name, parameter } end
    for name, buffer in pairs(model:buffers()) do out[#out + 1] = { name, buffer } end
    return out
  end, { prepare = prepare, before = function()
    sm.seed(1)
    model = nn.sequential { nn.linear { 4 }, nn.batchnorm(), nn.dropout { 0.5 }, nn.linear { 2 } }
  end, after = function(built)
    if built then return end
    assert(model.training and model:layer("dropout1").training, "the model is in evaluation mode")
    local count = 0
    for _ in pairs(model:parameters()) do count = count + 1 end
    assert(model.input_shape and count == 6 or not model.input_shape and count == 0, "the model is built in part")
  end })

  -- Memory that runs out within no_grad leaves the recording as it was.
  case("no_grad ends", function()
    local leaf = sm.ones(2):requires_grad()
    local inside = sm.no_grad(function() return { (leaf * 2):tracks(), (leaf:exp() + 1):tracks() } end)
    local again = sm.no_grad(function() return { sm.enable_grad(function() return (leaf * 2):tracks() end),
      (leaf * 2):tracks() } end)
    return { inside, again, (leaf * 2):tracks() }
  end)
end
