--- What every layer is: a kind, options, parameters and buffers named by path, errors that say where.
---
--- A layer is made by its constructor (`nn.conv2d { 32, kernel = 5 }`), is named when a container takes it
--- in, and is built when the shape of one example is known: only then are its parameters drawn. A layer
--- belongs to one place in one model. Any layer can be used as a model by itself; what is said of models here
--- is said of layers.
---
--- Fields for readers: kind, name, path ("" for a whole model), where ("file.lua:9", the line that declared
--- it), options, training, parent, layers (containers only), input_shape and output_shape (of one example,
--- once built), and for a whole model input_dtype.
local autograd = require "sm.autograd"
local check = require "sm.check"
local fail = require "sm.fail"
local user_line = require "sm.place".line
local ordered = require "sm.ordered"
local runtime = require "sm.runtime"
local summary = require "sm.nn.summary"
local shape_text = require "sm.text".shape
local tensor = require "sm.tensor"

local M = {}

local is_tensor = runtime.tensor.is_tensor

local DTYPES <const> = { [runtime.real] = true, uint8 = true, int32 = true }
local DEEPEST <const> = 1000 -- containers within each other
local INTERRUPTED = "interrupted" -- what the host raises at Ctrl-C, in whatever runs just then

local Layer = {}
Layer.__index = Layer

--- Whether a value is a layer.
function M.is(value)
  local class = type(value) == "table" and getmetatable(value)
  return type(class) == "table" and class.is_layer == true
end

-- What a message calls a layer: its path, or its kind where it is a whole model.
local function label(layer)
  return layer.path ~= "" and layer.path or layer.kind
end

