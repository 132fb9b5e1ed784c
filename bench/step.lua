-- Training steps of one network of networks.lua:
--   smrun --trust --threads 2 bench/step.lua net=resnet
-- Answers jobs from standard input, one a line: "time COUNT" with the median milliseconds of so many steps, "peak" with
-- the peak of the process's memory in MB.
--   … net=resnet check=FILE.npz
-- writes data, parameters, and what the network makes of them: the loss, its gradients, and the loss after five steps.
-- subnormal=true makes half of the weights, and what goes in, subnormal numbers. The rate is 0 then, so that no
-- weight grows.
local sm = require "sm"
local training = require "training"

local p = sm.params { net = "tutorial", check = "", subnormal = false }

if p.check ~= "" then
  training.write(p.net, p.check)
  return
end

local step = training.new(p.net, { subnormal = p.subnormal }).step

local function peak()
  local file <close> = assert(io.open "/proc/self/status")
  return tonumber(file:read "a":match "VmHWM:%s*(%d+)") * 1024 / 1e6
end

for line in io.lines() do
  local count = line:match "^time (%d+)$"
  print(("%.4f"):format(count and training.time(step, tonumber(count)) or peak()))
  io.stdout:flush()
end
