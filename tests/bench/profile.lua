-- Where the milliseconds of a training step go: lua5.4 profile.lua ACTIVATION OPTIMIZER BATCH STEPS. Every
-- kernel's time is taken around its call; beside it stands its floor, the longer of
--   its operations at the peak of a large matrix product (a convolution's: those of its direct sum, without padding),
--   its bytes (each operand once) at the speed of a loop over as many that copies them.
-- Prints one line per kernel and kind of operands: calls a step, milliseconds a step, floor, name; then two lines with
-- what is left of the step and the whole of it, which is the time of steps in between that are not looked into.
-- A program of plain Lua, for the kernels must be wrapped before the library that is written in Lua takes them.
local here <const> = arg[0]:match "^(.*)/[^/]*$" or "."
package.path = here .. "/?.lua;" .. package.path
local runtime = require "sm.runtime"

local activation, rule = arg[1], arg[2]
local batch, steps = math.tointeger(arg[3]), math.tointeger(arg[4])
local now <const>, is_tensor <const> = runtime.system.now, runtime.tensor.is_tensor
local release <const> = runtime.tensor.release -- before the library takes it

local WIDTHS <const> = { uint8 = 1, int32 = 4, float32 = 4, float64 = 8 }

local function elements(x)
  local count = 1
  for _, size in ipairs(x.shape) do count = count * size end
  return count
end

local function bytes(x) return elements(x) * WIDTHS[x.dtype] end

local function shape_text(x) return "{" .. table.concat(x.shape, ", ") .. "}" end

-- Pairs of a window's position and element that lie on an axis of `size` pixels, stride 1.
local function pairs_on_axis(size, positions, kernel)
  local before, count = (positions + kernel - 1 - size) // 2, 0
  for position = 0, positions - 1 do
    for element = 0, kernel - 1 do
      local pixel = position + element - before
      if pixel >= 0 and pixel < size then count = count + 1 end
    end
  end
  return count
end

local function convolution(x, y, kernel)
  return 2 * x[1] * pairs_on_axis(x[2], y[2], kernel) * pairs_on_axis(x[3], y[3], kernel) * x[4] * y[4]
end

-- Operations of a call, from its arguments and its results.
local operations = {
  matmul = function(given, y) return 2 * elements(y) * given[1].shape[given[3] and 1 or 2] end,
  conv2d = function(given, y) return convolution(given[1].shape, y.shape, given[2].shape[1]) end,
  conv2d_maxpool2d = function(given, _, _, between) return convolution(given[1].shape, between, given[2].shape[1]) end,
  conv2d_backward_data = function(given) return convolution(given[3], given[1].shape, given[2].shape[1]) end,
  conv2d_backward_filter = function(given) return convolution(given[2].shape, given[1].shape, given[3][1]) end,
}

local kernels, order, inside = {}, {}, false

local function account(name, seconds, arguments, results, rewrites)
  local moved, text = 0, {}
  for i = 1, arguments.n do
    local x = arguments[i]
    if is_tensor(x) then
      moved = moved + bytes(x)
      text[#text + 1] = shape_text(x)
    end
  end
  for i = 1, results.n do
    if is_tensor(results[i]) then moved = moved + bytes(results[i]) end
  end
  local key = name .. " " .. table.concat(text, " ")
  local entry = kernels[key]
  if not entry then
    local count = operations[name]
    entry = { name = key, times = {}, bytes = moved + rewrites,
              operations = count and count(arguments, table.unpack(results, 1, results.n)) or 0 }
    kernels[key] = entry
    order[#order + 1] = entry
  end
  entry.times[#entry.times + 1] = seconds
end

-- An optimizer also writes what it reads, all but the gradient.
local function rewritten(arguments)
  local total = 0
  for i = 1, arguments.n do
    if i ~= 2 and is_tensor(arguments[i]) then total = total + bytes(arguments[i]) end
  end
  return total
end

local function watch(room, name, rewrites)
  local call = runtime[room][name]
  runtime[room][name] = function(...)
    if inside then return call(...) end
    local arguments = table.pack(...)
    inside = true
    local began = now()
    local results = table.pack(call(...))
    local seconds = now() - began
    inside = false
    account(name, seconds, arguments, results, rewrites and rewritten(arguments) or 0)
    return table.unpack(results, 1, results.n)
  end
end

for _, room in ipairs { "math", "conv", "softmax", "random", "optim" } do
  local names = {}
  for name, value in pairs(runtime[room]) do
    if type(value) == "function" then names[#names + 1] = name end
  end
  for _, name in ipairs(names) do watch(room, name, room == "optim") end
end
watch("tensor", "collect")

local function median(values)
  table.sort(values)
  return values[#values // 2 + 1]
end

local function timed(f, times)
  f()
  local values = {}
  for i = 1, times do
    local began = now()
    f()
    values[i] = now() - began
  end
  return median(values)
end

local sm = require "sm"
local network = require "network"

local function peak()
  local size = 1536
  local a, b = sm.rand(size, size), sm.rand(size, size)
  return 2 * size ^ 3 / timed(function() return a:matmul(b) end, 9)
end

-- Bytes a second of a loop over two arrays of so many bytes together, one read and one written.
local speeds = {}
local function speed(total)
  local size = 2 ^ math.ceil(math.log(math.max(total, 2 ^ 16), 2)) // 1
  if not speeds[size] then
    local x = sm.rand(size // 8)
    speeds[size] = size / timed(function() release(runtime.pointwise.abs(x)) end, 9)
  end
  return speeds[size]
end

local highest = peak()
local step = network.stepper(activation, rule, batch)
local times = {}
kernels, order = {}, {}
for i = 1, steps do
  step()
  inside = true -- a step that nobody looks into: accounting takes time of its own
  local began = now()
  step()
  times[i] = now() - began
  inside = false
end
inside = true

-- Calls and seconds of a kernel in a step: medians, for a call that was held up by other programs says nothing.
for _, entry in ipairs(order) do
  entry.calls = #entry.times / steps
  entry.seconds = median(entry.times) * entry.calls
end
table.sort(order, function(a, b) return a.seconds > b.seconds end)

local whole, in_kernels = median(times), 0
for _, entry in ipairs(order) do
  in_kernels = in_kernels + entry.seconds
  local floor = entry.calls * math.max(entry.operations / highest, entry.bytes / speed(entry.bytes))
  print(("%g\t%.4f\t%.4f\t%s"):format(entry.calls, 1e3 * entry.seconds, 1e3 * floor, entry.name))
end
print(("left\t%.4f"):format(1e3 * (whole - in_kernels)))
print(("whole\t%.4f\t%.1f"):format(1e3 * whole, highest / 1e9))
