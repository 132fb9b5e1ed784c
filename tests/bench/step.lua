-- One training step of the tutorial's network on random images, timed: prints the median in milliseconds.
--   smrun --threads 2 tests/bench/step.lua activation=softmax optimizer=smorms3 batch=50 steps=30
local sm = require "sm"
local runtime = require "sm.runtime"
local nn, optim = sm.nn, sm.optim

local p = sm.params { activation = "relu", optimizer = "adam", batch = 50, steps = 30, warm = 5 }

local function activation() return p.activation == "relu" and nn.relu() or nn.softmax { groups = 1 } end
local weight, bias = nn.init.truncated_normal(0.1), nn.init.constant(0.1)
local model = nn.sequential {
  nn.conv2d { 32, kernel = 5, init = weight, bias_init = bias }, activation(), nn.maxpool2d { 2 },
  nn.conv2d { 64, kernel = 5, init = weight, bias_init = bias }, activation(), nn.maxpool2d { 2 },
  nn.flatten(), nn.linear { 1024, init = weight, bias_init = bias }, nn.relu(), nn.dropout { 0.5 },
  nn.linear { 10, init = weight, bias_init = bias },
}
sm.seed(1)
model:build { 28, 28, 1 }
local optimizer = optim[p.optimizer] { lr = p.optimizer == "adam" and 1e-4 or 1e-3 }
optimizer:add(model:parameters())

local x = sm.rand(p.batch, 28, 28, 1)
local y = (sm.rand(p.batch) * 10):to("int32")
local times = {}
for step = 1, p.warm + p.steps do
  local before = runtime.system.now()
  optimizer:zero_grad()
  model(x):cross_entropy(y):backward()
  optimizer:step()
  runtime.tensor.collect()
  if step > p.warm then times[#times + 1] = (runtime.system.now() - before) * 1e3 end
end
table.sort(times)
print(("%.3f"):format(times[#times // 2 + 1]))
