--- Data sets of the user's own files: directories of pictures, tables, texts, files of NumPy.
local lfs = require "lfs"
local runtime = require "sm.runtime"
local sm = require "sm"
local helpers = dofile "tests/lua/helpers.lua"
local png = dofile "tests/lua/png_files.lua"
local write, has = helpers.write, helpers.has

local directory

local function path(name)
  return directory .. "/" .. name
end

--- Expects a data set to be refused, with the user's own line and these words.
local function refuses(name, options, ...)
  local ok, message = pcall(function() sm.data[name](options) end)
  assert.is_false(ok, "expected an error")
  assert.matches("own_data_spec%.lua:%d+: ", message)
  for _, part in ipairs { ... } do has(message, part) end
end

--- Writes a directory of pictures {2, 3} of one grey: {class = {name = grey}}.
local function write_pictures(place, classes)
  lfs.mkdir(path(place))
  for class, pictures in pairs(classes) do
    lfs.mkdir(path(place .. "/" .. class))
    for name, grey in pairs(pictures) do
      write(path(("%s/%s/%s.png"):format(place, class, name)),
        png.bytes("grey", 8, { { grey, grey, grey }, { grey, grey, grey } }))
    end
  end
end

describe("data", function()
  before_each(function()
    directory = os.tmpname()
    os.remove(directory)
    assert(lfs.mkdir(directory))
  end)
  after_each(function() os.execute("rm -r '" .. directory .. "'") end)

  describe("folder", function()
    it("reads pictures by class, sorted, each class in its proportion", function()
      write_pictures("train", { dog = { a = 1, b = 2, c = 3, d = 4 }, cat = { x = 11, y = 12 } })
      write_pictures("test", { dog = { z = 9 } })
      write(path "train/notes.txt", "passed over")
      write(path "train/.hidden.png", "x")
      write(path "train/dog/.hidden", "x")
      local set = sm.data.folder { train = path "train", test = path "test", validation = 3, size = { 2, 3 } }
      assert.equal("folder: 3 train, 3 validation, 1 test examples of {2, 3, 1}, bytes as 0 to 1, 2 classes",
        tostring(set))
      assert.same({ "cat", "dog" }, set.class_names)
      local function greys(split)
        return split.inputs:reshape(#split, -1):narrow(2, 1, 1):reshape(-1):totable()
      end
      assert.same({ 1, 11, 2 }, greys(set.validation))
      assert.same({ 1, 0, 1 }, set.validation.targets:totable())
      assert.same({ 3, 12, 4 }, greys(set.train))
      assert.same({ 9 }, greys(set.test))
      assert.same({ 1 }, set.test.targets:totable())
      assert.same({ 2, 3, 3 }, sm.data.folder { train = path "train", channels = 3 }.shape)
    end)

    it("reads more files than one thread takes at once, in their order on any number of threads", function()
      local greys = {}
      for i = 1, 200 do greys[("%03d"):format(i)] = i end
      write_pictures("train", { one = greys })
      local expected = {}
      for i = 1, 200 do expected[i] = i end
      for _, threads in ipairs { 1, 3 } do
        runtime.system.set_threads(threads)
        local inputs = sm.data.folder { train = path "train" }.train.inputs
        assert.same(expected, inputs:reshape(200, -1):narrow(2, 1, 1):reshape(-1):totable())
      end
      write(path "train/one/150.png", "no picture")
      write(path "train/one/070.png", png.bytes("grey", 8, { { 1 } }))
      refuses("folder", { train = path "train" }, path "train/one/070.png" .. ": a picture of {1, 1, 1} with 8 bits a "
        .. "channel, where " .. path "train/one/001.png" .. " is one of {2, 3, 1} with 8")
      os.remove(path "train/one/070.png")
      refuses("folder", { train = path "train" }, path "train/one/150.png" .. ": ", "does not begin as a PNG does")
    end)

    it("takes 16 bits a channel as numbers", function()
      lfs.mkdir(path "train")
      lfs.mkdir(path "train/a")
      write(path "train/a/x.png", png.bytes("grey", 16, { { 65535, 0 } }))
      local set = sm.data.folder { train = path "train" }
      assert.equal("folder: 1 train examples of {1, 2, 1}, 1 classes", tostring(set))
      assert.same({ 1, 0 }, (set.train:batches(1)()):reshape(-1):totable())
    end)

    it("names what is wrong with a directory", function()
      refuses("folder", { train = path "none" }, path "none" .. ": expected a directory, No such file or directory")
      write(path "file", "")
      refuses("folder", { train = path "file" }, path "file" .. ": expected a directory, found a file")
      lfs.mkdir(path "train")
      refuses("folder", { train = path "train" }, "data.folder: " .. path "train" .. " has no directories")
      write_pictures("train", { a = { x = 1 }, b = {} })
      refuses("folder", { train = path "train" }, "data.folder: the class " .. path "train/b" .. " has no pictures")
      write(path "train/b/notes.txt", "")
      refuses("folder", { train = path "train" }, "data.folder: " .. path "train/b/notes.txt" .. " is no PNG file")
      os.remove(path "train/b/notes.txt")
      write_pictures("train", { b = { x = 1 } })
      write_pictures("test", { aa = { x = 1 } })
      refuses("folder", { train = path "train", test = path "test" },
        path "test/aa" .. " is a class that " .. path "train" .. " has not; did you mean 'a'?")
      refuses("folder", { train = path "train", size = { 3, 2 } },
        path "train" .. " are 2 pixels high and 3 wide, and option 'size' says 3 and 2")
      refuses("folder", { train = path "train", size = { 3 } }, "option 'size' must be { height, width }")
      refuses("folder", { train = path "train", channels = 2 }, "option 'channels' must be 1, 3 or 4, got 2")
      refuses("folder", { train = path "train", validation = 2 }, "must be below the number of training examples, 2")
      refuses("folder", {}, "option 'train' is missing")
      write(path "train/loose.png", "")
      refuses("folder", { train = path "train" }, path "train/loose.png" .. " lies beside the directories")
      assert(os.remove(path "train/loose.png"))
      assert(lfs.link("nowhere", path "train/zebra", true)) -- a class that is left out would be none
      refuses("folder", { train = path "train" }, path "train/zebra")
    end)
  end)

  describe("csv", function()
    local function csv(text, options)
      write(path "table.csv", text)
      options = options or {}
      options.file, options.target = path "table.csv", options.target or "y"
      return sm.data.csv(options)
    end

    local function csv_refuses(text, options, ...)
      write(path "table.csv", text)
      options.file, options.target = path "table.csv", options.target or "y"
      refuses("csv", options, ...)
    end

    it("reads numbers, with a target of numbers", function()
      for _, text in ipairs {
        "a,b,y\n1,2,3\n-4,0.5,1e2\n", "a,b,y\r\n1,2,3\r\n-4,0.5,1e2", "\xEF\xBB\xBFa,b,y\n 1 ,\"2\",3\n-4,.5,100\n\n\n",
      } do
        local set = csv(text)
        assert.equal("csv: 2 train examples of {2}", tostring(set))
        assert.same({ { 1, 2 }, { -4, 0.5 } }, set.train.inputs:totable())
        assert.same({ { 3 }, { 100 } }, set.train.targets:totable())
        assert.same({ "a", "b" }, set.columns)
        assert.is_nil(set.classes)
      end
      local set = csv("a,b,y\n1,2,3\n4,5,6\n", { target = { "y", "a" }, inputs = { "b", "b" } })
      assert.same({ { 3, 1 }, { 6, 4 } }, set.train.targets:totable())
      assert.same({ { 2, 2 }, { 5, 5 } }, set.train.inputs:totable())
      set = csv("1;2\n3;4\n", { header = false, target = 1, separator = ";" })
      assert.same({ { 2 }, { 4 } }, set.train.inputs:totable())
      assert.same({ 2 }, set.columns)
    end)

    it("makes labels of a target of words, and of numbers where it is told to", function()
      write(path "test.csv", "x,y\n9,ox\n")
      local set = csv("x,y\n1,ox\n2,\"a \"\"cow\"\", brown\nand white\"\n3,ox\n",
        { validation = 1, test_file = path "test.csv" })
      assert.same({ "a \"cow\", brown\nand white", "ox" }, set.class_names)
      assert.same({ 2, 1, 1, 2 }, { #set.train, #set.validation, #set.test, set.classes })
      assert.same({ 0, 1 }, set.train.targets:totable())
      assert.same({ 1 }, set.test.targets:totable())
      set = csv("x,y\n1,2\n2,0\n", { classes = 4 })
      assert.same({ 2, 0 }, set.train.targets:totable())
      assert.equal("int32", set.train.targets.dtype)
      assert.equal(4, set.classes)
      set = csv("x,y\n1,2\n2,b\n", { classes = 2 })
      assert.same({ "2", "b" }, set.class_names)
    end)

    it("reads back whatever stands in quotes", function()
      math.randomseed(7)
      local signs = { "a", ",", "\"", "\n", "\r\n", "\r", " ", ";", "'", "é", "" }
      for _ = 1, 200 do
        local words, parts = {}, { "x,y" }
        for row = 1, 3 do
          local word = "w" .. row
          for _ = 1, math.random(0, 5) do word = word .. signs[math.random(#signs)] end
          words[row] = word
          parts[#parts + 1] = ("%d,\"%s\""):format(row, word:gsub('"', '""'))
        end
        table.sort(words)
        assert.same(words, csv(table.concat(parts, "\n")).class_names)
      end
    end)

    it("standardises by what it trains on", function()
      write(path "test.csv", "a,b,y\n5,1,0\n")
      local set = csv("a,b,y\n100,7,0\n1,3,0\n3,3,0\n", { standardise = true, validation = 1,
        test_file = path "test.csv" })
      assert.same({ { 2, 3 }, { 1, 1 } }, { set.mean:totable(), set.deviation:totable() })
      assert.same({ { -1, 0 }, { 1, 0 } }, set.train.inputs:totable())
      assert.same({ { 98, 4 } }, set.validation.inputs:totable())
      assert.same({ { 3, -2 } }, set.test.inputs:totable())
    end)

    it("names line and column of what is no number", function()
      csv_refuses("a,y\n1,2\n3,\n", {}, path "table.csv" .. ", line 3, column 'y': expected a number, got an empty")
      csv_refuses("a,y\n1,2\nfour,5\n", {}, ", line 3, column 'a': expected a number, got 'four'")
      csv_refuses("a,b,y\n\"1\",\"\n\",2\n1,2,3\n", {}, ", line 2, column 'b': expected a number, got an empty cell")
      csv_refuses("a,b,y\n\"1\",2,3\n1,\"x\",\"\n2\"\nz,2,3\n", {}, ", line 3, column 'b'")
      csv_refuses("1,2\n3,x\n", { header = false, target = 2 }, "line 2, column 2: 'x' is a word among numbers")
      csv_refuses("a,y\n1e99999,2\n", {}, "line 2, column 'a'", "too large")
      csv_refuses("a,y\n1,ox\n2,\n", {}, "line 3, column 'y': expected a class, got an empty cell")
      csv_refuses("a,y\n1,1.5\n", { classes = 3 }, "line 2, column 'y': expected a label, a whole number, got '1.5'")
      csv_refuses("a,y\n1,3\n", { classes = 3 }, "label 1 is 3; with 3 classes it must be from 0 to 2")
      csv_refuses("a,y\n1,3,4\n", {}, path "table.csv" .. ", line 2: expected 2 cells, got 3")
      csv_refuses("a,y\n\n1,3\n", {}, ", line 2: expected 2 cells, got 1")
      csv_refuses("a,y\n1,\"3\n", {}, ", line 2: a quote is not closed")
      csv_refuses("a,y\n1,\"3\"4\n", {}, ", line 2: '4' follows a cell")
      csv_refuses("a,y\r1,2\r", {}, ", line 1: a lone carriage return follows a cell")
      csv_refuses("a,y\n1,3\"4\"\n", {}, ", line 2: a quote within a cell")
      csv_refuses("a,y\n", {}, path "table.csv" .. ": there are no rows below the header")
      csv_refuses("", {}, path "table.csv" .. ": there are no rows")
      csv_refuses("y,y\n1,2\n", {}, "columns 1 and 2 are both called 'y'")
    end)

    it("names columns that there are not, and files that do not fit", function()
      csv_refuses("left,y\n1,2\n", { target = "lft" }, "data.csv: option 'target': ",
        "has no column 'lft'; did you mean 'left'?")
      csv_refuses("a,y\n1,2\n", { target = 3 }, "has columns 1 to 2, got 3")
      csv_refuses("1,2\n", { target = "a", header = false }, "columns are positions then")
      csv_refuses("a,y\n1,2\n", { inputs = {} }, "option 'inputs' names no columns")
      csv_refuses("a,y\n1,2\n", { target = { true } },
        "option 'target' takes names or positions of columns, got boolean true")
      csv_refuses("y\n1\n", {}, "has no columns but the target's")
      csv_refuses("a,y\n1,2\n", { separator = "ab" }, "option 'separator' must be one character")
      csv_refuses("a,y\n1,b\n2,c\n", { classes = 3 }, "has 2 classes, and option 'classes' says 3")
      write(path "test.csv", "a,z\n1,2\n")
      csv_refuses("a,y\n1,2\n", { test_file = path "test.csv" }, "have other columns, from column 2 on")
      write(path "test.csv", "a,y\n1,owl\n")
      csv_refuses("a,y\n1,ox\n2,cow\n", { test_file = path "test.csv" },
        path "test.csv" .. ", line 2, column 'y': 'owl' is a class that the training examples have not")
      refuses("csv", { file = path "none", target = "y" }, path "none" .. ": cannot read: No such file or directory")
      refuses("csv", { file = directory, target = "y" }, directory .. ": expected a regular file, found a directory")
    end)
  end)

  describe("text", function()
    it("cuts a text into examples, whose targets are the tokens that follow", function()
      local set = sm.data.text { text = "abcabdéa", length = 3, test_text = "éabc", validation = 1 }
      assert.same({ "a", "b", "c", "d", "é" }, set.vocabulary)
      assert.same(set.vocabulary, set.class_names)
      assert.equal("text: 1 train, 1 validation, 1 test examples of {3}, indices, 5 classes", tostring(set))
      assert.same({ { 0, 1, 2 } }, set.validation.inputs:totable())
      assert.same({ { 1, 2, 0 } }, set.validation.targets:totable())
      local x, y = set.train:batches(1)()
      assert.same({ { 0, 1, 3 } }, x:totable())
      assert.same({ { 1, 3, 4 } }, y:totable())
      assert.equal("int32", y.dtype)
      assert.same({ { 4, 0, 1 } }, set.test.inputs:totable())
      assert.same({ 4, 3 }, set.encode "éd":totable())
      assert.equal("éd", set.decode(set.encode "éd"))
      assert.equal("ca", set.decode { 2, 0 })
      assert.equal("", set.decode(set.encode ""))
    end)

    it("reads files, and bytes", function()
      local long = ("the quick brown fox\n"):rep(1000)
      write(path "text", long)
      local set = sm.data.text { file = path "text", length = 50, tokens = "bytes" }
      assert.equal((#long - 1) // 50, #set.train)
      assert.equal(long:sub(51, 100), set.decode(set.train.inputs[2]))
      assert.equal(long:sub(52, 101), set.decode(set.train.targets[2]))
      write(path "text", "a\xff\0b")
      set = sm.data.text { file = path "text", length = 1, tokens = "bytes" }
      assert.same({ "\0", "a", "b", "\xff" }, set.vocabulary)
      refuses("text", { file = path "text", length = 1 }, path "text" .. ": byte 2 is not UTF-8; with tokens = ")
    end)

    it("refuses what makes no examples", function()
      refuses("text", { length = 3 }, "data.text: option 'file' or 'text' is missing")
      refuses("text", { length = 3, file = path "a", text = "abcd" }, "options 'file' and 'text' exclude each other")
      refuses("text", { length = 3, text = "abc" },
        "data.text: option 'text' has 3 tokens; an example of 3 and the one that follows it take 4")
      refuses("text", { length = 3, text = "" }, "has 0 tokens")
      refuses("text", { length = 1, text = "abc", test_text = "abd" },
        "data.text: option 'test_text': byte 3: 'd' is no token of the training text")
      refuses("text", { length = 3, file = path "none" }, path "none" .. ": cannot read: No such file")
      local set = sm.data.text { text = "abc", length = 1 }
      has(helpers.error_of(set.encode, "abx"), "encode: byte 3: 'x' is no token of the training text")
      has(helpers.error_of(set.encode, 3), "encode takes a text, got number 3")
      has(helpers.error_of(set.decode, { 0, 3 }), "decode: token 2 is 3; they are from 0 to 2")
      has(helpers.error_of(set.decode, { 0.5 }), "decode: token 1 is 0.5")
      has(helpers.error_of(set.decode, "abc"), "decode takes a tensor {tokens} or a list")
    end)
  end)

  describe("npy", function()
    it("reads files of NumPy, also by name", function()
      local x, y = sm.rand(5, 2), sm.tensor({ 0, 2, 1, 0, 1 }, "int32")
      sm.save(path "x.npy", x)
      sm.save(path "y.npy", y)
      local set = sm.data.npy { inputs = path "x.npy", targets = path "y.npy", validation = 1,
        test_inputs = path "x.npy", test_targets = path "y.npy" }
      assert.equal("npy: 4 train, 1 validation, 5 test examples of {2}, 3 classes", tostring(set))
      assert.same(x:totable(), set.test.inputs:totable())
      set = sm.data.npy { inputs = { a = path "x.npy", b = path "y.npy" }, targets = { c = path "x.npy" } }
      assert.equal("npy: 5 train examples of {a = {2}, b = {}}, b indices", tostring(set))
    end)

    it("names the files that do not fit", function()
      sm.save(path "x.npy", sm.rand(5, 2))
      sm.save(path "y.npy", sm.rand(4, 2))
      refuses("npy", { inputs = path "x.npy", targets = path "y.npy" },
        ("data.npy: %s has 5 examples, %s 4"):format(path "x.npy", path "y.npy"))
      refuses("npy", { inputs = { a = path "x.npy" }, targets = path "y.npy" },
        ("data.npy: %s has 5 examples, %s 4"):format(path "x.npy", path "y.npy"))
      refuses("npy", { inputs = { a = 3 }, targets = path "y.npy" }, "option 'inputs' has paths by name, got number 3")
      refuses("npy", { inputs = path "none.npy", targets = path "y.npy" }, path "none.npy" .. ": cannot open")
      refuses("npy", { inputs = path "x.npy" }, "option 'targets' is missing")
    end)
  end)
end)
