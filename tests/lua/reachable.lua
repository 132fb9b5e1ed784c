-- A script that walks everything that it can reach from `sm` and from what the library makes, and tells what it could
-- change of the library's. All objects are made twice: what can be changed and is reached from both is shared.
-- closed_spec.lua runs it as a confined script, beside a run, runs/small/default.
local sm = require "sm"
local nn = sm.nn

--- Option tables of which one suits each layer.
local SUITABLE <const> = {
  function() return {} end,
  function() return { 2 } end,
  function() return { 0.5 } end,
  function() return { 5, 3 } end,
  function() return { { 6 } } end,
  function() return { nn.linear { 6 } } end,
  function() return { 2, kernel = 3 } end,
  function() return { 2, heads = 2 } end,
  function() return { factor = 2 } end,
  function() return { groups = 2 } end,
  function() return { k = 1, groups = 2 } end,
  function() return { k = 1 } end,
  function() return { sizes = { 3, 3 } } end,
  function() return { function(y) return y end } end,
  function() return { a = nn.relu(), b = nn.linear { 2 } } end,
}

local function add_layers(world, x)
  for name, constructor in pairs(nn) do
    if type(constructor) == "function" and name ~= "layer" then
      local ok, layer
      for _, options in ipairs(SUITABLE) do
        ok, layer = pcall(constructor, options())
        if ok then break end
      end
      assert(ok, layer)
      pcall(layer, x)
      world["nn." .. name] = layer
    end
  end
  local images = sm.randn(2, 8, 8, 4)
  world.conv, world.pool = nn.conv2d { 4, kernel = 3 }, nn.maxpool2d { 2 }
  world.images = world.pool(world.conv(images))
  world.own = nn.layer {
    kind = "own", options = { size = { type = "integer", default = 3 }, list = { type = "table", default = { 1 } } },
    setup = function(self) self.notes = {} end, forward = function(_, y) return y * 2 end,
    methods = { more = function() return 1 end },
  } ()
  world.model = nn.sequential { nn.linear { 3 }, nn.residual { nn.relu(), nn.linear { 3 } }, world.own }
  world.model(x)
  world.parameters, world.buffers = world.model:parameters(), world.model:buffers()
  world.activations = world.model:activations(x)
end

local function add_optimizers(world)
  for _, name in ipairs { "sgd", "adam", "adamw", "rmsprop", "lion", "muon", "smorms3" } do
    local optimizer = sm.optim[name] { lr = 0.01 }
    optimizer:add(world.model:parameters())
    world["optim." .. name], world["state of " .. name] = optimizer, optimizer:state()
  end
  world.groups = sm.optim.sgd { lr = sm.optim.cosine { lr = 0.1, steps = 10 }, groups = { { "1", lr = 1 } } }
  world.mine = sm.optim.define {
    name = "mine", options = {}, step = function(w, g, _, at)
      world.step_at = world.step_at or at
      return w - at.lr * g
    end,
  } { lr = 1 }
end

local function add_data(world)
  world.data = sm.data.tensors {
    inputs = sm.randn(20, 6), targets = sm.randn(20, 3), test_inputs = sm.randn(4, 6), test_targets = sm.randn(4, 3),
    validation = 4, transform = function(x, t, at)
      world.transform_at = at
      return x, t
    end,
  }
  world.stream = world.data:stream(4)
  world.mini = sm.data.mnist_mini { validation = 600, transform = { { shift = 1 } } }
  world.text = sm.data.text { text = ("hello "):rep(10), length = 3 }
  world.named = sm.data.tensors { inputs = { a = sm.randn(4, 2), b = sm.randn(4, 2) }, targets = sm.randn(4, 1) }
end

local function add_views(world)
  world.filters, world.grouped, world.paint = sm.view.filters "conv1", sm.view.groups "softmax1", sm.view.paint()
  world.image = sm.view.image(sm.randn(3, 3), { name = "image" })
  world.plot, world.canvas = sm.view.plot({ x = { 1, 2 }, y = { 1, 2 } }, { name = "plot" }), sm.view.canvas(8, 8)
end

