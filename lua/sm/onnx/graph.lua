--- An ONNX graph as it grows: nodes, constants, names. The fields of its file are those of onnx.proto in
-- github.com/onnx/onnx.
-- @module sm.onnx.graph
local fail = require "sm.fail"
local protobuf = require "sm.onnx.protobuf"
local runtime = require "sm.runtime"
local sizes = require "sm.onnx.sizes"

local T = runtime.tensor

local M = {}

M.OPSET, M.IR = 17, 8 -- of ONNX 1.12, which Debian 12 has
local REAL <const> = runtime.real
M.TYPES = { float32 = 1, uint8 = 2, int32 = 6, int64 = 7, bool = 9, float64 = 11 }
local BYTES <const> = { float32 = 4, float64 = 8, uint8 = 1, int32 = 4 }
local MOST_BYTES <const> = (1 << 31) - 1 -- of a protobuf message
-- Those of one element, which may as well be done before a transposition as after it.
local ELEMENTWISE <const> = {}
for name in ("Neg Exp Log Sqrt Abs Tanh Sigmoid Relu Softplus Sin Cos Erf Sign Floor Round"):gmatch "%S+" do
  ELEMENTWISE[name] = true
end

local Graph = {}
Graph.__index = Graph

--- @param names tensor → what it is called: "conv1.weight"
function M.new(names)
  return setmetatable({ names = names, nodes = {}, constants = {}, taken = {}, known = {}, turned = {}, moved = {},
    path = "" }, Graph)
end

--- A name that nothing has yet.
function Graph:fresh(name)
  local count = (self.taken[name] or 0) + 1
  self.taken[name] = count
  return count == 1 and name or self:fresh(("%s_%d"):format(name, count))
end

