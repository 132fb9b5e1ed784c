-- A variational autoencoder whose code is a word of letters out of a small alphabet instead of real numbers. A draw of
-- a letter has no gradient; the softmax of the logits with Gumbel noise is nearly such a draw, and has one. With
-- hard=true the decoder sees the draw itself, and the gradient is still that of the softmax. In evaluation letters are
-- always drawn outright, so that the loss is a bound on -log p(image) in nats.
-- Source: E. Jang, S. Gu and B. Poole (2016), "Categorical Reparameterization with Gumbel-Softmax", with C. Maddison,
-- A. Mnih and Y. W. Teh (2016), "The Concrete Distribution".
--   smrun experiments/ideas/gumbel_vae.lua hard=false,true
-- Reached on test images, in 2,000 steps: 133.1 with hard=false. The paper reports 101.5 for the whole of MNIST, and
-- 107.8 with hard draws.
local sm = require "sm"
local nn, view = sm.nn, sm.view

local p = sm.params {
  data = "mnist_mini", letters = 20, alphabet = 10, hidden = 400, temperature = 0.67, hard = false, seed = 1,
  steps = 2000, batch = 100, lr = 1e-3,
}
local words <const> = { groups = p.letters }

local gumbel_vae = nn.layer {
  kind = "gumbel_vae",
  layers = function()
    return {
      encoder = nn.sequential { nn.flatten(), nn.linear { p.hidden }, nn.relu(), nn.linear { p.letters * p.alphabet } },
      decoder = nn.sequential { nn.linear { p.hidden }, nn.relu(), nn.linear { 784 }, nn.reshape { 28, 28, 1 } },
    }
  end,
  forward = function(self, x)
    local logits = self.encoder(x)
    local code = logits:gumbel_softmax {
      groups = p.letters, temperature = p.temperature, hard = p.hard or not self.training,
    }
    return { image = self.decoder(code), q = logits:softmax(words) }
  end,
}

local function drawn(at)
  local word = sm.one_hot(sm.randint(0, p.alphabet, 20, p.letters), p.alphabet)
  return at.model.decoder(word:reshape(20, -1)):sigmoid()
end

-- How far the distributions of the letters are from uniform ones, in nats: {N, letters}.
local function divergence(q) return math.log(p.alphabet) - q:group_entropy(words) end

return sm.experiment {
  data      = sm.data[p.data] { validation = 5000 },
  model     = gumbel_vae {},
  loss      = function(y, _, x) return y.image:bce_with_logits(x) * 784 + divergence(y.q):sum(2):mean() end,
  metrics   = {
    divergence = function(y) return divergence(y.q):sum(2):mean() end,
    letters_used = function(y) -- of the alphabet, at each place, on average: e to the entropy of how often they come
      return y.q:mean(1):group_entropy(words):exp():mean()
    end,
  },
  optimizer = sm.optim.adam { lr = p.lr },
  schedule  = { steps = p.steps, batch = p.batch },
  views     = { view.images(drawn, { columns = 10, title = "Drawn from random words" }) },
  seed      = p.seed,
}
