-- What 100 training steps take from the operating system once everything is warm, with the whole of MNIST
-- loaded: prints steps, minor page faults, resident KiB before and after, the peak, and the milliseconds that
-- getting a batch takes, of a step. Under strace the two attempts to open a file that cannot be there mark where
-- those steps begin and end.
local sm = require "sm"
local runtime = require "sm.runtime"
local network = require "network"

local warm <const>, steps <const> = 100, 100
local marks <const> = "/nonexistent/steady-"

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

-- The fields of proc(5): after the command's name in parentheses, minor faults are the eighth of stat.
local function minor_faults()
  local field = 0
  for word in read "/proc/self/stat":match "%) (.*)":gmatch "%S+" do
    field = field + 1
    if field == 8 then return math.tointeger(word) end
  end
end

local function kibibytes(name)
  return math.tointeger(read "/proc/self/status":match(name .. ":%s*(%d+) kB"))
end

local stream = sm.data.mnist { validation = 5000 }:stream(50)
local model = network.build "softmax"
local optimizer = network.optimizer("smorms3", model)

local now <const>, getting = runtime.system.now, 0

local function train(count)
  for _ = 1, count do
    local before = now()
    local x, y = stream:next()
    getting = getting + (now() - before)
    optimizer:zero_grad()
    model(x):cross_entropy(y):backward()
    optimizer:step()
    runtime.tensor.collect()
  end
end

train(warm)
kibibytes "VmRSS" -- what looking needs is there before it counts
minor_faults()
local resident, faults = kibibytes "VmRSS", minor_faults()
getting = 0
io.open(marks .. "begin")
train(steps)
io.open(marks .. "end")
faults = minor_faults() - faults
print(steps, faults, resident, kibibytes "VmRSS", kibibytes "VmHWM", ("%.3f"):format(1e3 * getting / steps))
