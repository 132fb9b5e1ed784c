--- How a model gets its shapes and its parameters: one example goes through it, and each layer makes what it needs when
--- the example reaches it.
local autograd = require "sm.autograd"
local check = require "sm.check"
local fail = require "sm.fail"
local ordered = require "sm.ordered"
local runtime = require "sm.runtime"
local shape_text = require "sm.text".shape
local shapes = require "sm.shapes"
local tree = require "sm.nn.tree"
local use = require "sm.nn.use"

local M = {}

local is_tensor = runtime.tensor.is_tensor

local TYPES <const> = { [runtime.real] = true, uint8 = true, int32 = true }

-- Parameters and buffers ------------------------------------------------------------------------------------

-- Sets layer[name], and lets the value wait with the pass, as {layer, map name, name, tensor}, until the whole model is
-- built.
local function add_value(layer, map, name, value)
  local pass = use.pass(layer)
  local waiting = pass and pass.waiting
  if not waiting then
    fail("layer '%s': a parameter or buffer is made by build_values, while the model is built", layer.kind)
  elseif type(name) ~= "string" or not name:find "^[%a_][%w_]*$" then
    fail("a parameter or buffer has a name of letters, digits and _, got %s", check.describe(name))
  elseif tree.has(layer, name) then
    fail("a layer of kind '%s' has a '%s' already", layer.kind, name)
  end
  layer[name] = value
  waiting[#waiting + 1] = { layer, map, name, value }
end

-- How many numbers reach one output of a weight of this shape, whose last axis is the outputs, and how many outputs one
-- input reaches.
local function fans(shape)
  local window, rank = 1, #shape
  for axis = 1, rank - 2 do window = window * shape[axis] end
  return window * (shape[rank - 1] or 1), window * (shape[rank] or 1)
end

--- For a layer's build_values: makes the parameter self[name] and names it by path.
--- @param layer table self
--- @param name string "weight" or "bias"
--- @param shape table its shape; or a tensor, its first values
--- @param init function (shape, fan_in, fan_out) → tensor, as in nn.init, or sm.zeros
--- @param fan_in integer|nil number of values that reach one output; by default that of a weight whose last two axes
---   are inputs and outputs
--- @param fan_out integer|nil number of outputs that one input reaches
--- @return the parameter
function M.make_parameter(layer, name, shape, init, fan_in, fan_out)
  local value = shape
  if not is_tensor(shape) then
    if type(shape) ~= "table" or type(init) ~= "function" then
      fail("make_parameter takes a name, a shape and an initialiser such as nn.init.he_normal(), or a name and a "
        .. "tensor; got %s and %s", check.describe(shape), check.describe(init))
    end
    if fan_in or debug.getinfo(init, "u").nparams < 2 then -- sm.zeros, say, takes a shape alone
      value = init(shape, fan_in, fan_out)
    else
      value = init(shape, fans(shape))
    end
    if not is_tensor(value) then
      error(("the initialiser of '%s' must return a tensor, got %s"):format(name, check.describe(value)), 0)
    elseif shape_text(value.shape) ~= shape_text(shape) then
      error(("the initialiser of '%s' must return a tensor of shape %s, got %s"):format(
        name, shape_text(shape), shape_text(value.shape)), 0)
    end
  end
  value = value:detach()
  value:requires_grad()
  add_value(layer, "parameter_map", name, value)
  return value
end

--- For a layer's build_values: keeps a tensor that is saved with the model but not trained, as self[name].
--- @return the tensor
function M.make_buffer(layer, name, value)
  if not is_tensor(value) then
    fail("make_buffer takes a name and a tensor, got %s", check.describe(value))
  end
  add_value(layer, "buffer_map", name, value)
  return value
end

-- Writes all values of a model into the maps of their layer and of every container around it. A part that was built
-- before has its maps.
local function publish(paths, fresh, waiting)
  for _, entry in ipairs(waiting) do
    local layer = entry[1]
    layer.own = layer.own or {}
    layer.own[#layer.own + 1] = entry
  end
  for _, holder in ipairs(fresh) do
    tree.walk(holder, function(layer)
      for _, entry in ipairs(layer.own or {}) do
        local _, map, name, value = table.unpack(entry)
        ordered.set(holder[map], tree.join(paths[layer], name), value)
      end
    end)
  end
end

-- For `local _ <close> = …`: puts the modes of all layers back and, unless the pass is done, makes the model what it
-- was before. Where memory has run out Lua has none for a further call either, so this makes none.
local function undoing(root, pass, layers, fresh)
  local modes, maps, keys = {}, {}, {}
  for i, layer in ipairs(layers) do modes[i] = layer.training end
  for _, layer in ipairs(fresh) do
    for _, map in ipairs { layer.parameter_map, layer.buffer_map } do
      maps[#maps + 1], keys[#keys + 1] = map, ordered.keys(map)
    end
  end
  local waiting = pass.waiting
  return function()
    for i = 1, #layers do layers[i].training = modes[i] end
    root.building = nil
    if pass.done then return end
    for i = 1, #fresh do
      local layer = fresh[i]
      layer.built, layer.own, layer.inputs = nil, nil, nil
      layer.input_shape, layer.output_shape, layer.input_dtype = nil, nil, nil
    end
    for i = 1, #waiting do waiting[i][1][waiting[i][3]] = nil end
    for i = 1, #maps do
      local map, names = maps[i], keys[i]
      for j = #names, 1, -1 do
        if map[names[j]] then map[names[j]] = nil end
        names[j] = nil
      end
    end
  end
end

-- The passing of the example ----------------------------------------------------------------------------------

local function shape_of(x) return x.shape end
local function type_of(x) return x.dtype end

-- The shapes that a layer's build_values gets: of each input, {1, …}.
local function build_shapes(inputs)
  local given = { n = inputs.n }
  for i = 1, inputs.n do given[i] = shapes.map(inputs[i], shape_of) end
  return given
end

-- A pass that builds: see sm.nn.use.
local function building(root)
  local pass = { batch = "N", waiting = {}, paths = tree.paths(root), seen = {}, order = {} }
  local begun = {}
  function pass.before(layer, inputs)
    if begun[layer] or layer.built then return end -- one layer may stand in several places
    begun[layer] = true
    pass.order[layer] = #pass.order + 1
    pass.order[#pass.order + 1] = layer
    if not layer.build_values then return end
    local given = build_shapes(inputs)
    local ok, message = pcall(layer.build_values, layer, table.unpack(given, 1, given.n))
    if not ok then use.explain(layer, inputs, message) end
  end
  function pass.after(layer, inputs, outputs)
    if pass.seen[layer] or layer.built then return end
    pass.seen[layer] = {
      shapes.map_packed(inputs, shapes.without_batch), shapes.map_packed(outputs, shapes.without_batch),
      shapes.map_packed(inputs, type_of), inputs.n,
    }
  end
  return pass
end

-- Gives every layer what the pass has seen of it; raises where a layer that needs to was not reached.
local function settle(pass, fresh)
  for _, layer in ipairs(fresh) do
    local seen = pass.seen[layer]
    if not seen and layer.build_values then
      fail("layer '%s' (%s, declared at %s) has parameters, but nothing used it when the model was built, in "
        .. "evaluation mode; forward must use every layer then", pass.paths[layer], layer.kind, layer.where)
    end
    if seen then layer.input_shape, layer.output_shape, layer.input_dtype, layer.inputs = table.unpack(seen) end
    layer.built = true
    if layer.sorts then layer:sorts(pass.order) end
  end
end

local function check_idle(root)
  if root.building then fail "the model is being built: its own layers and initialisers cannot build or use it" end
end

-- Sends one example of zeros through the model, in evaluation mode and without a graph; each layer makes its parameters
-- as the example reaches it. Either the whole model is built or, after an error, nothing of it.
local function build(root, given, types, several)
  check_idle(root)
  local layers, fresh = {}, {}
  tree.walk(root, function(layer)
    layers[#layers + 1] = layer
    if not layer.built then fresh[#fresh + 1] = layer end
  end)
  local pass = building(root)
  local undo = undoing(root, pass, layers, fresh)
  local _ <close> = setmetatable({}, { __close = undo })
  root.building = true
  for _, layer in ipairs(layers) do layer.training = false end
  autograd.restoring(undo, function()
    local example = shapes.zeros(given, types)
    autograd.no_grad(function()
      if several then return use.watched(pass, root.apply, root, table.unpack(example)) end
      return use.watched(pass, root.apply, root, example)
    end)
    settle(pass, fresh)
    publish(pass.paths, fresh, pass.waiting)
    for _, rule in ipairs(root.freezing or {}) do rule(root) end
    pass.done = true
  end)
end

--- The element type of the inputs that a layer asks for, or nil: that of the first layer where they stand in a row.
local function asked(layer)
  if layer.input_dtype or not layer.container then return layer.input_dtype end
  for _, inner in ipairs(layer.layers) do
    local found = asked(inner)
    if found or layer.row then return found end
  end
end

-- Raises unless element types are known ones, and a tensor of one axis has an integer type.
local function check_types(given, types)
  if not shapes.is_shape(given) then
    for key, inner in next, given do
      check_types(inner, type(types) == "table" and types[key] or type(types) == "string" and types or nil)
    end
  elseif types ~= nil and (type(types) ~= "string" or not TYPES[types]) then
    fail("model:build: argument 2 must be the type of the examples' elements, such as \"int32\", got %s",
      check.describe(types))
  end
end

--- Builds the model: infers all shapes and draws all parameters, in order, from the stream "initialisation".
--- The first call of a model that is not built does it by itself.
--- @param root table the model
--- @param shape table the shape of one example, without the batch axis: {28, 28, 1}; for several inputs a list of
---   shapes; for tables of tensors tables of shapes
--- @param dtype string|table|nil the type of its elements: what the first layer asks for, or real, unless it is given;
---   "int32" for indices. For several inputs, or tables, a table like that of the shapes
--- @return the model
function M.build(root, shape, dtype)
  local given, several = shapes.read("model:build", shape)
  tree.walk(root, function() end)
  local types = dtype or asked(root) or runtime.real
  if not given or shapes.is_shape(given) and #given == 0 and types == runtime.real then
    fail("model:build takes the shape of one example without the batch axis, such as {28, 28, 1}; got %s",
      check.describe(shape))
  end
  check_types(given, types)
  if root.parent and not root.built then
    fail("layer '%s' is part of a model; build the whole model", root.path)
  elseif not root.built then
    build(root, given, types, several)
  elseif dtype and shapes.types_text(root.input_dtype) ~= shapes.types_text(dtype) then
    fail("the model is built for examples of %s already, got %s", shapes.types_text(root.input_dtype),
      shapes.types_text(dtype))
  elseif shapes.text(root.input_shape) ~= shapes.text(given) then
    fail("the model is built for examples of shape %s already, got %s", shapes.text(root.input_shape),
      shapes.text(given))
  end
  return root
end

-- Use -------------------------------------------------------------------------------------------------------

-- Raises unless a tensor is a batch; one of integers may have a number for each example.
local function check_batch(x)
  local least = x.dtype == runtime.real and 2 or 1
  if runtime.tensor.rows(x) < least then
    fail("the model takes a tensor {batch, …} of at least %d %s, got %s", least, least == 1 and "axis" or "axes",
      check.describe(x))
  end
end

-- Raises unless all that a model is given are batches.
local function check_inputs(inputs)
  for i = 1, math.max(1, inputs.n) do
    if not shapes.is(inputs[i]) then
      fail("the model takes a tensor {batch, …} of at least 2 axes, got %s", check.describe(inputs[i]))
    end
    shapes.map(inputs[i], check_batch)
  end
end

-- Trailing nils are nothing.
local function packed(...)
  local inputs = table.pack(...)
  while inputs.n > 0 and inputs[inputs.n] == nil do inputs.n = inputs.n - 1 end
  return inputs
end

--- Checks what a model is given, and builds it if need be.
function M.ready(root, ...)
  check_idle(root)
  if use.pass(root) or root.built and root.parent then return end -- within its model, or a part of it
  local x = ...
  if root.built and select("#", ...) == 1 and is_tensor(x) and x.dtype == root.input_dtype then
    return check_batch(x)
  end
  local inputs = packed(...)
  check_inputs(inputs)
  if root.takes < inputs.n then
    fail("the model takes %d input%s, got another argument, %s", root.takes, root.takes == 1 and "" or "s",
      check.describe(inputs[root.takes + 1]))
  end
  local types, own = shapes.map_packed(inputs, type_of), root.input_dtype
  if root.parent and not root.built then
    fail("layer '%s' is part of a model that is not built; call model:build first", root.path)
  elseif not root.built then
    tree.walk(root, function() end)
    build(root, shapes.map_packed(inputs, shapes.without_batch), types, inputs.n > 1)
  elseif root.inputs and inputs.n < root.inputs then
    fail("the model was built for %d inputs, got %d", root.inputs, inputs.n)
  elseif own and inputs.n == root.inputs and shapes.types_text(types) ~= shapes.types_text(own) then
    fail("the model is built for examples of %s, got %s; x:to(\"%s\") makes them so", shapes.types_text(own),
      shapes.types_text(types), shapes.types_text(own))
  end
end

return M
