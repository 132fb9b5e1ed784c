local sm = require "sm"
local random = require "sm.random"
local runtime = require "sm.runtime"
local helpers = dofile "tests/lua/helpers.lua"
local error_of, has = helpers.error_of, helpers.has

local nn = sm.nn

-- The network of TensorFlow's "deep MNIST" tutorial.
local function tutorial()
  return nn.sequential {
    nn.conv2d { 32, kernel = 5 }, nn.softmax { groups = 1 }, nn.maxpool2d { 2 },
    nn.conv2d { 64, kernel = 5 }, nn.softmax { groups = 4 }, nn.maxpool2d { 2 },
    nn.flatten(), nn.linear { 1024 }, nn.relu(), nn.dropout { 0.5 }, nn.linear { 10 },
  }
end

local function names(map)
  local list = {}
  for name in pairs(map) do list[#list + 1] = name end
  return list
end

before_each(function() random.seed(7) end)

describe("a model", function()
  it("may pool sequences", function()
    local model = nn.sequential {
      nn.conv1d { 4, kernel = 3 }, nn.maxpool1d { 2 }, nn.avgpool1d { 3, stride = 1, padding = { 1, 0 }, dilation = 2 },
    }:build { 12, 3 }
    local x = sm.randn(2, 12, 3)
    assert.are.same({ 3, 4 }, { table.unpack(model.output_shape) })
    local c = x:conv1d(model:layer "conv1d1".weight)
    assert.are.same(c:maxpool1d(2):avgpool1d(3, { stride = 1, padding = { 1, 0 }, dilation = 2 }):totable(),
      model(x):totable())
    has(tostring(model), "maxpool1d 2 ")
    has(tostring(model), "avgpool1d 3, stride 1, dilation 2, padding 1×0")
  end)

  it("may have layers that give what they get", function()
    local x = sm.randn(2, 3)
    local model = nn.sequential { nn.identity(), nn.residual { nn.linear { 3 }, shortcut = nn.identity() } }:build { 3 }
    assert.are.same((x + x:linear(model:layer "residual1.linear1".weight)):totable(), model(x):totable())
    assert.are.same({ "residual1.linear1.weight", "residual1.linear1.bias" }, names(model:parameters()))
  end)

  it("infers its shapes and names its parameters by path, in order", function()
    local model = tutorial():build { 28, 28, 1 }
    local parameters = model:parameters()
    assert.are.same({ "conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias",
      "linear1.weight", "linear1.bias", "linear2.weight", "linear2.bias" }, names(parameters))
    assert.are.equal(8, #parameters)
    assert.are.same({ 5, 5, 32, 64 }, parameters["conv2.weight"].shape)
    assert.are.same({ 3136, 1024 }, parameters["linear1.weight"].shape)
    assert.is_true(parameters["linear2.bias"]:tracks())
    assert.are.same({ 7, 7, 64 }, model:layer("maxpool2").output_shape)
    assert.are.equal("{28, 28, 1}", tostring(model.input_shape))
    assert.are.same({ 2, 10 }, model(sm.zeros(2, 28, 28, 1)).shape)
    assert.are.equal(0, #model:buffers())
  end)

  it("prints its layers, output shapes and parameter counts", function()
    local model = tutorial()
    has(tostring(model), "not built yet")
    local text = tostring(model:build { 28, 28, 1 })
    for line in ([[
input                                      {N, 28, 28, 1}
conv1      conv2d 32 filters 5×5           {N, 28, 28, 32}          832
softmax2   softmax 4 groups of 16          {N, 14, 14, 64}
linear1    linear 1024 features            {N, 1024}          3,212,288
dropout1   dropout drops 50%               {N, 1024}
total                                                         3,274,634]]):gmatch("[^\n]+") do
      local pattern = line:gsub("%s+", " ")
      local found = false
      for row in text:gmatch("[^\n]+") do found = found or row:gsub("%s+", " ") == pattern end
      if not found then error(("no line %q in\n%s"):format(pattern, text)) end
    end
    local width
    for row in text:gmatch("[^\n]+") do
      if row:find("%d$") then
        width = width or utf8.len(row)
        assert.are.equal(width, utf8.len(row))
      end
    end
    has(tostring(nn.sequential { nn.residual { nn.linear { 3 } } }:build { 3 }), "  linear1")
    has(tostring(nn.linear { 3 }:build { 4 }), "15")
  end)

  it("fills a parameter map that was asked for before it was built", function()
    local model = tutorial()
    local parameters = model:parameters()
    assert.are.equal(0, #parameters)
    model(sm.zeros(1, 28, 28, 1))
    assert.are.equal(8, #parameters)
    assert.are.equal(parameters, model:parameters())
    assert.are.equal(model:layer("conv1").weight, parameters["conv1.weight"])
    assert.are.same({ "conv2.weight", "conv2.bias" }, names(model:layer("conv2"):parameters()))
    has(error_of(function() parameters.more = sm.zeros(1) end), "read-only")
  end)

  it("draws its parameters in order from the stream of initialisation", function()
    local first = tutorial():build { 28, 28, 1 }
    random.seed(7)
    local second = tutorial():build { 28, 28, 1 }
    for name, value in pairs(first:parameters()) do
      assert.are.equal(0, (value - second:parameters()[name]):abs():max():item())
    end
    random.seed(7)
    local expected = nn.init.he_normal()({ 5, 5, 1, 32 }, 25, 800)
    assert.are.equal(0, (expected - first:parameters()["conv1.weight"]):abs():max():item())
    local model = nn.sequential { nn.dropout { 0.5 }, nn.batchnorm() }
    local before = random.state()
    model:build { 3 }
    assert.are.same(before, random.state())
    assert.are.same({ 0, 0, 0 }, model:layer("batchnorm1").mean:totable())
    assert.is_true(model:layer("dropout1").training)
  end)

  it("leaves each layer in its mode when it is built", function()
    local model = nn.sequential { nn.dropout { 0.5 }, nn.linear { 2 } }
    model:layer("dropout1"):eval()
    model:build { 3 }
    assert.is_false(model:layer("dropout1").training)
    assert.is_true(model:layer("linear1").training)
  end)

  it("names layers by kind and order, by name= where given", function()
    local model = nn.sequential {
      nn.linear { 4, name = "stem" }, nn.linear { 4 },
      nn.residual { nn.linear { 4 }, nn.fn(function(x) return x:relu() end), name = "block" },
      nn.residual { nn.sequential { nn.linear { 4 } } },
      nn.avgpool2d { 2 }, nn.maxpool2d { 2 }, nn.batchnorm(),
    }
    local paths = {}
    for _, layer in ipairs(model.layers) do paths[#paths + 1] = layer.path end
    assert.are.same({ "stem", "linear2", "block", "residual2", "avgpool1", "maxpool1", "batchnorm1" }, paths)
    assert.are.equal("linear", model:layer("residual2.sequential1.linear1").kind)
    assert.are.equal("fn", model:layer("block.fn1").kind)
    assert.are.equal("", model.path)
  end)

  it("gives every layer's output by path", function()
    local model = nn.sequential { nn.linear { 3 }, nn.residual { nn.linear { 3 } }, nn.relu() }
    local x = sm.randn(2, 3)
    local outputs = model:activations(x)
    assert.are.same({ "linear1", "residual1.linear1", "residual1", "relu1" }, names(outputs))
    assert.are.same(model(x):totable(), outputs.relu1:totable())
  end)

  it("finds layers, and says what there is otherwise", function()
    local model = tutorial()
    assert.are.equal("conv2d", model:layer("conv2").kind)
    has(error_of(model.layer, model, "conv9"), "the model has no layer 'conv9'; did you mean 'conv")
    has(error_of(model.layer, model, 3), "the model has no layer '3' (layers: conv1, softmax1, maxpool1,")
  end)

  it("may be built again for the same shape only", function()
    local model = nn.linear { 2 }:build { 3 }
    local weight = model.weight
    assert.are.equal(model, model:build { 3 })
    assert.are.equal(model, model:build(sm.zeros(3).shape))
    assert.are.equal(weight, model.weight)
    has(error_of(model.build, model, { 4 }), "built for examples of shape {3} already, got {4}")
    has(error_of(model.build, model, 3), "model:build takes the shape of one example")
    has(error_of(model.build, model, { 0 }), "model:build takes the shape of one example")
    local parent = nn.sequential { nn.linear { 2 } }
    has(error_of(parent.layers[1].build, parent.layers[1], { 3 }), "layer 'linear1' is part of a model")
    has(error_of(parent.layers[1], sm.zeros(1, 3)), "part of a model that is not built")
  end)

  it("stays unbuilt when building fails", function()
    local broken = true
    local model = nn.sequential {
      nn.linear { 3 },
      nn.fn(function(x)
        if broken then error("not today") end
        return x
      end),
    }
    has(error_of(model.build, model, { 2 }), "not today")
    assert.are.equal(0, #model:parameters())
    assert.is_true(model:layer("linear1").training)
    broken = false
    model:build { 5 }
    assert.are.same({ 5, 3 }, model:parameters()["linear1.weight"].shape)
  end)
end)

describe("linear", function()
  it("takes any rank, along the last axis", function()
    local model = nn.sequential { nn.linear { 4 }, nn.relu(), nn.linear { 2 } }:build { 5, 3 }
    assert.are.same({ 5, 2 }, model.output_shape)
    local x = sm.randn(2, 5, 3)
    assert.are.same(model(x:reshape(10, 1, 3)):totable(), model(x):reshape(10, 1, 2):totable())
    local plain = nn.linear { 4 }:build { 3 }
    assert.are.same(plain(x:reshape(10, 3)):totable(), plain(x):reshape(10, 4):totable())
    assert.are.same({ 0, 5, 4 }, plain(sm.zeros(0, 5, 3)).shape)
    sm.gradcheck(sm.tensor({}).linear, { x, sm.randn(3, 4), sm.randn(4) })
    has(error_of(plain, sm.zeros(2, 5, 4)), "linear: x {2, 5, 4} and the weight {3, 4} do not fit: the last axis of x")
  end)
end)

describe("containers", function()
  it("refuse what is no layer, no layers, and two of one name", function()
    has(error_of(nn.sequential, {}), "nn.sequential needs at least one layer")
    has(error_of(nn.sequential, { nn.relu(), 3 }), "nn.sequential: argument 2 must be a layer, got number 3")
    has(error_of(nn.sequential, { nn.relu(), nil, nn.relu() }),
      "nn.sequential: argument 2 must be a layer, got nil")
    has(error_of(nn.sequential, { nn.relu }),
      "argument 1 must be a layer, got function; a kind of layer is called, as in nn.relu()")
    has(error_of(nn.residual, { nn.relu(), nam = "x" }),
      "nn.residual: unknown option 'nam'; did you mean 'name'?")
    has(error_of(nn.sequential, { nn.relu { name = "a" }, nn.tanh { name = "a" } }),
      "nn.sequential: layers 1 and 2 are both named 'a'")
    has(error_of(nn.sequential, { nn.relu { name = "relu2" }, nn.relu() }), "both named 'relu2'")
    has(error_of(nn.relu, { name = "a.b" }), "nn.relu: a name is letters, digits, _ and -")
  end)

  it("may apply a layer more than once, with the same weights", function()
    local twice = nn.layer {
      kind = "twice", options = { { type = "table", required = true } },
      layers = function(self) return { self.options[1] } end,
      forward = function(self, x)
        local inner = self.layers[1]
        return inner(inner(x))
      end,
    }
    local model = nn.sequential { twice { nn.linear { 3 } } }:build { 3 }
    local x, inner = sm.randn(2, 3), model:layer "twice1.linear1"
    assert.are.same({ "twice1.linear1.weight", "twice1.linear1.bias" }, names(model:parameters()))
    assert.are.same(inner:apply(inner:apply(x)):totable(), model(x):totable())
    assert.are.same({ "twice1.linear1", "twice1.linear1 (2)", "twice1" }, names(model:activations(x)))
    has(error_of(function() nn.sequential { twice { nn.linear { 4 } } }:build { 3 } end),
      "in layer 'twice1.linear1' (linear) given {N, 4}: linear: x {1, 4} and the weight {3, 4} do not fit")
  end)

  it("sequential gives the bits of its layers in turn, where one pass does relu and maxpool2d", function()
    sm.seed(3)
    local model = nn.sequential { nn.relu(), nn.maxpool2d { 2 }, nn.maxpool2d { 2, padding = "same", stride = 1 } }
    local x = sm.randn(3, 9, 8, 5):clamp(-1, 1):requires_grad() -- with windows of zeros, and of equal values
    local gy = sm.randn(3, 4, 4, 5)
    local function bits(y)
      x.grad = nil
      y:backward(gy)
      return { y:totable(), x.grad:totable() }
    end
    local together = bits(model(x))
    assert.are.same(together, bits(x:relu():maxpool2d(2):maxpool2d(2, { padding = "same", stride = 1 })))
    assert.are.same(x:relu():totable(), model:activations(x).relu1:totable()) -- whoever looks on sees relu's own
  end)


  it("normalises, adds and takes relu in one pass with the bits of the separate ones", function()
    local function network()
      sm.seed(9)
      local model = nn.sequential {
        nn.conv2d { 6, kernel = 3 }, nn.batchnorm(), nn.relu(),
        nn.residual { nn.conv2d { 6, kernel = 3 }, nn.batchnorm() }, nn.relu(),
        nn.residual { nn.batchnorm(), nn.relu(), nn.batchnorm(), shortcut = nn.batchnorm() },
        nn.residual { nn.batchnorm() }, nn.relu(),
        nn.batchnorm { name = "wide" }, nn.relu6(), nn.linear { 3 },
      }
      model:build { 5, 6, 3 }
      local wide = model:parameters()["wide.weight"]
      wide:copy_(wide * 5)
      return model
    end
    local looks_on = {}
    local results = {}
    for i, watched in ipairs { false, true } do
      local model = network()
      local x = sm.randn(7, 5, 6, 3):requires_grad()
      local y = watched and model:observe(looks_on, x) or model(x)
      local values = { y:totable() }
      y:pow(3):mean():backward()
      values[2] = x.grad:totable()
      for name, parameter in pairs(model:parameters()) do values[name] = parameter.grad:totable() end
      for name, buffer in pairs(model:buffers()) do values[name] = buffer:totable() end
      values[3] = model:eval()(x):totable()
      results[i] = values
    end
    assert.are.same(results[2], results[1])
    local model = network()
    local x = sm.randn(7, 5, 6, 3)
    local seen = model:activations(x)
    assert.are.same(seen.batchnorm1:relu():totable(), seen.relu1:totable())
    assert.are.same(seen.residual1:relu():totable(), seen.relu2:totable())
    assert.are.same(seen.wide:relu6():totable(), seen.relu61:totable())
    assert.equal(6, seen.relu61:max():item())
    -- Gradients of gradients.
    local small = nn.sequential { nn.batchnorm(), nn.relu(), nn.residual { nn.batchnorm() }, nn.relu() }:build { 3 }
    local leaf = sm.randn(5, 3):requires_grad()
    local function penalised(apply)
      local g = sm.grad(apply():pow(3):sum(), leaf, { create_graph = true })[1]
      return sm.grad((g * g):sum(), leaf)[1]:totable()
    end
    local first = penalised(function() return small(leaf) end)
    local second = penalised(function() return small:observe(looks_on, leaf) end)
    for row, numbers in ipairs(second) do
      for k, value in ipairs(numbers) do assert.near(value, first[row][k], 1e-3 * (1 + math.abs(value))) end
    end
  end)

  it("sequential gives the bits of conv2d, relu and maxpool2d in turn, where one pass does them", function()
    sm.seed(5)
    for _, case in ipairs { { 3, 9, 2 }, { 19, 10, 2 }, { 19, 14, 16 } } do -- whole, direct, fourier
      local batch, size, channels = table.unpack(case)
      local model = nn.sequential {
        nn.conv2d { 16, kernel = 5 }, nn.relu(), nn.maxpool2d { 2 }, nn.conv2d { 16, kernel = 3 }, nn.maxpool2d { 2 },
      }:build { size, size, channels }
      local x = sm.randn(batch, size, size, channels):requires_grad()
      local gy = sm.randn(batch, size // 4, size // 4, 16)
      local function bits(f)
        x.grad = nil
        for _, p in pairs(model:parameters()) do p.grad = nil end
        local y = f(x)
        y:backward(gy)
        local found = { y:totable(), x.grad:totable() }
        for name, p in pairs(model:parameters()) do found[name] = p.grad:totable() end
        return found
      end
      local conv1, conv2 = model:layer("conv1"), model:layer("conv2")
      local together = bits(model)
      assert.are.same(bits(function(images)
        local y = images:conv2d(conv1.weight, { bias = conv1.bias }):relu():maxpool2d(2)
        return y:conv2d(conv2.weight, { bias = conv2.bias }):maxpool2d(2)
      end), together)
      assert.are.same(together[1], model:activations(x).maxpool2:totable())
      assert.are.same({ batch, size // 8, size // 8, 16 }, -- not the size that it was built for
        model(sm.randn(batch, size // 2, size // 2, channels)).shape)
    end
  end)

  it("sequential gives the bits of linear and relu in turn, where one pass does both", function()
    sm.seed(4)
    for _, bias in ipairs { true, false } do
      local model = nn.sequential { nn.linear { 7, bias = bias }, nn.relu(), nn.linear { 3 }, nn.relu() }:build { 5 }
      local x, gy = sm.randn(11, 5):requires_grad(), sm.randn(11, 3)
      local function bits(f)
        local values = {}
        x.grad = nil
        for _, parameter in pairs(model:parameters()) do parameter.grad = nil end
        local y = f(x)
        y:backward(gy)
        values[1], values[2] = y:totable(), x.grad:totable()
        for name, parameter in pairs(model:parameters()) do values[name] = parameter.grad:totable() end
        return values
      end
      local function in_turn(input)
        for _, layer in ipairs(model.layers) do input = layer:apply(input) end
        return input
      end
      assert.are.same(bits(in_turn), bits(model))
      assert.are.same(model(x):totable(), model:activations(x).relu2:totable())
    end
  end)

  it("residual adds its input, and refuses another shape", function()
    local model = nn.residual { nn.fn(function(x) return x * 2 end) }
    assert.are.same({ { 3, 6 } }, model(sm.tensor { { 1, 2 } }):totable())
    local wrong = nn.sequential { nn.residual { nn.linear { 3 } } }
    has(error_of(wrong.build, wrong, { 2 }),
      "in layer 'residual1' (residual) given {N, 2}: "
      .. "x + f(x) needs equal shapes, but f turned {1, 2} into {1, 3}")
  end)
end)

describe("an error inside a layer", function()
  it("names the line that declared it, its path, its kind and its input", function()
    local line = debug.getinfo(1, "l").currentline + 1
    local model = nn.sequential { nn.flatten(), nn.linear { 3 } }
    model:build { 4 }
    local text = error_of(model, sm.zeros(2, 7))
    has(text, ("nn_spec.lua:%d: in layer 'linear1' (linear) given {2, 7}: "):format(line))
    has(text, "{4, 3}")
    assert.is_nil(text:find("sm/nn", 1, true))
  end)

  it("keeps the line of a function of the user's", function()
    local line
    local model = nn.sequential {
      nn.fn {
        function(x)
          line = debug.getinfo(1, "l").currentline + 1
          return x + sm.zeros(7)
        end,
        name = "mine",
      },
    }
    has(error_of(model, sm.zeros(2, 3)), "in layer 'mine' (fn) given {N, 3}: ")
    has(error_of(model, sm.zeros(2, 3)), (":%d: "):format(line))
    local silent = nn.fn(function() end)
    has(error_of(silent, sm.zeros(2, 3)),
      "in layer 'fn' (fn) given {N, 3}: the function must return a tensor or a table of tensors, got nothing")
    has(error_of(nn.fn(function() return "\27[2J" end), sm.ones(2, 3)), 'got string "\\27[2J"')
  end)

  it("comes at the build for shapes that do not fit", function()
    has(error_of(function() nn.sequential { nn.conv2d { 3, kernel = 5 } }:build { 10 } end),
      "in layer 'conv1' (conv2d) given {N, 10}: it takes images, {batch, height, width, channels}")
    has(error_of(function() nn.sequential { nn.softmax { groups = 3 } }:build { 32 } end),
      "in layer 'softmax1' (softmax) given {N, 32}: ")
    has(error_of(function() nn.sequential { nn.softmax { groups = 32 } }:build { 32 } end),
      "in layer 'softmax1'")
    local large = nn.sequential { nn.conv2d { 3, kernel = 9, padding = "valid" } }
    has(error_of(large.build, large, { 4, 4, 1 }),
      "in layer 'conv1' (conv2d) given {N, 4, 4, 1}: ")
  end)

  it("says what the model takes", function()
    has(error_of(nn.relu(), 3), "the model takes a tensor {batch, …} of at least 2 axes, got number 3")
    has(error_of(nn.relu(), sm.zeros(3)), "of at least 2 axes")
  end)
end)

describe("options of layers", function()
  it("are checked by name, type and range", function()
    has(error_of(nn.conv2d, { 32, kernal = 5 }), "nn.conv2d: unknown option 'kernal'; did you mean 'kernel'?")
    has(error_of(nn.softmax, 4), "nn.softmax: unexpected argument 1: number 4 (options: axis, groups, hard, name, ")
    local learns = "; a layer learns the size of its input from the first batch (options: "
    has(error_of(nn.linear, { 3, 4 }), "nn.linear: unexpected argument 2: number 4" .. learns)
    has(error_of(nn.conv2d, { ["in"] = 3 }), "nn.conv2d: unknown option 'in'" .. learns)
    has(error_of(nn.dropout, { p = 0.5 }), "unknown option 'p' (options: name; and 1 value without a name)")
    has(error_of(function() return nn.Module end), "sm.nn has no 'Module'; here it is nn.layer { … }")
    has(error_of(function() return nn.quantum end), "sm.nn has no 'quantum' (layers, and init: add, attention, ")
    local model = nn.relu()
    has(error_of(function() model:state_dict() end),
      "a model has no method 'state_dict'; here it is model:parameters()")
    has(error_of(function() return nn.conv2D end), "sm.nn has no 'conv2D'; did you mean 'conv2d'?")
    has(error_of(function() return nn.init.normall end), "sm.nn.init has no 'normall'; did you mean 'normal'?")
    has(error_of(nn.conv2d, { 32, kernel = "5" }),
      [[nn.conv2d: option 'kernel' must be an integer or a table, got string "5"]])
    has(error_of(nn.conv2d, { 32 }), "kernel")
    has(error_of(nn.conv2d, 32), "kernel")
    has(error_of(nn.linear, {}), "argument 1")
    has(error_of(nn.linear, 10, { bias = false }),
      "nn.linear takes one table of options, got another argument")
    has(error_of(nn.linear, { 10, bias = false, bias_init = nn.init.zeros() }),
      "bias_init is given, but bias = false")
    has(error_of(nn.dropout, { 1 }), "must be at least 0 and below 1, got 1")
    has(error_of(nn.softmax, { groups = 2, sizes = { 3, 4 } }), "nn.softmax takes groups or sizes, got both")
    has(error_of(nn.softmax, { temperature = 0 }), "temperature")
    has(error_of(nn.softmax, { sizes = { 3, 0 } }),
      "nn.softmax: size 2 must be an integer of at least 1, got number 0")
    has(error_of(nn.batchnorm, { momentum = 1 }), "momentum")
    has(error_of(nn.fn, {}), "argument 1")
    has(error_of(nn.init.normal, "a"), "nn.init.normal: the standard deviation must be")
    has(error_of(nn.init.constant), "nn.init.constant: the value must be a number, got nil")
    assert.are.same({ 2, 3 }, nn.linear(3)(sm.zeros(2, 4)).shape)
  end)

  it("of a convolution shape its output", function()
    local function shape(options) return nn.conv2d(options):build({ 9, 8, 2 }).output_shape end
    assert.are.same({ 9, 8, 3 }, shape { 3, kernel = 3 })
    assert.are.same({ 5, 4, 3 }, shape { 3, kernel = 3, stride = 2 })
    assert.are.same({ 7, 6, 3 }, shape { 3, kernel = 3, padding = "valid" })
    assert.are.same({ 11, 10, 3 }, shape { 3, kernel = 3, padding = 2 })
    local plain = nn.conv2d { 3, kernel = 1, bias = false }:build { 4, 4, 2 }
    assert.are.same({ "weight" }, names(plain:parameters()))
    assert.are.same({ 4, 4, 2 }, nn.maxpool2d { 2 }:build({ 9, 8, 2 }).output_shape)
    assert.are.same({ 5, 4, 2 }, nn.avgpool2d { 2, padding = "same" }:build({ 9, 8, 2 }).output_shape)
    assert.are.same({ 7, 6, 2 }, nn.maxpool2d { 3, stride = 1 }:build({ 9, 8, 2 }).output_shape)
    assert.are.same({ 144 }, nn.flatten():build({ 9, 8, 2 }).output_shape)
  end)

  it("of a softmax give the sizes of its groups", function()
    assert.are.same({ 16, 16, 16, 16 }, nn.softmax { groups = 4 }:sizes(64))
    assert.are.same({ 5, 3 }, nn.softmax { sizes = { 5, 3 } }:sizes(8))
    assert.are.same({ 8 }, nn.softmax():sizes(8))
    has(error_of(nn.softmax { groups = 3 }.sizes, nn.softmax { groups = 3 }, 8),
      "8 channels cannot be divided into 3 equal groups")
  end)
end)

describe("initialisers", function()
  -- mean and standard deviation
  local function moments(x)
    local mean = x:mean():item()
    return mean, math.sqrt(((x - mean) * (x - mean)):mean():item())
  end

  it("have the spread that they promise", function()
    local shape, fan_in, fan_out = { 100, 100 }, 50, 150
    for name, std in pairs {
      normal = 0.3, he_normal = math.sqrt(2 / 50), he_uniform = math.sqrt(2 / 50),
      glorot_normal = math.sqrt(2 / 200), glorot_uniform = math.sqrt(2 / 200),
    } do
      local mean, spread = moments(nn.init[name](name == "normal" and 0.3 or nil)(shape, fan_in, fan_out))
      assert.is_near(0, mean, 0.05 * std)
      assert.is_near(std, spread, 0.05 * std)
    end
    local limit = math.sqrt(6 / 50)
    assert.is_true(nn.init.he_uniform()(shape, fan_in, fan_out):abs():max():item() <= limit)
    local truncated = nn.init.truncated_normal(0.1)(shape)
    assert.is_true(truncated:abs():max():item() <= 0.2000001)
    assert.is_near(0.08796, select(2, moments(truncated)), 0.004) -- a normal cut at 2σ
    assert.are.same({ 0.5, 0.5 }, nn.init.constant(0.5)({ 2 }):totable())
    assert.are.same({ 0, 0 }, nn.init.zeros()({ 2 }):totable())
  end)

  it("may be the user's own, and are told the fans", function()
    local seen = {}
    local function init(shape, fan_in, fan_out)
      seen = { fan_in, fan_out }
      return sm.full(shape, 2)
    end
    local layer = nn.conv2d { 8, kernel = 3, init = init, bias_init = nn.init.constant(0.1) }
    layer:build { 5, 5, 4 }
    assert.are.same({ 36, 72 }, seen)
    assert.are.same({ 3, 3, 4, 8 }, layer.weight.shape)
    assert.are.equal(2, layer.weight:mean():item())
    assert.is_near(0.1, layer.bias:max():item(), 1e-7)
    local wrong = nn.linear { 3, init = function() return sm.zeros(2) end }
    has(error_of(wrong.build, wrong, { 4 }), "in layer 'linear' (linear) given {N, 4}: "
      .. "the initialiser of 'weight' must return a tensor of shape {4, 3}, got {2}")
    wrong = nn.linear { 3, bias_init = function() return 3 end }
    has(error_of(wrong.build, wrong, { 4 }), "the initialiser of 'bias' must return a tensor, got number 3")
  end)
end)

describe("training and evaluation", function()
  it("dropout drops in training only", function()
    local model = nn.sequential { nn.dropout { 0.5 } }
    local x = sm.ones(4, 1000)
    local y = model(x)
    assert.are.equal(2, y:max():item())
    assert.is_near(4000, y:sum():item(), 500)
    assert.are.equal(model, model:eval())
    assert.are.equal(1, model(x):max():item())
    assert.are.equal(2, model:train()(x):max():item())
  end)

  it("batchnorm normalises by the batch and records it", function()
    local model = nn.batchnorm { momentum = 0.75, epsilon = 1e-12 }
    assert.are.same({ 2, 2, 1, 2 }, model(sm.zeros(2, 2, 1, 2)).shape)
    random.seed(3)
    model = nn.batchnorm { momentum = 0.75, epsilon = 1e-12 }
    local x = sm.tensor { { 1, 10 }, { 3, 30 } }
    local y = model(x):totable()
    for channel = 1, 2 do
      assert.is_near(-1, y[1][channel], 1e-5)
      assert.is_near(1, y[2][channel], 1e-5)
    end
    assert.are.same({ "mean", "variance" }, names(model:buffers()))
    assert.are.same({ 0.5, 5 }, model.mean:totable()) -- a quarter of 2 and 20
    assert.are.same({ 1, 25.75 }, model.variance:totable()) -- 3/4 + 1/4 · 1, 3/4 + 1/4 · 100
    model:eval()
    local z = model(x):totable()
    assert.is_near(0.5, z[1][1], 1e-6)
    assert.is_near(5 / math.sqrt(25.75), z[1][2], 1e-5)
    assert.are.same({ 0.5, 5 }, model.mean:totable())
    model:train()
    has(error_of(model, sm.zeros(1, 2)), "training needs at least 2 values of each channel, got 1")
  end)

  it("fn is told which it is", function()
    local seen
    local model = nn.fn(function(x, training)
      seen = training
      return x
    end)
    model(sm.zeros(1, 1))
    assert.is_true(seen)
    model:eval()(sm.zeros(1, 1))
    assert.is_false(seen)
  end)
end)

describe("the gradient of every layer agrees with central differences:", function()
  local tolerance = runtime.real == "float64" and 1e-6 or 0.05

  -- Numbers in no order, 0.1 apart and none near 0: where a function has a kink, no difference is taken across it.
  local function apart(shape)
    local count, values = 1, {}
    for _, size in ipairs(shape) do count = count * size end
    for i = 1, count do values[i] = 0.1 * (i * 37 % count - count // 2 + 0.5) end
    return sm.tensor(values):reshape(shape)
  end

  -- Checks the gradients of the input and of all parameters.
  local function check(layer, shape, make)
    layer:build { table.unpack(shape, 2) }
    local inputs = { (make or sm.randn)(shape) }
    for _, value in pairs(layer:parameters()) do inputs[#inputs + 1] = value end
    sm.gradcheck(function(x) return layer(x) end, inputs, { tolerance = tolerance })
    assert.are.equal(#inputs, 1 + #layer:parameters())
  end

  local bias_init = nn.init.normal(0.1)

  for name, case in pairs {
    linear = { function() return nn.linear { 4, bias_init = bias_init } end, { 3, 5 } },
    ["linear without bias"] = { function() return nn.linear { 4, bias = false } end, { 1, 5 } },
    conv2d = { function() return nn.conv2d { 3, kernel = 3, bias_init = bias_init } end, { 2, 5, 4, 2 } },
    ["conv2d, stride, even kernel"] = {
      function() return nn.conv2d { 2, kernel = 2, stride = 2, padding = "valid" } end, { 1, 5, 5, 1 },
    },
    ["conv2d without bias"] = {
      function() return nn.conv2d { 2, kernel = 1, bias = false } end, { 2, 3, 2, 2 },
    },
    softmax = { function() return nn.softmax { groups = 2 } end, { 2, 2, 6 } },
    ["softmax with everything"] = {
      function() return nn.softmax { sizes = { 1, 3, 2 }, temperature = 0.7, scale = true, off = true } end,
      { 3, 6 },
    },
    relu = { function() return nn.relu() end, { 3, 5 }, apart },
    sigmoid = { function() return nn.sigmoid() end, { 3, 5 } },
    tanh = { function() return nn.tanh() end, { 3, 5 } },
    maxpool2d = { function() return nn.maxpool2d { 2 } end, { 2, 4, 5, 2 }, apart },
    avgpool2d = { function() return nn.avgpool2d { 3, stride = 2, padding = "same" } end, { 2, 4, 5, 2 } },
    flatten = { function() return nn.flatten() end, { 2, 2, 3, 1 } },
    batchnorm = { function() return nn.batchnorm() end, { 6, 3 } },
    ["batchnorm of images"] = { function() return nn.batchnorm() end, { 2, 3, 2, 2 } },
    residual = { function() return nn.residual { nn.linear { 4 }, nn.tanh() } end, { 3, 4 } },
    fn = { function() return nn.fn(function(x) return x * x:sigmoid() end) end, { 3, 4 } },
    ["a whole network"] = {
      function()
        return nn.sequential {
          nn.conv2d { 4, kernel = 3 }, nn.softmax { groups = 2 }, nn.avgpool2d { 2 },
          nn.residual { nn.conv2d { 4, kernel = 3, bias = false }, nn.batchnorm(), nn.sigmoid() },
          nn.flatten(), nn.linear { 3 },
        }
      end, { 2, 4, 4, 1 },
    },
  } do
    it(name, function() check(case[1](), case[2], case[3]) end)
  end

  it("batchnorm in evaluation mode", function()
    local layer = nn.batchnorm():build { 3 }
    layer(sm.randn(10, 3))
    check(layer:eval(), { 4, 3 })
  end)

  it("dropout", function()
    local layer = nn.dropout { 0.4 }:build { 5 }
    sm.gradcheck(function(x)
      sm.seed(11)
      return layer(x)
    end, { sm.ones(3, 5) }, { tolerance = tolerance })
  end)
end)

describe("an activation", function()
  it("is a layer by its record, which computes what the method does", function()
    local x = sm.randn(4, 3)
    for _, operation in ipairs(require "sm.ops.pointwise") do
      if operation.layer then
        local name = operation.name
        local numbers = name == "threshold" and { 0.1, -2 } or {}
        local layer = nn[name](numbers)
        assert.same(x[name](x, table.unpack(numbers)):totable(), layer(x):totable(), name)
        assert.equal(name, layer.kind)
        assert.is_string(layer:describe())
      end
    end
    assert.same(x:leaky_relu(0.2):totable(), nn.leaky_relu { 0.2 }(x):totable())
    assert.equal("slope 0.2", nn.leaky_relu({ 0.2 }):describe())
    assert.same(x:gelu({ approximate = "tanh" }):totable(), nn.gelu { approximate = "tanh" }(x):totable())
    has(error_of(nn.leaky_relu, { "a" }), "nn.leaky_relu: argument 1 must be a number")
    has(error_of(nn.gelu, { approximate = "tan" }), "did you mean 'tanh'")
  end)

  it("with slopes to train, prelu", function()
    local layer = nn.prelu { channels = 3, init = 0.5 }:build { 3 }
    assert.same({ { 1, -1, 0 } }, layer(sm.tensor { { 1, -2, 0 } }):totable())
    layer(sm.tensor { { 1, -2, 0 }, { -4, 1, 1 } }):sum():backward()
    assert.same({ -4, -2, 0 }, layer.slope.grad:totable())
    assert.same({ 1 }, nn.prelu():build({ 3 }).slope.shape)
  end)
end)

describe("an element type", function()
  it("is fixed when the model is built, by build or by the first batch", function()
    local seen = {}
    local function model()
      return nn.sequential { nn.fn(function(x)
        seen[#seen + 1] = x.dtype
        return x:to(runtime.real)
      end), nn.linear { 2 } }
    end
    local one, other = model():build({ 3 }, "int32"), model()
    other(sm.zeros({ 4, 3 }, "uint8"))
    assert.same({ "int32", "uint8", "uint8" }, seen)
    assert.equal("int32", one.input_dtype)
    assert.matches("\ninput +int32 +{N, 3}\n", tostring(one))
    assert.equal(one, one:build { 3 })
    has(error_of(one.build, one, { 3 }, "uint8"), "the model is built for examples of int32 already, got uint8")
    has(error_of(other, sm.zeros(4, 3)), "the model is built for examples of uint8, got " .. runtime.real)
    has(error_of(function() model():build({ 3 }, "int") end),
      "model:build: argument 2 must be the type of the examples' elements, such as \"int32\", got string \"int\"")
  end)
end)
