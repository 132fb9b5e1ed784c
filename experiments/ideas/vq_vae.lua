-- Can an image be told in 7 x 7 words of one dictionary, which is learned with it? Each vector of the encoder is
-- replaced by the nearest in the codebook, and the gradient goes straight through to the encoder. Two more terms draw
-- the codes to the vectors that chose them, and hold the vectors to their codes.
-- Source: A. van den Oord, O. Vinyals and K. Kavukcuoglu (2017), "Neural Discrete Representation Learning".
--   smrun experiments/ideas/vq_vae.lua codes=16,64,256
-- Reached on test images, in 2,000 steps: a mean squared error of 0.0072 at a perplexity of 8.8 words; half of an image
-- is paper, which one word tells. The paper reports 4.67 bits per dimension on CIFAR-10, 0.16 more than a VAE with real
-- codes.
local sm = require "sm"
local nn, view = sm.nn, sm.view

local p = sm.params {
  data = "mnist_mini", codes = 64, size = 16, channels = 32, commitment = 0.25, seed = 1, steps = 2000, batch = 50,
  lr = 1e-3,
}

local vq_vae = nn.layer {
  kind = "vq_vae",
  layers = function()
    return {
      encoder = nn.sequential {
        nn.conv2d { p.channels, kernel = 4, stride = 2 }, nn.relu(), nn.conv2d { p.size, kernel = 4, stride = 2 },
      },
      decoder = nn.sequential {
        nn.conv2d_transpose { p.channels, kernel = 4, stride = 2 }, nn.relu(),
        nn.conv2d_transpose { 1, kernel = 4, stride = 2 },
      },
    }
  end,
  build_values = function(self) self:make_parameter("codebook", { p.codes, p.size }, nn.init.normal(1)) end,
  forward = function(self, x)
    local z = self.encoder(x)
    local nearness = z:matmul(self.codebook:transpose()) * 2 - self.codebook:square():sum(2) -- |z|^2 - |z - code|^2
    local word = nearness:predict()
    local code = self.codebook:embedding(word)
    return { image = self.decoder(sm.straight_through(code, z)), z = z, code = code, word = word }
  end,
}

local function told(at)
  local x = at.data.validation:batches(10)()
  return sm.cat { x, at.model(x).image }
end

return sm.experiment {
  data      = sm.data[p.data] { validation = 5000 },
  model     = vq_vae {},
  loss      = function(y, _, x) -- 0.1 is about the variance of a pixel
    return y.image:mse(x) / 0.1 + y.code:mse(y.z:detach()) + p.commitment * y.z:mse(y.code:detach())
  end,
  metrics   = {
    error = { mean = function(y, _, x) return y.image:mse(x) end },
    perplexity = function(y) -- of the words: how many are in use, counted as if all were equally frequent
      return sm.one_hot(y.word, p.codes):mean { 1, 2, 3 }:group_entropy():exp()
    end,
  },
  optimizer = sm.optim.adam { lr = p.lr },
  schedule  = { steps = p.steps, batch = p.batch },
  views     = { view.images(told, { columns = 10, range = { 0, 1 }, title = "Digits, and told in words" }) },
  seed      = p.seed,
}
