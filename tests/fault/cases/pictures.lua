-- Canvases and views.
return function(add, home, support)
  local sm, canvas, x

  local function prepare()
    sm, canvas = require "sm", require "sm.canvas"
    sm.seed(5)
    x = sm.rand(5, 4)
  end

  local path = home .. "/picture.png"
  local picture

  add("a canvas", function()
    picture = canvas.new(60, 40, "#ffffff")
    local width, ascent, descent = canvas.measure("Text", { size = 9, bold = true })
    picture:rect(1, 1, 20, 10, { fill = "#102030", stroke = "#ff0000", thickness = 2, radius = 3 })
    picture:line({ 1, 1, 30, 30, 50, 2 }, { colour = "#00ff0080", thickness = 2 })
    picture:text(3, 20, "Text é", { size = 9, align = "centre", colour = "#000000" })
    picture:image(20, 20, 20, 20, x, { low = 0, high = 1, map = { "#000000", "#ffffff" } })
    picture:image(40, 20, 10, 10, sm.rand(3, 2, 3), { low = 0, high = 1 })
    picture:save(path)
    return { width, ascent, descent, { picture:size() }, support.read(path) }
  end, { prepare = prepare, file = "picture%.png", before = function()
    sm.seed(1)
    support.write(path, "old")
  end, after = function(done)
    local content = support.read(path)
    assert(content == "old" or content:sub(2, 4) == "PNG" and content:sub(-8, -5) == "IEND", "half a picture")
    assert(not done or content ~= "old", "nothing was saved")
  end })

  -- A canvas on which something could not be drawn draws on.
  add("draw again", function()
    picture:rect(1, 1, 20, 10, { fill = "#102030", stroke = "#ff0000", thickness = 2, radius = 3 })
    picture:line({ 1, 1, 30, 30, 50, 2 }, { colour = "#00ff0080", thickness = 2 })
    picture:text(3, 20, "Text", { size = 9, colour = "#000000" })
    picture:image(20, 20, 20, 20, x, { low = 0, high = 1, map = { "#000000", "#ffffff" } })
  end, { prepare = prepare, before = function()
    picture = picture or canvas.new(60, 40, "#ffffff")
  end })

  local deep, set
  local function prepare_model()
    prepare()
    local nn = sm.nn
    deep = nn.sequential {
      nn.conv2d { 4, kernel = 3, padding = "same" }, nn.softmax { groups = 2 }, nn.maxpool2d { 2 },
      nn.conv2d { 4, kernel = 3 }, nn.softmax { groups = 2 }, nn.flatten(), nn.linear { 3 },
    }:build { 8, 8, 1 }
    deep:eval()
    local labels = {}
    for i = 1, 24 do labels[i] = i % 3 end
    set = sm.data.tensors { inputs = sm.rand(24, 8, 8, 1), targets = sm.tensor(labels, "int32"), validation = 12 }
  end

  local moment
  local function view(name, make, of)
    add("view " .. name, function()
      local v, model = make(), of and of() or deep
      v:check(model, set)
      local names = v.metric_names and v:metric_names(model) or {}
      local figures = #names > 0 and v:measure(model, set) or {}
      v:draw(model, path, moment)
      return { figures, support.read(path) }
    end, { prepare = prepare_model, file = "picture", before = function()
      sm.seed(2)
      os.remove(path)
      moment = { step = 3, validation_accuracy = 0.5, title = "a run", data = set, row = {} }
    end })
  end

  add("views of values", function()
    local views = sm.view
    local made = {
      views.image(x, { labels = "x", scale = 2 }), views.images({ x, x * 2 }, { columns = 1 }),
      views.plot({ a = { 1, 2, 4 }, b = { x = { 1, 2 }, y = x[1]:slice(1, 2) } }, { y_log = true }),
      views.image(function() return x end),
    }
    local out = {}
    for i, one in ipairs(made) do
      one:save(path)
      out[i] = { tostring(one):gsub("[^ ]*%.lua:%d+", ""), support.read(path) }
    end
    local sheet = views.canvas(40, 30, { background = "#ffffff" })
    sheet:rectangle(1, 1, 20, 10, { fill = "#102030" })
    sheet:line({ 1, 1, 30, 20 }, { colour = "#00ff00" })
    sheet:text(2, 20, "Text")
    sheet:image(20, 10, x)
    sheet:save(path)
    out[#out + 1] = support.read(path)
    return out
  end, { prepare = prepare, file = "picture", before = function() os.remove(path) end })

  view("filters", function() return sm.view.filters "conv1" end)
  view("deep filters", function() return sm.view.filters { "conv2", by = "gradient" } end)
  view("groups", function() return sm.view.groups "conv2" end)
  view("confusion", function() return sm.view.confusion { logits = true } end)
  view("mistakes", function() return sm.view.mistakes { logits = true } end)
  view("paint", function() return sm.view.paint { pairs = { { 1, 2 } } } end, function()
    local nn = sm.nn
    return nn.sequential {
      nn.conv2d { 4, kernel = 4, stride = 4 }, nn.softmax { groups = 2 }, nn.flatten(), nn.linear { 3 },
    }:build({ 8, 8, 1 }):eval()
  end)
end
