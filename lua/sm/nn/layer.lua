--- What every layer is: a kind, options, parameters and buffers named by path, errors that say where.
---
--- A layer is made by its constructor (`nn.conv2d { 32, kernel = 5 }`), is named when a container takes it in, and is
--- built when the shape of one example is known: only then are its parameters drawn. A layer in several places is one
--- layer with one set of parameters, named by its first place. Any layer can be used as a model by itself; what is said
--- of models here is said of layers.
---
--- Fields for readers: kind, role, name, path ("" for a whole model), where ("file.lua:9", the line that declared it),
--- options, training, parent, layers (of what has others in it), and once it is built input_shape and output_shape (of
--- one example) and input_dtype. Of several inputs or outputs the shapes are a list, of tables of tensors tables.
local build = require "sm.nn.build"
local check = require "sm.check"
local elsewhere = require "sm.elsewhere"
local fail = require "sm.fail"
local user_line = require "sm.place".line
local ordered = require "sm.ordered"
local is_tensor = require "sm.runtime".tensor.is_tensor
local shapes = require "sm.shapes"
local summary = require "sm.nn.summary"
local tree = require "sm.nn.tree"
local use = require "sm.nn.use"
local weights = require "sm.nn.weights"

local M = { is = tree.is }

local Layer = { computing = "forward", apply = use.apply }
local inherits <const> = { __index = Layer } -- the metatable of classes

Layer.make_parameter, Layer.make_buffer, Layer.build = build.make_parameter, build.make_buffer, build.build

--- y = model(x) for a batch x {N, …}; y, … = model(x, …) for several inputs, each a tensor or a table of tensors by
--- name.
local function call(self, ...)
  build.ready(self, ...)
  return self:apply(...)
end

--- model(x, …) for what is a batch already, while a pass looks on: see sm.nn.use.
function Layer:observe(pass, ...)
  pass.paths = tree.paths(self)
  return use.watched(pass, self.apply, self, ...)
end

--- Calls visit(layer, path) for a layer and everything in it, each once.
function Layer:walk(visit)
  tree.walk(self, visit)
end

--- The model that a layer has its first place in; itself where it is in none.
function Layer:whole()
  return tree.root(self)
end

--- The output of every layer for a batch x.
--- @return an ordered map from path to tensor, in the order of computation; where a layer is applied again, its later
---   outputs are at "path (2)", …; where one gives a table, each of its tensors is at "path.key"
function Layer:activations(...)
  build.ready(self, ...)
  local outputs, times = ordered.new(), {}
  local pass, add = {}, nil
  -- Of a table of tensors each has a path; those of nn.branch are there as its layers' outputs.
  function add(path, value)
    if is_tensor(value) then
      if rawget(outputs, path) == nil then ordered.set(outputs, path, value) end
      return
    end
    for _, key in ipairs(shapes.keys(value)) do add(tree.join(path, key), value[key]) end
  end
  function pass.after(layer, _, found)
    if layer == self then return end
    local count = (times[layer] or 0) + 1
    times[layer] = count
    local path = count == 1 and pass.paths[layer] or ("%s (%d)"):format(pass.paths[layer], count)
    add(path, found[1])
  end
  self:observe(pass, ...)
  return outputs
end

--- The trained tensors by name ("conv1.weight"), in the order of the layers. The map is filled when the model
--- is built, so that it may be handed to an optimizer before. Those of a single layer:
--- model:layer("conv1"):parameters().
function Layer:parameters()
  return self.parameter_map
end

