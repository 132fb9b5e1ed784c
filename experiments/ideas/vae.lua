-- Can a network learn to draw digits from random numbers? An encoder says of each image which codes it may have come
-- from, a normal distribution; a decoder draws an image from a code. The gradient passes through the draw because it
-- is written as mean + deviation * noise. The loss is a bound on -log p(image), in nats, of images whose pixels are ink
-- with the probability that their grey says.
-- Source: D. P. Kingma and M. Welling (2013), "Auto-Encoding Variational Bayes".
--   smrun experiments/ideas/vae.lua codes=2,20
-- Reached on test images, in 2,000 steps: 166.9 with 2 codes, 114.8 with 20, of which all say something; with
-- data=mnist steps=4000 and 20 codes 107.8. The paper shows such bounds as curves, for the whole of MNIST.
local sm = require "sm"
local nn, view = sm.nn, sm.view

local p = sm.params { data = "mnist_mini", codes = 20, hidden = 400, seed = 1, steps = 2000, batch = 100, lr = 1e-3 }

local vae = nn.layer {
  kind = "vae",
  layers = function()
    return {
      encoder = nn.sequential {
        nn.flatten(), nn.linear { p.hidden }, nn.relu(),
        nn.branch { mean = nn.linear { p.codes }, logvar = nn.linear { p.codes } },
      },
      decoder = nn.sequential { nn.linear { p.hidden }, nn.relu(), nn.linear { 784 }, nn.reshape { 28, 28, 1 } },
    }
  end,
  forward = function(self, x)
    local q = self.encoder(x)
    local code = q.mean + (q.logvar / 2):exp() * sm.randn(q.mean.shape)
    return { image = self.decoder(code), mean = q.mean, logvar = q.logvar }
  end,
}

local function drawn(at) return at.model.decoder(sm.randn(20, p.codes)):sigmoid() end

-- How far each code's distribution is from a standard normal one, in nats: {N, codes}.
local function divergence(q) return (q.mean:square() + q.logvar:exp() - q.logvar - 1) / 2 end

return sm.experiment {
  data      = sm.data[p.data] { validation = 5000 },
  model     = vae {},
  loss      = function(q, _, x) return q.image:bce_with_logits(x) * 784 + divergence(q):sum(2):mean() end,
  metrics   = {
    divergence   = function(q) return divergence(q):sum(2):mean() end,
    active_codes = function(q) return sm.where(q.mean:var(1):gt(0.01), 1, 0):sum() end, -- that say something
  },
  optimizer = sm.optim.adam { lr = p.lr },
  schedule  = { steps = p.steps, batch = p.batch },
  views     = { view.images(drawn, { columns = 10, title = "Drawn from random codes" }) },
  seed      = p.seed,
}
