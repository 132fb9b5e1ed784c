--- Transforms of training examples, against a slow reference in Lua that draws the same numbers.
package.path = "tests/lua/?.lua;" .. package.path
local helpers = require "helpers"
local sm = require "sm"
local runtime = require "sm.runtime"

local message, has = helpers.message, helpers.has
local STREAM <const>, NUMBERS <const> = 5, 12
local double <const> = runtime.real == "float64"
local tolerance <const> = double and 1e-9 or 2e-4

--- Word `word` of the block, attempt and stream of a seed: Philox4x32-10 as its paper has it.
local function philox(seed, stream, block, attempt)
  local c0, c1, c2, c3 = block & 0xffffffff, block >> 32, stream, attempt
  local k0, k1 = seed & 0xffffffff, seed >> 32
  for _ = 1, 10 do
    local one, two = 0xD2511F53 * c0, 0xCD9E8D57 * c2
    c0, c1, c2, c3 = two >> 32 ~ c1 ~ k0, two & 0xffffffff, one >> 32 ~ c3 ~ k1, one & 0xffffffff
    k0, k1 = k0 + 0x9E3779B9 & 0xffffffff, k1 + 0xBB67AE85 & 0xffffffff
  end
  return { c0, c1, c2, c3 }
end

--- The numbers of [0, 1) of example i of the first batch after sm.seed(seed).
local function numbers_of(seed, i)
  local numbers = {}
  for n = 0, NUMBERS - 1 do
    local at = (i - 1) * NUMBERS + n
    numbers[n + 1] = (philox(seed, STREAM, at // 4, 0)[at % 4 + 1] >> 8) * 0x1p-24
  end
  return numbers
end

--- The displacements of a pixel: one smoothed axis of the field, [y][x].
local function field_of(seed, i, axis, rule, height, width)
  local drawn = {}
  for y = 1, height do
    drawn[y] = {}
    for x = 1, width do
      local at = (axis * height + y - 1) * width + x - 1
      local word = philox(seed, STREAM, (i - 1) * NUMBERS // 4, at // 4 + 1)[at % 4 + 1]
      drawn[y][x] = (word >= 0x80000000 and word - 0x100000000 or word) * 0x1p-31
    end
  end
  local reach, sum = math.ceil(3 * rule.sigma), 0
  local function gaussian(k) return math.abs(k) > reach and 0 or math.exp(-0.5 * (k / rule.sigma) ^ 2) end
  for k = -reach, reach do sum = sum + gaussian(k) end
  local field = {}
  for y = 1, height do
    field[y] = {}
    for x = 1, width do
      local total = 0
      for v = 1, height do
        for u = 1, width do total = total + gaussian(v - y) * gaussian(u - x) * drawn[v][u] end
      end
      field[y][x] = rule.alpha * total / sum ^ 2
    end
  end
  return field
end

--- What a table of changes makes of image [y][x][c] number i of a batch. rule = {shift = {y, x}, flip = {y=, x=},
--- rotation = {from, to} in degrees, scale = {from, to}, elastic =, cutout =, fill =}.
local function changed(image, seed, i, rule)
  local height, width, n = #image, #image[1], numbers_of(seed, i)
  local fill = rule.fill or 0
  local function at(y, x, c)
    if y < 0 or x < 0 or y >= height or x >= width then return fill end
    return image[y + 1][x + 1][c]
  end
  local function bilinear(y, x, c)
    local top, left = math.floor(y), math.floor(x)
    local v, u = y - top, x - left
    return (1 - v) * ((1 - u) * at(top, left, c) + u * at(top, left + 1, c))
      + v * ((1 - u) * at(top + 1, left, c) + u * at(top + 1, left + 1, c))
  end
  local shift, rotation, scale = rule.shift or { 0, 0 }, rule.rotation or { 0, 0 }, rule.scale or { 1, 1 }
  local down, right = shift[1] * (2 * n[1] - 1), shift[2] * (2 * n[2] - 1)
  local flip = n[3] < 0.5 and rule.flip or {}
  local angle = math.rad(rotation[1] + n[4] * (rotation[2] - rotation[1]))
  local size = scale[1] + n[5] * (scale[2] - scale[1])
  local fields = {}
  for axis = 0, 1 do
    fields[axis] = rule.elastic and field_of(seed, i, axis, rule.elastic, height, width)
  end
  local middle_y, middle_x = (height - 1) / 2, (width - 1) / 2
  local result = {}
  for y = 0, height - 1 do
    result[y + 1] = {}
    for x = 0, width - 1 do
      local py, px = y, x
      if rule.elastic then py, px = y + fields[0][y + 1][x + 1], x + fields[1][y + 1][x + 1] end
      py, px = (py - middle_y - down) / size, (px - middle_x - right) / size
      py, px = px * math.sin(angle) + py * math.cos(angle), px * math.cos(angle) - py * math.sin(angle) -- clockwise
      if flip.y then py = -py end
      if flip.x then px = -px end
      result[y + 1][x + 1] = {}
      for c = 1, #image[1][1] do result[y + 1][x + 1][c] = bilinear(py + middle_y, px + middle_x, c) end
    end
  end
  local side = rule.cutout or 0
  local row, column = math.floor(n[6] * height) - side // 2, math.floor(n[7] * width) - side // 2
  for y = math.max(row, 0), math.min(row + side, height) - 1 do
    for x = math.max(column, 0), math.min(column + side, width) - 1 do
      for c = 1, #image[1][1] do result[y + 1][x + 1][c] = fill end
    end
  end
  return result
end

--- A data set of random images {height, width, channels} whose targets are their positions, from 0.
local function images(count, height, width, channels, transform, more)
  sm.seed(77)
  local given = { inputs = sm.randn(count, height, width, channels), targets = sm.arange(count, "int32"),
    transform = transform }
  for key, value in pairs(more or {}) do given[key] = value end
  return sm.data.tensors(given)
end

local function close(expected, given, path)
  if type(expected) == "table" then
    assert.equal(#expected, #given)
    for key, value in ipairs(expected) do close(value, given[key], (path or "") .. "." .. key) end
  elseif given ~= given or math.abs(expected - given) > tolerance * (1 + math.abs(expected)) then
    error(("%s: expected %.9g, got %.9g"):format(path, expected, given), 0)
  end
end

--- Compares a batch of a data set of images with what the reference says of it.
local function agrees(count, height, width, channels, transform, rule)
  local set, seed = images(count, height, width, channels, transform), 12345
  local source = set.train.inputs:totable()
  sm.seed(seed)
  local x, y = set:stream(count):next()
  assert.same({ count, height, width, channels }, x.shape)
  local given, labels = x:totable(), y:totable()
  for i = 1, count do close(changed(source[labels[i] + 1], seed, i, rule), given[i], tostring(i)) end
end

--- The first batch of images under a transform, and the images that it was made of, in the same order.
local function batch_of(count, height, width, channels, transform, seed)
  local set = images(count, height, width, channels, transform)
  sm.seed(seed or 1)
  local x, y = set:stream(count):next()
  local source, order = set.train.inputs:totable(), {}
  for i, position in ipairs(y:totable()) do order[i] = source[position + 1] end
  return x:totable(), order
end

describe("a transform", function()
  local threads = runtime.system.threads()
  after_each(function() runtime.system.set_threads(threads) end)

  it("does what the reference does", function()
    agrees(3, 6, 5, 1, { shift = 2 }, { shift = { 2, 2 } })
    agrees(3, 6, 9, 1, { shift = { 0.5, 3 }, fill = 0.25 }, { shift = { 0.5, 3 }, fill = 0.25 })
    agrees(4, 5, 7, 2, { flip = true }, { flip = { x = true } })
    agrees(4, 5, 7, 2, { flip = "horizontal" }, { flip = { x = true } })
    agrees(4, 5, 7, 3, { flip = "vertical" }, { flip = { y = true } })
    agrees(3, 8, 6, 1, { rotation = 40 }, { rotation = { -40, 40 } })
    agrees(3, 8, 6, 1, { rotation = { 20, 100 }, fill = -1 }, { rotation = { 20, 100 }, fill = -1 })
    agrees(3, 6, 6, 1, { scale = 0.3 }, { scale = { 0.7, 1.3 } })
    agrees(3, 6, 6, 1, { scale = { 0.5, 3 } }, { scale = { 0.5, 3 } })
    agrees(2, 9, 7, 1, { elastic = { alpha = 6, sigma = 1.5 } }, { elastic = { alpha = 6, sigma = 1.5 } })
    agrees(2, 4, 40, 1, { elastic = { alpha = 20, sigma = 4 } }, { elastic = { alpha = 20, sigma = 4 } })
    agrees(4, 6, 7, 2, { cutout = 3, fill = 9 }, { cutout = 3, fill = 9 })
    agrees(4, 6, 7, 1, { cutout = 100 }, { cutout = 100 })
  end)

  it("composes all of it into one sampling", function()
    local elastic = { alpha = 10, sigma = 2 }
    for _, size in ipairs { { 8, 7, 1 }, { 5, 34, 3 }, { 1, 1, 1 }, { 1, 9, 2 }, { 9, 1, 1 } } do
      local height, width, channels = table.unpack(size)
      agrees(3, height, width, channels,
        { shift = { 1, 2 }, flip = true, rotation = 30, scale = 0.2, elastic = elastic, cutout = 2, fill = 0.5 },
        { shift = { 1, 2 }, flip = { x = true }, rotation = { -30, 30 }, scale = { 0.8, 1.2 }, elastic = elastic,
          cutout = 2, fill = 0.5 })
    end
  end)

  it("leaves exactly the image where nothing moves it", function()
    for _, transform in ipairs { {}, { shift = 0 }, { flip = false }, { rotation = 0, scale = { 1, 1 } },
      { elastic = { alpha = 0, sigma = 2 } }, { rotation = { 0, 0 }, fill = 3 }, { scale = 0 } } do
      local given, source = batch_of(5, 4, 3, 2, transform)
      assert.same(source, given)
    end
  end)

  it("mirrors, doubles and turns by quarters exactly", function()
    local given, source = batch_of(40, 4, 3, 1, { flip = true })
    for i = 1, 40 do
      local flips = given[i][1][1][1] ~= source[i][1][1][1]
      for y = 1, 4 do
        for x = 1, 3 do assert.equal(source[i][y][flips and 4 - x or x][1], given[i][y][x][1]) end
      end
    end
    given, source = batch_of(2, 5, 5, 1, { rotation = { 90, 90 } })
    for y = 1, 5 do -- counter-clockwise: what was at the right end of the first row is at its left end
      for x = 1, 5 do close(source[1][x][6 - y][1], given[1][y][x][1]) end
    end
    given, source = batch_of(1, 5, 5, 1, { scale = { 2, 2 } })
    for y = 1, 5 do
      for x = 1, 5 do
        if y % 2 == 1 and x % 2 == 1 then assert.equal(source[1][(y + 3) // 2][(x + 3) // 2][1], given[1][y][x][1]) end
      end
    end
  end)

  it("draws from all of its range, evenly", function()
    local count, sum, squares, least, most, flipped = 4000, 0, 0, 0, 0, 0
    local ramp = {}
    for x = 1, 21 do ramp[x] = x - 11 end
    local inputs = sm.tensor(ramp):reshape(1, 1, 21, 1):expand(count, 1, 21, 1):clone()
    local function middles(transform)
      sm.seed(5)
      local set = sm.data.tensors { inputs = inputs, targets = sm.zeros(count), transform = transform }
      return set:stream(count):next():reshape(count, 21)
    end
    for _, row in ipairs(middles { shift = { 0, 4 } }:totable()) do -- the middle has what lay `right` to its left
      local right = -row[11]
      sum, squares = sum + right, squares + right * right
      least, most = math.min(least, right), math.max(most, right)
    end
    assert.is_true(math.abs(sum / count) < 0.15 and math.abs(squares / count - 16 / 3) < 0.3)
    assert.is_true(least >= -4 and least < -3.9 and most <= 4 and most > 3.9)
    for _, row in ipairs(middles { flip = true }:totable()) do
      if row[1] == 10 then flipped = flipped + 1 else assert.equal(-10, row[1]) end
    end
    assert.is_true(math.abs(flipped / count - 0.5) < 0.04)
    least, most, sum = 1, 1, 0
    for _, row in ipairs(middles { scale = { 1, 3 } }:totable()) do
      local size = 1 / row[12]
      least, most, sum = math.min(least, size), math.max(most, size), sum + size
    end
    assert.is_true(least >= 1 - 1e-6 and most <= 3 + 1e-6 and most > 2.95 and math.abs(sum / count - 2) < 0.05)
    local counts = {}
    for _, row in ipairs(middles { cutout = 1, fill = 99 }:totable()) do
      for x, value in ipairs(row) do
        if value == 99 then counts[x] = (counts[x] or 0) + 1 end
      end
    end
    for x = 1, 21 do assert.is_true(math.abs(counts[x] - count / 21) < 60) end
  end)

  it("gives each example the same numbers whatever else is asked for", function()
    local function first(transform)
      local set = images(4, 6, 6, 1, transform)
      sm.seed(3)
      return (set:stream(4):next())
    end
    local alone, covered = first { shift = 2 }, first { shift = 2, cutout = 1 }
    assert.is_true(alone:ne(covered):to(runtime.real):sum():item() <= 4)
    close(alone:totable(), first { shift = 2, elastic = { alpha = 1e-12, sigma = 2 } }:totable())
  end)

  it("does not depend on the number of threads", function()
    local kinds = { shift = 2, rotation = 20, elastic = { alpha = 9, sigma = 2 }, cutout = 3, mixup = 0.4 }
    local first
    for count = 1, 3 do
      runtime.system.set_threads(count)
      local set = images(37, 11, 13, 2, kinds)
      sm.seed(9)
      local stream = set:stream(20)
      local all = {}
      for i = 1, 3 do
        local x, y = stream:next()
        all[i] = { x:totable(), y:totable() }
      end
      first = first or all
      assert.same(first, all)
    end
  end)

  it("changes what training draws, and nothing else", function()
    local set = images(20, 5, 5, 1, { shift = 2 }, { validation = 5, test_inputs = sm.ones(3, 5, 5, 1),
      test_targets = sm.zeros({ 3 }, "int32") })
    local plain = images(20, 5, 5, 1, nil, { validation = 5 })
    for x in set.validation:batches(5) do assert.same(plain.validation.inputs:totable(), x:totable()) end
    for x in set.test:batches(5) do assert.same(sm.ones(3, 5, 5, 1):totable(), x:totable()) end
    for x in set.train:batches(15) do assert.same(plain.train.inputs:totable(), x:totable()) end
    sm.seed(1)
    local changed_x, order
    for x, y in set:batches(15) do changed_x, order = x:totable(), y:totable() end
    sm.seed(1)
    for x, y in plain:batches(15) do
      assert.same(order, y:totable()) -- the same order of examples
      assert.not_same(x:totable(), changed_x)
    end
  end)

  it("is a function as well, which draws the same numbers", function()
    local moves = { shift = 2, rotation = 20, flip = true }
    local pictures = sm.rand(6, 5, 4, 2)
    local x = sm.data.tensors { inputs = pictures, targets = sm.arange(6) }
    sm.seed(3)
    local plain, order = x:stream(6):next()
    sm.seed(3)
    local moved = sm.data.augment(plain, moves)
    sm.seed(3)
    local moving = sm.data.tensors { inputs = pictures, targets = sm.arange(6), transform = moves }
    local batch, same = moving:stream(6):next()
    assert.same(order:totable(), same:totable())
    assert.same(batch:totable(), moved:totable())
    assert.is_false(sm.data.augment(pictures:clone():requires_grad(), moves):tracks())
    has(message(sm.data.augment, pictures, { mixup = 1 }), "data.augment: option 'mixup' needs targets")
    has(message(sm.data.augment, pictures, { turn = 1 }), "data.augment: unknown option 'turn'")
    has(message(sm.data.augment, sm.zeros(2, 3), moves), "data.augment takes images {N, height, width, channels} of ")
    has(message(sm.data.augment, sm.zeros({ 1, 2, 2, 1 }, "uint8"), moves), "got tensor {1, 2, 2, 1} of uint8")
    has(message(sm.data.augment, 3, moves), "got number 3")
    assert.same({ 0, 4, 4, 1 }, { table.unpack(sm.data.augment(sm.zeros(0, 4, 4, 1), moves).shape) })
  end)

  it("takes bytes, also as numbers", function()
    local bytes = sm.tensor({ 10, 20, 30, 40, 50, 60 }, "uint8"):reshape(1, 2, 3, 1)
    local function first(kind, transform)
      local set = sm.data.tensors { inputs = bytes, targets = sm.zeros(1), kind = kind, transform = transform }
      sm.seed(1)
      return set:stream(1):next()
    end
    close(first("pixels"):totable(), first("pixels", { rotation = { 360, 360 } }):totable())
    close(first("numbers"):totable(), first("numbers", { rotation = { 360, 360 } }):totable())
    assert.equal(7, first("numbers", { cutout = 9, fill = 7 }):max():item())
    has(message(first, "indices", { shift = 1 }), "needs examples of one tensor of pixels or numbers, got indices")
  end)

  describe("mixup", function()
    --- A batch under mixup, and the images and labels that it was made of, as they came.
    local function mixed(count, a, more)
      local x, y = images(count, 3, 2, 1, nil, more), images(count, 3, 2, 1, { mixup = a }, more)
      sm.seed(4)
      local plain_x, plain_y = x:stream(count):next()
      sm.seed(4)
      local mixed_x, mixed_y = y:stream(count):next()
      return mixed_x, mixed_y, plain_x, plain_y
    end

    it("mixes neighbours and their labels by one share", function()
      local x, y, plain_x, plain_y = mixed(6, 0.7)
      assert.same({ 6, 6 }, y.shape)
      assert.equal(runtime.real, y.dtype)
      local rows, labels, sources = y:totable(), plain_y:totable(), plain_x:totable()
      for i, image in ipairs(x:totable()) do
        local share, sum, following = rows[i][labels[i] + 1], 0, i % 6 + 1
        for _, part in ipairs(rows[i]) do sum = sum + part end
        close(1, sum)
        close(1 - share, rows[i][labels[following] + 1])
        for row = 1, 3 do
          for column = 1, 2 do
            close(share * sources[i][row][column][1] + (1 - share) * sources[following][row][column][1],
              image[row][column][1])
          end
        end
      end
    end)

    it("mixes real targets as they are, and examples that are no images", function()
      local given = { inputs = sm.arange(5):reshape(5, 1), targets = sm.arange(5) * 10 }
      given.transform = { mixup = 0.3 }
      local x, y = sm.data.tensors(given):stream(5):next()
      close((x * 10):reshape(-1):totable(), y:totable())
      given.targets = sm.ones(5, 3)
      close(sm.ones(5, 3):totable(), select(2, sm.data.tensors(given):stream(5):next()):totable())
    end)

    it("draws shares of Beta(a, a)", function()
      for _, a in ipairs { 0.1, 0.2, 1, 3.5, 40 } do
        local count, sum, squares, below = 6000, 0, 0, 0
        local function targets(transform)
          sm.seed(8)
          local set = sm.data.tensors { inputs = sm.zeros(count, 1), targets = sm.arange(count), transform = transform }
          return (select(2, set:stream(count):next()))
        end
        local plain, given = targets(), targets { mixup = a }
        local here, after = plain:totable(), plain:roll(-1, 1):totable()
        for i, value in ipairs(given:totable()) do
          local share = (value - after[i]) / (here[i] - after[i])
          assert.is_true(share > -0.01 and share < 1.01)
          sum, squares = sum + share, squares + (share - 0.5) ^ 2
          if share < 0.25 then below = below + 1 end
        end
        assert.is_true(math.abs(sum / count - 0.5) < 0.02)
        assert.is_true(math.abs(squares / count * 4 * (2 * a + 1) - 1) < 0.08)
        if a == 1 then assert.is_true(math.abs(below / count - 0.25) < 0.02) end
      end
    end)

    it("needs targets that can be mixed", function()
      local function of(targets)
        return function()
          return sm.data.tensors { inputs = sm.ones(2, 3), targets = targets, transform = { mixup = 1 } }
        end
      end
      has(message(of(sm.zeros({ 2, 4 }, "int32"))), "option 'mixup' needs one tensor of targets: labels {N}, or real")
      has(message(of { a = sm.zeros(2), b = sm.zeros(2) }), "option 'mixup' needs one tensor of targets")
    end)
  end)

  describe("of one's own", function()
    it("gets batches, and draws of the seed", function()
      local seen = 0
      local set = images(6, 2, 2, 1, function(x, y)
        seen = seen + 1
        return x * 0 + sm.rand(1), y:to(runtime.real) + 1
      end)
      local function first()
        sm.seed(2)
        return set:stream(4):next()
      end
      local x, y = first()
      assert.same(x:totable(), (first()):totable())
      assert.equal(2, seen)
      assert.is_true(y:min():item() >= 1)
      for _ in set.train:batches(3) do assert.equal(2, seen) end
    end)

    it("comes in its order in a list", function()
      local function twice(x, y) return x * 2, y end
      local given = batch_of(4, 2, 2, 1, { { cutout = 5, fill = 3 }, twice })
      assert.same({ { { 6 }, { 6 } }, { { 6 }, { 6 } } }, given[1])
      given = batch_of(4, 2, 2, 1, { twice, { cutout = 5, fill = 3 } })
      assert.same({ { { 3 }, { 3 } }, { { 3 }, { 3 } } }, given[1])
    end)

    it("may change what is no image, also its shape", function()
      local set = sm.data.tensors { inputs = sm.tensor({ 1, 2, 3, 4 }, "int32"):reshape(2, 2),
        targets = sm.zeros({ 2, 4 }, "int32"), transform = function(x, y) return x:narrow(2, 1, 1), y end }
      assert.same({ 2, 1 }, set:stream(2):next().shape)
    end)

    it("gets tables where the data have names, which a table of changes refuses", function()
      local function of(transform)
        return sm.data.tensors { inputs = { left = sm.ones(3, 2, 2, 1), right = sm.ones(3, 4) }, targets = sm.zeros(3),
          transform = transform }
      end
      local set = of(function(x, y) return { left = x.left * 2, right = x.right }, { y = y } end)
      local x, y = set:stream(3):next()
      assert.same({ 2, 1 }, { x.left:max():item(), x.right:max():item() })
      assert.same({ 3 }, y.y.shape)
      set = of(function(inputs, targets) return { left = inputs.left, right = inputs.right:slice(1, 2) }, targets end)
      has(message(function() set:stream(3):next() end),
        "of 3 examples, got {left = {3, 2, 2, 1}, right = {2, 4}} as inputs")
      has(message(of, { shift = 1 }), "needs examples of one tensor of pixels or numbers, got tensors by name")
    end)

    it("records nothing", function()
      local weight = sm.ones(1):requires_grad()
      local set = images(4, 2, 2, 1, function(x, y) return x * weight, y end)
      assert.is_false(set:stream(2):next():tracks())
    end)

    it("must give as many examples as it got", function()
      local function with(f)
        local set = images(4, 2, 2, 1, f)
        return function() return set:stream(3):next() end
      end
      has(message(with(function(x, y) return x:slice(1, 2), y end)), "must return the inputs and the targets of 3 "
        .. "examples, got {2, 2, 2, 1} as inputs; it is defined at tests/lua/transform_spec.lua:")
      has(message(with(function(x) return x end)), "got nil as targets")
      has(message(with(function(x) return x, x:sum() end)), "got {} as targets")
      has(message(with(function() return 3 end)), "got number 3 as inputs")
    end)
  end)

  it("refuses what it does not know, and what is no number of its kind", function()
    local function refuses(transform, words)
      has(message(images, 3, 2, 2, 1, transform), words)
    end
    refuses({ shfit = 2 }, "tensors: option 'transform': unknown option 'shfit'; did you mean 'shift'?")
    refuses({ elastic = { alpha = 1 } }, "option 'elastic': option 'sigma' is missing")
    refuses({ elastic = { alpha = 1, sgima = 1 } }, "did you mean 'sigma'?")
    refuses({ elastic = { alpha = 1, sigma = 0 } }, "option 'sigma' must be above 0")
    refuses({ shift = -1 }, "option 'shift' must be at least 0, got -1")
    refuses({ shift = { 1, -1 } }, "option 'shift' must be a number or {y, x} of at least 0")
    refuses({ shift = { 1, 2, 3 } }, "got {number 1, number 2, number 3}")
    refuses({ shift = { 1 / 0, 2 } }, "option 'shift' must be a number or {y, x}")
    refuses({ rotation = { 3, "a" } }, "option 'rotation' must be a number or {from, to}")
    refuses({ rotation = { 3, 2 } }, "option 'rotation' must be {from, to}, got {3, 2}")
    refuses({ scale = 1 }, "option 'scale' must be at least 0 and below 1, got 1")
    refuses({ scale = { 0, 1 } }, "option 'scale' must be above 0")
    refuses({ flip = "diagonal" }, "option 'flip' must be one of 'horizontal', 'vertical'")
    refuses({ cutout = 1.5 }, "option 'cutout' must be an integer")
    refuses({ mixup = 0 }, "option 'mixup' must be above 0")
    refuses({ fill = 0 / 0 }, "option 'fill'")
    refuses({ {}, 3 }, "a list of tables and functions has nothing else, got 2 = number 3")
    refuses({ {}, shift = 1 }, "a list of tables and functions has nothing else, got shift = number 1")
    refuses(3, "option 'transform' must be a table or a function, got number 3")
    has(message(function()
      return sm.data.tensors { inputs = sm.ones(2, 3, 3), targets = sm.ones(2), transform = { shift = 1 } }
    end), "images {height, width, channels} are needed, got examples of shape {3, 3}")
    has(message(function() return sm.data.mnist_mini { transform = { rotations = 1 } } end), "did you mean 'rotation'?")
  end)

  it("is distrusted below as well", function()
    local x, numbers = sm.ones(2, 3, 3, 1), sm.zeros(2, NUMBERS)
    local function augment(rule, images_given, numbers_given)
      return runtime.random.augment(images_given or x, numbers_given or numbers, 1, STREAM, 0, rule)
    end
    for _, odd in ipairs { 0 / 0, -1e30, 1e30, 1 / 0, 1, -0.0 } do -- numbers that no stream gives
      numbers:copy_(sm.full({ 2, NUMBERS }, odd))
      augment { down = 1e30, right = 3, least_angle = 1, most_angle = 1e10, least_scale = 1e-30, most_scale = 1e30,
        alpha = 1e30, sigma = 1000, cutout = 2147483647, flip_vertical = true }
    end
    has(message(augment, { alpha = 1, sigma = 1e4 }), "sigma must be above 0 and at most 1000")
    has(message(augment, { cutout = -1 }), "a square of -1")
    has(message(augment, { cutout = 1.5 }), "a square of 1.5")
    has(message(augment, { least_scale = 0 }), "scales must be above 0")
    has(message(augment, { down = 0 / 0 }), "option 'down' must be finite")
    has(message(augment, {}, sm.ones(2, 3, 3)), "images {N, height, width, channels}")
    has(message(augment, {}, x, sm.ones(2, 11)), "12 numbers for each image")
    for _, shape in ipairs { { 0, 3, 3, 1 }, { 2, 0, 3, 1 }, { 2, 3, 0, 1 }, { 2, 3, 3, 0 } } do
      local empty = sm.zeros(shape)
      assert.same(shape, augment({ alpha = 3, sigma = 2, down = 1 }, empty, sm.zeros(shape[1], NUMBERS)).shape)
    end
  end)
end)
