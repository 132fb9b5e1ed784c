-- Can a network be large and yet use only a part of itself for each example? A gate picks the k best of many experts
-- and weighs what they say. Left alone it picks the same few for ever, so a part of the loss, `balance`, grows with the
-- spread of what each expert gets to do. (Here all experts are computed, and those not picked weigh 0.)
-- Source: N. Shazeer et al. (2017), "Outrageously Large Neural Networks: The Sparsely-Gated Mixture-of-Experts Layer".
--   smrun experiments/ideas/mixture_of_experts.lua balance=0,0.1
-- Reached, in 1,500 steps: a test accuracy of 94.2 %, with 7.8 of 8 experts in use, which tell 1.2 bits of the class;
-- with balance=0 92.3 %, 3.3 and 0.5. The paper reports a perplexity of 28.0 on the One Billion Word benchmark, with
-- thousands of experts.
local sm = require "sm"
local nn, view = sm.nn, sm.view

local p = sm.params {
  data = "mnist_mini", experts = 8, k = 2, hidden = 32, balance = 0.1, seed = 1, steps = 1500, batch = 100, lr = 2e-3,
}

local mixture = nn.layer {
  kind = "mixture",
  layers = function()
    local zeros = nn.init.zeros()
    local layers = { gate = nn.linear { p.experts, init = zeros }, noise = nn.linear { p.experts, init = zeros } }
    for i = 1, p.experts do layers[i] = nn.sequential { nn.linear { p.hidden }, nn.relu(), nn.linear { 10 } } end
    return layers
  end,
  forward = function(self, x)
    local logits, spread = self.gate(x), self.noise(x):softplus()
    if self.training then logits = logits + spread * sm.randn(logits.shape) end
    local least = logits:topk(p.k):narrow(-1, p.k, 1)
    local weights = sm.where(logits:ge(least), logits, -math.huge):softmax()
    local scores = 0
    for i = 1, p.experts do scores = scores + weights:narrow(-1, i, 1) * self.layers[i](x) end
    return { scores = scores, weights = weights }
  end,
}

-- Of what each expert gets to do over a batch, the squared coefficient of variation.
local function imbalance(weights)
  local load = weights:mean(1)
  return load:var(1, { unbiased = false }) / load:mean():square()
end

local function entropy(shares) return shares:group_entropy() end

local function shares(at) -- of each class what goes to each expert
  local x, target = at.data.validation:batches(400)()
  local class = sm.one_hot(target, 10)
  return class:transpose():matmul(at.model(x).weights) / class:sum(1):reshape(10, 1)
end

return sm.experiment {
  data      = sm.data[p.data] { validation = 5000 },
  model     = nn.sequential { nn.flatten(), mixture {} },
  loss      = function(y, target) return y.scores:cross_entropy(target) + p.balance * imbalance(y.weights) end,
  metrics   = {
    accuracy = function(y, target) return y.scores:accuracy(target) end,
    experts_used = function(y) return entropy(y.weights:mean(1)):exp() end, -- if all were used equally
    class_bits = function(y, target) -- what an expert says of the class by being picked
      local of_class = sm.one_hot(target, 10):transpose():matmul(y.weights) / #target
      local joint, expert, class = entropy(of_class:reshape(-1)), entropy(of_class:sum(1)), entropy(of_class:sum(2))
      return (expert + class - joint) / math.log(2)
    end,
  },
  optimizer = sm.optim.adam { lr = p.lr },
  schedule  = { steps = p.steps, batch = p.batch },
  views     = { view.image(shares, { scale = 24, title = "Classes down, experts across" }) },
  seed      = p.seed,
}
