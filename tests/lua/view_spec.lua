local lfs = require "lfs"
local sm = require "sm"
local arrange = require "sm.view.layout".arrange
local colour = require "sm.view.colour"
local nn, view = sm.nn, sm.view

-- Numbers that are neither smooth nor centred: the same for the same shape.
local function weights(shape)
  local count = 1
  for _, size in ipairs(shape) do count = count * size end
  local numbers = {}
  for i = 1, count do numbers[i] = math.sin(12.9898 * i) * 0.3 + 0.1 end
  return sm.tensor(numbers):reshape(table.unpack(shape))
end

local function model(filters, after, options)
  options = options or {}
  return nn.sequential {
    nn.conv2d { filters, kernel = options.kernel or 5, init = weights }, after, nn.flatten(),
  }:build { 12, 12, options.channels or 1 }
end

local function largest(pictures)
  local peak = 0
  for _, picture in ipairs(pictures) do peak = math.max(peak, picture:abs():max():item()) end
  return peak
end

describe("view.filters", function()
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

  -- Draws into the directory and returns the file's bytes with the size that its header gives.
  local function draw(v, m, moment)
    local path = directory .. "/sheet.png"
    v:draw(m, path, moment or { step = 1500, validation_accuracy = 0.9876, title = "a run" })
    local file <close> = assert(io.open(path, "rb"))
    local bytes = file:read "a"
    assert.are.equal("\137PNG\r\n\26\n", bytes:sub(1, 8))
    assert.are.equal("IEND", bytes:sub(-8, -5))
    return bytes, string.unpack(">I4I4", bytes, 17)
  end

  it("is named after its layer", function()
    assert.are.equal("filters-conv1", view.filters("conv1").name)
    assert.are.equal("filters-first", view.filters { "first", columns = 4 }.name)
  end)

  it("writes a PNG for softmax groups of every kind, other activations and rgb", function()
    local cases = {
      { 32, nn.softmax { groups = 1 } }, { 32, nn.softmax { groups = 16 } },
      { 20, nn.softmax { sizes = { 4, 16 } } }, { 4, nn.softmax { groups = 4, off = true } },
      { 13, nn.relu() }, { 1, nn.relu(), { kernel = 1 } },
      { 8, nn.softmax { groups = 2 }, { channels = 3, kernel = 3 } },
    }
    for _, case in ipairs(cases) do
      local m = model(table.unpack(case))
      local bytes, width, height = draw(view.filters "conv1", m)
      assert.is_true(width > 300 and width < 2000 and height > 200 and height < 2000)
      assert.are.equal(bytes, (draw(view.filters "conv1", m))) -- the same bytes again
    end
    assert.are.equal(3, (function() -- ".", ".." and the picture: no temporary stays behind
      local count = 0
      for _ in lfs.dir(directory) do count = count + 1 end
      return count
    end)())
  end)

  it("draws without an accuracy or a title, and weights that are all zero", function()
    local m = nn.sequential { nn.conv2d { 4, kernel = 3, init = function(shape) return sm.zeros(shape) end } }
    draw(view.filters "conv1", m:build { 8, 8, 1 }, { step = 0 })
  end)

  it("is drawn before the first step where it is the filters themselves", function()
    assert.is_true(view.filters("conv1"):initially(model(4, nn.relu())))
    local deep = nn.sequential { nn.conv2d { 4, kernel = 3 }, nn.relu(), nn.conv2d { 4, kernel = 3 } }
    assert.is_false(view.filters("conv2"):initially(deep:build { 8, 8, 1 }))
  end)

  it("takes the number of columns", function()
    local m = model(12, nn.relu())
    local _, wide = draw(view.filters { "conv1", columns = 12 }, m)
    local _, narrow = draw(view.filters { "conv1", columns = 6 }, m)
    assert.is_true(wide > narrow)
  end)

  it("does not change the weights", function()
    local m = model(8, nn.softmax { groups = 2 })
    local before = m:layer("conv1").weight:totable()
    draw(view.filters "conv1", m)
    assert.are.same(before, m:layer("conv1").weight:totable())
  end)

  describe("shows what a softmax sees:", function()
    it("adding the same to the filters of a group changes nothing", function()
      local m = model(8, nn.softmax { groups = 2 })
      local picture = draw(view.filters "conv1", m)
      local weight = m:layer("conv1").weight
      local common = weights { 5, 5, 1, 1 } * 3
      local shifts = {}
      for channel = 1, 8 do shifts[channel] = channel <= 4 and 1 or 0 end
      weight:copy_(weight:detach() + common * sm.tensor(shifts))
      local pictures, peak = view.filters.values(weight, { 4, 4 })
      local originals, same_peak = view.filters.values(weights { 5, 5, 1, 8 }, { 4, 4 })
      assert.is_near(same_peak, peak, 1e-5)
      for i, values in ipairs(pictures) do
        assert.is_near(0, (values - originals[i]):abs():max():item(), 1e-5)
      end
      shifts[1] = 0 -- only some of the group: that is seen
      weight:copy_(weights { 5, 5, 1, 8 } + common * sm.tensor(shifts))
      assert.are_not.equal(picture, (draw(view.filters "conv1", m)))
    end)

    it("its mean is left where an implicit option stands beside the group", function()
      local m = model(4, nn.softmax { groups = 1, off = true })
      local picture = draw(view.filters "conv1", m)
      local weight = m:layer("conv1").weight
      weight:copy_(weight:detach() + 0.5)
      assert.are_not.equal(picture, (draw(view.filters "conv1", m)))
    end)
  end)

  describe("values", function()
    it("have group means of zero and a largest absolute value of 1", function()
      local sizes = { 2, 6, 4 }
      local pictures, peak = view.filters.values(weights { 3, 3, 3, 12 }, sizes)
      assert.are.equal(12, #pictures)
      assert.are.same({ 3, 3, 3 }, pictures[1].shape)
      assert.is_near(1, largest(pictures), 1e-6)
      assert.is_true(peak > 0.1 and peak < 0.6)
      local first = 1
      for _, size in ipairs(sizes) do
        local sum = pictures[first]
        for i = first + 1, first + size - 1 do sum = sum + pictures[i] end
        assert.is_near(0, sum:abs():max():item(), 1e-5)
        first = first + size
      end
    end)

    it("are the weights over their largest where nothing is removed, in channel order", function()
      local weight = weights { 5, 5, 1, 6 }
      local pictures, peak = view.filters.values(weight)
      assert.is_near(weight:abs():max():item(), peak, 1e-7)
      local numbers = weight:totable()
      for filter = 1, 6 do
        assert.are.same({ 5, 5 }, pictures[filter].shape)
        for y = 1, 5 do
          for x = 1, 5 do
            assert.is_near(numbers[y][x][1][filter], pictures[filter]:totable()[y][x] * peak, 1e-6)
          end
        end
      end
    end)
  end)

  describe("refuses", function()
    local function message_of(f, ...)
      local ok, message = pcall(f, ...)
      assert.is_false(ok)
      return message
    end

    local function check(path, m)
      local v = view.filters(path)
      return message_of(v.check, v, m)
    end

    it("a layer that does not exist, naming the line of the view", function()
      local message = check("conv2", model(4, nn.relu()))
      assert.matches("^[^\n]*view_spec%.lua:%d+: view%.filters: the model has no layer", message)
      assert.matches("did you mean 'conv1'%?", message)
    end)

    it("a layer that is no convolution", function()
      assert.matches("view%.filters: layer 'relu1' is a relu; a conv2d layer has filters to draw",
        check("relu1", model(4, nn.relu())))
    end)

    it("filters over channels that are no picture", function()
      assert.matches("view%.filters: the filters of layer 'conv1' have 2 input channels; "
        .. "filters are drawn over 1 %(grey%) or 3 %(rgb%)", check("conv1", model(4, nn.relu(), { channels = 2 })))
    end)

    it("a model that is not built", function()
      assert.matches("layer 'conv1' has no weights yet; build the model first",
        check("conv1", nn.sequential { nn.conv2d { 4, kernel = 3 } }))
    end)

    it("a wrong option, and a view that does not exist", function()
      assert.matches("view%.filters: unknown option 'column'; did you mean 'columns'%?",
        message_of(view.filters, { "conv1", column = 3 }))
      assert.matches("view%.filters: argument 1 must be a string, got number 5", message_of(view.filters, 5))
      assert.matches("view%.filters: argument 1 is missing", message_of(view.filters, {}))
      assert.matches("sm%.view has no 'filter'; did you mean 'filters'%?",
        message_of(function() return view.filter end))
    end)

    it("a place where no file can be", function()
      local v, m = view.filters "conv1", model(4, nn.relu())
      assert.matches("/nowhere/at/all%.png", message_of(v.draw, v, m, "/nowhere/at/all.png", { step = 1 }))
    end)
  end)
end)

describe("view.filters measures", function()
  local function data_of(channels)
    sm.seed(2)
    return sm.data.tensors {
      inputs = sm.rand(40, 12, 12, channels or 1), targets = sm.zeros({ 40 }, "int32"), classes = 2,
    }
  end

  it("filters over pixels, under names of the layer's", function()
    local v, m = view.filters { "conv1", images = 30 }, model(8, nn.relu(), { kernel = 3 })
    assert.are.same({ "conv1_roughness", "conv1_spread", "conv1_used" }, v:metric_names(m))
    local before = m:layer("conv1").weight:totable()
    local figures = v:measure(m, data_of())
    for _, name in ipairs(v:metric_names(m)) do assert.is_true(figures[name] > 0) end
    assert.is_true(figures.conv1_roughness < 2 and figures.conv1_spread <= 8 and figures.conv1_used <= 1)
    assert.are.same(figures, v:measure(m, data_of()))
    assert.are.same(before, m:layer("conv1").weight:totable())
    assert.is_true(m.training)
  end)

  it("what a softmax sees of them: what a group has in common does not count", function()
    local v, m = view.filters "conv1", model(8, nn.softmax { groups = 2 })
    local figures = v:measure(m, data_of())
    local weight = m:layer("conv1").weight
    local shift = sm.tensor { 1, 1, 1, 1, 0, 0, 0, 0 }
    weight:copy_(weight:detach() + weights { 5, 5, 1, 1 } * shift)
    local same = v:measure(m, data_of())
    for name, value in pairs(figures) do assert.is_near(value, same[name], 1e-3) end
  end)

  it("those that are used: a filter that does nothing has no say", function()
    local v, m = view.filters "conv1", model(4, nn.relu(), { kernel = 3 })
    local layer = m:layer "conv1"
    local even = sm.ones(3, 3, 1, 1) * sm.tensor { 1, 0, 0, 0 }
    layer.weight:copy_(even + sm.randn(3, 3, 1, 1) * sm.tensor { 0, 1, -2, 1 }) -- the mean: even
    layer.bias:copy_(sm.tensor { 0, -100, -100, -100 }) -- never above 0
    local figures = v:measure(m, data_of())
    assert.is_near(0, figures.conv1_roughness, 1e-6)
    assert.is_near(1, figures.conv1_spread, 1e-6)
    assert.is_near(0.25, figures.conv1_used, 1e-6)
    layer.bias:copy_(sm.full({ 4 }, -100))
    assert.are.same({ conv1_used = 0 }, v:measure(m, data_of()))
  end)

  it("their difference from one another alike, whatever the activation", function()
    sm.seed(5)
    local noise = (sm.randn(5, 5, 1, 32) + sm.ones(5, 5, 1, 1)) * 0.01 -- so weak that all are used alike
    local data = sm.data.tensors { inputs = sm.randn(40, 12, 12, 1), targets = sm.zeros({ 40 }, "int32"), classes = 2 }
    for name, after in pairs { relu = nn.relu(), sigmoid = nn.sigmoid(), softmax = nn.softmax(),
                               off = nn.softmax { off = true, groups = 32 } } do
      local m = model(32, after)
      m:layer "conv1".weight:copy_(noise)
      local figures = view.filters "conv1":measure(m, data)
      assert.is_near(13.5, figures.conv1_spread, 1, name) -- as they are: 3, or with softmax 14
      assert.is_near(1, figures.conv1_roughness, 0.1, name) -- as they are: 0.5
    end
  end)

  it("use to many digits, however large what all activations have in common", function()
    local v, m = view.filters "conv1", model(8, nn.relu(), { kernel = 3 })
    local layer, figures = m:layer "conv1", {}
    layer.weight:copy_(weights { 3, 3, 1, 8 } * 0.01)
    for i, bias in ipairs { 1, 500 } do
      layer.bias:copy_(sm.full({ 8 }, bias))
      figures[i] = v:measure(m, data_of())
    end
    for name, value in pairs(figures[1]) do assert.is_near(value, figures[2][name], 1e-3 * value, name) end
  end)

  it("nothing of deeper filters or of single pixels", function()
    local deep = nn.sequential { nn.conv2d { 4, kernel = 3 }, nn.relu(), nn.conv2d { 4, kernel = 3 } }:build { 8, 8, 1 }
    assert.are.same({}, view.filters("conv2"):metric_names(deep))
    assert.are.same({}, view.filters("conv1"):metric_names(model(4, nn.relu(), { kernel = 1 })))
  end)
end)

describe("layout", function()
  local cell = { width = 100, height = 100, gap = 10, padding = 12, space = 20 }

  it("keeps the order, lets nothing overlap, and keeps cells inside their frame", function()
    for _, sizes in ipairs { { 1 }, { 32 }, { 13 }, { 4, 4, 4 }, { 2, 30 }, { 16, 16, 32 } } do
      local layout = arrange(sizes, cell)
      local i = 0
      for group, size in ipairs(sizes) do
        local frame = layout.frames[group]
        assert.is_true(frame.x + frame.width <= layout.width and frame.y + frame.height <= layout.height)
        for _ = 1, size do
          i = i + 1
          local place = layout.cells[i]
          assert.are.equal(group, place.group)
          assert.is_true(place.x >= frame.x + 12 and place.x + 112 <= frame.x + frame.width)
          assert.is_true(place.y >= frame.y + 12 and place.y + 112 <= frame.y + frame.height)
          for before = 1, i - 1 do
            local other = layout.cells[before]
            assert.is_true(math.abs(other.x - place.x) >= 110 or math.abs(other.y - place.y) >= 110)
            assert.is_true(other.y < place.y or other.x < place.x or other.group < group)
          end
        end
      end
      assert.are.equal(i, #layout.cells)
    end
  end)

  it("fills a rectangle where it can", function()
    local layout = arrange({ 32 }, { width = 100, height = 100, gap = 10, padding = 0, space = 10 })
    assert.are.same({ 870, 430 }, { layout.width, layout.height }) -- 8 × 4
    layout = arrange({ 8, 8, 8, 8 }, cell, 4)
    assert.are.same({ layout.frames[1].y, layout.frames[3].x }, { layout.frames[2].y, layout.frames[1].x }) -- 2 × 2
  end)
end)

describe("colour maps", function()
  local function channels(text)
    local r, g, b = text:match "^#(%x%x)(%x%x)(%x%x)$"
    return tonumber(r, 16), tonumber(g, 16), tonumber(b, 16)
  end

  it("have a neutral light middle between blue and red of equal lightness", function()
    local map = colour.diverging
    assert.are.equal(1, #map % 2)
    local r, g, b = channels(map[#map // 2 + 1])
    assert.is_true(r == g and g == b and r > 235)
    r, g, b = channels(map[1])
    assert.is_true(b > g and g > r)
    r, g, b = channels(map[#map])
    assert.is_true(r > g and r > b)
  end)

  it("grow steadily darker away from their light end", function()
    local function luminance(text)
      local r, g, b = channels(text)
      return 0.2126 * r ^ 2.2 + 0.7152 * g ^ 2.2 + 0.0722 * b ^ 2.2
    end
    local map, middle = colour.diverging, #colour.diverging // 2 + 1
    for i = 1, middle - 1 do
      assert.is_true(luminance(map[i]) < luminance(map[i + 1]))
      assert.is_true(luminance(map[#map + 1 - i]) < luminance(map[#map - i]))
    end
    map = colour.sequential
    for i = 1, #map - 4 do assert.is_true(luminance(map[i]) > luminance(map[i + 4])) end -- beyond rounding to bytes
    assert.are.same({ "#000000", "#808080", "#ffffff" }, { colour.grey[1], colour.grey[129], colour.grey[257] })
  end)
end)

describe("canvas", function()
  local canvas = require "sm.canvas"

  it("tells its size and measures text", function()
    local width, height = canvas.new(30, 20, "#ffffff"):size()
    assert.are.same({ 30, 20 }, { width, height })
    local narrow, ascent, descent = canvas.measure("five", { size = 12 })
    assert.is_true(canvas.measure("five", { size = 12, bold = true }) > narrow and ascent > descent)
  end)

  it("says what it was given wrongly", function()
    local picture = canvas.new(30, 20, "#ffffff")
    local function message(f, ...) return select(2, pcall(f, ...)) end
    assert.matches("an integer from 1 to 16384, got number 0", message(canvas.new, 0, 5, "#ffffff"))
    assert.matches('a colour like "#1a2b3c", got string "white"', message(canvas.new, 5, 5, "white"))
    assert.matches("a finite number", message(picture.rect, picture, 0 / 0, 1, 1, 1, {}))
    assert.matches("unknown option 'color'", message(picture.line, picture, { 1, 2 }, { color = "#000000" }))
    assert.matches("option 'colour' is missing", message(picture.text, picture, 0, 0, "x", { size = 9 }))
    assert.matches("option 'align' must be \"left\", \"centre\" or \"right\", got center",
      message(picture.text, picture, 0, 0, "x", { size = 9, align = "center" }))
    assert.matches("expected a tensor {height, width} or {height, width, 3}, got {2}",
      message(picture.image, picture, 0, 0, 1, 1, sm.zeros(2), {}))
    assert.matches("value 2 of the image is not finite: inf",
      message(picture.image, picture, 0, 0, 2, 1, sm.tensor { { 0, math.huge } }, { map = { "#000000" } }))
    do local _ <close> = picture end
    do local _ <close> = picture end
    assert.matches("this canvas was closed", message(picture.size, picture))
  end)

  it("draws within bounds, and says where they are", function()
    local picture, black, many, points = canvas.new(30, 20, "#ffffff"), "#000000", {}, {}
    for i = 1, 70000 do many[i] = black end
    for i = 1, 200002 do points[i] = 0 end
    local function has(part, name, ...)
      local ok, problem = pcall(picture[name], picture, ...)
      assert.is_false(ok)
      assert.is_truthy(problem:find(part, 1, true), problem)
    end
    has("x must be from -1000000 to 1000000, got 1e+300", "rect", 1e300, 0, 10, 10, { fill = black })
    has("a width must be", "rect", 0, 0, -1e7, 10, { fill = black })
    has("the radius of a rectangle must be", "rect", 0, 0, 10, 10, { fill = black, radius = 1e300 })
    has("the thickness of a stroke must be", "rect", 0, 0, 10, 10, { stroke = black, thickness = 1e300 })
    has("the thickness of a stroke must be", "line", { 0, 0, 9, 9 }, { colour = black, thickness = -1 })
    has("the y of a point must be", "line", { 0, 0, 0, -1e300 }, { colour = black })
    has("a line has at most", "line", points, { colour = black })
    has("a text has at most", "text", 0, 0, ("x"):rep(1000000), { colour = black, size = 10 })
    has("the size of a text must be above 0", "text", 0, 0, "x", { colour = black, size = 1e300 })
    has("the size of a text must be above 0", "text", 0, 0, "x", { colour = black, size = 0 })
    has("y must be", "text", 0, 1e300, "x", { colour = black, size = 10 })
    has("a height must be", "image", 0, 0, 10, 1e300, sm.zeros(2, 2), { map = { black } })
    has("an image has at most 16384 pixels on a side", "image", 0, 0, 9, 9, sm.zeros(20000, 1), { map = { black } })
    has("at most 65536 colours", "image", 0, 0, 9, 9, sm.zeros(1, 1),
      { map = many })
    picture:rect(-10, -10, 1e6, 1e6, { fill = black, radius = 1e6 }) -- the largest that there are
  end)

  it("is its own alone: nothing takes another object for it, and no Lua code runs between its checks and its drawing",
    function()
      local picture, other = canvas.new(30, 20, "#ffffff"), canvas.new(30, 20, "#ffffff")
      assert.is_false(getmetatable(picture))
      for _, name in ipairs { "size", "rect", "line", "text", "image", "save" } do
        for _, object in ipairs { sm.zeros(1), io.stdout, {}, 1 } do
          assert.matches("must be a canvas", select(2, pcall(picture[name], object)))
        end
      end
      local function never() error "Lua code ran" end
      local lively = { __index = never, __tostring = never, __len = never, __name = "lively" }
      other:rect(0, 0, 9, 9, setmetatable({ fill = "#000000" }, lively))
      other:line(setmetatable({ 0, 0, 9, 9 }, lively), setmetatable({ colour = "#000000" }, lively))
      other:text(0, 9, "x", setmetatable({ colour = "#000000", size = 9 }, lively))
      other:image(0, 0, 9, 9, sm.zeros(2, 2), setmetatable({ map = setmetatable({ "#000000" }, lively) }, lively))
      for _, option in ipairs { "colour", "align" } do
        local options = { colour = "#000000", size = 9, [option] = setmetatable({}, lively) }
        assert.matches("option '" .. option .. "' must be", select(2, pcall(other.text, other, 0, 9, "x", options)))
      end
      assert.matches("coordinate 1 must be a finite number", select(2, pcall(other.line, other,
        { setmetatable({}, lively), 1 }, { colour = "#000000" })))
      local closer = coroutine.wrap(function()
        local _ <close> = picture
        coroutine.yield()
      end)
      closer()
      local values = sm.zeros(2, 2)
      setmetatable({}, { __gc = function() closer() end })
      local problem
      for _ = 1, 100000 do -- until the finalizer has closed it, wherever that was
        local ok, message = pcall(picture.image, picture, 0, 0, 9, 9, values, { map = { "#000000" } })
        if not ok then problem = message break end
      end
      assert.matches("this canvas was closed", problem)
    end)
end)
