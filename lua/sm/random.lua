--- Random numbers: one counter-based stream each for general use, initialisation, data order and dropout, so that
-- drawing more of one changes none of the others. A stream is a seed, a number and an offset; nothing else.
-- @module sm.random
local runtime = require "sm.runtime"
local check = require "sm.check"
local fail = require "sm.fail"

local M = {}

local NUMBER = { general = 0, initialisation = 1, order = 2, dropout = 3 }
local seed = 0
local offset = { general = 0, initialisation = 0, order = 0, dropout = 0 }

--- Starts every stream anew.
-- @param n integer
function M.seed(n)
  if math.type(n) ~= "integer" then fail("seed: expected an integer, got %s", check.describe(n)) end
  seed = n
  for stream in pairs(offset) do offset[stream] = 0 end
end

--- Where the streams stand: a plain table of integers, for checkpoints.
function M.state()
  local state = { seed = seed }
  for stream, position in pairs(offset) do state[stream] = position end
  return state
end

--- Puts the streams back to where state() saw them.
function M.restore(state)
  seed = math.tointeger(state.seed)
  for stream in pairs(offset) do offset[stream] = math.tointeger(state[stream]) end
end

--- Takes `count` numbers of a stream.
-- @return seed, stream number, offset of the first: the arguments of runtime.random's functions
function M.take(stream, count)
  local first = offset[stream]
  offset[stream] = first + count
  return seed, NUMBER[stream], first
end

local function draw(kernel)
  return function(shape, stream)
    local count = 1
    for _, size in ipairs(shape) do count = count * size end
    return kernel(shape, M.take(stream, count))
  end
end

--- Real tensors of `shape` from `stream`: uniform in [0, 1); standard normal; standard normal redrawn beyond 2.
M.uniform = draw(runtime.random.uniform)
M.normal = draw(runtime.random.normal)
M.truncated = draw(runtime.random.truncated)

--- 0 … n-1 shuffled, an int32 tensor.
function M.permutation(n, stream)
  return runtime.random.permutation(n, M.take(stream, n))
end

return M
