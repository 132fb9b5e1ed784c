--- An endless stream of shuffled batches: every epoch is a new permutation, and batches straddle epochs.
-- @module sm.data.stream
local runtime = require "sm.runtime"
local check = require "sm.check"
local fail = require "sm.fail"
local random = require "sm.random"
local check_size = require "sm.data.split".check_size
local transform = require "sm.data.transform"

local M = {}

local stream = {}
local class <const> = { __index = stream }

--- A stream over the training examples of a data set, with its transform.
-- @param set a data set whose training split is not empty
-- @param size integer, examples in a batch
-- @return a stream; `.epoch` is the epoch (1-based) of the last example given, 0 before the first
function M.new(set, size)
  local split = set.train
  if #split == 0 then fail "there are no training examples to draw batches from" end
  return setmetatable({ set = set, split = split, size = size, epoch = 0, position = #split }, class)
end

--- Shuffles as `draw` says: the numbers that random.permutation would use.
function stream:shuffle()
  local draw = self.draw
  self.order = runtime.random.permutation(#self.split, draw.seed, draw.stream, draw.offset)
end

--- Begins the next epoch.
function stream:turn()
  local order, seed, number, offset = random.draw("order", function(...)
    return runtime.random.permutation(#self.split, ...)
  end)
  self.draw, self.order = { seed = seed, stream = number, offset = offset }, order
  self.epoch, self.position = self.epoch + 1, 0
end

local MOST_EPOCHS <const> = 10000 -- of one batch: each is shuffled, however few examples it has

--- The next `size` positions as a tensor of their own, over as many epochs as that takes.
function stream:straddle(size)
  if size > MOST_EPOCHS * #self.split then
    fail("a batch of %d examples would take each of %d more than %d times", size, #self.split, MOST_EPOCHS)
  end
  local index, filled = runtime.tensor.full({ size }, nil, "int32"), 0
  while filled < size do
    if self.position == #self.split then self:turn() end
    local count = math.min(size - filled, #self.split - self.position)
    local part = runtime.tensor.slice(self.order, self.position + 1, self.position + count)
    runtime.tensor.copy_(runtime.tensor.slice(index, filled + 1, filled + count), part)
    filled, self.position = filled + count, self.position + count
  end
  return index
end

--- Of the next `size` examples some, as the data set has them.
--- @param before integer how many come first and are left out
--- @param count integer
function stream:gather(size, before, count)
  if self.position == #self.split then self:turn() end
  if self.position + size > #self.split then return self.split:gather(self:straddle(size), before, count) end
  local first = self.position
  self.position = first + size
  return self.split:gather(self.order, first + before, count)
end

--- The next batch.
-- @param size integer, examples in this batch (default: the stream's)
-- @return x real {size, …}, y {size, …}
function stream:next(size)
  size = size and check_size("next", size) or self.size
  local x, y = self:gather(size, 0, size)
  if not self.set.transform then return x, y end
  return transform.apply(self.set.transform, size, x, y, self.set.classes)
end

--- Some examples of the next batch, as `next` makes them.
--- @param before integer how many come first and are left out
--- @param count integer
--- @param among function(f, …) which calls f(…) where numbers are drawn as those of these examples
--- @return nothing where an example of a batch depends on others: the stream stays where it was
function stream:some(before, count, among)
  local steps <const> = self.set.transform
  if steps and not transform.is_by_example(steps) then return end
  local x, y = self:gather(self.size, before, count)
  if not steps then return x, y end
  return among(transform.apply, steps, count, x, y, self.set.classes)
end

--- Where the stream stands, as a plain table of integers.
function stream:state()
  local state = { epoch = self.epoch, position = self.position }
  for key, value in pairs(self.draw or {}) do state[key] = value end
  return state
end

--- Goes back to where state() stood. The generator of random numbers is left as it is: for the epochs that
-- follow, sm.random is restored too.
-- @param state of a stream over as many examples
function stream:restore(state)
  if state.position > #self.split then
    fail("the saved run stood at example %d of an epoch, but there are %d: these are not its data",
      state.position, #self.split)
  end
  self.epoch, self.position = math.tointeger(state.epoch), math.tointeger(state.position)
  self.draw, self.order = nil, nil
  if state.offset then
    self.draw = { seed = math.tointeger(state.seed), stream = math.tointeger(state.stream),
                  offset = math.tointeger(state.offset) }
    self:shuffle()
  end
end

check.public_methods(stream, "", { "next" }, "a stream of batches")

return M
