--- A model for other programs: ONNX files, which say what it computes in evaluation, and archives of its numbers.
-- @module sm.onnx
local check = require "sm.check"
local fail = require "sm.fail"
local files = require "sm.files"
local forms = require "sm.onnx.forms"
local graphs = require "sm.onnx.graph"
local ordered = require "sm.ordered"
local random = require "sm.random"
local reach = require "sm.reach"
local runtime = require "sm.runtime"
local shapes = require "sm.shapes"
local sizes = require "sm.onnx.sizes"
local trace = require "sm.onnx.trace"
local tree = require "sm.nn.tree"

local T = runtime.tensor
local is_tensor = T.is_tensor

local M = {}

local FEW <const>, MORE <const>, MANY <const> = 3, 5, 11 -- examples: so that a size of the batch stands out

-- What the model is tried on ------------------------------------------------------------------------------

--- So many examples of x, from the one after `skipped` on, and from the front again.
local function examples(x, skipped, count)
  local places = {}
  for i = 1, count do places[i] = (skipped + i - 1) % #x + 1 end
  return x:index_select(1, T.tensor(places, "int32"))
end

local function noise(shape, dtype)
  local x = random.normal(shape, "general")
  return dtype == runtime.real and x or x:gt(0):to(dtype) -- tokens: 0 and 1
end

--- Inputs where none are given, by the shapes of examples.
local function made_up(shape, dtype)
  if shapes.is_shape(shape) then return noise({ MANY + FEW, table.unpack(shape) }, dtype or runtime.real) end
  local made = {}
  for key, inner in next, shape do made[key] = made_up(inner, type(dtype) == "table" and dtype[key] or dtype) end
  return made
end

--- Four batches of inputs, packed.
-- @param like examples of what the model takes, as table.pack gives them
local function batches_of(like)
  local batches = {}
  for i, batch in ipairs { { 0, FEW }, { 1, FEW }, { 2, MORE }, { 3, MANY } } do
    local function some(x)
      local y = examples(x, batch[1], batch[2])
      local alone = i == 2 and #x == 1 and x.dtype == runtime.real
      return alone and y + noise(y.shape, y.dtype) or y
    end
    batches[i] = { n = like.n }
    for k = 1, like.n do batches[i][k] = shapes.map(like[k], some) end
  end
  return batches
end

-- The graph -----------------------------------------------------------------------------------------------

local Call = {}
Call.__index = Call

function Call:refuse(words)
  trace.refuse(self.layer, "%s, in the operation '%s', has no form in an ONNX graph", words, self.name)
end

