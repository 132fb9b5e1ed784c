--- Random numbers: one counter-based stream each for general use, initialisation, data order, dropout, Lua's
-- math.random and transforms of examples, so that drawing more of one changes none of the others. A stream is a seed, a
-- number and an offset; nothing else.
--
-- Who decides the numbers: in training the experiment's seed; while the file of an experiment is loaded the same seed
-- by streams of their own, so that what the file draws is not drawn again in training; in a plain script sm.seed (0
-- at first), and its math.random is Lua's own.
-- @module sm.random
local runtime = require "sm.runtime"
local check = require "sm.check"
local fail = require "sm.fail"
local ranks = require "sm.ranks"

local M = {}

local NUMBER = { general = 0, initialisation = 1, order = 2, dropout = 3, script = 4, transform = 5 }
local FILE <const> = 16 -- added to a stream's number while the file of an experiment is loaded
local seed, first_number = 0, 0
local script_seed = 0 -- of math.random
local offset = { general = 0, initialisation = 0, order = 0, dropout = 0, script = 0, transform = 0 }
local experiment = false          -- whether math.random follows a seed
local asked, asked_script = false, false -- whether the file itself has called sm.seed, math.randomseed
local file_seed, seed_is_certain = nil, false
local drawn = false -- whether the file has drawn numbers that no call of its own decides

local lua_random, lua_randomseed = math.random, math.randomseed

local function start(n, first)
  seed, script_seed, first_number = n, n, first
  for stream in pairs(offset) do offset[stream] = 0 end
end

--- Starts every stream anew.
-- @param n integer
function M.seed(n)
  if math.type(n) ~= "integer" then fail("seed: expected an integer, got %s", check.describe(n)) end
  start(n, 0)
  asked = true
end

--- Before a file is loaded.
-- @param n integer the seed of its experiment, or nil for a plain script
-- @param certain boolean whether that is no guess
function M.load_file(n, certain)
  start(n or 0, n and FILE or 0)
  experiment, asked, asked_script = n ~= nil, false, false
  file_seed, seed_is_certain, drawn = n, certain, false
end

--- A better guess at the seed of the experiment whose file is being loaded; too late once the file has drawn.
function M.guess(n)
  if not file_seed or seed_is_certain or asked or asked_script or drawn then return end
  start(n, FILE)
  file_seed = n
end

--- What a file that has been loaded has made of its seed.
-- @return boolean whether it has drawn numbers that depend on it
-- @return integer|nil the seed that they were drawn from, nil where it was a plain script's
function M.file_drew()
  return drawn, file_seed
end

--- Before an experiment is built: from here on every number follows its seed.
-- @param n integer
function M.train(n)
  start(n, 0)
  experiment = true
end

--- For `local scope <close> = …`: puts everything back at its end, so that what a script draws after an experiment does
--- not depend on whether that was trained, or finished before.
function M.scope()
  local state = M.state()
  local of_file = table.pack(first_number, experiment, asked, asked_script, file_seed, seed_is_certain, drawn)
  return setmetatable({}, {
    __close = function()
      M.restore(state)
      first_number, experiment, asked, asked_script, file_seed, seed_is_certain, drawn = table.unpack(of_file, 1, 7)
    end,
  })
end

--- Where the streams stand: a plain table of integers, for checkpoints.
function M.state()
  local state = { seed = seed, script_seed = script_seed }
  for stream, position in pairs(offset) do state[stream] = position end
  return state
end

--- Puts the streams back to where state() saw them. A state of an earlier version says nothing of streams that came
-- later, which then begin.
function M.restore(state)
  seed = math.tointeger(state.seed)
  script_seed = math.tointeger(state.script_seed or state.seed)
  for stream in pairs(offset) do offset[stream] = math.tointeger(state[stream] or 0) end
end

--- Draws a tensor from a stream, which moves on by as many numbers as it has. After an error the stream stands where it
-- stood.
-- @param stream name
-- @param make function(seed, stream number, offset) → tensor, for one of runtime.random's functions
-- @return the tensor, and what `make` was given
function M.draw(stream, make)
  local number, first = first_number + NUMBER[stream], offset[stream]
  local made = make(seed, number, first)
  local before, count = 0, runtime.tensor.count(made)
  if ranks.now then -- this rank's part of what one process would draw
    before, count = ranks.now:share(made)
    if before > 0 then made = make(seed, number, first + before) end
  end
  offset[stream] = first + count
  drawn = drawn or not asked
  return made, seed, number, first + before
end

local function filled(kernel)
  return function(shape, stream)
    return (M.draw(stream, function(...) return kernel(shape, ...) end))
  end
end

--- Real tensors of `shape` from `stream`: uniform in [0, 1); standard normal; standard normal redrawn beyond 2.
M.uniform = filled(runtime.random.uniform)
M.normal = filled(runtime.random.normal)
M.truncated = filled(runtime.random.truncated)

--- 0 … n-1 shuffled, an int32 tensor.
function M.permutation(n, stream)
  return (M.draw(stream, function(...) return runtime.random.permutation(n, ...) end))
end

-- math.random -------------------------------------------------------------------------------------------------

--- The next 64 bits of math.random's stream.
local function bits()
  local first = offset.script
  offset.script = first + 1
  drawn = drawn or not (asked or asked_script)
  return runtime.random.bits(script_seed, first_number + NUMBER.script, first)
end

--- A number from 0 to limit, as unsigned integers: draws again what lies beyond it under the limit's bits.
local function up_to(limit)
  local mask = limit
  for _, shift in ipairs { 1, 2, 4, 8, 16, 32 } do mask = mask | mask >> shift end
  local number
  repeat number = bits() & mask until not math.ult(limit, number)
  return number
end

local function integer(value, position)
  local number = tonumber(value)
  local whole = number and math.tointeger(number)
  if whole then return whole end
  fail("bad argument #%d to 'random' (number%s)", position,
    number and " has no integer representation" or " expected, got " .. type(value))
end

--- math.random as Lua 5.4 has it: (), (m), (m, n), (0) for 64 bits.
local function random(...)
  if not experiment then
    drawn = true
    return lua_random(...)
  end
  local count = select("#", ...)
  if count == 0 then return (bits() >> 11) * 0x1p-53 end
  if count > 2 then fail "wrong number of arguments" end
  local low, high = 1, integer((...), 1)
  if count == 2 then
    low, high = high, integer(select(2, ...), 2)
  elseif high == 0 then
    return bits()
  end
  if low > high then fail("bad argument #%d to 'random' (interval is empty)", count) end
  return low + up_to(high - low)
end

--- math.randomseed as Lua 5.4 has it, but that without a number, which asks for an arbitrary seed, it changes nothing
-- in an experiment.
local function randomseed(...)
  if not experiment then return lua_randomseed(...) end
  local parts = { ... }
  for i, part in ipairs { ... } do
    local number = tonumber(part)
    if not number then
      fail("bad argument #%d to 'randomseed' (number expected, got %s)", i, type(part))
    end
    parts[i] = math.tointeger(number) or string.unpack("i8", string.pack("n", number))
  end
  if #parts > 0 then
    script_seed, offset.script, asked_script = parts[1] ~ (parts[2] or 0) * 0x9E3779B97F4A7C15, 0, true
  end
  return script_seed, parts[2] or 0
end

-- Modules and functions of the user's see the same table, whenever they were loaded.
local scripts <const> = package.loaded.math -- what scripts have; smrun gives the library a copy
rawset(scripts, "random", runtime.traced(random))
rawset(scripts, "randomseed", runtime.traced(randomseed))

return M
