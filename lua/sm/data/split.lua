--- A part of a data set: examples and their targets, row for row.
-- @module sm.data.split
local runtime = require "sm.runtime"
local check = require "sm.check"
local fail = require "sm.fail"

local M = {}

local BYTE_SCALE <const> = 1 / 255

local split = {}
split.__index = split

--- @param inputs tensor {N, …}, real or uint8
--- @param targets tensor {N, …}
function M.new(inputs, targets)
  return setmetatable({ inputs = inputs, targets = targets }, split)
end

--- Raises unless a batch size is an integer of at least 1.
function M.check_size(where, size)
  if not math.tointeger(size) or type(size) ~= "number" or size < 1 then
    fail("%s: the batch size must be an integer of at least 1, got %s", where, check.describe(size))
  end
  return math.tointeger(size)
end

function split:__len()
  return #self.inputs
end

--- The examples first … last (1-based, both included) as a split that shares their storage.
function split:slice(first, last)
  local slice = runtime.tensor.slice
  return M.new(slice(self.inputs, first, last), slice(self.targets, first, last))
end

--- The examples index[first … first+count-1] as a batch.
-- @param index int32 tensor of 0-based positions
-- @param first 0-based
-- @return x real {count, …}, bytes divided by 255; y as the targets are
function split:gather(index, first, count)
  local targets = runtime.tensor.gather(self.targets, index, first, count)
  if self.inputs.dtype == "uint8" then
    return runtime.tensor.gather_bytes(self.inputs, index, first, count, BYTE_SCALE), targets
  end
  return runtime.tensor.gather(self.inputs, index, first, count), targets
end

--- Iterates over all examples in order, for evaluation; the last batch may be smaller.
-- @param size integer, examples in a batch
-- @return iterator of x {size, …}, y {size, …}
function split:batches(size)
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

return M
