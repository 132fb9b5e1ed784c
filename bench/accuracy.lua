-- Seconds of training until the test accuracy reaches each level, evaluation not counted:
--   smrun --threads 2 bench/accuracy.lua recipe=default
-- Prints a line "percent steps seconds" for each level that is reached, and closes with the steps, the
-- milliseconds of a step and the last accuracy. recipe: "default" is experiments/softmax_groups.lua,
-- "tutorial" what torch_accuracy.py does. level=98 stops at that level.
local sm = require "sm"
local runtime = require "sm.runtime"
local networks = require "networks"
local nn = sm.nn

local p = sm.params { recipe = "default", steps = 20000, every = 200, level = 99.2, seed = 1 }
local levels <const> = { 98, 99, 99.2 }

local recipes <const> = {
  default = function()
    local model = nn.sequential {
      nn.conv2d { 32, kernel = 5 }, nn.softmax { temperature = 0.25 }, nn.maxpool2d { 2 },
      nn.conv2d { 64, kernel = 5 }, nn.softmax { temperature = 0.25 }, nn.maxpool2d { 2 },
      nn.flatten(), nn.linear { 1024 }, nn.relu(), nn.dropout { 0.1 }, nn.linear { 10 },
    }
    model:build { 28, 28, 1 }
    local optimizer = sm.optim.smorms3 { lr = 3e-3 }
    optimizer:add(model:parameters())
    return model, optimizer
  end,
  tutorial = function()
    local model = networks.tutorial.build(0.5, nn.init.truncated_normal(0.1), nn.init.constant(0.1))
    model:build { 28, 28, 1 }
    local optimizer = sm.optim.adam { lr = 1e-4 }
    optimizer:add(model:parameters())
    return model, optimizer
  end,
}

local make = recipes[p.recipe] or error(("recipe must be default or tutorial, got '%s'"):format(p.recipe))
sm.seed(p.seed)
local data = sm.data.mnist { validation = 5000 }
local model, optimizer = make()
local stream = data:stream(50)

local function train(count)
  local before = runtime.system.now()
  for _ = 1, count do
    local x, y = stream:next()
    optimizer:zero_grad()
    model(x):cross_entropy(y):backward()
    optimizer:step()
    runtime.tensor.collect()
  end
  return runtime.system.now() - before
end

local function test_percent()
  local correct = 0
  model:eval()
  sm.no_grad(function()
    for x, y in data.test:batches(250) do
      correct = correct + model(x):accuracy(y) * #x
      runtime.tensor.collect()
    end
  end)
  model:train()
  return 100 * correct / #data.test
end

local seconds, step, reached, percent = 0, 0, 0, 0
while step < p.steps and percent < p.level do
  local count = math.min(p.every, p.steps - step)
  seconds, step = seconds + train(count), step + count
  if step % p.every == 0 then percent = test_percent() end
  while reached < #levels and percent >= levels[reached + 1] do
    reached = reached + 1
    print(levels[reached], step, ("%.1f"):format(seconds))
    io.stdout:flush()
  end
end
print("end", step, ("%.2f %.2f"):format(1e3 * seconds / step, percent))
