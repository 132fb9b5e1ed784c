-- A critic whose score may rise by at most 1 per unit of distance measures how far apart generated and real images are,
-- and so has a gradient for the generator even where it tells them apart with ease. Its slope is held at 1 by a penalty
-- on its gradient, at points between the two. `distance` should fall, and `parzen`, as in gan.lua, rise.
-- Source: I. Gulrajani et al. (2017), "Improved Training of Wasserstein GANs".
--   smrun experiments/ideas/wgan_gp.lua
-- Reached on test images, in 4,000 steps: 72 nats, where 2,000 real digits reach 149 and their mean image -127; the
-- distance falls from 13 to 2.1. The paper reports an Inception score of 7.86 on CIFAR-10.
local sm = require "sm"
local nn, optim, view = sm.nn, sm.optim, sm.view

local p = sm.params {
  data = "mnist_mini", noise = 64, hidden = 256, penalty = 10, critic_steps = 5, samples = 2000, seed = 1, steps = 4000,
  batch = 50, lr = 2e-4,
}
local function adam() return optim.adam { lr = p.lr, beta1 = 0.5, beta2 = 0.9 } end

local gan = nn.layer {
  kind = "gan",
  layers = function() return {
    generator = nn.sequential {
      nn.linear { p.hidden }, nn.batchnorm(), nn.relu(), nn.linear { 2 * p.hidden }, nn.batchnorm(), nn.relu(),
      nn.linear { 784 }, nn.sigmoid(), nn.reshape { 28, 28, 1 },
    },
    critic = nn.sequential {
      nn.flatten(), nn.linear { 2 * p.hidden }, nn.leaky_relu { 0.2 }, nn.linear { p.hidden }, nn.leaky_relu { 0.2 },
      nn.linear { 1 },
    },
  } end,
  forward = function(self, x) return self.critic(x) - self.critic(self:draw(#x)) end, -- higher for real ones
  methods = { draw = function(self, n) return self.generator(sm.randn(n, p.noise)) end },
}

local function train(at, batch)
  local model, real = at.model, batch.input
  local drawn = sm.no_grad(model.draw, model, #real)
  local share = sm.rand(#real, 1, 1, 1)
  local between = (share * real + (1 - share) * drawn):requires_grad()
  local slope = sm.grad(model.critic(between):sum(), { between }, { create_graph = true })[1]
  local distance = (model.critic(real) - model.critic(drawn)):mean()
  local penalty = (slope:norm { 2, 3, 4 } - 1):square():mean();
  (p.penalty * penalty - distance):backward()
  at.optimizer.critic:step()
  if at.step % p.critic_steps == 0 then -- only the last one's gradient counts
    local score = -model.critic(model:draw(#real)):mean()
    score:backward()
    at.optimizer.generator:step()
  end
  return { distance = distance, penalty = penalty }
end

local function parzen(_, _, digits, at)
  local a, b = digits:reshape(-1, 784), at.model:draw(p.samples):reshape(-1, 784)
  local square = a:square():sum(2, { keepdim = true }) + b:square():sum(2) - 2 * a:matmul(b:transpose())
  local log_sum = (square / -(2 * 0.2 ^ 2)):logsumexp(2):mean()
  return log_sum - math.log(p.samples) - 392 * math.log(2 * math.pi * 0.2 ^ 2)
end

return sm.experiment {
  data      = sm.data[p.data] { validation = 5000 },
  model     = gan {},
  train     = train,
  metrics   = { parzen = parzen, distance = function(scores) return scores:mean() end },
  optimizer = { generator = adam(), critic = adam() },
  schedule  = { steps = p.steps, batch = p.batch },
  views     = { view.images(function(at) return at.model:draw(20) end, { columns = 10 }) },
  seed      = p.seed,
}
