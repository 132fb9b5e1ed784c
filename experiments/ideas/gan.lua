-- Two networks play against each other: the critic is to tell the generator's images from real ones, the generator to
-- deceive it. Do the images become digits, and all ten of them? `kinds` looks up the real digit nearest to each
-- generated one, and says how many of the ten there are, counted as if all were equally frequent. `parzen` is the
-- paper's measure: how likely real digits are, in nats, if generated ones are spread by a Gaussian of deviation 0.2.
-- Source: I. J. Goodfellow et al. (2014), "Generative Adversarial Nets".
--   smrun experiments/ideas/gan.lua
-- Reached on test images, in 4,000 steps: 8.0 kinds (real digits 9.9), and -22 nats, where 2,000 real digits reach 149
-- and their mean image -127; with data=mnist steps=2500 6.3 kinds and 3 nats. It favours ones and nines; wgan_gp.lua
-- has 9.0 kinds and 72 nats. The paper reports 225 nats for the whole of MNIST, by another deviation and 10,000 images.
local sm = require "sm"
local nn, optim, view = sm.nn, sm.optim, sm.view

local p = sm.params {
  data = "mnist_mini", noise = 64, hidden = 256, samples = 2000, seed = 1, steps = 4000, batch = 100, lr = 1e-3,
}
local function adam() return optim.adam { lr = p.lr, beta1 = 0.5 } end

local gan = nn.layer {
  kind = "gan",
  layers = function() return {
    generator = nn.sequential {
      nn.linear { p.hidden }, nn.batchnorm(), nn.relu(), nn.linear { 2 * p.hidden }, nn.batchnorm(), nn.relu(),
      nn.linear { 784 }, nn.sigmoid(), nn.reshape { 28, 28, 1 },
    },
    critic = nn.sequential {
      nn.flatten(), nn.linear { 2 * p.hidden }, nn.leaky_relu { 0.2 }, nn.dropout { 0.3 },
      nn.linear { p.hidden }, nn.leaky_relu { 0.2 }, nn.dropout { 0.3 }, nn.linear { 1 },
    },
  } end,
  forward = function(self, x) return self.critic(x) - self.critic(self:draw(#x)) end,
  methods = { draw = function(self, n) return self.generator(sm.randn(n, p.noise)) end },
}

-- softplus(-z) is -log of the probability whose logit is z; the critic's outputs are logits that an image is real.
local function train(at, batch)
  local model, optimizer, drawn = at.model, at.optimizer, at.model:draw(#batch.input)
  local told = (-model.critic(batch.input)):softplus():mean() + model.critic(drawn:detach()):softplus():mean()
  told:backward()
  optimizer.critic:step()
  local deceived = (-model.critic(drawn)):softplus():mean()
  deceived:backward()
  optimizer.generator:step()
  return { critic = told, generator = deceived }
end

local function squares(a, b) -- |a - b|^2 of every image of two sets: {#a, #b}
  a, b = a:reshape(-1, 784), b:reshape(-1, 784)
  return a:square():sum(2, { keepdim = true }) + b:square():sum(2) - 2 * a:matmul(b:transpose())
end

local function parzen(_, _, digits, at)
  local log_sum = (squares(digits, at.model:draw(p.samples)) / -(2 * 0.2 ^ 2)):logsumexp(2):mean()
  return log_sum - math.log(p.samples) - 392 * math.log(2 * math.pi * 0.2 ^ 2)
end

local function kinds(_, labels, digits, at)
  local nearest = squares(at.model:draw(p.samples), digits):argmin(2)
  return sm.one_hot(labels:index_select(1, nearest), 10):mean(1):group_entropy():exp()
end

return sm.experiment {
  data      = sm.data[p.data] { validation = 5000 },
  model     = gan {},
  train     = train,
  metrics   = { parzen = parzen, kinds = kinds },
  optimizer = { generator = adam(), critic = adam() },
  schedule  = { steps = p.steps, batch = p.batch },
  views     = { view.images(function(at) return at.model:draw(20) end, { columns = 10 }) },
  seed      = p.seed,
}
