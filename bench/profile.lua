-- Where the milliseconds of a training step go: lua5.4 profile.lua NET THREADS STEPS. Every kernel's time is taken
-- around its call; beside it stands its floor, the longer of
--   its operations at the peak of a large matrix product (a convolution's: those of its direct sum, without padding),
--   its bytes (each operand once) at the speed of a loop over as many that copies them.
-- Prints one line per kernel and kind of operands: calls a step, milliseconds a step, floor, name; then the time
-- outside kernels and how much of it goes into collecting tensors, and the whole of the step with the peak in GFLOP/s.
-- A program of plain Lua, for the kernels must be wrapped before the library that is written in Lua takes them.
local runtime = require "sm.runtime"
local floors = require "floors"

local net <const>, threads <const>, steps <const> = arg[1], tonumber(arg[2]), tonumber(arg[3])
local now <const>, is_tensor <const> = runtime.system.now, runtime.tensor.is_tensor
local abs <const>, release <const> = runtime.pointwise.abs, runtime.tensor.release -- before they are wrapped

runtime.system.set_threads(threads)

local kernels, order = {}, {}
local sequence, position = {}, 0 -- the kernels of a step in the order of its calls, and how many of them were done
local learning, inside = false, true -- inside a kernel, or where nobody looks

--- Calls visit(tensor) for each tensor of a list of values, and of lists in it.
local function each_tensor(values, visit)
  for i = 1, values.n or #values do
    local value = values[i]
    if is_tensor(value) then
      visit(value)
    elseif type(value) == "table" and not getmetatable(value) and is_tensor(value[1]) then
      each_tensor(value, visit)
    end
  end
end

--- What a call's operands cost at least, noted once.
local function learn(name, given, results, rewrites)
  local moved, text = 0, { name }
  each_tensor(given, function(x)
    moved = moved + floors.bytes(x)
    text[#text + 1] = "{" .. table.concat(x.shape, ", ") .. "}"
  end)
  each_tensor(results, function(x) moved = moved + floors.bytes(x) end)
  if rewrites then -- an optimizer also writes what it reads, all but the gradient, its second argument
    each_tensor(given, function(x) moved = moved + (x == given[2] and 0 or floors.bytes(x)) end)
  end
  local key = table.concat(text, " ")
  if not kernels[key] then
    kernels[key] = { name = key, kernel = name, calls = 0, times = {}, bytes = moved,
                     operations = floors.operations(name, given, table.unpack(results, 1, results.n)) }
    order[#order + 1] = kernels[key]
  end
  kernels[key].calls = kernels[key].calls + 1
  sequence[#sequence + 1] = kernels[key]
end

local in_kernels = 0 -- seconds of this step
local spent, noted = {}, 0 -- seconds of every call, and how many there were before this step

--- Notes the time of a call, and gives what it gave. What this takes counts as outside: it does no more than it must.
local function timed(name, began, ...)
  local seconds = now() - began
  position = position + 1
  local kernel = sequence[position]
  if not kernel or kernel.kernel ~= name then error("this step calls other kernels than the one before: " .. name) end
  spent[noted + position] = seconds
  if name ~= "collect" then in_kernels = in_kernels + seconds end
  inside = false
  return ...
end

-- Rooms whose names say what their functions are of.
local SAYS <const> = { normalise = true, recurrent = true, attention = true }

local function watched(shown, call, rewrites)
  return function(...)
    if inside then return call(...) end
    inside = true
    if not learning then return timed(shown, now(), call(...)) end
    local results = table.pack(call(...))
    learn(shown, table.pack(...), results, rewrites)
    inside = false
    return table.unpack(results, 1, results.n)
  end
end

local function watch(room, name)
  runtime[room][name] = watched(SAYS[room] and room .. "." .. name or name, runtime[room][name], room == "optim")
end

-- All rooms but those that compute nothing. Of these two the functions that move numbers.
local NONE <const> = { tape = true, system = true, io = true, tensor = true, expression = true }
local names = { { "expression", "run" } }
for name in ("collect copy_ gather gather_bytes full select"):gmatch "%S+" do names[#names + 1] = { "tensor", name } end
for room, functions in pairs(runtime) do
  for name, f in pairs(type(functions) == "table" and not NONE[room] and functions or {}) do
    if type(f) == "function" and not (room == "stride" and name == "view") then names[#names + 1] = { room, name } end
  end
end
for _, name in ipairs(names) do watch(name[1], name[2]) end

local function median(values)
  table.sort(values)
  return values[#values // 2 + 1]
end

--- Seconds of the fastest of several calls.
local function fastest(f)
  local least = math.huge
  for _ = 1, 9 do
    local began = now()
    f()
    least = math.min(least, now() - began)
  end
  return least
end

local sm = require "sm"
local training = require "training"

local SIZE <const> = 1536
local a, b = sm.rand(SIZE, SIZE), sm.rand(SIZE, SIZE)
local highest <const> = 2 * SIZE ^ 3 / fastest(function() return a:matmul(b) end)

-- Bytes a second of a loop over two arrays of so many bytes together, one read and one written.
local speeds = {}
local function speed(total)
  local size = 2 ^ math.ceil(math.log(math.max(total, 2 ^ 16), 2)) // 1
  if not speeds[size] then
    local x = sm.rand(size // 8)
    speeds[size] = size / fastest(function() release(abs(x)) end)
  end
  return speeds[size]
end

local step = training.new(net, {}).step
learning, inside = true, false
step()
learning = false

-- What the clock around a call counts as outside, of calls of nothing.
local function clocks()
  local nothing, steps_calls, least = watched("nothing", function() end), sequence, math.huge
  sequence = {}
  for i = 1, 100 do sequence[i] = { kernel = "nothing" } end
  for _ = 1, 20 do
    position, in_kernels = 0, 0
    local began = now()
    for _ = 1, 100 do nothing() end
    least = math.min(least, (now() - began - in_kernels) / 100)
  end
  sequence = steps_calls
  return least
end

local clock <const> = clocks() * #sequence
local whole, outside = {}, {}
for i = 1, steps * #sequence do spent[i] = 0 end
for i = 1, steps do
  position, in_kernels, noted = 0, 0, (i - 1) * #sequence
  local began = now()
  step()
  whole[i] = now() - began - clock
  outside[i] = whole[i] - in_kernels
end
inside = true
for i = 1, #spent do table.insert(sequence[(i - 1) % #sequence + 1].times, spent[i]) end

-- Medians, for a call that was held up by other programs says nothing.
for _, kernel in ipairs(order) do kernel.seconds = median(kernel.times) * kernel.calls end
table.sort(order, function(x, y) return x.seconds > y.seconds end)
local collected = 0
for _, kernel in ipairs(order) do
  if kernel.kernel == "collect" then
    collected = kernel.seconds
  else
    local floor = kernel.calls * math.max(kernel.operations / highest, kernel.bytes / speed(kernel.bytes))
    print(("%g\t%.4f\t%.4f\t%s"):format(kernel.calls, 1e3 * kernel.seconds, 1e3 * floor, kernel.name))
  end
end
print(("outside\t%.4f\t%.4f"):format(1e3 * median(outside), 1e3 * collected))
print(("whole\t%.4f\t%.1f"):format(1e3 * median(whole), highest / 1e9))