--- The tensors that are saved but not trained (batchnorm's running statistics), as by parameters().
function Layer:buffers()
  return self.buffer_map
end

--- Training mode, as at the start: dropout drops, batchnorm uses and records the batch's statistics.
--- @return the model
function Layer:train()
  tree.walk(self, function(layer) layer.training = true end)
  return self
end

--- Evaluation mode: dropout does nothing, batchnorm uses the running statistics.
--- @return the model
function Layer:eval()
  tree.walk(self, function(layer) layer.training = false end)
  return self
end

--- The layer at a path such as "conv1" or "residual1.conv2"; within a part of a model the part's own path may be left
--- out.
function Layer:layer(path)
  local found, paths, full = nil, {}, type(path) == "string" and tree.join(self.path, path)
  tree.walk(self, function(layer, own)
    if layer == self then return end
    paths[#paths + 1] = own
    if own == path or own == full then found = layer end
  end)
  if not found then
    fail("the model has no layer '%s'%s (layers: %s)", check.word(path), check.suggest(check.word(path), paths),
      #paths > 0 and table.concat(paths, ", ") or "none")
  end
  return found
end

--- The table that print(model) shows, as a string.
function Layer:summary()
  tree.walk(self, function() end)
  return summary.of(self)
end

Layer.load, Layer.freeze = weights.load, weights.freeze
local show <const> = Layer.summary

for name in pairs(elsewhere.names.model) do
  Layer[name] = function() fail("a model has no method '%s'%s", name, elsewhere.hint("model", name)) end
end

check.public_methods(Layer, "", {
  "build", "activations", "parameters", "buffers", "train", "eval", "layer", "summary", "load", "freeze",
}, "a model", M.is)
local call_checked <const> = check.public("the model", call, { method = true })

-- Constructors ----------------------------------------------------------------------------------------------

--- Takes layers into a container: names each by kind and order ("conv2" is the second convolution) unless it has a
--- name, and refuses two of one name. A layer that has a place already, here or elsewhere, is the same layer here. A
--- model that was built by itself keeps its own paths.
--- @param keys table|nil position → name, for those that the container names itself
function M.adopt(container, layers, keys)
  local order, names, taken = {}, {}, {}
  for position, layer in ipairs(layers) do
    local before = taken[layer]
    if not before then
      order[layer.short] = (order[layer.short] or 0) + 1
      local name = keys and keys[position] or layer.options.name or layer.short .. order[layer.short]
      if taken[name] then
        fail("%s: layers %d and %d are both named '%s'", container.constructor, taken[name], position, name)
      end
      taken[name], taken[layer] = position, name
    end
    names[position] = taken[layer]
  end
  for position, layer in ipairs(layers) do
    if not layer.parent then layer.parent, layer.name = container, names[position] end
  end
  container.layers, container.names, container.keys = layers, names, keys
  local roots = {}
  tree.walk(container, function(layer, path)
    if not layer.built and layer ~= container and tree.root(layer, roots) == container then layer.path = path end
  end)
end

--- Raises unless a name is one.
function M.check_name(where, name)
  if name and not name:find("^[%a_][%w_-]*$") then
    fail("%s: a name is letters, digits, _ and -, beginning with a letter, got '%s'", where, name)
  end
end

-- What `layers` of a kind gives: layers in a row, and those with names, which become fields of the layer.
local function adopt_own(layer, where)
  local given = layer:get_layers()
  if type(given) ~= "table" or M.is(given) then
    fail("%s: 'layers' must return a table of layers, got %s", where,
      M.is(given) and "a layer" or check.describe(given))
  end
  local names, layers, keys = {}, {}, {}
  for key, value in check.each(where, given) do
    if not M.is(value) then
      fail("%s: 'layers' must return layers, got %s at '%s'", where, check.describe(value), check.word(key))
    elseif type(key) == "string" then
      M.check_name(where, key)
      if tree.has(layer, key) then fail("%s: no layer in it can be named '%s', which it has already", where, key) end
      names[#names + 1] = key
    elseif math.type(key) ~= "integer" or key < 1 or key > rawlen(given) then
      fail("%s: 'layers' must return layers in a row or by name, got one at '%s'", where, check.word(key))
    end
  end
  table.sort(names)
  for position = 1, rawlen(given) do layers[position] = rawget(given, position) end
  for _, name in ipairs(names) do
    layers[#layers + 1] = rawget(given, name)
    keys[#layers], layer[name] = name, rawget(given, name)
  end
  if #layers == #names then layer.sorts = M.sort end
  M.adopt(layer, layers, keys)
end

--- Puts layers with names, which have no order, into that in which they were built.
function M.sort(container, order)
  local places, names = {}, container.names
  for position, layer in ipairs(container.layers) do places[position] = { layer, names[position], position } end
  table.sort(places, function(a, b)
    local first, second = order[a[1]] or math.huge, order[b[1]] or math.huge
    if first ~= second then return first < second end
    return a[3] < b[3]
  end)
  for position, place in ipairs(places) do
    container.layers[position], names[position] = place[1], place[2]
  end
end

-- How many inputs a function takes after self.
local function inputs_of(forward)
  local info = debug.getinfo(forward, "u")
  return info.isvararg and math.huge or math.max(1, info.nparams - 1)
end

--- Defines a kind of layer. Its class may have
---   short: what paths begin with ("conv"), else the kind;
---   role: what it is for, whatever does it, which views go by: "weights", "activation", "grouping" (a softmax over
---     groups of channels, with sizes(self, channels) and temperature(self)), "normalisation", "pooling", "shape",
---     "noise"; of a container "sequence", "residual" or "branches";
---   row(self): how many of a container's layers, the first ones, stand in a row;
---   options: the spec for check.options (`name` is added);
---   container(where, given) → options, layers, keys: splits what a container was given, see M.adopt;
---   setup(self, where): at construction, when the options are known;
---   get_layers(self) → a table of layers that it has in it, in a row or by name: self.name is one of them;
---   build_values(self, shape, …): makes parameters and buffers for inputs of shape {1, …};
---   input_dtype: the element type of its input, where that is not real; of several a list;
---   forward(self, x, …) → y, …: differentiable; inputs and outputs are tensors, or tables of them by name;
---   describe(self) → a few words for the summary;
---   own_line: true where errors in forward come with a line of the user's own.
--- @param kind string its name in sm.nn
--- @param class table as above
--- @param where string|nil its name in messages
--- @return function the constructor
function M.define(kind, class, where)
  where = where or "nn." .. kind
  class.kind, class.short, class.takes = kind, class.short or kind, inputs_of(class.forward)
  setmetatable(class, inherits)
  local of_layers <const> = { __index = class, __call = call_checked, __tostring = show }
  tree.register(of_layers)
  local spec = class.options or {}
  class.options = nil
  spec.name = { type = "string", doc = "what the layer is called in paths; by default its kind and number" }
  check.spec(where, spec)
  return check.public(where, function(given)
    if given == nil then
      given = {}
    elseif type(given) ~= "table" or M.is(given) then
      given = { given }
    end
    local layer = setmetatable({
      where = user_line(),
      constructor = where,
      path = "",
      training = true,
      parameter_map = ordered.new(),
      buffer_map = ordered.new(),
    }, of_layers)
    local layers, keys
    if class.container then
      given, layers, keys = class.container(where, given)
    end
    layer.options = check.options(where, given, spec)
    M.check_name(where, layer.options.name)
    layer.name = layer.options.name or kind
    if layers then
      M.adopt(layer, layers, keys)
      for position, key in pairs(keys or {}) do -- as of nn.layer: model.generator
        if not tree.has(layer, key) then layer[key] = layers[position] end
      end
    end
    if class.setup then class.setup(layer, where) end
    if class.get_layers then adopt_own(layer, where) end
    return layer
  end, { takes = "one table of options" })
end

return M
