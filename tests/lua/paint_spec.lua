--- view.paint and the painter: against every choice of options written out, its symmetries, its files, its errors.
local lfs = require "lfs"
local sm = require "sm"
local painter = require "sm.view.painter"
local random = require "sm.random"
local tiny = dofile "tests/lua/tiny_experiment.lua"
local nn, view = sm.nn, sm.view

local CLASSES, OPTIONS = 3, 3 -- classes; options of each of two groups

-- Numbers without a pattern: the same for the same shape.
local function numbers_of(shape, scale)
  local count, numbers = 1, {}
  for _, size in ipairs(shape) do count = count * size end
  for i = 1, count do numbers[i] = scale * math.sin(12.9898 * i * i + count) end
  return sm.tensor(numbers):reshape(table.unpack(shape))
end

local function times(factor)
  return function(shape) return numbers_of(shape, 1.5 * factor) end
end

--- Six features in two groups of three between 2×2 pixels and three classes.
local function model_of(softmax, low, high)
  return nn.sequential {
    nn.flatten(), nn.linear { 2 * OPTIONS, init = times(low or 1) }, nn.softmax(softmax or { groups = 2 }),
    nn.linear { CLASSES, init = times(high or 1) },
  }:build { 2, 2, 1 }
end

local function data_of(shape)
  local labels = {}
  for i = 1, 12 do labels[i] = i % CLASSES end
  return sm.data.tensors {
    inputs = numbers_of({ 12, table.unpack(shape) }, 0.5) + 0.5, targets = sm.tensor(labels, "int32"),
    classes = CLASSES,
  }
end

local function one_hot(class)
  local row = {}
  for c = 1, CLASSES do row[c] = c == class and 1 or 0 end
  return sm.tensor { row }
end

local function probabilities(logits)
  local sum, out = 0, {}
  for i, z in ipairs(logits) do out[i] = math.exp(z) sum = sum + out[i] end
  for i in ipairs(out) do out[i] = out[i] / sum end
  return out
end

local function sigmoid(z) return 1 / (1 + math.exp(-z)) end

--- The mean painting of a class, and its likeliest one, from every choice of options.
local function written_out(model, activations)
  local upper, lower = model:layer("linear2").weight:totable(), model:layer("linear1").weight:totable()
  local p = {}
  for group = 1, 2 do
    local z = {}
    for option = 1, OPTIONS do
      z[option] = 0
      for class, a in ipairs(activations) do
        z[option] = z[option] + a * upper[(group - 1) * OPTIONS + option][class]
      end
    end
    p[group] = probabilities(z)
  end
  local mean, likeliest, best = { 0, 0, 0, 0 }, nil, 0
  for i = 1, OPTIONS do
    for j = 1, OPTIONS do
      local picture, weight = {}, p[1][i] * p[2][j]
      for pixel = 1, 4 do
        picture[pixel] = sigmoid(lower[pixel][i] + lower[pixel][OPTIONS + j])
        mean[pixel] = mean[pixel] + weight * picture[pixel]
      end
      if weight > best then best, likeliest = weight, picture end
    end
  end
  return mean, likeliest
end

local function painted(model, activations, dice)
  local by = assert(painter.of(model))
  return sm.no_grad(function() return by:paint(activations, dice) end)
end

local function assert_near(expected, given, tolerance)
  assert.is_true((expected - given):abs():max():item() <= tolerance, tostring(given))
end

