--- view.groups and what it is made of: its numbers against slow, obvious references, its files, its errors.
local lfs = require "lfs"
local sm = require "sm"
local autograd = require "sm.autograd"
local chain = require "sm.view.chain"
local competition = require "sm.view.competition"
local consequence = require "sm.view.consequence"
local field = require "sm.view.field"
local information = require "sm.view.information"
local random = require "sm.random"
local record = require "sm.view.record"
local samples = require "sm.view.sample"
local nn, view = sm.nn, sm.view

local CLASSES = 3

-- Numbers that are neither smooth nor centred: the same for the same shape.
local function numbers_of(shape, scale)
  local count = 1
  for _, size in ipairs(shape) do count = count * size end
  local numbers = {}
  for i = 1, count do numbers[i] = scale * math.sin(12.9898 * i + count) end
  return sm.tensor(numbers):reshape(table.unpack(shape))
end

local function weights(shape)
  return numbers_of(shape, 0.9)
end

local function data_of(options)
  options = options or {}
  local labels, images = {}, options.images or 18
  for i = 1, images do labels[i] = i * i % (options.used or CLASSES) end
  return sm.data.tensors {
    inputs = numbers_of({ images, 8, 8, options.depth or 1 }, 0.5) + 0.5, targets = sm.tensor(labels, "int32"),
    validation = images - 5, classes = CLASSES, class_names = options.class_names,
  }
end

--- Windows of every kind before a layer of six channels at 4×4 locations, then the classes.
local function model_of(activation, depth)
  return nn.sequential {
    nn.conv2d { 4, kernel = 3, init = weights }, nn.relu(), nn.maxpool2d { 2 },
    nn.conv2d { 6, kernel = 4, init = weights }, activation, nn.flatten(),
    nn.linear { CLASSES, init = weights },
  }:build { 8, 8, depth or 1 }
end

local function measured(model, layer, data, grouping, images)
  return consequence.measure(model, model:layer(layer), samples.of(data, images or 500), grouping, CLASSES)
end

--- Sums up p log p in bits over a table of counts, rows and columns apart.
local function bits(joint, part)
  local sums, total = {}, 0
  for r, row in ipairs(joint) do
    for c, count in ipairs(row) do
      local key = part == "rows" and r or part == "columns" and c or r .. "," .. c
      sums[key], total = (sums[key] or 0) + count, total + count
    end
  end
  local sum = 0
  for _, count in pairs(sums) do sum = sum - (count > 0 and count / total * math.log(count / total, 2) or 0) end
  return sum
end

