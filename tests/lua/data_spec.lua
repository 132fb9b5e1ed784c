local lfs = require "lfs"
local sm = require "sm"
local random = require "sm.random"
local runtime = require "sm.runtime"
local search = require "sm.data.search"

local directory

local function path(name)
  return directory .. "/" .. name
end

--- Writes an IDX file of bytes, compressed when its name ends in .gz.
local function write_idx(name, shape, bytes)
  local parts = { string.pack("BBBB", 0, 0, 8, #shape) }
  for _, size in ipairs(shape) do parts[#parts + 1] = string.pack(">I4", size) end
  parts[#parts + 1] = string.char(table.unpack(bytes))
  local compressed = name:find "%.gz$"
  local file = assert(compressed and io.popen("gzip -n > " .. path(name), "w") or io.open(path(name), "wb"))
  assert(file:write(table.concat(parts)))
  assert(file:close())
  return path(name)
end

local function numbers(count, f)
  local list = {}
  for i = 1, count do list[i] = f(i - 1) end
  return list
end

--- Writes `count` images {2, 3} whose pixels are all their number, and labels number % 4.
local function write_pair(prefix, count, ending)
  ending = ending or ""
  local pixels = numbers(count * 6, function(i) return i // 6 end)
  local labels = numbers(count, function(i) return i % 4 end)
  return write_idx(prefix .. "images" .. ending, { count, 2, 3 }, pixels),
    write_idx(prefix .. "labels" .. ending, { count }, labels)
end

--- A data set of `count` examples whose input is their number, and whose target is its negative.
local function counted(count, validation)
  return sm.data.tensors { inputs = sm.arange(count):reshape(count, 1), targets = sm.arange(count) * -1,
                           validation = validation }
end

local function first_column(x)
  return x:reshape(-1):totable()
end

local function fails(f, ...)
  local ok, message = pcall(f)
  assert.is_false(ok, "expected an error")
  assert.matches("data_spec%.lua:%d+: ", message)
  for _, part in ipairs { ... } do
    assert.is_truthy(message:find(part, 1, true), ("%q is not in %q"):format(part, message))
  end
end

--- Expects a data set of this name to refuse its options.
local function refuses(name, options, ...)
  fails(function() sm.data[name](options) end, ...)
end

describe("data", function()
  before_each(function()
    sm.seed(1)
    directory = os.tmpname()
    os.remove(directory)
    assert(lfs.mkdir(directory))
  end)

  after_each(function()
    os.execute("rm -r '" .. directory .. "'")
  end)

  it("names its data sets", function()
    fails(function() return sm.data.mnst end, "sm.data has no 'mnst'; did you mean 'mnist'?")
    fails(function() return sm.data.zoo end, "sm.data has no 'zoo'",
      "csv, fashion, folder, idx, mnist, mnist_mini, npy, tensors, text")
  end)

  describe("mnist_mini", function()
    it("is a scale model", function()
      local mini = sm.data.mnist_mini { validation = 5000 }
      assert.equal("mnist_mini", mini.name)
      assert.same({ 28, 28, 1 }, mini.shape)
      assert.equal(10, mini.classes)
      assert.same({ 4583, 417, 1000 }, { #mini.train, #mini.validation, #mini.test })
      assert.equal("mnist_mini: 4583 train, 417 validation, 1000 test examples of {28, 28, 1}, "
        .. "bytes as 0 to 1, 10 classes (a scale model of mnist, counts scaled by 1/12)", mini.description)
      assert.equal("uint8", mini.train.inputs.dtype)
      local whole = sm.data.mnist_mini()
      assert.equal(5000, #whole.train)
      assert.is_nil(whole.validation)
    end)

    it("has images as numbers from 0 to 1, and every digit about as often", function()
      local counts = {}
      for x, y in sm.data.mnist_mini {}.test:batches(300) do
        assert.equal(runtime.real, x.dtype)
        assert.equal(0, -((-x):max():item()))
        assert.equal(1, x:max():item())
        for _, label in ipairs(y:totable()) do counts[label] = (counts[label] or 0) + 1 end
      end
      for digit = 0, 9 do assert.is_true(counts[digit] > 70 and counts[digit] < 130) end
    end)

    it("refuses wrong options", function()
      refuses("mnist_mini", { validaton = 1 }, "data.mnist_mini: unknown option 'validaton'",
        "did you mean 'validation'?")
      refuses("mnist_mini", { validation = -1 }, "option 'validation' must be at least 0")
      refuses("mnist_mini", { validation = 60000 }, "must be below the number of training examples")
    end)
  end)

  describe("mnist", function()
    local directories = search.directories
    after_each(function() search.directories = directories end)

    local function look_in(...)
      local list = { ... }
      search.directories = function() return list end
    end

    local function fake(first_labels)
      local labels = table.move({ 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }, 1, 10, 1)
      table.move(first_labels, 1, #first_labels, 1, labels)
      for _, part in ipairs { "train", "t10k" } do
        write_idx(part .. "-images-idx3-ubyte.gz", { 10, 2, 2 }, numbers(40, function(i) return i end))
        write_idx(part .. "-labels-idx1-ubyte", { 10 }, labels)
      end
    end

    it("says where it looked", function()
      look_in(path "a", path "b")
      refuses("mnist", { validation = 5000 },
        ("data.mnist: its files are in none of %s, %s; `%s data mnist` fetches them")
          :format(path "a", path "b", require "sm.usage".program()))
    end)

    it("is read compressed or not, from the first directory that has it", function()
      fake {}
      look_in(path "none", directory)
      local mnist = sm.data.mnist { validation = 3 }
      assert.same({ 2, 2, 1 }, mnist.shape)
      assert.same({ 7, 3, 10 }, { #mnist.train, #mnist.validation, #mnist.test })
    end)

    it("names Debian's package of fashion", function()
      if lfs.attributes "/usr/share/datasets/fashion-mnist" then return pending "that package is installed" end
      look_in(path "a", "/usr/share/datasets/fashion-mnist")
      refuses("fashion", {}, path "a" .. ", /usr/share/datasets/fashion-mnist "
        .. "(`apt install dataset-fashion-mnist` puts them there)")
    end)

    it("is not mistaken for fashion, whose files have the same names", function()
      fake { 9, 2, 1, 1, 6, 1, 4, 6, 5, 7 }
      look_in(directory)
      fails(function() sm.data.mnist() end, directory .. " (which has fashion)")
      assert.equal("Ankle boot", sm.data.fashion().class_names[10])
    end)

    it("is searched for in SM_DATA, the user's and the system's directories", function()
      local getenv = os.getenv
      local variables = { SM_DATA = "/s", HOME = "/h" }
      os.getenv = function(name) return variables[name] end -- luacheck: ignore 122
      local found = search.directories("x", "/shared")
      local destination = search.destination "x"
      variables = { XDG_DATA_HOME = "/x", SM_DATA = "" }
      local others = search.directories "x"
      variables = {}
      local nowhere = search.destination "x"
      os.getenv = getenv -- luacheck: ignore 122
      assert.same({ "/s/x", "/s", "/h/.local/share/smrun/x", "/usr/local/share/smrun/x", "/usr/share/smrun/x",
                    "/shared" }, found)
      assert.equal("/s/x", destination)
      assert.same({ "/x/smrun/x", "/usr/local/share/smrun/x", "/usr/share/smrun/x" }, others)
      assert.is_nil(nowhere)
    end)
  end)

  describe("idx", function()
    it("reads pairs of files", function()
      local images, labels = write_pair("train-", 10)
      local test_images, test_labels = write_pair("test-", 5, ".gz")
      local set = sm.data.idx { images = images, labels = labels, test_images = test_images,
                                test_labels = test_labels, validation = 4 }
      assert.same({ 2, 3, 1 }, set.shape)
      assert.equal(4, set.classes)
      assert.same({ 6, 4, 5 }, { #set.train, #set.validation, #set.test })
      local x, y = set.train:batches(2)()
      assert.same({ 2, 2, 3, 1 }, x.shape)
      assert.near(5 / 255, x[2]:mean():item(), 1e-7)
      assert.same({ 0, 1 }, y:totable())
      assert.equal("int32", y.dtype)
      assert.equal(7, sm.data.idx { images = images, labels = labels, classes = 7 }.classes)
    end)

    --- Writes an IDX file of another type: its code, and how string.pack writes an element.
    local function write_typed(name, code, format, shape, values)
      local parts = { string.pack("BBBB", 0, 0, code, #shape) }
      for _, size in ipairs(shape) do parts[#parts + 1] = string.pack(">I4", size) end
      for _, value in ipairs(values) do parts[#parts + 1] = string.pack(">" .. format, value) end
      local file <close> = assert(io.open(path(name), "wb"))
      file:write(table.concat(parts))
      return path(name)
    end

    it("reads every type of element", function()
      local types = { { 0x09, "b", -128 }, { 0x0b, "h", -32768 }, { 0x0c, "i4", -70000 }, { 0x0d, "f", 0.5 },
                      { 0x0e, "d", -0.25 } }
      for _, kind in ipairs(types) do
        local code, format, value = table.unpack(kind)
        local images = write_typed("images", code, format, { 2, 1, 2 }, { value, 1, 2, 3 })
        local labels = write_typed("labels", code, format, { 2 }, { 0, 3 })
        local set = sm.data.idx { images = images, labels = labels }
        assert.same({ 1, 2, 1 }, set.shape)
        assert.equal(4, set.classes)
        local x, y = set.train:batches(2)()
        assert.same({ value, 1, 2, 3 }, first_column(x))
        assert.same({ 0, 3 }, y:totable())
        assert.equal("int32", y.dtype)
      end
      local images = write_typed("images", 0x0d, "f", { 2, 2 }, { 1, 2, 3, 4 })
      local labels = write_typed("labels", 0x0d, "f", { 2 }, { 1, 0.5 })
      refuses("idx", { images = images, labels = labels }, labels .. ": label 2 is 0.5; labels are integers")
      labels = write_typed("labels", 0x09, "b", { 2 }, { 0, -1 })
      refuses("idx", { images = images, labels = labels }, labels .. ": label 2 is -1; it must be at least 0")
    end)

    it("refuses files that do not fit together", function()
      local images, labels = write_pair("", 10)
      local few = write_idx("few", { 9 }, numbers(9, function() return 0 end))
      refuses("idx", { images = images }, "data.idx: option 'labels' is missing")
      refuses("idx", { images = images, labels = few },
        ("%s holds 10 images, and %s holds 9 labels"):format(images, few))
      refuses("idx", { images = images, labels = labels, classes = 3 },
        labels .. ": label 4 is 3; with 3 classes it must be from 0 to 2")
      refuses("idx", { images = labels, labels = labels }, "images need at least two axes, got {10}")
      refuses("idx", { images = images, labels = images }, "labels have one axis, got {10, 2, 3}")
      refuses("idx", { images = path "none", labels = labels }, path "none" .. ": cannot open")
      refuses("idx", { images = images, labels = labels, test_images = images },
        "options 'test_images' and 'test_labels' go together; 'test_labels' is missing")
      local other = write_idx("other", { 10, 6 }, numbers(60, function() return 0 end))
      refuses("idx", { images = images, labels = labels, test_images = other, test_labels = labels },
        "training examples have shape {2, 3, 1}, test examples {6}")
      refuses("idx", { images = images, labels = labels, validation = 10 },
        "option 'validation' must be below the number of training examples, 10, got 10")
    end)
  end)

  describe("tensors", function()
    it("take real targets as they are, and integers as labels", function()
      local set = sm.data.tensors { inputs = sm.tensor { { 0, 1 }, { 1, 1 } }, targets = sm.tensor { { 1 }, { 0 } } }
      assert.is_nil(set.classes)
      assert.equal("tensors: 2 train examples of {2}", set.description)
      local x, y = set.train:batches(2)()
      assert.same({ { 0, 1 }, { 1, 1 } }, x:totable())
      assert.same({ { 1 }, { 0 } }, y:totable())
      set = sm.data.tensors { inputs = sm.tensor({ { 0 }, { 255 } }, "uint8"), targets = sm.tensor({ 1, 2 }, "uint8"),
                              test_inputs = sm.zeros({ 1, 1 }, "uint8"), test_targets = sm.tensor({ 4 }, "int32"),
                              name = "mine", class_names = { "a" } }
      assert.equal(5, set.classes)
      assert.equal("mine", set.name)
      x, y = set.train:batches(2)()
      assert.same({ { 0 }, { 1 } }, x:totable())
      assert.equal("int32", y.dtype)
    end)

    it("say what their inputs are: bytes are pixels and int32 indices, unless the set says otherwise", function()
      local bytes, whole = sm.tensor({ { 0, 255 }, { 255, 0 } }, "uint8"), sm.tensor({ { 0, 511 }, { 7, -3 } }, "int32")
      local y = sm.tensor({ 0, 1 }, "int32")
      for _, case in ipairs {
        { bytes, nil, runtime.real, { { 0, 1 }, { 1, 0 } }, "{2}, bytes as 0 to 1, 2 classes" },
        { bytes, "pixels", runtime.real, { { 0, 1 }, { 1, 0 } }, "{2}, bytes as 0 to 1, 2 classes" },
        { bytes, "numbers", runtime.real, { { 0, 255 }, { 255, 0 } }, "{2}, 2 classes" },
        { bytes, "indices", "int32", { { 0, 255 }, { 255, 0 } }, "{2}, indices, 2 classes" },
        { whole, nil, "int32", { { 0, 511 }, { 7, -3 } }, "{2}, indices, 2 classes" },
        { whole, "indices", "int32", { { 0, 511 }, { 7, -3 } }, "{2}, indices, 2 classes" },
        { whole, "numbers", runtime.real, { { 0, 511 }, { 7, -3 } }, "{2}, 2 classes" },
        { sm.tensor { { 0.5, 300 }, { 0, 1 } }, "numbers", runtime.real, { { 0.5, 300 }, { 0, 1 } }, "{2}, 2 classes" },
      } do
        local inputs, kind, dtype, values, words = table.unpack(case, 1, 5)
        local set = sm.data.tensors { inputs = inputs, targets = y, kind = kind, validation = 1, test_inputs = inputs,
          test_targets = y }
        assert.equal(dtype, set.dtype)
        assert.truthy(set.description:find("examples of " .. words, 1, true), set.description)
        for _, batch in ipairs { set.test:batches(2), set.validation:batches(1), set:batches(1) } do
          assert.equal(dtype, batch().dtype)
        end
        local first, second = set.test:batches(1), set:stream(3)
        assert.same(sm.tensor(values, dtype):slice(1, 1):totable(), first():totable())
        assert.equal(dtype, second:next().dtype)
        assert.same(sm.tensor(values, dtype):slice(2, 2):totable(), second:next(1):totable())
      end
      local real = sm.zeros(2, 2)
      refuses("tensors", { inputs = whole, targets = y, kind = "pixels" },
        "data.tensors: 'inputs' of int32 can be indices or numbers, got kind = \"pixels\"")
      refuses("tensors", { inputs = real, targets = y, kind = "indices" },
        "data.tensors: 'inputs' of " .. runtime.real .. " can be numbers, got kind = \"indices\"")
      refuses("tensors", { inputs = bytes, targets = y, kind = "index" }, "option 'kind' must be one of 'pixels', ")
      refuses("tensors", { inputs = whole, targets = y, test_inputs = real, test_targets = y },
        "tensors: training examples are indices, test examples numbers")
    end)

    it("must fit together", function()
      local x, y = sm.zeros(3, 2), sm.zeros({ 3 }, "int32")
      refuses("tensors", { inputs = x }, "option 'targets' is missing")
      refuses("tensors", { inputs = x, targets = sm.zeros(2) }, "'inputs' has 3 examples, 'targets' 2")
      refuses("tensors", { inputs = sm.tensor(1), targets = y }, "'inputs' needs an axis of examples")
      refuses("tensors", { inputs = x, targets = sm.tensor({ 0, -1, 0 }, "int32") },
        "'targets': label 2 is -1; it must be at least 0")
      refuses("tensors", { inputs = x, targets = sm.tensor({ 0, 1, 2 }, "int32"), classes = 2 },
        "'targets': label 3 is 2; with 2 classes it must be from 0 to 1")
      fails(function() sm.data.tensors { inputs = sm.zeros(0, 2), targets = sm.zeros({ 0 }, "int32") }:stream(1) end,
        "there are no training examples")
    end)
  end)

  describe("batches", function()
    it("of a split come in order, the last one smaller", function()
      local sizes, seen = {}, {}
      for x, y in counted(10).train:batches(4) do
        sizes[#sizes + 1] = #x
        for i, value in ipairs(first_column(x)) do
          seen[#seen + 1] = value
          assert.equal(-value, y[i]:item())
        end
      end
      assert.same({ 4, 4, 2 }, sizes)
      assert.same(numbers(10, function(i) return i end), seen)
    end)

    it("of a data set give every example once an epoch, shuffled anew, and straddle epochs", function()
      local sizes, seen = {}, {}
      for x, y in counted(12, 2):batches(4, { epochs = 3 }) do
        sizes[#sizes + 1] = #x
        for i, value in ipairs(first_column(x)) do
          seen[#seen + 1] = value
          assert.equal(-value, y[i]:item())
        end
      end
      assert.same({ 4, 4, 4, 4, 4, 4, 4, 2 }, sizes)
      local orders = {}
      for epoch = 1, 3 do
        local order = table.move(seen, epoch * 10 - 9, epoch * 10, 1, {})
        orders[epoch] = table.concat(order, " ")
        table.sort(order)
        assert.same(numbers(10, function(i) return i + 2 end), order)
      end
      assert.are_not.equal(orders[1], orders[2])
      assert.are_not.equal(orders[2], orders[3])
    end)

    it("may be larger than the data set, and never end", function()
      local x = counted(3):batches(7, { epochs = math.huge })()
      local seen = first_column(x)
      table.sort(seen, function(a, b) return a < b end)
      assert.equal(7, #seen)
      assert.is_true(seen[2] == 0 and seen[6] == 2)
      local given = 0
      for _ in counted(3):batches(2, { epochs = math.huge }) do
        given = given + 1
        if given == 50 then break end
      end
      assert.equal(50, given)
    end)

    it("follow the seed", function()
      local function order(seed)
        sm.seed(seed)
        return table.concat(first_column(counted(50):batches(50)()), " ")
      end
      assert.equal(order(3), order(3))
      assert.are_not.equal(order(3), order(4))
    end)

    it("refuse what they would ignore", function()
      local set = sm.data.tensors { inputs = sm.zeros(4, 2), targets = sm.zeros(4) }
      fails(function() set.train:batches(2, { epochs = 3 }) end,
        "batches takes one size (a split gives all its examples once, in their order), got another argument")
      fails(function() set:batches(2, { epochs = 3 }, 1) end, "batches takes 2 arguments, got another argument")
      fails(function() set:stream(2, 1) end, "stream takes 1 argument, got another argument, number 1")
      fails(function() set:stream(2):next(2, 1) end, "next takes 1 argument, got another argument, number 1")
      fails(function() sm.data.tensors({ inputs = sm.zeros(4, 2), targets = sm.zeros(4) }, { validation = 1 }) end,
        "data.tensors takes 1 argument, got another argument, table")
      fails(function() sm.data.mnist_mini({}, 1) end, "data.mnist_mini takes 1 argument")
    end)

    it("refuse wrong sizes", function()
      local set = counted(3)
      for _, size in ipairs { 0, -1, 1.5, "2", false } do
        fails(function() set:batches(size) end, "batches: the batch size must be an integer of at least 1, got ")
        fails(function() set:stream(size) end, "stream: the batch size must be an integer of at least 1, got ")
        fails(function() set.train:batches(size) end, "batches: the batch size must be")
      end
      fails(function() set:batches(1, { epochs = 0 }) end, "batches: option 'epochs' must be at least 1")
      fails(function() set:batches(1, { epochs = 1.5 }) end, "'epochs' must be an integer or math.huge, got 1.5")
    end)
  end)

  describe("a stream", function()
    it("knows the epoch of the last example given", function()
      local stream, epochs = counted(5):stream(2), {}
      assert.equal(0, stream.epoch)
      for i = 1, 6 do
        stream:next()
        epochs[i] = stream.epoch
      end
      assert.same({ 1, 1, 2, 2, 2, 3 }, epochs)
    end)

    it("goes on from any saved state with the very same batches", function()
      local stream = counted(5):stream(2)
      for _ = 0, 7 do
        local state, numbers_state = stream:state(), random.state()
        local expected = {}
        for i = 1, 8 do expected[i] = first_column((stream:next())) end
        random.restore(numbers_state)
        local other, again = counted(5):stream(2), {}
        other:restore(state)
        assert.same(numbers_state, random.state())
        for i = 1, 8 do again[i] = first_column((other:next())) end
        assert.same(expected, again)
        assert.equal(stream.epoch, other.epoch)
        random.restore(numbers_state)
        stream:restore(state)
        stream:next()
      end
    end)

    it("has a state of plain numbers, and refuses one of other data", function()
      local stream = counted(5):stream(3)
      stream:next()
      for key, value in pairs(stream:state()) do
        assert.equal("string", type(key))
        assert.equal("integer", math.type(value))
      end
      fails(function() counted(2):stream(1):restore(stream:state()) end,
        "stood at example 3 of an epoch, but there are 2")
    end)
  end)
end)
