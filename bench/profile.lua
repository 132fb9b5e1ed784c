-- Where the milliseconds of a training step go: lua5.4 profile.lua NET THREADS STEPS. Every kernel's time is taken
-- around its call; beside it stands its floor, the longer of
--   its operations at the peak of a large matrix product (a convolution's: those of its direct sum, without padding),
--   its bytes (each operand once) at the speed of a loop over as many that copies them.
-- Prints one line per kernel and kind of operands: calls a step, milliseconds a step, floor, name; then the time
-- outside kernels, and the whole of the step, which is the time of steps in between that are not looked into, with the
-- peak in GFLOP/s.
-- A program of plain Lua, for the kernels must be wrapped before the library that is written in Lua takes them.
local runtime = require "sm.runtime"
local floors = require "floors"

local net <const>, threads <const>, steps <const> = arg[1], tonumber(arg[2]), tonumber(arg[3])
local now <const>, is_tensor <const> = runtime.system.now, runtime.tensor.is_tensor
local abs <const>, release <const> = runtime.pointwise.abs, runtime.tensor.release -- before they are wrapped

runtime.system.set_threads(threads)

local kernels, order, inside = {}, {}, false

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

local function account(name, seconds, given, results, rewrites)
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
  local entry = kernels[key]
  if not entry then
    entry = { name = key, times = {}, bytes = moved,
              operations = floors.operations(name, given, table.unpack(results, 1, results.n)) }
    kernels[key] = entry
    order[#order + 1] = entry
  end
  entry.times[#entry.times + 1] = seconds
end

-- Rooms whose names say what their functions are of.
local SAYS <const> = { normalise = true, recurrent = true, attention = true }

local function watch(room, name)
  local call = runtime[room][name]
  local shown = SAYS[room] and room .. "." .. name or name
  runtime[room][name] = function(...)
    if inside then return call(...) end
    local given = table.pack(...)
    inside = true
    local began = now()
    local results = table.pack(call(...))
    local seconds = now() - began
    account(shown, seconds, given, results, room == "optim")
    inside = false
    return table.unpack(results, 1, results.n)
  end
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

inside = true
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
local times = {}
for i = 1, steps do
  inside = false
  step()
  inside = true -- a step that nobody looks into: accounting takes time of its own
  local began = now()
  step()
  times[i] = now() - began
end

-- Calls and seconds of a kernel in a step: medians, for a call that was held up by other programs says nothing.
for _, entry in ipairs(order) do
  entry.calls = #entry.times / steps
  entry.seconds = median(entry.times) * entry.calls
end
table.sort(order, function(x, y) return x.seconds > y.seconds end)

local whole, in_kernels = median(times), 0
for _, entry in ipairs(order) do
  in_kernels = in_kernels + entry.seconds
  local floor = entry.calls * math.max(entry.operations / highest, entry.bytes / speed(entry.bytes))
  print(("%g\t%.4f\t%.4f\t%s"):format(entry.calls, 1e3 * entry.seconds, 1e3 * floor, entry.name))
end
print(("outside\t%.4f"):format(1e3 * math.max(0, whole - in_kernels)))
print(("whole\t%.4f\t%.1f"):format(1e3 * whole, highest / 1e9))