local function add_runs(world)
  local shown = sm.view.image(function(at)
    world.view_at = at
    return sm.randn(3, 3)
  end, { name = "shown" })
  world.experiment = sm.experiment {
    name = "walked", data = world.data, model = nn.linear { 3 }, optimizer = world.mine,
    loss = function(output, target, at)
      world.loss_at = at
      return ((output - target) ^ 2):mean()
    end,
    schedule = { steps = 2, batch = 4 }, views = { shown },
  }
  world.result = world.experiment:run { file = arg[0], quiet = true, runs = "own/runs", again = true }
  world.loaded = sm.load_run("runs/small/default", { quiet = true })
end

local function make()
  local world = { sm = sm }
  local x = sm.randn(4, 6)
  world.tensor, world.shape = x, x.shape
  world.problem = select(2, pcall(sm.zeros, -1))
  add_layers(world, x)
  add_optimizers(world)
  add_data(world)
  add_views(world)
  sm.pointwise(function(a)
    world.symbol = a
    return a * 2
  end)(x)
  world.op = sm.op { name = "double", forward = function(context, y)
    world.context = context
    return y * 2
  end, backward = function(_, g) return g * 2 end }
  world.op(x)
  sm.save("own/x.safetensors", { x = x }, { about = "x" })
  world.read, world.metadata, world.reasons = sm.load "own/x.safetensors"
  add_runs(world)
  return world
end

--- Names that fields need not have for something to be read by them.
local HIDDEN <const> = { "__index", "__newindex", "__metatable", "__call", "__pairs", "__len", "__close", "__gc",
  "__name", "__mode", "class", "rule", "host", "options", "methods", "new", "inherits" }

local tensors = 0 -- that have been looked at: a few are enough, as every name that they lack takes its time

local function is_object(value)
  return type(value) == "table" or type(value) == "userdata"
end

--- The fields of an object, as far as a script finds them: raw, by pairs, by names, and what lies under them.
local function fields_of(object)
  local found = {}
  if sm.is_tensor(object) then
    tensors = tensors + 1
    if tensors > 3 then return found end
  end
  local function add(value, name)
    if is_object(value) then found[#found + 1] = { value, tostring(name) } end
  end
  add(getmetatable(object), "its metatable")
  for _, name in ipairs(HIDDEN) do
    local ok, value = pcall(function() return object[name] end)
    if ok then add(value, name) end
  end
  if type(object) ~= "table" then return found end
  local raw = {}
  for key, value in next, object do
    add(value, key)
    add(key, "a key")
    if type(key) == "string" then raw[key] = value end
  end
  pcall(function()
    local iterator, state, first = pairs(object)
    add(state, "what pairs goes through")
    for key, value in iterator, state, first do add(value, key) end
  end)
  for key, value in next, raw do
    if pcall(rawset, object, key, nil) then
      local ok, under = pcall(function() return object[key] end)
      rawset(object, key, value)
      if ok then add(under, "what is under " .. key) end
    end
  end
  return found
end

--- Everything that is reached from some values. @return table object → its path
local function walk(roots)
  local paths, open = {}, {}
  local function enter(value, path)
    if is_object(value) and not paths[value] then
      paths[value] = path
      open[#open + 1] = value
    end
  end
  for name, value in pairs(roots) do enter(value, name) end
  while #open > 0 do
    local object = table.remove(open)
    for _, field in ipairs(fields_of(object)) do enter(field[1], paths[object] .. "." .. field[2]) end
  end
  return paths
end

--- Whether a script can change a table, by whatever way there is.
local function can_change(object)
  if type(object) ~= "table" then return false end
  local key, changed = {}, false
  for _, way in ipairs {
    function() object[key] = 1 end, function() rawset(object, key, 1) end,
    function() table.move({ 1 }, 1, 1, 1000, object) end, function() setmetatable(object, {}) end,
    function() getmetatable(object).__index = {} end,
  } do
    changed = pcall(way) or changed
    pcall(rawset, object, key, nil)
    pcall(rawset, object, 1000, nil)
  end
  return changed
end

local one, other = walk(make()), walk(make())
local reached, objects = {}, 0
for object, path in pairs(one) do
  objects = objects + 1
  if other[object] and can_change(object) then reached[#reached + 1] = path end
end
table.sort(reached)
print(("%s objects"):format(objects > 500 and "hundreds of" or objects))
print(table.concat(reached, "\n"))