describe("the receptive field", function()
  --- The pixels on which a location depends, by the gradient: {top, bottom, left, right}, 1-based.
  local function pixels(model, shape, row, column)
    local x = sm.ones { 1, table.unpack(shape) }:requires_grad()
    local y = model(x)
    local height, width, channels = table.unpack(y.shape, 2)
    local chosen = {}
    for i = 1, height * width do chosen[i] = i == (row - 1) * width + column and 1 or 0 end
    y:backward((sm.tensor(chosen):reshape(1, height, width, 1) * sm.ones { channels }))
    local top, bottom, left, right = math.huge, 0, math.huge, 0
    for i, line in ipairs(x.grad[1]:totable()) do
      for j, pixel in ipairs(line) do
        if pixel[1] ~= 0 then
          top, bottom, left, right = math.min(top, i), math.max(bottom, i), math.min(left, j), math.max(right, j)
        end
      end
    end
    return { top, bottom, left, right }
  end

  it("is where a gradient arrives, for every padding, stride and kernel", function()
    local ones = nn.init.constant(1)
    local function conv(options)
      return nn.conv2d { 2, kernel = options[1], stride = options[2], padding = options[3], init = ones }
    end
    local cases = {
      { { conv { 5, 1, "same" } }, { 12, 12, 1 } },
      { { conv { 5, 1, "same" }, nn.avgpool2d { 2 }, conv { 5, 1, "same" } }, { 28, 28, 1 } },
      { { conv { 4, 2, "same" }, conv { 3, 1, "valid" } }, { 15, 17, 1 } },
      { { conv { 3, 2, 1 }, nn.avgpool2d { 3, stride = 2, padding = "same" }, nn.sigmoid(), conv { 2, 1, 1 } },
        { 21, 16, 1 } },
      { { conv { 3, 1, "same" }, nn.avgpool2d { { 1, 4 } }, conv { 3, 2, 1 } }, { 12, 32, 1 } },
      { { nn.avgpool2d { { 3, 2 }, stride = { 1, 3 }, padding = { 1, 0 } }, conv { 3, 1, "same" } }, { 9, 20, 1 } },
    }
    for _, case in ipairs(cases) do
      local model = nn.sequential(case[1]):build(case[2])
      local seen = field.of(model.layers[#model.layers])
      assert.is_false(seen.whole)
      local height, width = table.unpack(model.output_shape)
      for _, place in ipairs { { 1, 1 }, { height, width }, { height // 2, width // 2 + 1 } } do
        local expected = {}
        for axis = 1, 2 do
          local first = (place[axis] - 1) * seen.step[axis] - seen.before[axis] + 1
          expected[2 * axis - 1] = math.max(1, first)
          expected[2 * axis] = math.min(case[2][axis], first + seen.size[axis] - 1)
        end
        assert.are.same(expected, pixels(model, case[2], place[1], place[2]))
      end
    end
  end)

  it("goes into a residual block, and is the whole image after flatten", function()
    local model = nn.sequential {
      nn.conv2d { 2, kernel = 3 },
      nn.residual { nn.conv2d { 2, kernel = 5 }, nn.relu() },
      nn.conv2d { 2, kernel = 3 }, nn.flatten(), nn.linear { 3 },
    }:build { 9, 7, 1 }
    assert.are.same({ 7, 7 }, field.of(model:layer "residual1.conv1").size)
    assert.are.same({ 9, 9 }, field.of(model:layer "conv2").size)
    local whole = field.of(model:layer "linear1")
    assert.is_true(whole.whole)
    assert.are.same({ 9, 7 }, whole.size)
  end)

  it("gives means of patches, weighted, what is outside the image counting as 0", function()
    for _, case in ipairs { { "same", 2 }, { "valid", 2 }, { 2, 2 }, { "same", { 1, 3 } }, { "valid", { 2, 3 } } } do
      local padding, pool = case[1], case[2]
      local model = nn.sequential {
        nn.conv2d { 3, kernel = 4, padding = padding }, nn.maxpool2d { pool },
        nn.conv2d { 2, kernel = 3, padding = padding },
      }:build { 11, 13, 3 }
      local layer = model:layer "conv2"
      local height, width = table.unpack(layer.output_shape)
      local x, p = numbers_of({ 2, 11, 13, 3 }, 1), numbers_of({ 2, height, width, 2 }, 1):abs()
      local mean = field.mean(layer, 2)
      mean:add(p:slice(1, 1), x:slice(1, 1))
      mean:add(p:slice(2, 2), x:slice(2, 2))
      local patches, seen = mean:result():totable(), field.of(layer)
      local images, share = x:totable(), p:totable()
      for channel = 1, 2 do
        for _, at in ipairs { { 0, 0, 1 }, { 2, 1, 3 }, { seen.size[1] - 1, seen.size[2] - 1, 2 } } do
          local sum, total = 0, 0
          for image = 1, 2 do
            for i = 1, height do
              for j = 1, width do
                local row = images[image][(i - 1) * seen.step[1] - seen.before[1] + at[1] + 1]
                local pixel = row and row[(j - 1) * seen.step[2] - seen.before[2] + at[2] + 1]
                local weight = share[image][i][j][channel]
                sum, total = sum + weight * (pixel and pixel[at[3]] or 0), total + weight
              end
            end
          end
          assert.is_near(sum / total, patches[at[1] + 1][at[2] + 1][at[3]][channel], 1e-5)
        end
      end
    end
  end)
end)

describe("information", function()
  it("is that of the definition", function()
    local joint = { { 3, 0, 1 }, { 2, 5, 4 }, { 0, 0, 7 }, { 0, 0, 0 } }
    local shared, rows, columns = information.mutual(joint)
    assert.is_near(bits(joint, "rows"), rows, 1e-12)
    assert.is_near(bits(joint, "columns"), columns, 1e-12)
    assert.is_near(rows + columns - bits(joint), shared, 1e-12)
    assert.is_near(2 * shared / (rows + columns), information.normalised(joint), 1e-12)
  end)

  it("is 0 where nothing varies or both are independent, 1 for copies", function()
    assert.are.equal(0, information.normalised { { 5, 0 }, { 0, 0 } })
    assert.is_near(0, information.mutual { { 2, 4 }, { 3, 6 } }, 1e-12)
    assert.is_near(1, information.normalised { { 5, 0 }, { 0, 2 } }, 1e-12)
    assert.is_near(1, information.entropy { 4, 4 }, 1e-12)
  end)
end)

describe("the numbers of a consequence sheet", function()
  --- Everything by loops over Lua numbers, from the activations of the layer. With `off`, "none" comes last.
  local function reference(model, data, sizes, off, scale)
    local x, y = data.validation:batches(#data.validation)()
    local labels = y:totable()
    local activations = autograd.no_grad(function() return model:eval():activations(x) end)
    local images = activations["softmax1"]:totable()
    local out = { use = {}, joint = {}, entropy = {}, share = {} }
    local locations, winners = 0, {}
    for n, image in ipairs(images) do
      for _, row in ipairs(image) do
        for _, values in ipairs(row) do
          locations = locations + 1
          local first = 1
          for g, size in ipairs(sizes) do
            local options, total = {}, 0
            for o = 1, size do
              options[o] = values[first + o - 1] / (scale and size or 1)
              total = total + options[o]
            end
            if off then options[size + 1] = math.max(0, 1 - total) end
            local best, entropy = 1, 0
            for o, p in ipairs(options) do
              if p > options[best] then best = o end
              entropy = entropy - (p > 0 and p * math.log(p) or 0)
            end
            out.use[g], out.share[g] = out.use[g] or {}, out.share[g] or {}
            for class = 1, CLASSES do
              out.use[g][class] = out.use[g][class] or {}
              for o = 1, #options do
                out.use[g][class][o] = (out.use[g][class][o] or 0)
                  + (labels[n] == class - 1 and o == best and 1 or 0)
              end
            end
            for o = 1, #options do out.share[g][o] = (out.share[g][o] or 0) + (o == best and 1 or 0) end
            out.entropy[g] = (out.entropy[g] or 0) + entropy / math.log(#options)
            winners[g] = best
            first = first + size
          end
          for g in ipairs(sizes) do
            out.joint[g] = out.joint[g] or {}
            for h in ipairs(sizes) do
              local joint = out.joint[g][h] or {}
              out.joint[g][h] = joint
              for a = 1, sizes[g] + 1 do
                joint[a] = joint[a] or {}
                for b = 1, sizes[h] + 1 do
                  joint[a][b] = (joint[a][b] or 0) + (a == winners[g] and b == winners[h] and 1 or 0)
                end
              end
            end
          end
        end
      end
    end
    out.locations = locations
    return out
  end

  local cases = {
    ["groups"] = { { 3, 3 }, { groups = 2 } },
    ["uneven sizes"] = { { 2, 4 }, { sizes = { 2, 4 } } },
    ["one group, two batches"] = { { 6 }, { groups = 1 }, 140 },
    ["groups, two batches"] = { { 3, 3 }, { groups = 2 }, 140 },
    ["scale and temperature"] = { { 2, 2, 2 }, { groups = 3, scale = true, temperature = 0.5 } },
    ["off, a group of one among them"] = { { 1, 5 }, { sizes = { 1, 5 }, off = true } },
  }
  for name, case in pairs(cases) do
    it("are those of plain loops: " .. name, function()
      local sizes, options, images = table.unpack(case)
      local model, data = model_of(nn.softmax(options)), data_of { images = images }
      local layer = model:layer "softmax1"
      local numbers = measured(model, "softmax1", data, competition.of_softmax(layer, 6))
      local expected = reference(model, data, sizes, options.off, options.scale)
      assert.are.same({ #data.validation, "validation", 16 }, { numbers.images, numbers.split, numbers.locations })
      for g, group in ipairs(numbers.groups) do
        assert.are.equal(sizes[g] + (options.off and 1 or 0), group.count)
        assert.is_near(expected.entropy[g] / expected.locations, group.entropy, 1e-4)
        local use = expected.use[g]
        assert.is_near(bits(use, "rows") + bits(use, "columns") - bits(use), group.information, 1e-9)
        for option, share in ipairs(group.share) do
          assert.is_near(expected.share[g][option] / expected.locations, share, 1e-9)
          for class, counts in ipairs(use) do
            local total = 0
            for _, count in ipairs(counts) do total = total + count end
            local given = total > 0 and counts[option] / total or 0
            assert.is_near(given, group.given_class[class][option], 1e-9)
          end
        end
        for h in ipairs(numbers.groups) do
          local joint = expected.joint[g][h]
          local one, other = bits(joint, "rows"), bits(joint, "columns")
          local shared = one + other > 0 and 2 * (one + other - bits(joint)) / (one + other) or 0
          assert.is_near(shared, numbers.redundancy[g][h], 1e-9)
        end
      end
    end)
  end

  it("say what happens without a group's choice", function()
    local model, data = model_of(nn.softmax { sizes = { 2, 4 }, scale = true }), data_of()
    local numbers = measured(model, "softmax1", data, competition.of_softmax(model:layer "softmax1", 6))
    local x, y = data.validation:batches(13)()
    local labels = y:totable()
    local chosen = model:eval():activations(x)["softmax1"]:totable()
    local members = { { 1, 2 }, { 3, 4, 5, 6 } }
    for g = 0, 2 do
      local levelled = {}
      for n, image in ipairs(chosen) do
        levelled[n] = {}
        for i, row in ipairs(image) do
          levelled[n][i] = {}
          for j, values in ipairs(row) do
            local copy = table.move(values, 1, 6, 1, {})
            for _, channel in ipairs(members[g] or {}) do copy[channel] = 1 end -- 1/n, times n for scale
            levelled[n][i][j] = copy
          end
        end
      end
      local guesses = model:layer "linear1"(sm.tensor(levelled):reshape(13, -1)):argmax(2):totable()
      local right, all, total = {}, {}, 0
      for n, guess in ipairs(guesses) do
        local class = labels[n] + 1
        all[class] = (all[class] or 0) + 1
        right[class] = (right[class] or 0) + (guess == class and 1 or 0)
        total = total + (guess == class and 1 or 0)
      end
      local accuracy = g == 0 and numbers.accuracy or numbers.groups[g].accuracy
      assert.is_near(total / 13, accuracy.all, 1e-9)
      for class = 1, CLASSES do
        if all[class] then assert.is_near(right[class] / all[class], accuracy[class], 1e-9) end
      end
    end
  end)

  it("leave the model and the random numbers as they were, and need no validation data", function()
    local data = sm.data.tensors {
      inputs = numbers_of({ 20, 8, 8, 1 }, 1), targets = sm.zeros({ 20 }, "int32"), classes = CLASSES,
    }
    local model = nn.sequential {
      nn.conv2d { 4, kernel = 3 }, nn.batchnorm(), nn.dropout { 0.5 }, nn.softmax { groups = 2 }, nn.flatten(),
      nn.linear { CLASSES },
    }:build { 8, 8, 1 }
    local statistics = model:buffers()["batchnorm1.mean"]
    local before, mean = random.state(), statistics:totable()
    local numbers = measured(model, "softmax1", data, competition.of_softmax(model:layer "softmax1", 4), 15)
    assert.are.same({ "training", 15 }, { numbers.split, numbers.images })
    assert.are.same(before, random.state())
    assert.are.same(mean, statistics:totable())
    assert.is_true(model.training and model:layer("dropout1").training)
    assert.is_false(model:parameters()["conv1.weight"].grad ~= nil)
  end)

  it("go on from a layer inside a residual block", function()
    local model = nn.sequential {
      nn.conv2d { 4, kernel = 3 },
      nn.residual { nn.conv2d { 4, kernel = 3 }, nn.softmax { groups = 2 }, nn.conv2d { 4, kernel = 3 } },
      nn.flatten(), nn.linear { CLASSES },
    }:build { 8, 8, 1 }
    local x = numbers_of({ 3, 8, 8, 1 }, 1)
    local seen = chain.watch(model, model:layer "residual1.softmax1", x)
    assert.are.same(model(x):totable(), seen.onward(seen.output):totable())
    assert.is_true((seen.result - seen.onward(seen.output * 0)):abs():max():item() > 1e-4)
  end)

  it("have examples with the winners of every location", function()
    local model, data = model_of(nn.softmax { groups = 2 }), data_of { used = 2 }
    local numbers = measured(model, "softmax1", data, competition.of_softmax(model:layer "softmax1", 6))
    assert.are.equal(2, #numbers.examples) -- the third class has no image
    assert.is_nil(numbers.accuracy[3])
    local example = numbers.examples[2]
    assert.are.equal(2, example.class)
    assert.is_near(0, (example.image - data.validation.inputs[1]):abs():max():item(), 1e-6) -- the first with label 1
    local x = data.validation:batches(1)()
    local values = model:eval():activations(x)["softmax1"][1]
    for g = 1, 2 do
      local winner, probability = example.winner[g]:totable(), example.probability[g]:totable()
      for i = 1, 4 do
        for j = 1, 4 do
          local all = values[i][j]:totable()
          assert.is_near(math.max(table.unpack(all, 3 * g - 2, 3 * g)), probability[i][j], 1e-6)
          assert.is_near(all[3 * (g - 1) + winner[i][j] + 1], probability[i][j], 1e-6)
        end
      end
    end
  end)
end)

describe("a control", function()
  it("deals every channel into one group, the same for the same seed", function()
    local one, again, other = competition.dealt(12, 3, 1, 5), competition.dealt(12, 3, 1, 5),
      competition.dealt(12, 3, 1, 6)
    assert.are.same(one, again)
    assert.are_not.same(one.order, other.order)
    assert.are.same({ 4, 4, 4 }, one.sizes)
    local all = table.move(one.order, 1, 12, 1, {})
    table.sort(all)
    assert.are.same({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 }, all)
  end)

  it("of one large softmax is its probabilities, given that one of the group wins", function()
    local model, data = model_of(nn.softmax()), data_of()
    local x = data.validation:batches(13)()
    local layer = model:layer "softmax1"
    local grouping = competition.dealt(6, 2, 1, 1)
    local seen = samples.quietly(model, chain.watch, model, layer, x)
    local p = competition.probabilities(seen.input, grouping):totable()
    local whole = seen.output:reshape(-1, 6):totable()
    for row = 1, #p, 17 do
      for g = 0, 1 do
        local sum = 0
        for place = 3 * g + 1, 3 * g + 3 do sum = sum + whole[row][grouping.order[place]] end
        for place = 3 * g + 1, 3 * g + 3 do
          assert.is_near(whole[row][grouping.order[place]] / sum, p[row][place], 1e-5)
        end
      end
    end
    local numbers = measured(model, "softmax1", data, grouping)
    assert.are.same({ table.unpack(grouping.order, 1, 3) }, numbers.groups[1].channels)
  end)
end)

describe("view.groups", function()
  local directory

  before_each(function()
    directory = os.tmpname()
    os.remove(directory)
    assert(lfs.mkdir(directory))
  end)

  after_each(function()
    for name in lfs.dir(directory) do
      if name ~= "." and name ~= ".." then os.remove(directory .. "/" .. name) end
    end
    assert(lfs.rmdir(directory))
  end)

  local function read(name)
    local file <close> = assert(io.open(directory .. "/" .. name, "rb"))
    return file:read "a"
  end

  --- Draws, and returns the bytes of the picture and of the numbers.
  local function draw(v, model, data, step)
    local name = ("%s-%06d"):format(v.name, step or 0)
    v:check(model, data)
    v:draw(model, ("%s/%s.png"):format(directory, name),
      { step = step or 0, validation_accuracy = 0.5, title = "a run", data = data })
    local bytes = read(name .. ".png")
    assert.are.equal("\137PNG\r\n\26\n", bytes:sub(1, 8))
    assert.are.equal("IEND", bytes:sub(-8, -5))
    return bytes, read(name .. ".csv"), string.unpack(">I4I4", bytes, 17)
  end

  it("is named after its layer", function()
    assert.are.equal("groups-conv2", view.groups("conv2").name)
    assert.are.equal("groups-conv2-control4", view.groups { "conv2", control = 4 }.name)
  end)

  it("draws every kind of group, control and image", function()
    local names = { "an ankle boot", "a coat, long", 'a "bag"' }
    local cases = {
      { "conv2", nn.softmax { groups = 2 } }, { "softmax1", nn.softmax {} },
      { "conv2", nn.softmax { sizes = { 1, 5 }, off = true } }, { "conv2", nn.softmax { groups = 3, scale = true }, 3 },
      { { "conv2", control = 3, seed = 2 }, nn.softmax {} }, { { "relu2", control = 2, images = 5 }, nn.relu() },
    }
    for _, case in ipairs(cases) do
      local data, model = data_of { depth = case[3], class_names = names, used = 2 }, model_of(case[2], case[3])
      local v = view.groups(case[1])
      local bytes, csv, width, height = draw(v, model, data)
      assert.is_true(width > 900 and width < 2200 and height > 700 and height < 2500)
      local again, same = draw(v, model, data)
      assert.are.equal(bytes, again)
      assert.are.equal(csv, same)
    end
    local fully = nn.sequential { nn.flatten(), nn.linear { 8 }, nn.softmax { groups = 4 }, nn.linear { CLASSES } }
    draw(view.groups "linear1", fully:build { 8, 8, 1 }, data_of())
  end)

  it("writes the numbers behind the picture", function()
    local data, model = data_of { class_names = { "plain", "a, b", 'c "d"' } }, model_of(nn.softmax { groups = 2 })
    local _, csv = draw(view.groups "conv2", model, data, 7)
    local numbers = measured(model, "softmax1", data, competition.of_softmax(model:layer "softmax1", 6))
    local lines = {}
    for line in csv:gmatch "[^\n]+" do lines[#lines + 1] = line end
    assert.are.equal("step,quantity,group,channel,class,other_group,value", lines[1])
    local function value(start)
      for _, line in ipairs(lines) do
        if line:sub(1, #start) == start then return tonumber(line:sub(#start + 1)) end
      end
      error("no row " .. start)
    end
    assert.is_near(numbers.groups[2].entropy, value "7,entropy,2,,,,", 1e-6)
    assert.is_near(numbers.groups[2].information, value "7,mutual_information_bits,2,,,,", 1e-6)
    assert.is_near(numbers.groups[2].given_class[2][1], value '7,win_share_given_class,2,4,"a, b",,', 1e-6)
    assert.is_near(numbers.groups[1].given_class[3][3], value '7,win_share_given_class,1,3,"c ""d""",,', 1e-6)
    assert.is_near(numbers.redundancy[1][2], value "7,redundancy,1,,,2,", 1e-6)
    assert.is_near(numbers.accuracy.all, value "7,accuracy,,,,,", 1e-6)
    assert.is_near(numbers.groups[1].accuracy[1], value "7,accuracy_without_choice,1,,plain,,", 1e-6)
  end)

  it("enters means over the groups into metrics.csv, and draws what it measured", function()
    local data, model = data_of(), model_of(nn.softmax { sizes = { 1, 2, 3 }, off = true })
    local v = view.groups "conv2"
    assert.are.same({ "conv2_entropy", "conv2_class_bits", "conv2_redundancy", "conv2_ablation" },
      v:metric_names(model))
    local numbers = measured(model, "softmax1", data, competition.of_softmax(model:layer "softmax1", 6))
    local g, r, figures = numbers.groups, numbers.redundancy, v:measure(model, data)
    assert.is_near((g[1].entropy + g[2].entropy + g[3].entropy) / 3, figures.conv2_entropy, 1e-12)
    assert.is_near((g[1].information + g[2].information + g[3].information) / 3, figures.conv2_class_bits, 1e-12)
    assert.is_near((r[1][2] + r[1][3] + r[2][3]) / 3, figures.conv2_redundancy, 1e-12)
    assert.is_near(numbers.accuracy.all - (g[1].accuracy.all + g[2].accuracy.all + g[3].accuracy.all) / 3,
      figures.conv2_ablation, 1e-12)
    local forwards, forward = 0, model.forward
    model.forward = function(...)
      forwards = forwards + 1
      return forward(...)
    end
    local path = directory .. "/groups-conv2-000007.png"
    local moment = { step = 7, title = "a run", data = data, row = figures }
    v:draw(model, path, moment)
    assert.are.equal(0, forwards)
    v:draw(model, path, moment) -- what was measured is of one moment
    assert.is_true(forwards > 0)
    assert.are.same({ "softmax1_entropy", "softmax1_class_bits", "softmax1_ablation" },
      view.groups("softmax1"):metric_names(model_of(nn.softmax {})))
    assert.are.equal("conv2_control3_redundancy",
      view.groups({ "conv2", control = 3 }):metric_names(model_of(nn.softmax {}))[3])
  end)

  it("looks back at earlier steps in the files beside it, and at no later ones", function()
    local data, model = data_of(), model_of(nn.softmax { groups = 2 })
    local v = view.groups "conv2"
    local alone = draw(v, model, data, 200)
    draw(v, model, data, 100)
    draw(view.groups { "conv2", images = 5 }, model, data, 0)
    draw(v, model, data, 300)
    local file <close> = assert(io.open(directory .. "/groups-conv2-000050.csv", "w"))
    file:write "step,something else\n"
    file:close()
    local moments = record.history(directory .. "/", "groups-conv2", 200, 2)
    assert.are.equal(2, #moments)
    assert.are.same({ 0, 100 }, { moments[1].step, moments[2].step })
    local numbers = measured(model, "softmax1", data, competition.of_softmax(model:layer "softmax1", 6))
    assert.is_near(numbers.groups[2].entropy, moments[2][2], 1e-6)
    assert.are.same({}, record.history(directory .. "/", "groups-conv2", 200, 3))
    assert.are.same({}, record.history(directory .. "/", "groups-conv", 200, 2))
    assert.are_not.equal(alone, (draw(v, model, data, 200))) -- the curve has a past now
  end)

  it("draws the filters of a deeper convolution by the patches that they see", function()
    local data, model = data_of(), model_of(nn.softmax { groups = 2 })
    local v = view.filters "conv2"
    v:check(model, data)
    v:draw(model, directory .. "/filters.png", { step = 1, data = data })
    assert.are.equal("\137PNG", read("filters.png"):sub(1, 4))
    local _, message = pcall(v.check, v, model)
    assert.matches("view%.filters: the filters of layer 'conv2' are over 4 channels; to show them by the image "
      .. "patches that they see, the data set is needed, and none was given", message)
  end)

  it("weights these patches by gradient on request", function()
    for _, activation in ipairs { nn.softmax { groups = 2 }, nn.relu() } do
      local data, model = data_of(), model_of(activation)
      local v = view.filters { "conv2", by = "gradient" }
      assert.are.equal("filters-conv2-gradient", v.name)
      v:check(model, data)
      v:draw(model, directory .. "/gradient.png", { step = 1, data = data })
      view.filters("conv2"):draw(model, directory .. "/filters.png", { step = 1, data = data })
      assert.are_not.equal(read "gradient.png", read "filters.png")
      v:draw(model, directory .. "/again.png", { step = 1, data = data })
      assert.are.equal(read "gradient.png", read "again.png")
      assert.is_true(model.training)
      for _, parameter in pairs(model:parameters()) do assert.is_nil(parameter.grad) end
    end
    local function message_of(f, ...) return select(2, pcall(f, ...)) end
    local v, model = view.filters { "conv1", by = "gradient" }, model_of(nn.relu())
    assert.matches("option 'by' says how image patches are weighted, but the filters of layer 'conv1' are over "
      .. "pixels and drawn as they are", message_of(v.check, v, model, data_of()))
    model = nn.sequential { nn.conv2d { 4, kernel = 3 }, nn.conv2d { 4, kernel = 3 } }:build { 8, 8, 1 }
    v = view.filters { "conv2", by = "gradient" }
    assert.matches('by = "gradient" needs a model that gives a score for each class, but this one gives {8, 8, 4}',
      message_of(v.check, v, model, data_of()))
    assert.matches("option 'by' must be \"activation\" or \"gradient\", got string \"gradints\"; did you mean "
      .. "'gradient'", message_of(view.filters, { "conv2", by = "gradints" }))
  end)

  describe("refuses", function()
    local function message_of(f, ...)
      local ok, message = pcall(f, ...)
      assert.is_false(ok)
      return message
    end

    local function check(given, model, data)
      local v = view.groups(given)
      return message_of(v.check, v, model, data or data_of())
    end

    it("a layer that does not exist, naming the line of the view", function()
      local message = check("conv3", model_of(nn.softmax {}))
      assert.matches("^[^\n]*groups_spec%.lua:%d+: view%.groups: the model has no layer 'conv3'", message)
      assert.matches("did you mean 'conv", message)
    end)

    it("a layer without groups", function()
      assert.matches("layer 'conv2' is followed by a relu; groups are those of a softmax %(control = 4 deals the "
        .. "channels of another activation into 4 groups at random%)", check("conv2", model_of(nn.relu())))
      assert.matches("layer 'relu1' is a relu; groups are", check("relu1", model_of(nn.softmax {})))
      assert.matches("layer 'linear1' is followed by nothing; groups are", check("linear1", model_of(nn.softmax {})))
    end)

    it("a control of groups, or of numbers that do not fit", function()
      assert.matches("a control regroups a layer without groups, but 'softmax1' is a softmax over 3 groups",
        check({ "conv2", control = 2 }, model_of(nn.softmax { groups = 3 })))
      assert.matches("a control regroups a layer without groups, but 'softmax1' is a softmax with an option of its "
        .. "own %(off%)", check({ "conv2", control = 2 }, model_of(nn.softmax { off = true })))
      assert.matches("the 6 channels of layer 'conv2' cannot be dealt into 4 equal groups of at least 2",
        check({ "conv2", control = 4 }, model_of(nn.relu())))
      assert.matches("the 6 channels of layer 'conv2' cannot be dealt into 6 equal groups of at least 2",
        check({ "conv2", control = 6 }, model_of(nn.relu())))
      assert.matches("layer 'linear1' is followed by nothing; a control needs a softmax over all channels, relu, "
        .. "sigmoid or tanh", check({ "linear1", control = 3 }, model_of(nn.relu())))
    end)

    it("a model that is not built", function()
      assert.matches("layer 'conv1' has no weights yet; build the model first",
        check("conv1", nn.sequential { nn.conv2d { 4, kernel = 3 }, nn.softmax() }))
    end)

    it("data without classes or images, and scores that are not the classes'", function()
      local model = model_of(nn.softmax {})
      local v = view.groups "conv2"
      assert.matches("the data set is needed for its images, and none was given", message_of(v.check, v, model))
      assert.matches("but the data set 'tensors' has none", check("conv2", model,
        sm.data.tensors { inputs = sm.zeros(4, 8, 8, 1), targets = sm.zeros(4, 2) }))
      assert.matches("the model must give one score for each of 5 classes, but it gives {3}", check("conv2", model,
        sm.data.tensors { inputs = sm.zeros(4, 8, 8, 1), targets = sm.zeros({ 4 }, "int32"), classes = 5 }))
      local rows = nn.sequential { nn.linear { 4 }, nn.softmax(), nn.linear { CLASSES } }:build { 7 }
      assert.matches("it shows images {height, width, 1 or 3}, but the model takes {7}", check("linear1", rows))
    end)

    it("wrong options", function()
      assert.matches("view%.groups: unknown option 'controls'; did you mean 'control'%?",
        message_of(view.groups, { "conv2", controls = 3 }))
      assert.matches("view%.groups: option 'control' must be at least 2, got 1",
        message_of(view.groups, { "conv2", control = 1 }))
      assert.matches("view%.groups: argument 1 is missing", message_of(view.groups, {}))
    end)
  end)
end)
