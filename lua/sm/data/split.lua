--- A part of a data set: examples and their targets, row for row. Each is a tensor, or a table of tensors by name.
-- @module sm.data.split
local runtime = require "sm.runtime"
local check = require "sm.check"
local fail = require "sm.fail"
local shapes = require "sm.shapes"

local M = {}

local split = {}
local class <const> = { __index = split }

--- What inputs can be, by the type that they are kept in: "pixels" are bytes of which batches have the 255th part,
-- "indices" are int32 and stay it, "numbers" are real and have the value that they had.
local SCALE <const> = { pixels = 1 / 255, numbers = 1 }
local KINDS <const> = { uint8 = { "pixels", "indices", "numbers" }, int32 = { "indices", "numbers" } }

M.kinds = { "pixels", "indices", "numbers" }

--- What inputs are when nobody says so: bytes are pixels, int32 are indices.
function M.usual_kind(inputs)
  return KINDS[inputs.dtype] and KINDS[inputs.dtype][1] or "numbers"
end

--- Raises unless inputs can be of a kind.
-- @param where for the message
function M.check_kind(where, inputs, kind)
  local kinds = KINDS[inputs.dtype] or { "numbers" }
  for _, possible in ipairs(kinds) do
    if kind == possible then return end
  end
  fail("%s of %s can be %s, got kind = \"%s\"", where, inputs.dtype, table.concat(kinds, " or "), kind)
end

--- Inputs in the type that they are kept in.
local function kept(inputs, kind)
  if kind == "indices" and inputs.dtype ~= "int32" then return runtime.tensor.to(inputs, "int32") end
  if kind == "numbers" and inputs.dtype == "int32" then return runtime.tensor.to(inputs, runtime.real) end
  return inputs
end

--- What inputs of a name are.
local function kind_of(kind, name)
  if type(kind) == "table" then return kind[name] end
  return kind
end

--- @param inputs tensor {N, …}, or a table of them by name
--- @param targets tensor {N, …}, or a table of them by name
--- @param kind string|table|nil "pixels", "indices" or "numbers", as check_kind lets them be; by name where inputs
---   have names
function M.new(inputs, targets, kind)
  kind = kind or shapes.map(inputs, M.usual_kind)
  inputs = shapes.map(inputs, function(x, name) return kept(x, kind_of(kind, name)) end)
  return setmetatable({ inputs = inputs, targets = targets, kind = kind, count = shapes.count(inputs) }, class)
end

--- The type of a batch's inputs, or their types by name.
function split:dtype()
  return shapes.map(self.inputs, function(_, name)
    return kind_of(self.kind, name) == "indices" and "int32" or runtime.real
  end)
end

--- Raises unless a batch size is an integer of at least 1.
function M.check_size(where, size)
  if not math.tointeger(size) or type(size) ~= "number" or size < 1 then
    fail("%s: the batch size must be an integer of at least 1, got %s", where, check.describe(size))
  end
  return math.tointeger(size)
end

function class:__len()
  return self.count
end

--- The examples first … last (1-based, both included) as a split that shares their storage.
function split:slice(first, last)
  local function slice(x) return runtime.tensor.slice(x, first, last) end
  return M.new(shapes.map(self.inputs, slice), shapes.map(self.targets, slice), self.kind)
end

--- The examples index[first … first+count-1] as a batch.
-- @param index int32 tensor of 0-based positions
-- @param first 0-based
-- @return x {count, …}, real or of indices (int32); y as the targets are; tables of these where there are names
function split:gather(index, first, count)
  local function gather(x) return runtime.tensor.gather(x, index, first, count) end
  return shapes.map(self.inputs, function(x, name)
    if x.dtype ~= "uint8" then return gather(x) end
    return runtime.tensor.gather_bytes(x, index, first, count, SCALE[kind_of(self.kind, name)])
  end), shapes.map(self.targets, gather)
end

--- Iterates over all examples in order, for evaluation; the last batch may be smaller.
-- @param size integer, examples in a batch
-- @return iterator of x {size, …}, y {size, …}
function split:batches(size)
  if debug.getmetatable(self) ~= class then
    fail("batches is a method of a split, as in set.validation:batches(…), got %s", check.describe(self))
  end
  size = M.check_size("batches", size)
  local done, total = 0, #self
  local index = runtime.tensor.range(0, 1, total, "int32")
  return function()
    if done == total then return nil end
    local first, count = done, math.min(size, total - done)
    done = done + count
    return self:gather(index, first, count)
  end
end

split.batches = check.public("batches", split.batches, {
  method = true, takes = "one size (a split gives all its examples once, in their order)",
})

return M