describe("the painter", function()
  it("picks every option as often as the weights say, and the likeliest without dice", function()
    local model = model_of()
    for _, activations in ipairs { { 1, 0, 0 }, { 0, 0, 1 }, { 0.5, 0.5, 0 }, { 0, 0.25, 0.75 } } do
      local mean, likeliest = written_out(model, activations)
      local row = sm.tensor { activations }
      assert_near(sm.tensor(likeliest), painted(model, row):reshape(4), 1e-6)
      local many = painted(model, row, { seed = 3, first = 1, count = 20000 })
      assert.same({ 20000, 2, 2, 1 }, many.shape)
      assert_near(sm.tensor(mean), many:mean(1):reshape(4), 0.012) -- four standard errors of a pixel
    end
  end)

  it("throws new dice for every layer", function()
    local model = nn.sequential {
      nn.flatten(), nn.linear { OPTIONS, init = times(2) }, nn.softmax(),
      nn.linear { OPTIONS, init = times(1) }, nn.softmax(), nn.linear { CLASSES, init = times(1) },
    }:build { 2, 2, 1 }
    local function weight(name) return model:layer(name).weight:totable() end
    local mean, high = { 0, 0, 0, 0 }, {}
    for option = 1, OPTIONS do high[option] = weight "linear3"[option][2] end
    for k, p_high in ipairs(probabilities(high)) do
      local low = {}
      for option = 1, OPTIONS do low[option] = weight "linear2"[option][k] end
      for j, p_low in ipairs(probabilities(low)) do
        for pixel = 1, 4 do
          mean[pixel] = mean[pixel] + p_high * p_low * sigmoid(weight "linear1"[pixel][j])
        end
      end
    end
    local many = painted(model, one_hot(2), { seed = 3, first = 1, count = 20000 })
    assert_near(sm.tensor(mean), many:mean(1):reshape(4), 0.012)
  end)

  it("gives a painting the dice of its number, however many are painted, and touches no random stream", function()
    local model = nn.sequential {
      nn.flatten(), nn.linear { 2 * OPTIONS, init = times(1) }, nn.softmax { groups = 2 },
      nn.linear { OPTIONS, init = times(1) }, nn.softmax(), nn.linear { CLASSES, init = times(1) },
    }:build { 2, 2, 1 }
    assert.same({ "1 group of 3", "2 groups of 3" }, painter.of(model):describe())
    local before = random.state()
    local all = painted(model, one_hot(1), { seed = 1, first = 1, count = 30 })
    for _, part in ipairs { { 1, 30 }, { 1, 11 }, { 12, 19 }, { 30, 1 } } do
      local first, count = table.unpack(part)
      local some = painted(model, one_hot(1), { seed = 1, first = first, count = count })
      assert_near(all:slice(first, first + count - 1), some, 1e-6)
    end
    local others = painted(model, one_hot(1), { seed = 2, first = 1, count = 30 })
    assert.is_true((all - others):abs():max():item() > 0.01)
    assert.is_true((all:slice(1, 15) - all:slice(16, 30)):abs():max():item() > 0.01)
    assert.same(before, random.state())
  end)

  it("reads scaled activations and temperatures as the network does", function()
    local images = numbers_of({ 5, 2, 2, 1 }, 1)
    local plain, dice = model_of(), { seed = 1, first = 1, count = 50 }
    local cases = { model_of({ groups = 2, scale = true }, 1, 1 / OPTIONS),
      model_of({ groups = 2, temperature = 0.25 }, 0.25) }
    for _, other in ipairs(cases) do
      assert_near(plain(images), other(images), 1e-5) -- the same network, written in another way
      assert_near(painted(plain, one_hot(2), dice), painted(other, one_hot(2), dice), 1e-5)
    end
  end)

  it("sees a group's common weights from above as the bias that a softmax is blind to", function()
    local images = numbers_of({ 5, 2, 2, 1 }, 1)
    local model, shifted = model_of(), model_of()
    local weight = shifted:layer("linear1").weight
    weight:copy_(weight:detach() + sm.tensor { { 1 }, { -2 }, { 0.5 }, { 0 } } * sm.tensor { 1, 1, 1, 0, 0, 0 })
    assert_near(model(images), shifted(images), 1e-5)
    local z = painted(shifted, one_hot(1)) / painted(model, one_hot(1))
    assert.is_true((z - 1):abs():max():item() > 0.1)

    local raised = model_of() -- the same for all options of a lower group: nothing from above, a bias from below
    local upper = raised:layer("linear2").weight
    upper:copy_(upper:detach() + sm.tensor { { 0 }, { 0 }, { 0 }, { 1 }, { 1 }, { 1 } } * sm.tensor { 3, -1, 0 })
    local dice = { seed = 1, first = 1, count = 50 }
    assert_near(painted(model, one_hot(3), dice), painted(raised, one_hot(3), dice), 1e-6)
    assert.is_true((model(images) - raised(images)):abs():max():item() > 0.5)
  end)

  it("turns convolutions around, down to an image of the size it was trained on", function()
    local model = nn.sequential {
      nn.conv2d { 6, kernel = 3, stride = 2, init = times(1) }, nn.softmax { sizes = { 2, 4 } },
      nn.flatten(), nn.dropout { 0.5 }, nn.linear { 8, init = times(1) }, nn.softmax { groups = 2 },
      nn.linear { CLASSES, init = times(1) },
    }:build { 7, 9, 3 }
    local pictures = painted(model, one_hot(1), { seed = 1, first = 1, count = 4 })
    assert.same({ 4, 7, 9, 3 }, pictures.shape)
    -- One location's option paints its filter where the location lies, and the others theirs: by hand for a pixel
    -- that one window alone sees, the middle one of the first window.
    local weight = model:layer("conv1").weight:totable()
    local seen = {}
    for a = 1, 2 do
      for b = 3, 6 do
        seen[#seen + 1] = sigmoid(weight[2][2][1][a] + weight[2][2][1][b])
      end
    end
    for i = 1, 4 do
      local value, nearest = pictures[i]:totable()[1][1][1], math.huge
      for _, possible in ipairs(seen) do nearest = math.min(nearest, math.abs(possible - value)) end
      assert.is_true(nearest < 1e-6)
    end
    assert.same({ "2 groups of 4", "groups of 2, 4 at 4×5 locations" }, painter.of(model):describe())
  end)
end)

describe("view.paint", function()
  local workspace
  before_each(function() workspace = tiny.workspace() end)
  after_each(function() tiny.remove(workspace) end)

  it("writes a picture and its numbers, the same again, and leaves the model as it was", function()
    local model, data = model_of(), data_of { 2, 2, 1 }
    model:train()
    local v = view.paint { pairs = { { 0, 2 } }, paintings = 40 }
    assert.equal("paint", v.name)
    local moment = { step = 70, validation_accuracy = 0.5, title = "a run", data = data }
    v:draw(model, workspace .. "/paint.png", moment)
    assert.is_true(model.training)
    local picture, text = tiny.read(workspace .. "/paint.png"), tiny.read(workspace .. "/paint.csv")
    assert.equal("\137PNG\r\n\26\n", picture:sub(1, 8))
    v:draw(model, workspace .. "/again.png", moment)
    assert.equal(picture, tiny.read(workspace .. "/again.png"))
    assert.equal(text, tiny.read(workspace .. "/again.csv"))

    local sums, rows = {}, 0
    assert.equal("step,class,other_class,share_of_other,taken_for,share", text:match "^[^\n]*")
    for class, other, part, taken, share in text:gmatch "\n70,(%d+),(%d*),([%d.]+),(%d+),([%d.e+-]+)" do
      local key = class .. "," .. other .. "," .. part
      sums[key], rows = (sums[key] or 0) + tonumber(share), rows + 1
      assert.is_true(tonumber(taken) < CLASSES)
    end
    assert.equal(CLASSES * (CLASSES + 5), rows)
    for key, sum in pairs(sums) do assert.is_near(1, sum, 1e-5, key) end
  end)

  it("paints a batch at a time, whatever is counted, and adds up all of it", function()
    local sheet = require "sm.view.paint_sheet"
    local of, draw = painter.of, sheet.draw
    local _ <close> = setmetatable({}, { __close = function() painter.of, sheet.draw = of, draw end })
    local model, drawn, largest, painted_in_all = model_of(), nil, 0, 0
    function sheet.draw(_, _, given) drawn = given end
    painter.of = function(...)
      local by = of(...)
      return { describe = function() return by:describe() end, paint = function(_, classes, dice)
        if dice then
          largest, painted_in_all = math.max(largest, dice.count), painted_in_all + dice.count
        end
        return by:paint(classes, dice)
      end }
    end
    view.paint { pairs = {}, paintings = 1300, shown = 4 }:draw(model, workspace .. "/a.png",
      { step = 0, data = data_of { 2, 2, 1 } })
    assert.is_true(largest <= 250, "painted at once: " .. largest)
    assert.equal(CLASSES * 1300, painted_in_all)
    local result = drawn.of_class[2]
    local whole = painted(model, one_hot(2), { seed = 1, first = 1, count = 1300 })
    assert_near(whole:mean(1), result.mean, 1e-5)
    assert.equal(4, #result.paintings)
    assert_near(whole[4], result.paintings[4], 1e-6)
    local taken = {}
    for class = 0, CLASSES - 1 do taken[class] = 0 end
    for _, class in ipairs(model:eval()(whole):argmax(2):totable()) do
      taken[class - 1] = taken[class - 1] + 1 / 1300
    end
    for class, share in pairs(taken) do assert.is_near(share, result.taken[class], 1e-9) end
  end)

  it("pairs neighbours where no pairs are given, and paints in colour and without pairs", function()
    local moment = { step = 0, data = data_of { 2, 2, 1 } }
    view.paint():draw(model_of(), workspace .. "/a.png", moment)
    assert.matches("\n0,0,1,0.5,", tiny.read(workspace .. "/a.csv"))
    local rgb = nn.sequential {
      nn.conv2d { 4, kernel = 2, stride = 2 }, nn.softmax { groups = 2 }, nn.flatten(), nn.linear { CLASSES },
    }:build { 4, 6, 3 }
    view.paint { pairs = {}, shown = 1, paintings = 1, name = "rgb" }:draw(rgb, workspace .. "/b.png",
      { step = 0, data = data_of { 4, 6, 3 } })
    assert.is_true(lfs.attributes(workspace .. "/b.png", "size") > 500)
  end)

  describe("refuses", function()
    local function message_of(f, ...)
      local ok, message = pcall(f, ...)
      assert.is_false(ok)
      return message
    end

    local function check(layers, options)
      local model = nn.sequential(layers):build { 4, 4, 1 }
      local v = view.paint(options)
      return message_of(v.check, v, model, data_of { 4, 4, 1 })
    end

    it("networks that cannot be read from the top down, naming the layer", function()
      local message = check { nn.flatten(), nn.linear { 4 }, nn.relu(), nn.linear { CLASSES } }
      assert.matches("^[^\n]*paint_spec%.lua:%d+: view%.paint: it needs a network whose hidden layers are", message)
      assert.matches("layer 'relu1' is a relu, where a softmax belongs", message)
      assert.matches("layer 'maxpool1' is a maxpool2d, where a linear or conv2d layer belongs", check {
        nn.conv2d { 4, kernel = 3 }, nn.softmax(), nn.maxpool2d { 2 }, nn.flatten(), nn.linear { CLASSES } })
      assert.matches("layer 'softmax1' has groups with an option of their own %(off%)", check {
        nn.flatten(), nn.linear { 4 }, nn.softmax { off = true }, nn.linear { CLASSES } })
      assert.matches("layer 'residual1.linear1' is inside a residual", check {
        nn.flatten(), nn.residual { nn.linear { 16 } }, nn.softmax(), nn.linear { CLASSES } })
      assert.matches("it needs hidden layers", check { nn.flatten(), nn.linear { CLASSES } })
      assert.matches("it needs hidden layers", check {
        nn.flatten(), nn.linear { 4 }, nn.softmax(), nn.linear { CLASSES }, nn.softmax() })
    end)

    it("pairs and options that make no sense", function()
      local layers = { nn.flatten(), nn.linear { 4 }, nn.softmax(), nn.linear { CLASSES } }
      assert.matches("pair 1 names the class 3, but there are 3 classes, from 0",
        check(layers, { pairs = { { 0, 3 } } }))
      for _, pair in ipairs { { 1 }, { 1, 1 }, { 0, "8" }, { -1, 2 }, 5 } do
        assert.matches("view%.paint: pair 2 must be the labels of two classes, such as {3, 8}; got",
          message_of(view.paint, { pairs = { { 0, 1 }, pair } }))
      end
      assert.matches("view%.paint: unknown option 'pair'; did you mean 'pairs'%?",
        message_of(view.paint, { pair = {} }))
    end)

    it("data without classes, and none", function()
      local v, model = view.paint(), model_of()
      assert.matches("it paints classes, but no data set was given", message_of(v.check, v, model))
      local plain = sm.data.tensors { inputs = sm.zeros(4, 2, 2, 1), targets = sm.zeros(4, 3) }
      assert.matches("it paints classes, but the data set '.-' has none", message_of(v.check, v, model, plain))
    end)
  end)
end)
