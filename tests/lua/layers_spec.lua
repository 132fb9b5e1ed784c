--- Layers of one's own, layers beside each other, in several places, with several inputs and outputs; what is loaded
--- into a model, and what is kept from training.
local sm = require "sm"
local fused = require "sm.fused"
local runtime = require "sm.runtime"
local helpers = dofile "tests/lua/helpers.lua"
local error_of, has = helpers.error_of, helpers.has

local nn = sm.nn
local tolerance = runtime.real == "float64" and 1e-6 or 0.05

local function names(map)
  local list = {}
  for name in pairs(map) do list[#list + 1] = name end
  return list
end

local scale = nn.layer {
  kind = "scale",
  options = { { type = "number", default = 1, above = 0 }, axis = { type = "integer" } },
  build_values = function(self, shape)
    self:make_parameter("gain", { shape[#shape] }, nn.init.constant(self.options[1]))
    self:make_buffer("seen", sm.zeros(1))
  end,
  forward = function(self, x) return x * self.gain end,
  describe = function(self) return ("from %g"):format(self.options[1]) end,
}

local bilinear = nn.layer {
  kind = "bilinear", short = "bi",
  options = { { type = "integer", required = true, min = 1 } },
  build_values = function(self, a, b)
    self:make_parameter("weight", { a[2], self.options[1], b[2] }, nn.init.normal(0.5))
  end,
  forward = function(self, x, y)
    local shape = self.weight.shape
    local left = x:matmul(self.weight:reshape(shape[1], -1)):reshape(#x, shape[2], shape[3])
    return (left * y:unsqueeze(2)):sum(3)
  end,
}

local block = nn.layer {
  kind = "block",
  options = { { type = "integer", required = true } },
  setup = function(self) self.times = 2 end,
  layers = function(self) return { up = nn.linear { self.options[1] }, down = nn.linear { 3 } } end,
  forward = function(self, x)
    for _ = 1, self.times do x = x + self.down(self.up(x):tanh()) end
    return x
  end,
  methods = { inner = function(self, x) return self.up(x) end },
}

-- Checks the gradients of the inputs and of all parameters.
local function check(model, ...)
  local inputs, count = { ... }, select("#", ...)
  for _, value in pairs(model:parameters()) do inputs[#inputs + 1] = value end
  assert.is_true(#inputs > count)
  sm.gradcheck(function(...) return model(table.unpack({ ... }, 1, count)) end, inputs, { tolerance = tolerance })
end

before_each(function() sm.seed(7) end)

describe("a layer of one's own", function()
  it("has options, parameters and buffers as any other", function()
    local model = nn.sequential { nn.linear { 4 }, scale { 2 }, scale(), nn.relu() }:build { 3 }
    assert.same({ "linear1.weight", "linear1.bias", "scale1.gain", "scale2.gain" }, names(model:parameters()))
    assert.same({ "scale1.seen", "scale2.seen" }, names(model:buffers()))
    assert.same({ 2, 2, 2, 2 }, model:layer("scale1").gain:totable())
    assert.matches("\nscale1 +scale from 2 +{N, 4} +4\n", tostring(model))
    check(scale { 3 }:build { 4 }, sm.randn(2, 4))
    has(error_of(scale, { 2, axes = 3 }), "scale: unknown option 'axes'; did you mean 'axis'?")
    has(error_of(scale, { -1 }), "scale: argument 1 must be above 0, got -1")
  end)

  it("names its path in an error, and the user's line", function()
    local line
    local broken = nn.layer { kind = "broken", forward = function(_, x)
      line = debug.getinfo(1, "l").currentline + 1
      return x + sm.ones(7)
    end }
    local text = error_of(function() nn.sequential { nn.residual { broken { name = "mine" } } }:build { 2 } end)
    has(text, ("layers_spec.lua:%d: in layer 'residual1.mine' (broken) given {N, 2}: "):format(line))
    assert.is_nil(text:find("sm/nn", 1, true))
    local wide = block { 8 }:build { 3 }
    has(error_of(wide, sm.ones(2, 4)), "in layer 'up' (linear) given {2, 4}: ")
    assert.is_nil(error_of(wide, sm.ones(2, 4)):find("block", 1, true)) -- the layers around have nothing to add
  end)

  it("may hold others, which are called as it likes", function()
    local model = nn.sequential { block { 5 }, block { 6, name = "last" } }:build { 3 }
    assert.same({ "block1.up.weight", "block1.up.bias", "block1.down.weight", "block1.down.bias", "last.up.weight",
      "last.up.bias", "last.down.weight", "last.down.bias" }, names(model:parameters()))
    local x = sm.randn(4, 3)
    local found = model:activations(x)
    assert.same({ "block1.up", "block1.down", "block1.up (2)", "block1.down (2)", "block1", "last.up", "last.down",
      "last.up (2)", "last.down (2)", "last" }, names(found))
    assert.same(model(x):totable(), found.last:totable())
    assert.same(found["block1.up"]:totable(), model:layer("block1"):inner(x):totable())
    assert.equal(model:layer "block1.up", model:layer("block1"):layer "up")
    check(model, x)
    assert.is_false(model:eval():layer("last.down").training)
  end)

  it("takes several inputs", function()
    local model = nn.sequential { bilinear { 2 }, nn.tanh() }
    local x, y = sm.randn(5, 3), sm.randn(5, 4)
    assert.same({ 5, 2 }, model(x, y).shape)
    assert.same({ { 3 }, { 4 } }, model.input_shape)
    assert.same({ "bi1.weight" }, names(model:parameters()))
    check(model, x, y)
    has(error_of(model, x), "the model was built for 2 inputs, got 1")
    has(error_of(model, x, y, y),
      "in layer 'bi1' (bilinear) given {5, 3} and {5, 4} and {5, 4}: it takes 2 inputs, got 3")
    has(error_of(bilinear { 2 }, x, y, y), "the model takes 2 inputs, got another argument, tensor {5, 4}")
    has(error_of(bilinear { 2 }, x, 3), "the model takes a tensor {batch, …} of at least 2 axes, got number 3")
    local other = bilinear { 2 }:build { { 3 }, { 4 } }
    has(error_of(other.build, other, { { 3 }, { 5 } }),
      "the model is built for examples of shape {3} and {4} already, got {3} and {5}")
    assert.matches("\ninput +{N, 3} and {N, 4}\n", tostring(other))
  end)

  it("takes and gives tables of tensors by name", function()
    local pair = nn.layer {
      kind = "pair",
      layers = function() return { nn.linear { 2 }, nn.linear { 2 } } end,
      forward = function(self, given)
        return { sum = self.layers[1](given.image) + self.layers[2](given.label), image = given.image }
      end,
    }
    local model = nn.sequential { pair(), nn.fn(function(found) return found.sum end) }
    model:build { image = { 3 }, label = { 4 } }
    assert.same({ "pair1.linear1.weight", "pair1.linear1.bias", "pair1.linear2.weight", "pair1.linear2.bias" },
      names(model:parameters()))
    local given = { image = sm.randn(5, 3), label = sm.randn(5, 4) }
    assert.same({ 5, 2 }, model(given).shape)
    assert.same({ "pair1.linear1", "pair1.linear2", "pair1.image", "pair1.sum", "fn1" },
      names(model:activations(given)))
    assert.matches("pair1 +pair +{image = {N, 3}, sum = {N, 2}}", tostring(model))
    has(error_of(model, { image = given.label, label = given.label }), "in layer 'pair1.linear1' (linear) given {5, 4}")
    has(error_of(nn.sequential { pair(), nn.linear { 2 } }, given),
      "in layer 'linear1' (linear) given {image = {N, 3}, sum = {N, 2}}: it takes a tensor, got table")
    local types = pair():build({ image = { 3 }, label = { 4 } }, { image = runtime.real, label = runtime.real })
    has(error_of(types.build, types, { image = { 3 }, label = { 4 } }, "int32"), "already, got int32")
    has(error_of(pair().build, pair(), { image = { 3 }, label = 4 }), "model:build takes the shape of one example")
    has(error_of(pair().build, pair(), { image = { 3 }, label = { 4 } }, { image = "int" }),
      'argument 2 must be the type of the examples\' elements, such as "int32", got string "int"')
  end)

  it("says of what type its input is, which holds for the model that begins with it", function()
    local table_of = nn.layer {
      kind = "lookup", input_dtype = "int32",
      build_values = function(self) self:make_parameter("weight", sm.randn(6, 2)) end,
      forward = function(self, x) return self.weight:embedding(x):reshape(#x, -1) end,
    }
    local real = nn.fn(function(x) return x:to(runtime.real) end)
    local model = nn.sequential { nn.residual { table_of(), shortcut = real }, nn.linear { 2 } }
    assert.equal("int32", nn.sequential { table_of() }:build({ 3 }).input_dtype)
    has(error_of(model.build, model, { 3 }), "shortcut(x) + f(x) needs equal shapes, but they are {1, 3} and {1, 6}")
    assert.equal("int32", nn.concat { table_of(), table_of() }:build({ 3 }).input_dtype)
    assert.same({ 6, 2 }, table_of()(sm.zeros({ 6 }, "int32")).shape)  -- a number for each example
    assert.same({ 2 }, table_of():build({}).output_shape)
    has(error_of(nn.linear { 2 }.build, nn.linear { 2 }, {}), "model:build takes the shape of one example")
  end)

  it("must be one that can be", function()
    local function forward(_, x) return x end
    for words, given in pairs {
      ["nn.layer: option 'forward' is missing"] = { kind = "x" },
      ["nn.layer: option 'kind' is missing"] = { forward = forward },
      ["nn.layer: unknown option 'foward'; did you mean 'forward'?"] = { kind = "x", foward = forward },
      ["nn.layer: a kind is letters, digits and _, beginning with a letter, got 'a.b'"] =
        { kind = "a.b", forward = forward },
      ["x: option 'size' is declared by a table such as { type = \"integer\", default = 3, min = 1 }, got number 3"] =
        { kind = "x", forward = forward, options = { size = 3 } },
      ["x: option 'size': min must be a number, got string"] =
        { kind = "x", forward = forward, options = { size = { type = "integer", min = "a" } } },
      ["x: every layer has the option 'name'"] =
        { kind = "x", forward = forward, options = { name = { type = "string" } } },
      ["x: a method cannot be named 'train', which every layer has"] =
        { kind = "x", forward = forward, methods = { train = forward } },
      ["option 'role' must be one of 'weights'"] = { kind = "x", forward = forward, role = "wieghts" },
    } do
      has(error_of(nn.layer, given), words)
    end
    for words, layers in pairs {
      ["y: 'layers' must return a table of layers, got nil"] = function() end,
      ["y: 'layers' must return a table of layers, got a layer"] = function() return nn.relu() end,
      ["y: 'layers' must return layers, got number 3 at 'a'"] = function() return { a = 3 } end,
      ["y: no layer in it can be named 'forward', which it has already"] = function()
        return { forward = nn.relu() }
      end,
      ["y: no layer in it can be named 'parent', which it has already"] = function() return { parent = nn.relu() } end,
    } do
      has(error_of(nn.layer { kind = "y", layers = layers, forward = forward }), words)
    end
    for words, build_values in pairs {
      ["in layer 'z' (z) given {N, 2}: a layer of kind 'z' has a 'forward' already"] = function(self)
        self:make_parameter("forward", sm.ones(2))
      end,
      ["a layer of kind 'z' has a 'output_shape' already"] = function(self)
        self:make_buffer("output_shape", sm.ones(1))
      end,
      ["a parameter or buffer has a name of letters, digits and _, got string \"a.b\""] = function(self)
        self:make_parameter("a.b", sm.ones(2))
      end,
      ["a layer of kind 'z' has a 'w' already"] = function(self)
        self:make_parameter("w", sm.ones(2))
        self:make_parameter("w", sm.ones(2))
      end,
      ["make_parameter takes a name, a shape and an initialiser"] = function(self) self:make_parameter("w", { 2 }) end,
      ["make_buffer takes a name and a tensor, got number 3"] = function(self) self:make_buffer("w", 3) end,
    } do
      local layer = nn.layer { kind = "z", build_values = build_values, forward = forward } ()
      for _ = 1, 2 do has(error_of(layer.build, layer, { 2 }), words) end
      assert.is_nil(rawget(layer, "w"))
    end
    local late = scale():build { 2 }
    has(error_of(late.make_parameter, late, "more", sm.ones(2)), "is made by build_values, while the model is built")
  end)

  it("that nothing uses when the model is built is told, for it would have no parameters", function()
    local lazy = nn.layer {
      kind = "lazy",
      layers = function() return { used = nn.linear { 2 }, other = nn.linear { 2 }, drop = nn.dropout { 0.5 } } end,
      forward = function(self, x)
        if self.training then x = self.drop(self.other(x)) end
        return self.used(x)
      end,
    }
    local model = lazy()
    has(error_of(model.build, model, { 2 }), "layer 'other' (linear, declared at tests/lua/layers_spec.lua:")
    assert.is_false(model.built or false)
    assert.equal(0, #model:parameters())
  end)

  it("may have an initialiser that takes a shape alone, and knows the fans of a weight", function()
    local seen
    local layer = nn.layer {
      kind = "many",
      build_values = function(self)
        self:make_parameter("a", { 2 }, sm.zeros)
        self:make_parameter("b", { 3, 3, 4, 5 }, function(shape, fan_in, fan_out)
          seen = { fan_in, fan_out }
          return sm.ones(shape)
        end)
        self:make_parameter("c", { 3, 5 }, nn.init.glorot_normal())
      end,
      forward = function(self, x) return x + self.a end,
    }
    layer():build { 2 }
    assert.same({ 36, 45 }, seen)
  end)
end)

describe("layers beside each other", function()
  local x = sm.randn(4, 3)

  it("branch gives a table by name", function()
    local width = nn.sequential { nn.linear { 2 }, nn.softplus() }
    local model = nn.branch { mean = nn.linear { 2 }, width = width, name = "q" }
    assert.equal(width, model.width)           -- like the layers of nn.layer
    assert.is_function(nn.branch { build = nn.relu() }.build)
    assert.equal("q", model.name)
    local y = model(x)
    assert.same(model.layers[1](x):totable(), y.mean:totable())
    assert.same(model.layers[2](x):totable(), y.width:totable())
    assert.same({ "mean.weight", "mean.bias", "width.linear1.weight", "width.linear1.bias" }, names(model:parameters()))
    assert.same({ "mean", "width.linear1", "width.softplus1", "width" }, names(model:activations(x)))
    local shared = nn.tanh()
    assert.same({ "a", "b" }, (function(t)
      table.sort(t)
      return t
    end)(names(nn.branch { a = shared, b = shared }(x))))
    has(error_of(nn.branch, { nn.relu() }), "nn.branch takes layers by name")
    has(error_of(nn.branch, { a = 3 }), "got number 3 at 'a'")
    has(error_of(nn.branch, { name = "x" }), "nn.branch needs at least one layer")
    has(error_of(nn.branch, { ["a.b"] = nn.relu() }), "nn.branch: a name is letters")
  end)

  it("concat joins on the last axis, add adds", function()
    local joined = nn.concat { nn.linear { 2 }, nn.sequential { nn.linear { 5 }, nn.tanh() } }
    check(joined:build { 3 }, x)
    assert.same(sm.cat({ joined.layers[1](x), joined.layers[2](x) }, 2):totable(), joined(x):totable())
    local sum = nn.add { nn.linear { 2 }, nn.linear { 2 }, nn.linear { 2 } }
    check(sum:build { 3 }, x)
    assert.same((sum.layers[1](x) + sum.layers[2](x) + sum.layers[3](x)):totable(), sum(x):totable())
    has(error_of(nn.add { nn.linear { 2 }, nn.linear { 3 } }, x),
      "a sum needs equal shapes, but they are {1, 2} and {1, 3}")
    has(error_of(nn.sequential { nn.concat { nn.relu(), nn.fn(function(a) return a:reshape(-1, 1) end) } }, x),
      "in layer 'concat1' (concat) given {N, 3}: cat: ")
    assert.same({ 5, 6, 7 }, nn.concat { nn.maxpool2d { 3, stride = 1, padding = "same" }, nn.conv2d { 4, kernel = 3 } }
      :build({ 5, 6, 3 }).output_shape)
  end)

  it("residual has a shortcut", function()
    local shortcut = nn.linear { 4, bias = false }
    local model = nn.sequential { nn.residual { nn.linear { 4 }, nn.tanh(), shortcut = shortcut } }
    model:build { 3 }
    assert.same({ "residual1.linear1.weight", "residual1.linear1.bias", "residual1.shortcut.weight" },
      names(model:parameters()))
    check(model, x)
    local inner = model.layers[1].layers
    assert.same((inner[3](x) + inner[2](inner[1](x))):totable(), model(x):totable())
    has(error_of(nn.residual, { nn.relu(), shortcut = {} }),
      "nn.residual: option 'shortcut' must be a layer, got table")
  end)

  it("reshape and flatten", function()
    local model = nn.sequential { nn.reshape { 2, -1 }, nn.flatten(), nn.reshape { 6, 1 } }:build { 3, 2 }
    assert.same({ 2, 3 }, model.layers[1].output_shape)
    assert.same({ 6, 1 }, model.output_shape)
    assert.same({ 0, 6, 1 }, model(sm.ones(0, 3, 2)).shape)
    has(error_of(nn.reshape, { 0 }), "nn.reshape: size 1 must be at least 1, or -1, got 0")
    has(error_of(nn.reshape, { -1, -1 }), "nn.reshape: only one size can be -1")
    has(error_of(nn.reshape, { [1] = 2, [3] = 2 }), "nn.reshape: size 2 is missing")
    has(error_of(nn.reshape { 4 }, sm.ones(2, 3)), "in layer 'reshape' (reshape) given {N, 3}: ")
  end)

  it("fn takes several inputs", function()
    local training
    local model = nn.fn(function(a, b, mode)
      training = mode
      return a * b
    end)
    assert.same({ { 6 } }, model:eval()(sm.full({ 1, 1 }, 2), sm.full({ 1, 1 }, 3)):totable())
    assert.is_false(training)
  end)

  it("of many values that are none a message shows a few", function()
    local many = nn.fn(function() return table.unpack({}, 1, 5000) end)
    has(error_of(many, sm.ones(1, 1)), "must return a tensor or a table of tensors, got nil and nil and")
    has(error_of(many, sm.ones(1, 1)), "nil and 4992 more")
  end)

  it("fn takes a traced function as it is", function()
    local times = nn.fn(sm.pointwise(function(a, b) return a * b end))
    assert.same({ { 6 } }, times(sm.full({ 1, 1 }, 2), sm.full({ 1, 1 }, 3)):totable())
    has(error_of(times, sm.ones(1, 1), sm.ones(1, 1), sm.ones(1, 1)), "takes 2 arguments, got 3")
    assert.same({ { 4 } }, nn.fn(sm.pointwise(function(a) return a * a end))(sm.full({ 1, 1 }, 2)):totable())
  end)
end)

describe("a layer in several places", function()
  it("has one set of parameters, by its first place, and gradients that add up", function()
    local shared = nn.linear { 3 }
    local model = nn.sequential { shared, nn.tanh(), shared, nn.linear { 3 }, nn.residual { nn.tanh(), shared } }
    model:build { 3 }
    assert.same({ "linear1.weight", "linear1.bias", "linear2.weight", "linear2.bias" }, names(model:parameters()))
    assert.same({ "linear1.weight", "linear1.bias" }, names(model.layers[5]:parameters()))
    local x = sm.randn(2, 3)
    check(model, x)
    assert.same({ "linear1", "tanh1", "linear1 (2)", "linear2", "residual1.tanh1", "linear1 (3)", "residual1" },
      names(model:activations(x)))
    assert.matches("\nlinear1 +linear, the same as linear1\n", tostring(model))
    assert.matches("\n  linear1 +linear, the same as linear1\n", tostring(model))
    assert.matches("\ntotal +24$", tostring(model))
  end)

  it("in two models is in the parameters of both", function()
    local encoder = nn.sequential { nn.linear { 4 }, nn.tanh() }
    local first = nn.sequential { encoder, nn.linear { 2 } }:build { 3 }
    local second = nn.sequential { nn.dropout { 0.5 }, encoder, nn.linear { 5 } }:build { 3 }
    assert.same({ "sequential1.linear1.weight", "sequential1.linear1.bias", "linear1.weight", "linear1.bias" },
      names(first:parameters()))
    assert.same({ "sequential1.linear1.weight", "sequential1.linear1.bias", "linear1.weight", "linear1.bias" },
      names(second:parameters()))
    assert.equal(first:layer("sequential1.linear1").weight, second:parameters()["sequential1.linear1.weight"])
    local x = sm.randn(2, 3)
    second:eval()
    assert.same(first:activations(x).sequential1:totable(), second:activations(x).sequential1:totable())
    check(second, x)
    local third = nn.sequential { nn.linear { 3 }, encoder, name = "top" }:build { 7 }
    assert.same({ "linear1.weight", "linear1.bias", "sequential1.linear1.weight", "sequential1.linear1.bias" },
      names(third:parameters()))
  end)

  it("that was built as a model keeps its weights and its own paths", function()
    local encoder = nn.sequential { nn.linear { 4 }, nn.tanh() }:build { 3 }
    local weight = encoder:layer("linear1").weight
    local model = nn.sequential { encoder, nn.linear { 2 } }
    model:build { 3 }
    assert.equal(weight, model:parameters()["sequential1.linear1.weight"])
    assert.equal(weight, encoder:layer("linear1").weight)
    assert.same({ "linear1.weight", "linear1.bias" }, names(encoder:parameters()))
    assert.same({ "linear1", "tanh1" }, names(encoder:activations(sm.ones(1, 3))))
    local unfit = nn.sequential { encoder, nn.linear { 2 } }
    has(error_of(unfit.build, unfit, { 4 }), "in layer 'linear1' (linear) given {N, 4}: ")
    assert.equal(weight, encoder:layer("linear1").weight) -- what was built before stays
    assert.same({ 2, 4 }, encoder(sm.ones(2, 3)).shape)
  end)

  it("is drawn once, in the order of computation", function()
    local shared = nn.linear { 3 }
    local model = nn.sequential { shared, shared }:build { 3 }
    sm.seed(7)
    local alone = nn.linear { 3 }:build { 3 }
    assert.same(alone.weight:totable(), model:layer("linear1").weight:totable())
  end)
end)

describe("what one pass does for neighbours", function()
  it("has gradients of gradients with the bits of each by itself", function()
    local model = nn.sequential { nn.conv2d { 2, kernel = 3 }, nn.relu(), nn.maxpool2d { 2 }, nn.flatten(),
      nn.linear { 3 }, nn.relu() }:build { 4, 4, 1 }
    local x = sm.randn(2, 4, 4, 1):requires_grad()
    local function both(f)
      local gx = sm.grad(f(x):sum(), { x }, { create_graph = true })[1]
      local again = sm.grad((gx * gx):sum(), { model:layer("conv1").weight })[1]
      return { gx:totable(), again:totable() }
    end
    assert.same(both(function(y)
      for _, layer in ipairs(model.layers) do y = layer:apply(y) end
      return y
    end), both(model))
  end)

  it("is for the library's own kinds alone", function()
    local relu = nn.layer { kind = "relu", forward = function(_, x) return x * 2 end }
    local model = nn.sequential { nn.linear { 2 }, relu() }:build { 2 }
    local x = sm.randn(3, 2)
    assert.same((model.layers[1](x) * 2):totable(), model(x):totable())
  end)

  it("has gradients by finite differences", function()
    local w, b = sm.randn(3, 2), sm.randn(2)
    sm.gradcheck(function(x, v, c) return fused.linear(x, v, c, true) end, { sm.randn(4, 3), w, b },
      { tolerance = tolerance })
  end)
end)

describe("model:load", function()
  local function model() return nn.sequential { nn.linear { 2 }, nn.batchnorm() }:build { 3 } end

  it("takes what another has, from a table or a file", function()
    local from, to, path = model(), model(), os.tmpname() .. ".safetensors"
    assert.equal(to, to:load { ["linear1.weight"] = from:parameters()["linear1.weight"],
      ["linear1.bias"] = sm.ones(2), ["batchnorm1.weight"] = sm.ones(2), ["batchnorm1.bias"] = sm.ones(2),
      ["batchnorm1.mean"] = sm.full({ 2 }, 5), ["batchnorm1.variance"] = sm.ones({ 2 }, "int32") })
    assert.same(from:layer("linear1").weight:totable(), to:layer("linear1").weight:totable())
    assert.same({ 5, 5 }, to:layer("batchnorm1").mean:totable())
    assert.is_true(to:layer("linear1").weight:tracks())
    sm.save(path, { ["model.linear1.bias"] = sm.full({ 2 }, 9), ["model.linear1.weight"] = sm.zeros(3, 2),
      ["optimizer.x"] = sm.ones(1) }, { format = "smrun checkpoint 1" })
    to:layer("linear1"):load(path)
    assert.same({ 9, 9 }, to:layer("linear1").bias:totable())
    has(error_of(to.load, to, path), "it lacks 'batchnorm1.bias', tensor {2}; ")
    local _, report = to:load(path, { strict = false })
    assert.same({ missing = { "batchnorm1.bias", "batchnorm1.mean", "batchnorm1.variance", "batchnorm1.weight" },
      unexpected = {} }, report)
    os.remove(path)
  end)

  it("names what does not fit, and then changes nothing", function()
    local to = model()
    local before = to:layer("linear1").bias:totable()
    local text = error_of(to.load, to, { ["linear1.bias"] = sm.ones(2), ["linear1.wieght"] = sm.ones(3, 2) })
    has(text, "model:load: the table: it lacks 'batchnorm1.bias', tensor {2};")
    has(text, "the model has no place for 'linear1.wieght', tensor {3, 2}; strict = false leaves these out")
    has(error_of(to.load, to, { ["linear1.bias"] = sm.ones(3) }, { strict = false }),
      "'linear1.bias' is a tensor {3}, and the model's is a tensor {2}")
    has(error_of(to.load, to, 3), "model:load takes the path of a file or a table of named tensors, got number 3")
    has(error_of(to.load, to, { sm.ones(2) }), "got tensor {2} at '1'")
    has(error_of(nn.linear { 2 }.load, nn.linear { 2 }, {}), "the model has no tensors yet; call model:build first")
    has(error_of(to.load, to, {}, { strct = 1 }), "model:load: unknown option 'strct'; did you mean 'strict'?")
    assert.same(before, to:layer("linear1").bias:totable())
  end)

  it("takes others' names and layouts", function()
    local to = nn.sequential { nn.linear { 2 } }:build { 3 }
    local theirs = { ["net.fc.weight"] = sm.randn(2, 3), ["net.fc.bias"] = sm.randn(2), ["other"] = sm.ones(1) }
    to:load(theirs, { prefix = "net.", names = function(name, x)
      return name:gsub("^fc", "linear1"), #x.shape == 2 and x:transpose() or nil
    end })
    assert.same(theirs["net.fc.weight"]:transpose():totable(), to:layer("linear1").weight:totable())
    to:load({ a = sm.zeros(3, 2), b = sm.ones(2), c = sm.ones(1) },
      { names = { a = "linear1.weight", b = "linear1.bias", c = false } })
    assert.same({ 1, 1 }, to:layer("linear1").bias:totable())
    local both = { a = "linear1.bias", b = "linear1.bias" }
    has(error_of(to.load, to, { a = sm.ones(2), b = sm.ones(2) }, { names = both }),
      "there are two tensors for 'linear1.bias'")
    has(error_of(to.load, to, { a = sm.ones(2) }, { names = function() return 3 end }),
      "the function 'names' must return a name, and the tensor where it differs, got number 3 and nil")
  end)
end)

describe("model:freeze", function()
  it("keeps parameters from training, before and after the model is built", function()
    local model = nn.sequential { nn.linear { 2 }, nn.tanh(), nn.linear { 2 } }
    assert.equal(model, model:freeze "^linear1%.")
    local opt = sm.optim.sgd { lr = 1 }
    opt:add(model:parameters())
    model:build { 3 }
    local frozen, free = model:layer("linear1").weight:totable(), model:layer("linear2").weight:totable()
    local function step()
      opt:zero_grad()
      model(sm.ones(4, 3)):sum():backward()
      opt:step()
    end
    step()
    assert.same(frozen, model:layer("linear1").weight:totable())
    assert.is_not.same(free, model:layer("linear2").weight:totable())
    model:freeze("^linear1%.", false):freeze "bias$"
    local bias = model:layer("linear1").bias:totable()
    step()
    assert.is_not.same(frozen, model:layer("linear1").weight:totable())
    assert.same(bias, model:layer("linear1").bias:totable())
    assert.equal(4, #model:parameters())
  end)

  it("refuses what matches nothing, at the user's line", function()
    local model = nn.linear { 2 }:build { 3 }
    has(error_of(model.freeze, model, "conv"), "no parameter's name matches 'conv' (parameters: weight, bias)")
    has(error_of(model.freeze, model, "["), "model:freeze takes a Lua pattern")
    has(error_of(model.freeze, model, nil, 1), "argument 2 must be true or false, got number 1")
    local later = nn.linear { 2 }
    local line = debug.getinfo(1, "l").currentline + 1
    later:freeze "conv"
    has(error_of(later.build, later, { 3 }),
      ("layers_spec.lua:%d: model:freeze: no parameter's name matches"):format(line))
    assert.equal(0, #later:parameters())
  end)
end)

describe("hostile layers:", function()
  it("parents that lead back", function()
    local layer = nn.linear { 2 }
    layer.parent = layer
    for _, f in ipairs {
      function() nn.sequential { layer } end, function() layer:whole() end,
    } do
      has(error_of(f), "layers_spec.lua:")
      has(error_of(f), "a model contains itself: the parents of a layer lead back to it")
    end
    has(error_of(layer, sm.ones(1, 2)), "is part of a model that is not built")
  end)

  it("a forward that gives nothing, or no tensor", function()
    for words, forward in pairs {
      ["got nothing"] = function() end, ["got number 3"] = function() return 3 end,
      ["got table"] = function() return {} end, ["got boolean true"] = function(_, x) return true, x end,
      ["got {1, 2} and boolean true"] = function(_, x) return x, true end,
    } do
      local model = nn.sequential { nn.layer { kind = "odd", forward = forward } () }
      has(error_of(model, sm.ones(1, 2)), "layers_spec.lua:")
      has(error_of(model, sm.ones(1, 2)),
        "in layer 'odd1' (odd) given {N, 2}: forward must return a tensor or a table of tensors, " .. words)
      assert.is_nil(model.input_shape)
    end
  end)

  it("one that yields, in a build or a pass, or is let go there", function()
    local yielding = nn.layer { kind = "yielding", layers = function() return { inner = nn.linear { 2 } } end,
      forward = function(self, x)
        coroutine.yield()
        return self.inner(x)
      end }
    local model = nn.sequential { yielding(), nn.relu() }
    local co = coroutine.wrap(function() return model(sm.ones(1, 3)) end)
    co()
    has(error_of(model, sm.ones(1, 3)), "the model is being built")
    co()
    assert.same({ 1, 2 }, co().shape)
    local seen = coroutine.wrap(function() return model:activations(sm.ones(1, 3)) end)
    seen()
    local plain = coroutine.wrap(function() return model(sm.ones(2, 3)) end)
    plain()
    assert.same({ 2, 2 }, plain().shape)
    assert.same({ "yielding1.inner", "yielding1", "relu1" }, names(seen()))
    local again = nn.sequential { yielding() }
    local closed = coroutine.create(function() again:build { 3 } end)
    assert(coroutine.resume(closed))
    assert.is_true(coroutine.close(closed))
    assert.is_true(again.training)
    co = coroutine.wrap(function() return again:build { 3 } end)
    co()
    assert.equal(again, co())
  end)

  it("one that changes the layers while they run", function()
    local model
    local changing = nn.layer { kind = "changing", forward = function(_, x)
      model.layers[2] = 3
      return x
    end }
    model = nn.sequential { changing(), nn.relu(), nn.relu() }
    has(error_of(model, sm.ones(1, 2)), "its layers were changed: layer 2 is number 3")
    has(error_of(model.train, model), "the layers of a model were changed: found number 3 in ''")
    local cutting = nn.layer { kind = "cutting", forward = function(_, x)
      model.layers[2] = nil
      return x
    end }
    model = nn.sequential { cutting(), nn.relu() }
    has(error_of(model, sm.ones(1, 2)), "its layers were changed: layer 2 is nil")
  end)

  it("models within models' functions are not looked at as parts of them", function()
    local teacher = nn.sequential { nn.linear { 2 } }:build { 3 }
    local model = nn.sequential { nn.fn(function(x) return teacher(x) end), nn.linear { 4 } }:build { 3 }
    assert.same({ "fn1", "linear1" }, names(model:activations(sm.ones(1, 3))))
    assert.same({ "linear1.weight", "linear1.bias" }, names(model:parameters()))
    local inside = nn.sequential { nn.fn(function(x)
      local own = nn.linear { 3 } -- built anew each time: a model of its own
      return own(x)
    end) }
    assert.same({ 1, 3 }, inside:build({ 2 }):activations(sm.ones(1, 2)).fn1.shape)
  end)

  it("one that raises what it likes", function()
    local thrown = {}
    local model = nn.sequential { nn.layer { kind = "raising", forward = function() error(thrown) end } () }
    local _, message = pcall(model, sm.ones(1, 2))
    assert.equal(thrown, message)
    local deep = nn.layer { kind = "deep", options = { { type = "table" } },
      layers = function(self) return { inner = self.options[1] } end,
      forward = function(self, x) return self.inner(x) end }
    local inner = nn.linear { 2 }
    for _ = 1, 150 do inner = deep { inner } end
    has(error_of(inner, sm.ones(1, 2)), "overflow")
    local shallow = nn.linear { 2 }
    for _ = 1, 20 do shallow = deep { shallow } end
    assert.same({ 1, 2 }, shallow(sm.ones(1, 2)).shape)
    local rows = nn.linear { 2 }
    for _ = 1, 300 do rows = nn.sequential { rows } end
    assert.same({ 1, 2 }, rows(sm.ones(1, 2)).shape)
  end)

  it("something that only looks like a layer", function()
    local class = getmetatable(nn.relu())
    local fake = setmetatable({}, { __metatable = class })
    has(error_of(nn.sequential, { fake }), "nn.sequential: argument 1 must be a layer, got table")
  end)
end)
