local sm = require "sm"
local attribution = require "sm.view.attribution"
local samples = require "sm.view.sample"
local nn = sm.nn

local CLASSES <const> = 3

local function model_of(activation)
  sm.seed(7)
  return nn.sequential {
    nn.conv2d { 4, kernel = 3 }, activation, nn.maxpool2d { 2 }, nn.flatten(), nn.dropout { 0.5 },
    nn.linear { 6 }, nn.tanh(), nn.linear { CLASSES },
  }:build { 6, 6, 1 }
end

local function attributed(model, source, x)
  return samples.frozen(model, attribution.of, model, model:layer(source), x)
end

--- The score of each image's first choice less the mean of its scores, when the layer's output is y.
local function margin(model, y, image, choice)
  local scores = model:apply(y)
  local row = scores[image]:totable()
  local mean = 0
  for _, score in ipairs(row) do mean = mean + score / CLASSES end
  return row[choice] - mean
end

--- The layers after the n-th as a model of their own.
local function rest(model, n)
  return { apply = function(_, y)
    for i = n + 1, #model.layers do y = model.layers[i]:apply(y) end
    return y
  end }
end

describe("attribution", function()
  it("is activation × gradient of the named class's score above the mean, by finite differences", function()
    for _, activation in ipairs { nn.relu(), nn.tanh(), nn.sigmoid() } do
      local model = model_of(activation)
      local x = sm.randn(2, 6, 6, 1)
      local found = attributed(model, model.layers[2].path, x):reshape(2, -1):totable()
      model:eval()
      local y = model.layers[2]:apply(model.layers[1]:apply(x)):detach()
      local flat, after = y:reshape(2, -1):totable(), rest(model, 2)
      local choices = after:apply(y):argmax(2):totable()
      for _, at in ipairs { { 1, 3 }, { 1, 70 }, { 2, 20 }, { 2, 144 } } do
        local image, place = table.unpack(at)
        local function moved(by)
          local values = { {}, {} }
          for i = 1, 2 do table.move(flat[i], 1, #flat[i], 1, values[i]) end
          values[image][place] = values[image][place] + by
          return margin(after, sm.tensor(values):reshape(table.unpack(y.shape)), image, choices[image])
        end
        local slope = (moved(1e-2) - moved(-1e-2)) / 2e-2
        assert.is_near(flat[image][place] * slope, found[image][place], 2e-3)
      end
    end
  end)

  it("of a softmax leaves out what all members of a group have in common", function()
    local model = model_of(nn.softmax { groups = 2 })
    local x = sm.randn(3, 6, 6, 1)
    local found = attributed(model, "softmax1", x)
    assert.is_true(found:abs():max():item() > 1e-4)
    local sums = found:reshape(-1, 2):sum(2) -- over each group, at each location
    assert.is_near(0, sums:abs():max():item(), 1e-6)
  end)

  it("leaves gradients, tracking and mode as they were", function()
    local model = model_of(nn.relu())
    local x = sm.randn(2, 6, 6, 1)
    local weight, frozen = model:layer("conv1").weight, model:layer("linear1").bias
    frozen:requires_grad(false)
    model(x):cross_entropy(sm.tensor({ 0, 1 }, "int32")):backward()
    local before = weight.grad:totable()
    attributed(model, "relu1", x)
    assert.are.same(before, weight.grad:totable())
    assert.is_true(weight:tracks() and model.training)
    assert.is_false(frozen:tracks())
    assert.is_false(pcall(samples.frozen, model, error, "broken"))
    assert.is_true(weight:tracks() and model.training)
    model:eval()
    attributed(model, "relu1", x)
    assert.is_false(model.training)
  end)
end)
