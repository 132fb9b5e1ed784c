--- Layers of groups, and of normalisation: sm.nn.groups and sm.nn.normalise.
local sm = require "sm"
local helpers = require "tests.lua.helpers"
local competition = require "sm.view.competition"
local runtime = require "sm.runtime"

local nn = sm.nn
local error_of, has = helpers.error_of, helpers.has
local exact = runtime.real == "float64"

local function numbers(x) return x:reshape(-1):totable() end

local function names(map)
  local list = {}
  for name in pairs(map) do list[#list + 1] = name end
  return list
end

describe("layers of groups and normalisation", function()
  local cases = {
    ["softmax along locations"] = { function() return nn.softmax { axis = { 2, 3 }, scale = true } end,
      { 2, 2, 3, 4 } },
    ["softmax, learned temperatures"] = { function() return nn.softmax { groups = 2, temperature = "learned" } end,
      { 3, 6 } },
    sparsemax = { function() return nn.sparsemax { sizes = { 2, 4 } } end, { 3, 6 } },
    kwta = { function() return nn.kwta { k = 2, groups = 2 } end, { 3, 6 } },
    maxout = { function() return nn.maxout { 3, pieces = 2, bias_init = nn.init.normal(1) } end, { 3, 2, 4 } },
    ["maxout of channels"] = { function() return nn.maxout { pieces = 3 } end, { 2, 2, 2, 6 } },
    layernorm = { function() return nn.layernorm() end, { 3, 2, 5 } },
    ["layernorm over axes"] = { function() return nn.layernorm { axis = { 2, 3 }, epsilon = 0.1 } end, { 3, 2, 5 } },
    groupnorm = { function() return nn.groupnorm { groups = 2 } end, { 2, 3, 2, 6 } },
    ["groupnorm without parameters"] = { function() return nn.groupnorm { groups = 1, affine = false } end,
      { 2, 3, 4 } },
  }
  for name, case in pairs(cases) do
    it(name .. " has the gradient of central differences", function()
      sm.seed(5)
      local make, shape = table.unpack(case)
      local layer = make():build { table.unpack(shape, 2) }
      local inputs = { sm.randn(shape) }
      for _, parameter in pairs(layer:parameters()) do
        parameter:copy_(parameter + sm.randn(parameter.shape) * 0.3)
        inputs[#inputs + 1] = parameter
      end
      assert.equal(#inputs, 1 + #layer:parameters())
      if exact then -- corners are no test for the large steps that float32 needs
        sm.gradcheck(function(x) return layer(x) end, inputs, { tolerance = 1e-6 })
      else
        inputs[1]:requires_grad()
        layer(inputs[1]):backward(sm.ones(layer(inputs[1]).shape))
        for _, x in ipairs(inputs) do assert.same(x.shape, x.grad.shape) end
      end
    end)
  end

  it("say what they are", function()
    local model = nn.sequential {
      nn.linear { 8 }, nn.layernorm(), nn.softmax { groups = 2, temperature = "learned", off = true },
      nn.gumbel_softmax { groups = 4, temperature = function(step) return 1 / step end, hard = true },
      nn.kwta { k = 1, sizes = { 3, 5 } }, nn.sparsemax(), nn.maxout { 3 }, nn.groupnorm { groups = 3 },
    }:build { 5 }
    has(tostring(model), "softmax1")
    for path, words in pairs { softmax1 = "2 groups of 4, learned temperature, with off",
      gumbel_softmax1 = "4 groups of 2, temperature by step, hard", kwta1 = "groups of 3, 5, 1 winner",
      sparsemax1 = "1 group of 8", maxout1 = "3 features of 2 pieces", groupnorm1 = "3 groups" } do
      assert.equal(words, model:layer(path):describe())
    end
    assert.same({ "linear1.weight", "linear1.bias", "layernorm1.weight", "layernorm1.bias", "softmax1.log_temperature",
      "maxout1.weight", "maxout1.bias", "groupnorm1.weight", "groupnorm1.bias" }, names(model:parameters()))
    assert.same({ "gumbel_softmax1.steps" }, names(model:buffers()))
    assert.same({ 3, 5 }, model:layer "kwta1":sizes(8))
    assert.same({ 2, 2, 2, 2 }, model:layer "gumbel_softmax1":sizes(8))
  end)

  it("follow a temperature that is a function of the step, in training alone", function()
    local layer = nn.softmax { temperature = function(step) return 2 ^ (1 - step) end }:build { 3 }
    local x = sm.tensor { { 1, 2, 4 } }
    for step = 1, 3 do
      assert.same(numbers(x:softmax { temperature = 2 ^ (1 - step) }), numbers(layer(x)))
      assert.equal(step, layer.steps:item())
    end
    layer:eval()
    assert.same(numbers(x:softmax { temperature = 0.25 }), numbers(layer(x)))
    assert.equal(3, layer.steps:item())
    local bad = nn.sequential { nn.softmax { temperature = function(step) return 2 - step end } }:build { 3 }
    bad(x)
    has(error_of(bad, x), "in layer 'softmax1' (softmax) given {1, 3}: the temperature of step 2 must be a number "
      .. "above 0, got number 0")
  end)

  it("learn temperatures, one a group, that stay above 0", function()
    sm.seed(1)
    local model = nn.sequential { nn.softmax { sizes = { 2, 3 }, temperature = "learned" } }:build { 5 }
    local optimizer = sm.optim.sgd { lr = 5 }
    optimizer:add(model:parameters())
    local x = sm.tensor { { 0, 1, 0, 1, 2 } }
    for _ = 1, 30 do -- the lower the temperature of the first group, and the higher that of the other, the better
      optimizer:zero_grad()
      local y = model(x)
      local loss = y:slice(1, 1):narrow(2, 1, 1):sum() + (y:narrow(2, 3, 3) ^ 2):sum()
      loss:backward()
      optimizer:step()
    end
    local layer = model:layer "softmax1"
    local temperatures = layer:temperature():totable()
    assert.is_true(temperatures[1] < 0.3 and temperatures[1] > 0 and temperatures[2] > 3)
    local p = competition.probabilities(x, competition.of_softmax(layer, 5))
    assert.same(numbers(model(x)), numbers(p))
    assert.equal(1, nn.softmax { temperature = "learned" }:build({ 4 }):temperature())
  end)

  it("draw in training, and not in evaluation", function()
    sm.seed(2)
    local layer = nn.gumbel_softmax { groups = 2, hard = true }:build { 6 }
    local x = sm.tensor({ { 0, 1, 2, 0, 0, 5 } }):expand { 4000, 6 }
    local y = layer(x)
    local counts = (y:sum(1) / 4000):totable()
    local p = numbers(sm.tensor({ { 0, 1, 2, 0, 0, 5 } }):softmax { groups = 2 })
    for i = 1, 6 do assert.is_near(p[i], counts[i], 0.03) end
    assert.same({ 4000, 4000 }, y:reshape(4000, 2, 3):sum { 1, 3 }:totable())
    sm.seed(2)
    assert.same(numbers(y), numbers(layer(x)))
    layer:eval()
    assert.same({ 0, 0, 1, 0, 0, 1 }, layer(x)[1]:totable())
  end)

  it("refuse what they do not mean", function()
    has(error_of(nn.softmax, { axis = 2, groups = 2 }), "groups and sizes are of the last axis")
    has(error_of(nn.softmax, { temperature = "learnt" }), "must be one of 'learned', got 'learnt'; did you mean")
    has(error_of(nn.softmax, { axis = 2, temperature = "learned" }), "for each group of the last axis")
    has(error_of(function() nn.softmax { axis = 1 }:build { 2, 3 } end), "axis 1 is the batch")
    has(error_of(function() nn.sparsemax { axis = -3 }:build { 2, 3 } end), "axis 1 is the batch")
    has(error_of(function() nn.softmax { axis = 4 }:build { 2, 3 } end), "axis 4 is out of range")
    has(error_of(function() nn.softmax { axis = 2 }:sizes(4) end), "over other axes")
    has(error_of(nn.kwta, { groups = 2 }), "option 'k' is missing")
    has(error_of(function() nn.kwta { k = 4, groups = 2 }:build { 6 } end), "k must be at most the 3 elements")
    has(error_of(nn.maxout, { pieces = 2, bias = false }), "no features are given")
    has(error_of(nn.groupnorm), "option 'groups' is missing")
    has(error_of(function() nn.groupnorm { groups = 4 }:build { 6 } end), "6 channels cannot be divided into 4")
    has(error_of(function() nn.layernorm { axis = { 1, 2 } }:build { 6 } end), "are too many")
    has(error_of(function() nn.layernorm { axis = 2 }:build { 6, 2 } end), "the last axis or a list of last axes")
  end)

  it("are the sigmoid, as groups of one with off and as a group of two", function()
    local x = sm.tensor { { -2, 0, 3 } }
    local sigmoid = numbers(x:sigmoid())
    local alone = numbers(nn.softmax { groups = 3, off = true }(x))
    for i, value in ipairs(alone) do assert.is_near(sigmoid[i], value, 1e-6) end
    local two = sm.stack({ x, x * 0 }, 3):reshape(1, 6)
    local first = nn.softmax { groups = 3 }(two):reshape(3, 2):narrow(2, 1, 1)
    for i, value in ipairs(numbers(first)) do assert.is_near(sigmoid[i], value, 1e-6) end
  end)
end)
