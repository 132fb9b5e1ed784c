--- What goes into a model and comes out of it: a tensor, several, or tables of tensors by name. What has the same
--- structure with shapes or element types in place of the tensors is described here as well.
local check = require "sm.check"
local ordered = require "sm.ordered"
local runtime = require "sm.runtime"
local shape_text = require "sm.text".shape
local tensor = require "sm.tensor"

local M = {}

local is_tensor = runtime.tensor.is_tensor

local DEEPEST <const> = 8 -- tables within each other
local MOST_DESCRIBED <const> = 8 -- values that a message shows

--- The keys of a table of tensors in their order: positions, then names.
function M.keys(value)
  local names, keys = {}, {}
  for key in next, value do
    if type(key) == "string" then names[#names + 1] = key end
  end
  for position = 1, rawlen(value) do keys[position] = position end
  table.sort(names)
  return table.move(names, 1, #names, #keys + 1, keys), #names
end

--- Whether a value is a tensor, or a table of nothing but such values, by name or in a row.
function M.is(value, depth)
  if is_tensor(value) then return true end
  depth = depth or 1
  if type(value) ~= "table" or debug.getmetatable(value) and not ordered.is(value) or depth > DEEPEST then
    return false
  end
  local any = false
  for key, item in next, value do
    if type(key) ~= "string" and math.type(key) ~= "integer" or not M.is(item, depth + 1) then return false end
    any = true
  end
  return any
end

--- The same structure, with f(tensor, key) in the place of every tensor; the key is that in its table, nil without one.
--- What is neither stays away.
function M.map(value, f, depth, name)
  if is_tensor(value) then return f(value, name) end
  depth = depth or 1
  if type(value) ~= "table" or depth > DEEPEST then return nil end
  local result = {}
  for _, key in ipairs(M.keys(value)) do result[key] = M.map(rawget(value, key), f, depth + 1, key) end
  return result
end

--- How many examples a batch has: a tensor {N, …}, or a table of such tensors, which have equally many.
function M.count(batch)
  while not is_tensor(batch) do batch = rawget(batch, M.keys(batch)[1]) end
  return #batch
end

--- The structure of several values as table.pack gives them: that of the one, or a list.
function M.map_packed(values, f)
  if values.n == 1 then return M.map(values[1], f) end
  local result = {}
  for i = 1, values.n do result[i] = M.map(values[i], f) end
  return result
end

--- The shape of one example, out of a batch; text as a tensor's shape is.
function M.without_batch(x)
  local shape = x.shape
  return debug.setmetatable(table.move(shape, 2, #shape, 1, {}), debug.getmetatable(shape))
end

--- Whether a table is a shape: empty, or of numbers, of which the first may be a word for the batch.
function M.is_shape(value)
  local first = rawget(value, 1)
  return next(value) == nil or first ~= nil and type(first) ~= "table"
end

--- A structure of shapes as text: "{N, 28, 28, 1}", "{N, 3} and {N, 4}", "{image = {N, 8}, label = {N}}".
--- @param batch string|nil what stands for the batch
function M.text(shapes, batch, inner)
  if M.is_shape(shapes) then return shape_text(shapes, batch) end
  local parts, keys, names = {}, M.keys(shapes)
  for i, key in ipairs(keys) do
    local own = M.text(shapes[key], batch, true)
    parts[i] = type(key) == "string" and ("%s = %s"):format(key, own) or own
  end
  if names == 0 and not inner then return table.concat(parts, " and ") end
  return "{" .. table.concat(parts, ", ") .. "}"
end

--- Values as messages show them: the shapes of tensors, what else there is in words.
--- @param values table as table.pack gives it
--- @param batch string|nil what stands for the batch
function M.describe(values, batch)
  local words = {}
  for i = 1, math.min(values.n, MOST_DESCRIBED) do
    local value = values[i]
    if not M.is(value) then
      words[i] = check.describe(value)
    else
      words[i] = M.text(M.map(value, batch and M.without_batch or function(x) return x.shape end), batch, true)
    end
  end
  if values.n > MOST_DESCRIBED then words[#words + 1] = values.n - MOST_DESCRIBED .. " more" end
  return #words == 0 and "nothing" or table.concat(words, " and ")
end

--- The element types of a structure as text: "int32", "float32 and int32"; of one type everywhere, that one.
function M.types_text(types)
  if type(types) == "string" then return types end
  local parts, all = {}, nil
  for i, key in ipairs((M.keys(types))) do
    parts[i] = M.types_text(types[key])
    all = (i == 1 or all == parts[i]) and parts[i]
    if type(key) == "string" then parts[i] = ("%s = %s"):format(key, parts[i]) end
  end
  return all or table.concat(parts, " and ")
end

--- The element type that a structure of types has at a place of a structure of shapes.
local function type_at(types, key)
  return type(types) == "table" and types[key] or type(types) == "string" and types or nil
end

--- One example of zeros for each tensor.
--- @param shapes a structure of shapes
--- @param types a structure of element types, or one for all
--- @return a structure of tensors {1, …}
function M.zeros(shapes, types)
  if M.is_shape(shapes) then return tensor.zeros({ 1, table.unpack(shapes) }, types or runtime.real) end
  local result = {}
  for key, inner in next, shapes do result[key] = M.zeros(inner, type_at(types, key)) end
  return result
end

--- Checks a structure of shapes of examples that the user wrote, and copies it.
--- @param where string for messages
--- @return the copy; nil where it is none
--- @return boolean whether it is one, and what it is for is several inputs: a list of structures
function M.read(where, given, depth)
  depth = depth or 1
  if type(given) ~= "table" or depth > DEEPEST then return nil end
  check.plain(where, given)
  if M.is_shape(given) then
    local sizes = {}
    for axis = 1, rawlen(given) do
      local size = rawget(given, axis)
      if math.type(size) ~= "integer" or size < 1 then return nil end
      sizes[axis] = size
    end
    return sizes, false
  end
  local keys, names = M.keys(given)
  local result, count = {}, 0
  for _ in next, given do count = count + 1 end
  if count ~= #keys or names > 0 and names < #keys then return nil end
  for _, key in ipairs(keys) do
    result[key] = M.read(where, rawget(given, key), depth + 1)
    if not result[key] then return nil end
  end
  return result, names == 0
end

return M
