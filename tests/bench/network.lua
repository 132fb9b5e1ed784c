--- The tutorial's network and the three measurements that are made on it; torch_jobs.py has the same in
--- PyTorch.
local sm = require "sm"
local runtime = require "sm.runtime"
local nn, optim = sm.nn, sm.optim

local M = {}

local now <const> = runtime.system.now
local warm_steps <const> = 3
local test_images <const> = 10000

local function median(times)
  table.sort(times)
  return times[#times // 2 + 1]
end

local activations <const> = {
  relu = function() return nn.relu() end,
  softmax = function() return nn.softmax { groups = 1 } end,
}

--- The network, built for MNIST's images.
--- @param activation string "relu" or "softmax", of the convolutions
function M.build(activation)
  local make = activations[activation] or error(("no activation '%s'"):format(activation))
  local weight, bias = nn.init.truncated_normal(0.1), nn.init.constant(0.1)
  sm.seed(1)
  return nn.sequential {
    nn.conv2d { 32, kernel = 5, init = weight, bias_init = bias }, make(), nn.maxpool2d { 2 },
    nn.conv2d { 64, kernel = 5, init = weight, bias_init = bias }, make(), nn.maxpool2d { 2 },
    nn.flatten(), nn.linear { 1024, init = weight, bias_init = bias }, nn.relu(), nn.dropout { 0.5 },
    nn.linear { 10, init = weight, bias_init = bias },
  }:build { 28, 28, 1 }
end

--- @param rule string "adam" or "smorms3"
function M.optimizer(rule, model)
  local optimizer = optim[rule] { lr = rule == "adam" and 1e-4 or 1e-3 }
  optimizer:add(model:parameters())
  return optimizer
end

--- A function that does one whole step on a fixed random batch, after a few that warm up.
function M.stepper(activation, rule, batch)
  local model = M.build(activation)
  local optimizer = M.optimizer(rule, model)
  local x, y = sm.rand(batch, 28, 28, 1), (sm.rand(batch) * 10):to "int32"
  local function step()
    optimizer:zero_grad()
    model(x):cross_entropy(y):backward()
    optimizer:step()
    runtime.tensor.collect()
  end
  for _ = 1, warm_steps do step() end
  return step
end

--- A function that classifies 10,000 images of bytes in batches, as an evaluation does.
function M.evaluator(batch)
  local model = M.build "relu"
  local images = (sm.rand(test_images, 28, 28, 1) * 255):to "uint8"
  local labels = (sm.rand(test_images) * 10):to "int32"
  local set = sm.data.tensors { inputs = images, targets = labels, classes = 10 }
  model:eval()
  return function()
    local correct = 0
    sm.no_grad(function()
      for x, y in set.train:batches(batch) do
        correct = correct + model(x):accuracy(y) * #x
        runtime.tensor.collect()
      end
    end)
    return correct
  end
end

--- A function that takes the first layer's softmax forward and back.
function M.softmax(groups)
  local x, gy = sm.randn(50, 28, 28, 32):requires_grad(), sm.randn(50, 28, 28, 32)
  return function()
    x.grad = nil
    x:softmax { groups = groups }:backward(gy)
    runtime.tensor.collect()
  end
end

-- Seconds of calls that are not timed: while others were asked, this program's threads slept, and a virtual machine may
-- wake them all on one core before it spreads them.
local settle_seconds <const> = 0.1

--- Median milliseconds of `count` calls, once the program is awake.
function M.time(work, count)
  local times, until_then = {}, now() + settle_seconds
  while now() < until_then do work() end
  for i = 1, count do
    local before = now()
    work()
    times[i] = (now() - before) * 1e3
  end
  return median(times)
end

return M
