-- What does an autoencoder learn if its images are spoilt first, and it must give them back as they were? With a hidden
-- layer as large as this one it could copy; only what it knows of digits tells it what the missing pixels were.
-- Source: P. Vincent, H. Larochelle, Y. Bengio and P.-A. Manzagol (2008), "Extracting and Composing Robust Features
-- with Denoising Autoencoders".
--   smrun experiments/ideas/autoencoder.lua missing=0,0.25,0.5
-- Reached on test images, in 1,500 steps: what half the pixels missing do is repaired to a quarter (damage_left
-- 0.2475). The paper uses the features to classify: 2.80 % errors on 10,000 digits, 3.46 % without noise.
local sm = require "sm"
local nn, view = sm.nn, sm.view

local p = sm.params { data = "mnist_mini", missing = 0.5, hidden = 800, seed = 1, steps = 1500, batch = 100, lr = 1e-3 }

local denoiser = nn.layer {
  kind = "denoiser",
  layers = function()
    return { hidden = nn.sequential { nn.flatten(), nn.linear { p.hidden }, nn.relu() } }
  end,
  build_values = function(self) self:make_parameter("bias", { 784 }, sm.zeros) end,
  forward = function(self, x)
    local spoilt = x * sm.bernoulli(sm.full(x.shape, 1 - p.missing))
    local h = self.hidden(spoilt)
    local weight = self.hidden.layers[2].weight -- tied, as in the paper: the decoder has its transpose
    return { image = h:linear(weight:transpose(), self.bias):reshape(x.shape), spoilt = spoilt }
  end,
}

local function restored(at)
  local x = at.data.validation:batches(10)()
  local y = at.model(x)
  return sm.cat { x, y.spoilt, y.image:sigmoid() }
end

return sm.experiment {
  data      = sm.data[p.data] { validation = 5000 },
  model     = denoiser {},
  loss      = function(y, _, x) return y.image:bce_with_logits(x) * 784 end,
  metrics   = {
    damage_left = function(y, _, x) return y.image:sigmoid():mse(x) / y.spoilt:mse(x) end, -- of that of the noise
  },
  optimizer = sm.optim.adam { lr = p.lr },
  schedule  = { steps = p.steps, batch = p.batch },
  views     = { view.images(restored, { columns = 10, title = "Digits, spoilt, given back" }) },
  seed      = p.seed,
}
