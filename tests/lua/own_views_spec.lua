--- Views of a person's own: view.image, view.images, view.plot, the canvas, and tables with check and draw.
local lfs = require "lfs"
local sm = require "sm"
local axes = require "sm.view.axis"
local helpers = dofile "tests/lua/helpers.lua"
local random = require "sm.random"
local tiny = dofile "tests/lua/tiny_experiment.lua"
local nn, view = sm.nn, sm.view
local has, message = helpers.has, helpers.message

local LEFT <const>, TOP <const> = 40, 100 -- where a sheet's content begins, under a title alone
local BLACK <const>, WHITE <const>, ODD <const> = "#000000", "#ffffff", "#ff00c8"

describe("views of one's own", function()
  local directory

  before_each(function() directory = tiny.workspace() end)
  after_each(function() tiny.remove(directory) end)

  --- What a view or a canvas saves.
  --- @return function(x, y) → the colour of a pixel, from 0: "#rrggbb"
  --- @return integer width
  --- @return integer height
  local function saved(x, ...)
    x:save(directory .. "/x.png", ...)
    local picture = sm.png.load(directory .. "/x.png", { channels = 3 })
    return function(column, row)
      return ("#%02x%02x%02x"):format(table.unpack(picture[row + 1][column + 1]:totable()))
    end, picture.shape[2], picture.shape[1]
  end

  --- The colours of n cells of a side, row by row, from where the content begins.
  local function cells(pixel, columns, rows, side)
    local colours = {}
    for row = 0, rows - 1 do
      for column = 0, columns - 1 do
        local x, y = LEFT + column * side, TOP + row * side
        local colour = pixel(x, y)
        for _, corner in ipairs { { side - 1, 0 }, { 0, side - 1 }, { side - 1, side - 1 } } do
          assert.equal(colour, pixel(x + corner[1], y + corner[2]))
        end
        colours[#colours + 1] = colour
      end
    end
    return colours
  end

  describe("pictures", function()
    it("have every value as a square in its place: bytes, numbers, rgb", function()
      local bytes = sm.tensor({ { 0, 255 }, { 128, 64 } }, "uint8")
      local expected = { BLACK, WHITE, "#808080", "#404040" }
      assert.same(expected, cells(saved(view.image(bytes, { scale = 8 })), 2, 2, 8))
      assert.same(expected, cells(saved(view.image(bytes:reshape(2, 2, 1), { scale = 8 })), 2, 2, 8))
      assert.same(expected, cells(saved(view.image(sm.tensor(bytes:totable()) / 255, { scale = 8 })), 2, 2, 8))
      local rgb = sm.tensor { { { 1, 0, 0 }, { 0, 1, 0 } }, { { 0, 0, 1 }, { 1, 1, 1 } } }
      assert.same({ "#ff0000", "#00ff00", "#0000ff", WHITE }, cells(saved(view.image(rgb, { scale = 3 })), 2, 2, 3))
    end)

    it("have the scale that is asked for, or that of all numbers", function()
      local x = sm.tensor { { -1, 3 }, { 1, 7 } }
      assert.same({ BLACK, "#808080", "#404040", WHITE }, cells(saved(view.image(x, { scale = 4 })), 2, 2, 4))
      assert.same({ BLACK, WHITE, "#808080", WHITE },
        cells(saved(view.image(x, { scale = 4, range = { -1, 3 } })), 2, 2, 4))
      local pixel, _, height = saved(view.image(x, { scale = 4 }))
      assert.equal(BLACK, pixel(LEFT, height - 66)) -- the bar that says so
      local constant = cells(saved(view.image(sm.full({ 2, 2 }, 5), { scale = 4 })), 2, 2, 4)
      assert.same({ BLACK, BLACK, BLACK, BLACK }, constant)
    end)

    it("are blue below 0 and red above where they are signed", function()
      local x = sm.tensor { { -2, 0 }, { 2, 1 } }
      local colours = cells(saved(view.image(x, { scale = 4, signed = true })), 2, 2, 4)
      local map = require "sm.view.colour".diverging
      assert.same({ map[1], map[129], map[#map], map[193] }, colours)
      assert.same({ map[65], map[129], map[193], map[161] },
        cells(saved(view.image(x, { scale = 4, signed = true, range = { -4, 4 } })), 2, 2, 4))
      saved(view.image(sm.zeros(3, 3), { signed = true }))
    end)

    it("write numbers short", function()
      local number = require "sm.view.words".number
      assert.same({ "0", "−3", "12345", "0.333", "1.23e+08", "nan", "inf" }, { number(0.0), number(-3), number(12345.0),
        number(1 / 3), number(123456789), number(-(0 / 0)), number(math.huge) })
    end)

    it("show what is no number in a colour of its own, and infinities as the ends", function()
      local x = sm.tensor { { 0 / 0, math.huge }, { -math.huge, 0.5 } }
      assert.same({ ODD, WHITE, BLACK, "#808080" }, { (function()
        local pixel = saved(view.image(x, { scale = 4, range = { 0, 1 } }))
        return pixel(LEFT, TOP + 32), pixel(LEFT + 4, TOP + 32), pixel(LEFT, TOP + 36), pixel(LEFT + 4, TOP + 36)
      end)() })
      local rgb = saved(view.image(sm.full({ 1, 1, 3 }, 0 / 0), { scale = 4 }))
      assert.equal(ODD, rgb(LEFT, TOP + 32))
    end)

    it("of several stand beside each other, from a tensor or a list, with labels, of different sizes", function()
      local x = sm.tensor { { { 0 } }, { { 1 } }, { { 0.2 } } }
      local pixel = saved(view.images(x, { scale = 10, columns = 3 }))
      assert.same({ BLACK, WHITE, "#333333" },
        { pixel(LEFT, TOP), pixel(LEFT + 16, TOP), pixel(LEFT + 32, TOP) }) -- with gaps of 6
      local again = saved(view.images({ x[1], x[2], x[3] }, { scale = 10, columns = 3 }))
      assert.equal(WHITE, again(LEFT + 16, TOP))
      local one_column = saved(view.images(x:reshape(3, 1, 1, 1), { scale = 10, columns = 1 }))
      assert.equal("#333333", one_column(LEFT, TOP + 32))
      local _, _, plain = saved(view.images(x, { columns = 3 }))
      for _, labels in ipairs { { "a", 2, 0 / 0 }, { 1e300, -12345.0, math.huge }, sm.tensor({ 7, 8, 9 }, "int32") } do
        local _, _, labelled = saved(view.images(x, { columns = 3, labels = labels }))
        assert.equal(plain + 22, labelled)
      end
      local mixed = saved(view.images({ sm.ones(2, 2), sm.zeros(1, 1), sm.ones(1, 2, 3) }, { scale = 4, columns = 3 }))
      assert.equal(BLACK, mixed(LEFT + 14 + 2, TOP)) -- in the middle of its place
    end)

    it("may be none", function()
      saved(view.images {})
      saved(view.images(sm.zeros(0, 4, 4)))
      saved(view.images(sm.zeros(0, 4, 4), { labels = {} }))
    end)

    it("that are none are refused, at the line that declares them", function()
      local cases = {
        { view.image, 3, "a picture is a tensor {height, width}, or {height, width, 1 or 3}; got number 3" },
        { view.image, sm.zeros(2, 2, 2), "got tensor {2, 2, 2}" },
        { view.image, sm.zeros(0, 2), "a picture has no pixels: its shape is {0, 2}" },
        { view.images, sm.zeros(2, 2), "{count, height, width, 1 or 3}, or a list of tensors; got tensor {2, 2}" },
        { view.images, "x", 'expected a tensor of pictures or a list of tensors, got string "x"' },
        { view.images, { sm.zeros(2, 2), 5 }, "picture 2 is a tensor {height, width}" },
        { view.images, { sm.zeros(2, 2), name = sm.zeros(2, 2) }, "positions alone, got the key name" },
        { view.images, sm.zeros(1001, 1, 1), "a sheet has at most 1,000 pictures" },
      }
      for _, case in ipairs(cases) do
        local said = helpers.error_of(function() local _ = case[1](case[2]) end)
        assert.matches("own_views_spec.lua:%d+: view%.images?: ", said)
        has(said, case[3])
      end
      has(message(view.images, sm.zeros(2, 2, 2), { labels = { 1 } }), "a label for each of 2 pictures, got 1")
      has(message(view.images, sm.zeros(1, 2, 2), { labels = { {} } }), "a label is a text or a number, got table")
      has(message(view.image, sm.zeros(2, 2, 3), { signed = true }), "takes grey pictures alone")
      has(message(view.image, sm.zeros(2, 2), { range = { 1, 0 } }), "got {1, 0}")
      has(message(view.image, sm.zeros(2, 2), { range = { 0, 1e40 } }), "from 1e-37 to 1e+37, got 1e+40")
      has(message(view.image, sm.zeros(2, 2), { range = { 0, 1 }, signed = true }), "the range is symmetric")
      has(message(view.image, sm.zeros(2, 2), { colums = 3 }), "unknown option 'colums'")
      has(message(function() view.images(sm.zeros(400, 9, 9), { scale = 99 }):save(directory .. "/x.png") end),
        "at most 16000×16000 can be drawn")
    end)
  end)

  describe("a plot", function()
    local PLOT <const> = { x_range = { 0, 10 }, y_range = { 0, 10 } }

    --- A function that says whether there is anything but the grid at a place between the axes, in shares of them.
    local function marks_of(pixel, width, height)
      local quiet, across, foot = "#6b717a", width - 100, height - 1
      while not (pixel(across, foot) == quiet and pixel(across - 200, foot) == quiet) do foot = foot - 1 end
      local left = across
      while pixel(left - 1, foot) == quiet do left = left - 1 end
      return function(x, y)
        local colour = pixel(math.floor(left + 760 * x), math.floor(foot - 380 * y))
        return colour ~= WHITE and colour ~= "#d4d8dd"
      end
    end

    it("has points where they are", function()
      local marked = marks_of(saved(view.plot({ x = { 2.5, 7.5 }, y = sm.tensor { 2.5, 9 } },
        { style = "points", x_range = PLOT.x_range, y_range = PLOT.y_range })))
      assert.is_true(marked(0.25, 0.25))
      assert.is_true(marked(0.75, 0.9))
      assert.is_false(marked(0.25, 0.9))
      assert.is_false(marked(0.5, 0.575))
    end)

    it("has lines between, with gaps, and cut at its edges", function()
      local nan, huge = 0 / 0, math.huge
      local marked = marks_of(saved(view.plot({ x = { -5, 5, 6, 7, 8, 9, 20 }, y = { -5, 5, nan, 7, huge, 9, 20 } },
        PLOT)))
      for _, place in ipairs { 0.02, 0.25, 0.49, 0.7, 0.95 } do assert.is_true(marked(place, place)) end
      for _, place in ipairs { 0.55, 0.65, 0.75, 0.85 } do assert.is_false(marked(place, place)) end
      local _, _, height = saved(view.plot({ x = { 0, 10 }, y = { 1, 2 } }, PLOT))
      local _, _, higher = saved(view.plot({ x = { 0, 10, 10 }, y = { 1, 2, nan } }, PLOT))
      assert.equal(height + 32, higher) -- the line that says so
    end)

    it("has bars from 0, those of several series beside each other", function()
      local marked = marks_of(saved(view.plot({ { x = { 2, 8 }, y = { 5, -2 }, style = "bars" } },
        { x_range = { 0, 10 }, y_range = { -5, 10 } })))
      assert.is_true(marked(0.2, 0.5))
      assert.is_true(marked(0.8, 0.25))
      for _, place in ipairs { { 0.2, 0.7 }, { 0.8, 0.4 }, { 0.5, 0.5 }, { 0.2, 0.3 } } do
        assert.is_false(marked(table.unpack(place)))
      end
      marked = marks_of(saved(view.plot({ a = { 4, 8 }, b = { 8, 4 } },
        { style = "bars", x_range = { 0.5, 2.5 }, y_range = { 0, 10 } })))
      for _, place in ipairs { { 0.15, 0.35 }, { 0.35, 0.75 }, { 0.65, 0.75 }, { 0.85, 0.35 } } do
        assert.is_true(marked(table.unpack(place)))
      end
      for _, place in ipairs { { 0.15, 0.45 }, { 0.5, 0.2 }, { 0.85, 0.45 } } do
        assert.is_false(marked(table.unpack(place)))
      end
    end)

    it("has logarithmic axes", function()
      local marked = marks_of(saved(view.plot({ x = { 10, 1, 100 }, y = { 100, 0, -5 } },
        { style = "points", x_log = true, y_log = true, x_range = { 1, 1e4 }, y_range = { 1, 1e4 } })))
      assert.is_true(marked(0.25, 0.5))
    end)

    it("takes all forms of series", function()
      for _, series in ipairs {
        {}, { 1, 2, 3 }, sm.tensor { 1, 2 }, sm.zeros(0), { y = { 5 } }, { train = { 1, 2 }, test = sm.ones(2) },
        { { y = { 1, 2 }, name = "a", style = "bars" }, { x = { 1 }, y = { 2 }, style = "points" }, more = { 3 } },
        { 1e300, -1e300 }, { 1e-300, 1e-300 }, { 5, 5 }, { 0 / 0 }, { math.huge }, { 1e6, 1e6 + 1 },
        sm.arange(5, "int32"),
      } do
        saved(view.plot(series, { x_axis = "x", y_axis = "y" }))
        saved(view.plot(series, { y_log = true }))
      end
    end)

    it("saves its numbers too", function()
      view.plot({ b = { x = { 0.5, 1 }, y = { 0 / 0, -math.huge } }, ["a,b"] = { 3 } }):save(directory .. "/x.csv")
      assert.equal('series,x,y\n"a,b",1,3\nb,0.5,nan\nb,1,-inf\n', helpers.read(directory .. "/x.csv"))
    end)

    it("refuses what is no series", function()
      local cases = {
        { 3, "expected { x = …, y = … }, several such series by name, a list of numbers" },
        { { train = 3 }, "'train' is { x = …, y = … }, a list of numbers or a tensor {count}; got number 3" },
        { { 1, "x" }, 'y of the series is a list of numbers, but number 2 is string "x"' },
        { { 1, 2, name = 3 }, "but it has the key name" },
        { { x = { 1 }, y = { 1, 2 } }, "the series has 1 x and 2 y" },
        { { x = { 1 } }, "the series: series: option 'y' is missing" },
        { { a = { y = { 1 }, stile = "line" } }, "unknown option 'stile'; did you mean 'style'?" },
        { sm.zeros(2, 2), "a list of numbers or a tensor {count}, got tensor {2, 2}" },
        { { [true] = { 1 } }, "series have names or positions, got the key true" },
        { sm.zeros(100001), "has 100,001 numbers; at most 100,000 are drawn" },
      }
      for _, case in ipairs(cases) do has(message(view.plot, case[1]), case[2]) end
      has(message(view.plot, { 1 }, { style = "dots" }), "style")
      has(message(view.plot, { 1 }, { x_log = true, style = "bars" }), "bars stand on an axis without x_log")
      has(message(view.plot, { 1 }, { y_log = true, y_range = { 0, 1 } }), "must begin above 0")
    end)

    it("has marks of round numbers", function()
      local function marks(low, high, log)
        local texts = {}
        for i, mark in ipairs(axes.new(low, high, { log = log, margin = 0 }).marks) do texts[i] = mark.text end
        return table.concat(texts, " ")
      end
      assert.equal("0 0.2 0.4 0.6 0.8 1.0", marks(0, 1))
      assert.equal("−4 −2 0 2 4", marks(-5, 5))
      assert.equal("0 500 1,000 1,500 2,000", marks(0, 2000))
      assert.equal("0 5e6 1.0e7", marks(0, 1e7):gsub(" 2e6", ""):gsub(" [468]e6", ""):gsub("0 1", "0 5e6 1"))
      assert.equal("1 10 100 1,000", marks(1, 1000, true))
      assert.equal("1e−5 0.0001 0.001", marks(1e-5, 1e-3, true):gsub("^(%S+) .*", "%1 0.0001 0.001"))
      assert.equal("1 2 5 10", marks(1, 10, true))
    end)
  end)

  describe("in a script", function()
    it("are saved, of a function too, which gets what it is given", function()
      local seen
      local v = view.image(function(at)
        seen = at
        return sm.zeros(2, 2), "label"
      end)
      v:save(directory .. "/x.png", { model = nn.linear { 2 }:build { 2 }, mine = 5 })
      assert.same({ false, 5 }, { seen.training, seen.mine })
      v:save(directory .. "/x.png")
      has(message(v.save, v, "x.jpg"), 'a path that ends in ".png", got string "x.jpg"')
      has(message(v.save, v), "got nil")
      v:draw(nn.linear { 2 }:build { 2 }, directory .. "/x.png", { step = 3 })
      assert.same({ 3, false }, { seen.step, seen.training })
      local given = {}
      v:draw(nn.linear { 2 }:build { 2 }, directory .. "/x.png", { step = 3, at = given })
      assert.equal(given, seen)
      has(message(v.save, v, "x.png", { model = 3 }), "expected a model, got number 3")
      has(message(v.save, v, "x.png", 3), "expected a table that the function gets")
      has(message(v.save, 3), "view:save is a method of a picture of one's own")
    end)

    it("say what they are", function()
      assert.matches("^view%.images 'digits' of tensor {2, 3, 3} %(.*own_views_spec.lua:%d+%); x:save",
        tostring(view.images(sm.zeros(2, 3, 3), { name = "digits" })))
      assert.matches("^view%.plot 'plot' of a function ", tostring(view.plot(function() end)))
    end)

    it("say where the function is defined that gave what is none", function()
      local line = debug.getinfo(1, "l").currentline
      for kind, expected in pairs { image = "got nil", images = "got nil", plot = "got nil" } do
        local said = helpers.error_of(function() view[kind](function() end):save(directory .. "/x.png") end)
        has(said, expected)
        has(said, ("own_views_spec.lua:%d"):format(line + 2))
      end
    end)

    it("take any text: what is long is cut, what cannot be seen is written out", function()
      local odd = ("wide"):rep(2000) .. "\n\27[31m\xff"
      saved(view.image(sm.zeros(2, 2), { title = odd, labels = odd }))
      saved(view.plot({ [odd] = { 1, 2 }, ["\xff\n"] = { 1 } }, { title = "\xff\0", x_axis = odd, y_axis = odd }))
      local hidden = setmetatable({}, { __index = function() return sm.zeros(2, 2) end })
      has(message(view.images, hidden), "expected a plain table")
    end)

    it("leave random numbers, the mode and gradients as they were", function()
      local model = nn.sequential { nn.linear { 3 }, nn.dropout { 0.5 } }:build { 3 }
      local weight = model:layer "linear1".weight
      sm.seed(3)
      local before = random.state()
      local training, recorded
      view.image(function(at)
        training, recorded = at.model.training, at.model(sm.ones(2, 3)):tracks()
        math.random()
        return sm.randn(2, 2)
      end):save(directory .. "/x.png", { model = model })
      assert.same({ false, false, true }, { training, recorded, model.training })
      assert.same(before, random.state())
      local bad = view.image(function() return sm.randn(3, 3):nothing() end)
      pcall(bad.save, bad, directory .. "/x.png", { model = model })
      assert.same(before, random.state())
      assert.is_true(model.training)
      view.image(function(at) -- what the output depends on
        local x = sm.ones(2, 3):requires_grad()
        return sm.grad(at.model(x):sum(), { x })[1]
      end, { grad = true }):save(directory .. "/x.png", { model = model })
      assert.is_nil(weight.grad)
      assert.is_true(weight:tracks())
    end)
  end)

  describe("a canvas", function()
    it("is drawn on", function()
      local canvas = view.canvas(60, 40)
      canvas:rectangle(0, 0, 10, 10, { fill = "#ff0000" })
      canvas:rectangle(20, 0, 10, 10, { stroke = "#00ff00", thickness = 2 })
      canvas:line({ 0, 20, 60, 20 }, { colour = "#0000ff", thickness = 2 })
      canvas:line(sm.tensor { { 0, 30 }, { 60, 30 } }, { thickness = 2 })
      canvas:image(40, 0, sm.tensor({ { 0, 255 } }, "uint8"), { scale = 4 })
      canvas:image(50, 0, sm.tensor { { -1 } }, { scale = 4, signed = true })
      canvas:image(40, 10, sm.ones(1, 1, 3) * 2, { scale = 4, range = { 0, 4 } })
      canvas:text(1, 39, "M", { size = 12, bold = true })
      local pixel, width, height = saved(canvas)
      assert.same({ 60, 40 }, { width, height })
      assert.same({ "#ff0000", "#ff0000", WHITE }, { pixel(0, 0), pixel(9, 9), pixel(10, 10) })
      assert.same({ "#00ff00", WHITE }, { pixel(21, 5), pixel(25, 5) })
      assert.same({ "#0000ff", "#1c1f24" }, { pixel(30, 20), pixel(30, 30) })
      assert.same({ BLACK, WHITE, "#0d427b" }, { pixel(43, 3), pixel(44, 3), (pixel(50, 0)
        == require "sm.view.colour".diverging[1]) and "#0d427b" or pixel(50, 0) })
      assert.equal("#808080", pixel(40, 10))
      assert.is_true(canvas:measure "wider" > canvas:measure "w")
      assert.matches("^canvas of 60×40 pixels", tostring(canvas))
    end)

    it("refuses what is not meant", function()
      local canvas = view.canvas(10, 10, { background = "#000000" })
      has(message(view.canvas, 0, 5), "the width must be an integer from 1 to 16384, got number 0")
      has(message(view.canvas, 5), "the height must be an integer")
      has(message(view.canvas, 5, 5, { background = "red" }), "a colour")
      for _, case in ipairs {
        { "text", 0 / 0, 1, "x", "x must be a finite number" }, { "text", 1, 1, 3, "expected a text, got number 3" },
        { "line", 3, "expected the points" }, { "line", { 1, 2 }, { color = "#000000" }, "did you mean 'colour'?" },
        { "rectangle", 1, 1, 1, "height must be a finite number" }, { "rectangle", 1, 1, 1, 1, "expected a fill" },
        { "image", 1, 1, 3, "got number 3" }, { "image", 1, 1, sm.zeros(2, 2), { range = { 2, 1 } }, "got {2, 1}" },
        { "image", 1, 1, sm.zeros(2, 2, 3), { signed = true }, "grey pictures alone" },
        { "save", "x.jpg", 'ends in ".png", got string "x.jpg"' }, { "save", "/none/such/x.png", "/none/such" },
      } do
        local expected = table.remove(case)
        has(message(canvas[case[1]], canvas, table.unpack(case, 2)), expected)
      end
      has(message(canvas.text, {}, 1, 1, "x"), "canvas:text is a method of a canvas")
      local odd = setmetatable({}, getmetatable(canvas))
      assert.is_false(pcall(odd.text, odd, 1, 1, "x"))
    end)
  end)

  it("quote what came, as far as it can be read", function()
    local quoted = message(function() view.image(("a"):rep(70000)) end)
    assert.is_true(#quoted < 1200)
    has(quoted, "{height, width, 1 or 3}; got string \"aaaa")
    has(message(function() view.image "\27[2J" end), 'got string "\\27[2J"')
  end)

  describe("in an experiment", function()
    local VIEWS <const> = [[views = {
      sm.view.images(function(at)
        math.random()
        return at.model(sm.randn(2, 4)):reshape(2, 3, 1), { at.step, at.training and 1 or 0 }
      end, { name = "outputs", title = "What comes out" }),
      sm.view.plot(function(at)
        return { rate = { x = { at.step }, y = { at.rows[#at.rows].lr } }, drawn = sm.rand(3) }
      end),
      sm.view.image(sm.zeros(2, 2)),
    },]]

    local function run(views, options)
      tiny.write(directory .. "/tiny.lua", (tiny.text:gsub("views = { picture },", function() return views end)))
      return select(2, tiny.run(directory, {}, options))
    end

    it("are drawn at each evaluation, with their numbers, and are in the report", function()
      local path = run(VIEWS).directory
      local expected = { "test-confusion.png", "test-mistakes.png" } -- the run's own, at its end
      for _, name in ipairs { "image", "outputs", "plot" } do
        for _, when in ipairs { "-000004", "-000008", "-000012", "" } do
          expected[#expected + 1] = name .. when .. ".png"
          if name == "plot" then expected[#expected + 1] = name .. when .. ".csv" end
        end
      end
      table.sort(expected)
      assert.same(expected, tiny.list(path .. "/plots"))
      local csv = helpers.read(path .. "/plots/plot-000008.csv")
      assert.matches("^step,series,x,y\n8,drawn,1,0%.%d+\n8,drawn,2,", csv)
      has(csv, "8,rate,8,0.01\n")
      local report = helpers.read(path .. "/report.html")
      for _, name in ipairs { "image", "outputs", "plot" } do
        has(report, ("<h3>%s</h3>"):format(name))
        has(report, name .. " at step 8")
      end
    end)

    it("change no bit of the training", function()
      local function weights_of(views)
        local path = run(views).directory
        local weights = {}
        local kept = sm.load(path .. "/checkpoints/step-000012.safetensors")
        for name, x in pairs(kept) do weights[name] = x:totable() end
        local metrics = tiny.metrics(path)
        tiny.remove(directory .. "/runs")
        return weights, metrics
      end
      local plain, rows = weights_of "views = {},"
      local viewed, same_rows = weights_of(VIEWS)
      assert.same(plain, viewed)
      assert.equal(rows, same_rows)
      local drawing = weights_of [[views = { {
        name = "noisy",
        check = function() end,
        draw = function(_, model, path)
          assert(not model.training)
          model(sm.randn(5, 4))
          sm.view.canvas(9, 9):save(path)
        end,
        metric_names = function() return { "noise" } end,
        measure = function(_, model) return { noise = model(sm.randn(5, 4)):sum():item() } end,
      } },]]
      assert.same(plain, drawing)
    end)

    it("are the same pictures after a resume", function()
      local function pictures(path)
        local found = {}
        for _, name in ipairs(tiny.list(path .. "/plots")) do found[name] = helpers.read(path .. "/plots/" .. name) end
        return found
      end
      local path = run(VIEWS).directory
      local whole = pictures(path)
      tiny.remove(path)
      local asked = 0
      assert.is_true(run(VIEWS, { interrupted = function()
        asked = asked + 1
        return asked == 6
      end }).interrupted)
      tiny.call("resume", path)
      assert.same(whole, pictures(path))
    end)

    it("have different names, which lead nowhere else", function()
      local twice = "views = { sm.view.image(sm.zeros(2, 2)), sm.view.image(sm.ones(2, 2)) },"
      has(message(run, twice), "two views are called 'image', and one's pictures would replace the other's")
      has(message(run, "views = { sm.view.image(sm.zeros(2, 2), { name = '../x' }) },"), "without slashes")
      local turning = [[views = { {
        name = "quiet",
        check = function(self) self.name = "../../../evil" end,
        draw = function(_, _, path) sm.view.canvas(9, 9):save(path) end,
      } },]]
      assert.is_false(pcall(run, turning))
      for name in lfs.dir(directory) do assert.is_nil(name:find "evil") end
      has(message(run, [[views = { { name = "a", check = function() end, draw = function() end,
        metric_names = function() return { "b" } end, measure = function() end } },]]),
        "view 'a' must measure a table of numbers by name, got nil")
    end)

    it("stop a run with the function's line where it gives what is none", function()
      has(message(run, "views = { sm.view.images(function() return 3 end) },"),
        "got number 3; the function is defined at " .. directory .. "/tiny.lua:")
    end)
  end)
end)