--- Inputs or outputs with their names: `single` where there is one tensor, else the names of a table, or numbers.
local function named(packed, single)
  local list = {}
  for i = 1, packed.n do
    trace.each(packed[i], function(value, path)
      local name = packed.n > 1 and single .. i or nil
      list[#list + 1] = { value = value, name = path and (name and name .. "." or "") .. path or name or single }
    end)
  end
  return list
end

--- The calls that outputs depend on.
local function needed(calls, outputs)
  local wanted = {}
  for _, output in ipairs(outputs) do wanted[output.value.call or 0] = true end
  for i = #calls, 1, -1 do
    if wanted[i] then trace.each(calls[i].given, function(value) wanted[value.call or 0] = true end) end
  end
  return wanted
end

--- Writes every call that is needed into a graph.
local function lower(graph, calls, wanted)
  for i, call in ipairs(calls) do
    if wanted[i] then
      graph.path = call.layer and call.layer.path or ""
      setmetatable(call, Call)
      if call.formless then
        trace.refuse(call.layer, "the operation '%s' has no form in an ONNX graph", call.name)
      end
      local results = table.pack(forms[call.name](graph, call, table.unpack(call.given, 1, call.given.n)))
      local count = 0
      trace.each(call.gave, function(value)
        count = count + 1
        if value.call == i then value.name = results[count] end
      end)
    end
  end
  graph.path = ""
end

--- Gives what the outputs are computed from their names.
local function name_outputs(graph, outputs)
  local seen = {}
  for _, output in ipairs(outputs) do
    local name = graph:name(output.value)
    local renamed = not seen[name] and output.value.call and output.value.call > 0 and graph:rename(name, output.name)
    if not renamed then graph:identity(name, output.name) end
    seen[output.name] = true
  end
end

local function text_of(list)
  local words = {}
  for i, one in ipairs(list) do words[i] = ("%s %s"):format(one.name, sizes.text(one.value.shape)) end
  return table.concat(words, ", ")
end

--- The message of a file, and what goes in and comes out in words.
local function convert(model, like, about)
  local names, batches = {}, batches_of(like)
  for _, map in ipairs { model:parameters(), model:buffers() } do
    for name, tensor in pairs(map) do names[tensor] = name end
  end
  local calls, given, gave = trace.trace(model, batches, { FEW, MORE, MANY }, function(name)
    return forms[name] ~= nil
  end)
  local inputs, outputs, graph = named(given, "input"), named(gave, "output"), graphs.new(names)
  for _, list in ipairs { inputs, outputs } do
    for _, one in ipairs(list) do graph:fresh(one.name) end
  end
  for _, input in ipairs(inputs) do input.value.name = input.name end
  graph.input = inputs[1].name
  lower(graph, calls, needed(calls, outputs))
  name_outputs(graph, outputs)
  return graph:model(about, inputs, outputs), ("%s → %s"):format(text_of(inputs), text_of(outputs))
end

--- What the model is tried on, packed.
local function likeness(model, given)
  local several = model.inputs and model.inputs > 1
  local like = given
  if like == nil then
    like = made_up(model.input_shape, model.input_dtype)
  elseif not shapes.is(like) then
    fail("sm.export: 'like' must be a batch, or a table of batches, got %s", check.describe(like))
  end
  local packed = several and { n = model.inputs } or { n = 1, like }
  for i = 1, several and model.inputs or 0 do
    packed[i] = not is_tensor(like) and like[i] or fail("sm.export: the model takes %d inputs; 'like' must be a list "
      .. "of as many", model.inputs)
  end
  return packed
end

-- Files ---------------------------------------------------------------------------------------------------

local function write_onnx(path, model, given, about)
  local modes, drawn = {}, random.state()
  model:walk(function(layer) modes[layer], layer.training = layer.training, false end)
  local _ <close> = setmetatable({}, { __close = function()
    for layer, training in next, modes do layer.training = training end
    random.restore(drawn)
  end })
  local message, words = convert(model, likeness(model, given), about)
  local writer <close> = runtime.io.create(path)
  for _, piece in ipairs(message) do writer:write(piece) end
  writer:commit()
  return words
end

local function write_npz(path, model)
  local all, count = ordered.new(), 0
  for _, map in ipairs { model:parameters(), model:buffers() } do
    for name, tensor in pairs(map) do
      ordered.set(all, name, tensor)
      count = count + 1
    end
  end
  files.save(path, all)
  return count == 1 and "1 array" or count .. " arrays"
end

local OPTIONS <const> = check.spec("sm.export", {
  like = { type = { "tensor", "table" },
    doc = "examples of what the model takes: a batch, a table of batches by name, or a list of several inputs; made up "
      .. "where none are given" },
  metadata = { type = "table", default = {}, doc = "texts by name that an .onnx file keeps" },
})

--- sm.export("net.onnx", model): what the model computes in evaluation, as a graph that other programs run; or
--- sm.export("net.npz", model), the numbers of every parameter and buffer by its name, for NumPy. A graph takes and
--- gives what the model does, images {N, height, width, channels} for any N, in inputs and outputs called "input" and
--- "output", or by the names of a table. The model is run to see what it computes, so a choice that Lua takes by what
--- is in a tensor is refused, and so is an operation that has no form in ONNX.
--- @param path string ending in .onnx or .npz
--- @param model table a model that is built
--- @return string what was written, in words
function M.export(path, model, options)
  local ending = type(path) == "string" and path:match "%.([^./]+)$"
  if ending ~= "onnx" and ending ~= "npz" then
    fail("sm.export: expected a path that ends in .onnx or .npz, got %s", check.describe(path))
  end
  if not tree.is(model) then fail("sm.export: expected a model, got %s", check.describe(model)) end
  local o = check.options("sm.export", options, OPTIONS)
  if not model.built then fail "sm.export: the model is not built; call model:build with the shape of an example" end
  for key, value in next, o.metadata do
    if type(key) ~= "string" or type(value) ~= "string" then
      fail("sm.export: metadata are texts by name, got %s at '%s'", check.describe(value), check.word(key))
    end
  end
  if ending == "npz" then return write_npz(path, model) end
  return write_onnx(reach.to_write(path), model, o.like, { name = model.name, metadata = o.metadata })
end

return M