--- A constant that is written with the graph, if a node uses it.
-- @param key what tells it from others
-- @param tensor its elements, or bytes= of them
function Graph:initializer(key, name, dtype, shape, tensor, bytes)
  if not self.known[key] then
    local constant = { name = self:fresh(name), dtype = dtype, shape = shape, tensor = tensor, bytes = bytes }
    self.known[key] = constant.name
    self.constants[#self.constants + 1] = constant
  end
  return self.known[key]
end

--- A number of the real type, or another.
function Graph:number(value, dtype)
  dtype = dtype or REAL
  local format = ({ float32 = "<f", float64 = "<d", int64 = "<i8", int32 = "<i4", uint8 = "B" })[dtype]
  local bytes = format:pack(dtype:find "^float" and value or math.tointeger(value))
  return self:initializer(dtype .. bytes, ("%g"):format(value), dtype, {}, nil, bytes)
end

--- A list of integers: axes, places.
function Graph:integers(list)
  local parts = {}
  for i, value in ipairs(list) do parts[i] = ("<i8"):pack(value) end
  local bytes = table.concat(parts)
  return self:initializer("list" .. bytes, "[" .. table.concat(list, ",") .. "]", "int64", { #list }, nil, bytes)
end

--- What the name of a constant begins with.
function Graph:origin(value)
  return self.names[value.tensor] or self.path == "" and "constant" or self.path .. ".constant"
end

--- What a graph calls a value: an operand of a node. Texts are names already.
function Graph:name(value)
  if type(value) ~= "table" then return value or "" end
  if not value.tensor then return value.name or error("a value is used before it is computed", 0) end
  if not value.name then
    value.name = self:initializer(value.tensor, self:origin(value), value.dtype, value.tensor.shape, value.tensor)
    if sizes.any(value.shape) then value.name = self:expand(value.name, value.shape) end
  end
  return value.name
end

--- A node, named after the layer that it belongs to.
-- @param inputs names or values; false for one that is left out
-- @param attributes name → integer, float, text, or a list of integers
-- @param count how many outputs there are: one by default
-- @return the names of its outputs
function Graph:node(op, inputs, attributes, count)
  local node = { op = op, inputs = {}, outputs = {}, attributes = attributes or {} }
  for i, input in ipairs(inputs) do node.inputs[i] = self:name(input) end
  local moved = ELEMENTWISE[op] and self.moved[node.inputs[1]]
  if moved then return self:transpose(self:node(op, { moved.from }, attributes), moved.axes) end
  local name = self.path == "" and op or self.path .. "." .. op
  for i = 1, count or 1 do node.outputs[i] = self:fresh(name) end
  node.name = node.outputs[1]
  self.nodes[#self.nodes + 1] = node
  return table.unpack(node.outputs)
end

--- A name for what another one has.
function Graph:identity(name, wanted)
  self.nodes[#self.nodes + 1] = { op = "Identity", inputs = { name }, outputs = { wanted }, attributes = {},
    name = wanted }
end

--- Another name for what a node gives. @return boolean whether there is such a node
function Graph:rename(name, wanted)
  local found = false
  for _, node in ipairs(self.nodes) do
    for i, output in ipairs(node.outputs) do
      if output == name then node.outputs[i], found = wanted, true end
    end
    for i, input in ipairs(node.inputs) do
      if input == name then node.inputs[i] = wanted end
    end
  end
  return found
end

--- Axes in another order, counted from 1. Of a constant a constant of its own; after its opposite what was there.
function Graph:transpose(value, axes)
  if #axes == 0 then return self:name(value) end
  if type(value) == "table" and value.tensor and not sizes.any(value.shape) then
    local kept, order = self.turned[value.tensor] or {}, table.concat(axes, " ")
    self.turned[value.tensor], kept[order] = kept, kept[order] or value.tensor:permute(axes)
    return self:initializer(kept[order], self:origin(value), value.dtype, kept[order].shape, kept[order])
  end
  local name, perm = self:name(value), {}
  local moved = self.moved[name]
  local back = moved ~= nil
  for i, axis in ipairs(axes) do
    perm[i] = axis - 1
    back = back and moved.axes[axis] == i
  end
  if back then return moved.from end
  local result = self:node("Transpose", { name }, { perm = perm })
  self.moved[result] = { from = name, axes = axes }
  return result
end

--- How many examples there are, {1} int64.
function Graph:batch()
  if not self.count then
    self.count = self:node("Shape", { self.input }, { start = 0, ["end"] = 1 })
  end
  return self.count
end

--- Sizes as an operand, int64; those of the batch are computed.
function Graph:sizes(list)
  if not sizes.any(list) then return self:integers(list) end
  local parts = {}
  for i, size in ipairs(list) do
    if not sizes.varies(size) then
      parts[i] = self:integers { size }
    else
      local part = self:batch()
      if size.times ~= 1 then part = self:node("Mul", { part, self:integers { size.times } }) end
      if size.plus ~= 0 then part = self:node("Add", { part, self:integers { size.plus } }) end
      parts[i] = part
    end
  end
  return #parts == 1 and parts[1] or self:node("Concat", parts, { axis = 0 })
end

--- The same elements in another shape, of which one size is left to the batch.
function Graph:reshape(value, shape)
  local list, free, zero = {}, 0, false
  for i, size in ipairs(shape) do
    free, zero = free + (sizes.varies(size) and 1 or 0), zero or size == 0
    list[i] = sizes.varies(size) and -1 or size
  end
  local plain = free <= 1 and not (zero and free == 1)
  return self:node("Reshape", { value, plain and self:integers(list) or self:sizes(shape) },
    zero and { allowzero = 1 } or nil)
end

function Graph:expand(value, shape) return self:node("Expand", { value, self:sizes(shape) }) end

function Graph:cast(value, dtype) return self:node("Cast", { value }, { to = M.TYPES[dtype] }) end

--- Elements from `first` on, counted from 0, of an axis counted from 1.
-- @param count how many, of which the size may depend on the batch
function Graph:slice(value, axis, first, count)
  local last = sizes.varies(count) and self:sizes { count + first } or self:integers { first + count }
  return self:node("Slice", { value, self:integers { first }, last, self:integers { axis - 1 } })
end

-- The file -------------------------------------------------------------------------------------------------

local function type_of(dtype, shape)
  local dims = protobuf.message()
  for _, size in ipairs(shape) do
    local dim, known = protobuf.message(), sizes.dimension(size)
    if math.type(known) == "integer" then dim:integer(1, known) elseif known then dim:text(2, known) end
    dims:message(1, dim)
  end
  local tensor, type_ = protobuf.message(), protobuf.message()
  tensor:integer(1, M.TYPES[dtype])
  tensor:message(2, dims)
  type_:message(1, tensor)
  return type_
end

local function value_info(name, value)
  local info = protobuf.message()
  info:text(1, name)
  info:message(2, type_of(value.dtype, value.shape))
  return info
end

local FLOAT <const>, INT <const>, STRING <const>, INTS <const>, STRINGS <const> = 1, 2, 3, 7, 8

local function attribute(name, value)
  local message, kind = protobuf.message(), math.type(value) or type(value)
  message:text(1, name)
  if kind == "float" then
    message:float(2, value)
    message:integer(20, FLOAT)
  elseif kind == "integer" then
    message:integer(3, value)
    message:integer(20, INT)
  elseif kind == "string" then
    message:text(4, value)
    message:integer(20, STRING)
  elseif type(value[1]) == "string" then
    for _, text in ipairs(value) do message:text(9, text) end
    message:integer(20, STRINGS)
  else
    for _, integer in ipairs(value) do message:integer(8, integer) end
    message:integer(20, INTS)
  end
  return message
end

local function node_message(node)
  local message, names = protobuf.message(), {}
  for _, input in ipairs(node.inputs) do message:text(1, input) end
  for _, output in ipairs(node.outputs) do message:text(2, output) end
  message:text(3, node.name)
  message:text(4, node.op)
  for name in pairs(node.attributes) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do message:message(5, attribute(name, node.attributes[name])) end
  return message
end

local function tensor_message(constant)
  local message = protobuf.message()
  message:integers(1, constant.shape)
  message:integer(2, M.TYPES[constant.dtype])
  message:text(8, constant.name)
  if constant.bytes then
    message:text(9, constant.bytes)
  else
    message:tensor(9, constant.tensor, T.count(constant.tensor) * BYTES[constant.dtype])
  end
  return message
end

--- The nodes that an output needs, in their order, and what they use.
local function needed(self, outputs)
  local used, nodes = {}, {}
  for _, output in ipairs(outputs) do used[output.name] = true end
  for i = #self.nodes, 1, -1 do
    local node, wanted = self.nodes[i], false
    for _, output in ipairs(node.outputs) do wanted = wanted or used[output] end
    if wanted then
      table.insert(nodes, 1, node)
      for _, input in ipairs(node.inputs) do used[input] = true end
    end
  end
  return nodes, used
end

--- The whole file as a message.
-- @param about {name=, metadata= name → text}
-- @param inputs, outputs lists of {name=, value=}
function Graph:model(about, inputs, outputs)
  local graph, model, opset = protobuf.message(), protobuf.message(), protobuf.message()
  local nodes, used = needed(self, outputs)
  for _, node in ipairs(nodes) do graph:message(1, node_message(node)) end
  graph:text(2, about.name)
  for _, constant in ipairs(self.constants) do
    if used[constant.name] then graph:message(5, tensor_message(constant)) end
  end
  for _, input in ipairs(inputs) do graph:message(11, value_info(input.name, input.value)) end
  for _, output in ipairs(outputs) do graph:message(12, value_info(output.name, output.value)) end
  model:integer(1, M.IR)
  model:text(2, "smrun")
  model:text(3, runtime.version)
  model:message(7, graph)
  opset:integer(2, M.OPSET)
  model:message(8, opset)
  local keys = {}
  for key in pairs(about.metadata) do keys[#keys + 1] = key end
  table.sort(keys)
  for _, key in ipairs(keys) do
    local entry = protobuf.message()
    entry:text(1, key)
    entry:text(2, about.metadata[key])
    model:message(14, entry)
  end
  if model.bytes > MOST_BYTES then fail("onnx: a file of %d bytes; it can have 2 GiB at most", model.bytes) end
  return model
end

return M
