-- Can a network learn to dream its data with no gradient of any loss at all? Binary pixels and hidden units are drawn
-- in turn, each given the other side. Contrastive divergence makes what was seen more likely, and what one such turn
-- makes of it less (CD-1): the difference of two free energies is followed. In steps too large (lr=0.05) it digs a
-- hole far from all data, here at the empty image, in which every dream ends.
-- Source: G. E. Hinton (2002), "Training Products of Experts by Minimizing Contrastive Divergence".
--   smrun experiments/ideas/rbm.lua turns=1,5
-- Reached on test images, in 4,000 steps: -99 nats; pixels that know nothing of each other would have about -206. The
-- paper shows what such networks find, and has no such figure.
local sm = require "sm"
local nn, view = sm.nn, sm.view

local p = sm.params { data = "mnist_mini", hidden = 256, turns = 1, seed = 1, steps = 4000, batch = 50, lr = 0.01 }

local rbm = nn.layer {
  kind = "rbm",
  build_values = function(self)
    self:make_parameter("weight", { 784, p.hidden }, nn.init.normal(0.01))
    self:make_parameter("visible", { 784 }, sm.zeros)
    self:make_parameter("hidden", { p.hidden }, sm.zeros)
  end,
  forward = function(self, x) return { energy = self:energy(x:reshape(-1, 784)) } end,
  methods = {
    energy = function(self, v) -- of pixels, whatever the hidden units are: -log of what they are worth, up to log Z
      return -(v * self.visible):sum(2) - v:linear(self.weight, self.hidden):softplus():sum(2)
    end,
    turn = function(self, v)
      local h = sm.bernoulli(v:linear(self.weight, self.hidden):sigmoid())
      return sm.bernoulli(h:linear(self.weight:transpose(), self.visible):sigmoid())
    end,
  },
}

local function train(at, batch)
  local seen = sm.bernoulli(batch.input:reshape(-1, 784))
  local dreamt = seen
  for _ = 1, p.turns do dreamt = at.model:turn(dreamt) end
  local difference = (at.model:energy(seen) - at.model:energy(dreamt)):mean()
  difference:backward()
  at.optimizer:step()
  return { difference = difference }
end

local function dreamt(at)
  local v = at.data.validation:batches(20)():reshape(-1, 784)
  for _ = 1, 500 do v = at.model:turn(v) end
  return v:reshape(-1, 28, 28)
end

-- The log-likelihood of a pixel given all others, times 784, from ten pixels of each image: in nats.
local function pseudo_likelihood(_, _, x, at)
  local v, sum = sm.bernoulli(x:reshape(-1, 784)), 0
  for _ = 1, 10 do
    local one = sm.one_hot(sm.randint(0, 784, #x), 784)
    sum = sum + (at.model:energy(v + one * (1 - 2 * v)) - at.model:energy(v)):logsigmoid():mean()
  end
  return 78.4 * sum
end

return sm.experiment {
  data      = sm.data[p.data] { validation = 5000 },
  model     = rbm {},
  train     = train,
  metrics   = { pseudo_likelihood = pseudo_likelihood },
  optimizer = sm.optim.sgd { lr = p.lr, momentum = 0.5, weight_decay = 2e-4 },
  schedule  = { steps = p.steps, batch = p.batch },
  views     = { view.images(dreamt, { columns = 10, title = "Dreamt, 500 turns after digits" }) },
  seed      = p.seed,
}