-- The shape of one example, out of a batch; text as a tensor's shape is.
local function without_batch(shape)
  return debug.setmetatable(table.move(shape, 2, #shape, 1, {}), debug.getmetatable(shape))
end

-- Calls visit(layer) for a layer and everything in it, containers before their layers.
local function walk(layer, visit, depth)
  depth = depth or 1
  if depth > DEEPEST then fail "a model contains itself: the layers in it lead back to one that holds them" end
  visit(layer)
  for _, inner in ipairs(layer.layers or {}) do walk(inner, visit, depth + 1) end
end

-- Errors inside a layer -------------------------------------------------------------------------------------

-- Raises what a layer's computation raised, with the layer's path, kind and input shape, and the line that
-- declared the layer. In a function of the user's (`own_line`) the line of the error itself says more, and is
-- kept.
local function explain(layer, x, message, batch)
  if type(message) ~= "string" or message == INTERRUPTED then error(message, 0) end
  local line, text = message:match("^([^\n]-:%d+): (.*)$")
  local given = check.describe(x)
  if is_tensor(x) then given = batch and shape_text(without_batch(x.shape), batch) or shape_text(x.shape) end
  error(("%s: in layer '%s' (%s) given %s: %s"):format(layer.own_line and line or layer.where, label(layer),
    layer.kind, given, text or message), 0)
end

-- y = layer(x). The observer, if any, has `before(layer, x)`, `after(layer, x, y)` and `batch`, what to call
-- the size of the batch in messages; a container hands it on to its layers. Further arguments are for the layer's
-- `forward`: the work of layers beside it that it is to do.
function Layer:apply(x, observer, ...)
  if observer and observer.before then observer.before(self, x) end
  local y
  if self.layers then
    y = self:forward(x, observer)
  else
    local ok, result = pcall(self.forward, self, x, ...)
    if not ok then explain(self, x, result, observer and observer.batch) end
    y = result
  end
  if observer and observer.after then observer.after(self, x, y) end
  return y
end

--- Raises an error about this layer and its input, in the form of every error inside a layer.
function Layer:fail(x, observer, format, ...)
  explain(self, x, format:format(...), observer and observer.batch)
end

-- Building --------------------------------------------------------------------------------------------------

-- Sets layer[name], and lets the value wait with the root, as {layer, map name, name, tensor}, until the whole
-- model is built.
local function add_value(layer, map, name, value)
  layer[name] = value
  local root = layer
  while root.parent do root = root.parent end
  local waiting = root.waiting
  waiting[#waiting + 1] = { layer, map, name, value }
end

--- For a layer's build_values: makes the parameter self[name] and names it by path.
--- @param name string "weight" or "bias"
--- @param shape table its shape
--- @param init function (shape, fan_in, fan_out) → tensor
--- @param fan_in integer number of values that reach one output
--- @param fan_out integer number of outputs that one input reaches
function Layer:make_parameter(name, shape, init, fan_in, fan_out)
  local value = init(shape, fan_in, fan_out)
  if not is_tensor(value) then
    error(("the initialiser of '%s' must return a tensor, got %s"):format(name, check.describe(value)), 0)
  elseif shape_text(value.shape) ~= shape_text(shape) then
    error(("the initialiser of '%s' must return a tensor of shape %s, got %s"):format(
      name, shape_text(shape), shape_text(value.shape)), 0)
  end
  value = value:detach()
  value:requires_grad()
  add_value(self, "parameter_map", name, value)
end

--- For a layer's build_values: keeps a tensor that is saved with the model but not trained, as self[name].
function Layer:make_buffer(name, value)
  add_value(self, "buffer_map", name, value)
end

-- Writes the waiting values into the maps of their layer and of every container around it.
local function publish(waiting)
  for _, entry in ipairs(waiting) do
    local layer, map, name, value = table.unpack(entry)
    local full = layer.path == "" and name or layer.path .. "." .. name
    local holder = layer
    while holder do
      ordered.set(holder[map], full, value)
      holder = holder.parent
    end
  end
end

-- For `local _ <close> = …`: puts the modes of all layers back and, unless `state.done`, makes the model what it was
-- before. Where memory has run out Lua has none for a further call either, so this makes none.
local function undoing(root, state)
  local layers, modes, maps, keys = {}, {}, {}, {}
  walk(root, function(layer)
    layers[#layers + 1], modes[#modes + 1] = layer, layer.training
    for _, map in ipairs { layer.parameter_map, layer.buffer_map } do
      maps[#maps + 1], keys[#keys + 1] = map, ordered.keys(map)
    end
  end)
  return setmetatable({}, { __close = function()
    for i = 1, #layers do layers[i].training = modes[i] end
    root.waiting = nil
    if state.done then return end
    for i = 1, #layers do layers[i].input_shape, layers[i].output_shape = nil, nil end
    for i = 1, #maps do
      local map, names = maps[i], keys[i]
      for j = #names, 1, -1 do
        if map[names[j]] then map[names[j]] = nil end
        names[j] = nil
      end
    end
  end })
end

-- Sends one example of zeros through the model, in evaluation mode and without a graph; each layer makes its
-- parameters as the example reaches it. Either the whole model is built or, after an error, nothing of it.
local function build(root, shape, dtype)
  if root.waiting then fail "the model is being built: its own layers and initialisers cannot build or use it" end
  local shapes, begun, state = {}, {}, {}
  local observer = { batch = "N" }
  function observer.before(layer, x)
    if not layer.build_values or begun[layer] then return end -- a container may apply a layer more than once
    begun[layer] = true
    local ok, message = pcall(layer.build_values, layer, x.shape)
    if not ok then explain(layer, x, message, "N") end
  end
  function observer.after(layer, x, y)
    shapes[layer] = { without_batch(x.shape), without_batch(y.shape) }
  end
  local _ <close> = undoing(root, state)
  root.waiting = {}
  walk(root, function(layer) layer.training = false end)
  local example = tensor.zeros({ 1, table.unpack(shape) }, dtype)
  autograd.no_grad(function() return root:apply(example, observer) end)
  publish(root.waiting)
  root.input_dtype = dtype
  walk(root, function(layer) layer.input_shape, layer.output_shape = table.unpack(shapes[layer]) end)
  state.done = true
end

--- Builds the model: infers all shapes and draws all parameters, in order, from the stream "initialisation".
--- The first call of a model that is not built does it by itself.
--- @param shape table the shape of one example, without the batch axis: {28, 28, 1}
--- @param dtype string|nil the type of its elements: real unless it is given, "int32" for indices
--- @return the model
function Layer:build(shape, dtype)
  dtype = dtype or runtime.real
  if type(shape) == "table" then check.plain("model:build", shape) end
  local sizes, valid = {}, type(shape) == "table" and rawlen(shape) > 0
  for axis = 1, valid and rawlen(shape) or 0 do
    local size = rawget(shape, axis)
    sizes[axis], valid = size, valid and math.type(size) == "integer" and size > 0
  end
  if not valid then
    fail("model:build takes the shape of one example without the batch axis, such as {28, 28, 1}; got %s",
      check.describe(shape))
  elseif not DTYPES[dtype] then
    fail("model:build: argument 2 must be the type of the examples' elements, such as \"int32\", got %s",
      check.describe(dtype))
  elseif self.parent then
    fail("layer '%s' is part of a model; build the whole model", self.path)
  elseif not self.input_shape then
    build(self, sizes, dtype)
  elseif self.input_dtype ~= dtype then
    fail("the model is built for examples of %s already, got %s", self.input_dtype, check.describe(dtype))
  elseif shape_text(self.input_shape) ~= shape_text(sizes) then
    fail("the model is built for examples of shape %s already, got %s", shape_text(self.input_shape),
      shape_text(sizes))
  end
  return self
end

-- Use -------------------------------------------------------------------------------------------------------

-- Checks x and builds the model if need be.
local function ready(self, x)
  if not is_tensor(x) or #x.shape < 2 then
    fail("the model takes a tensor {batch, …} of at least 2 axes, got %s", check.describe(x))
  elseif not self.input_shape then
    if self.parent then
      fail("layer '%s' is part of a model that is not built; call model:build first", self.path)
    end
    self:build(without_batch(x.shape), x.dtype)
  end
end

--- y = model(x) for a batch x {N, …}.
function Layer:__call(x)
  ready(self, x)
  return self:apply(x)
end

--- The output of every layer for a batch x.
--- @return an ordered map from path to tensor, in the order of computation; where a container applies a layer again,
---   its later outputs are at "path (2)", …
function Layer:activations(x)
  ready(self, x)
  local outputs, times = ordered.new(), {}
  self:apply(x, {
    after = function(layer, _, y)
      if layer == self then return end
      times[layer] = (times[layer] or 0) + 1
      ordered.set(outputs, times[layer] == 1 and layer.path or ("%s (%d)"):format(layer.path, times[layer]), y)
    end,
  })
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
  walk(self, function(layer) layer.training = true end)
  return self
end

--- Evaluation mode: dropout does nothing, batchnorm uses the running statistics.
--- @return the model
function Layer:eval()
  walk(self, function(layer) layer.training = false end)
  return self
end

--- The layer at a path such as "conv1" or "residual1.conv2".
function Layer:layer(path)
  local found, paths = nil, {}
  walk(self, function(layer)
    if layer == self then return end
    paths[#paths + 1] = layer.path
    if layer.path == path then found = layer end
  end)
  if not found then
    fail("the model has no layer '%s'%s (layers: %s)", check.word(path), check.suggest(check.word(path), paths),
      #paths > 0 and table.concat(paths, ", ") or "none")
  end
  return found
end

function Layer:__tostring()
  walk(self, function() end)
  return summary.of(self)
end

check.public_methods(Layer, "", { "build", "activations", "parameters", "buffers", "train", "eval", "layer" },
  "a model", M.is)
Layer.__call = check.public("the model", Layer.__call, { method = true })

-- Constructors ----------------------------------------------------------------------------------------------

-- Gives a layer, and everything in it, the path it has in its container.
local function place(root)
  walk(root, function(layer)
    for _, inner in ipairs(layer.layers or {}) do
      inner.path = layer.path == "" and inner.name or layer.path .. "." .. inner.name
    end
  end)
end

--- Takes layers into a container: checks that each is free, names it by kind and order ("conv2" is the second
--- convolution) unless it has a name, and refuses two of one name.
function M.adopt(container, layers)
  local order, taken = {}, {}
  for position, layer in ipairs(layers) do
    if layer.parent or layer.input_shape then
      local is = layer.parent == container and "in it already, as '" .. layer.name .. "'"
        or layer.parent and "part of a model already" or "built already"
      fail("%s: layer %d (%s, declared at %s) is %s; make a new layer for each place", container.constructor, position,
        layer.kind, layer.where, is)
    end
    order[layer.short] = (order[layer.short] or 0) + 1
    layer.name = layer.options.name or layer.short .. order[layer.short]
    if taken[layer.name] then
      fail("%s: layers %d and %d are both named '%s'", container.constructor, taken[layer.name], position,
        layer.name)
    end
    taken[layer.name] = position
    layer.parent = container
  end
  container.layers = layers
  place(container)
end

local function check_name(where, name)
  if name and not name:find("^[%a_][%w_-]*$") then
    fail("%s: a name is letters, digits, _ and -, beginning with a letter, got '%s'", where, name)
  end
end

--- Defines a kind of layer. Its class may have
---   short: what paths begin with ("conv"), else the kind;
---   options: the spec for check.options (`name` is added);
---   container(where, given) → options, layers: splits what a container was given;
---   setup(self, where): at construction, when the options are known;
---   build_values(self, shape): makes parameters and buffers for an input of shape {1, …};
---   forward(self, x, observer) → y, differentiable;
---   describe(self) → a few words for the summary;
---   own_line: true where errors in forward come with a line of the user's own.
--- @param kind string its name in sm.nn
--- @param class table as above
--- @return function the constructor
function M.define(kind, class)
  local where = "nn." .. kind
  class.is_layer, class.kind, class.short = true, kind, class.short or kind
  class.__index, class.__call, class.__tostring = class, Layer.__call, Layer.__tostring
  setmetatable(class, Layer)
  local spec = class.options or {}
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
    }, class)
    local layers
    if class.container then
      given, layers = class.container(where, given)
    end
    layer.options = check.options(where, given, spec)
    check_name(where, layer.options.name)
    layer.name = layer.options.name or kind
    if layers then M.adopt(layer, layers) end
    if class.setup then class.setup(layer, where) end
    return layer
  end, { takes = "one table of options" })
end

return M
