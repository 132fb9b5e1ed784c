-- A softmax over a group of hidden features leaves a little of each; sparsemax, the nearest point of the simplex, drops
-- most of them altogether. What does exact zero cost or bring in hidden layers?
-- Source: A. F. T. Martins and R. F. Astudillo (2016), "From Softmax to Sparsemax: A Sparse Model of Attention and
-- Multi-Label Classification".
--   smrun experiments/ideas/sparsemax_groups.lua activation=softmax,sparsemax groups=16,64
-- Reached, in 1,500 steps: a test accuracy of 93.9 % with a quarter of the features above 0, and 93.4 % with softmax.
-- The paper finds attention by sparsemax as good as by softmax, and more selective.
local sm = require "sm"
local nn, view = sm.nn, sm.view

local p = sm.params {
  data = "mnist_mini", activation = "sparsemax", groups = 64, hidden = 512, seed = 1, steps = 1500, batch = 100,
  lr = 2e-3,
}
local activation = ({ softmax = nn.softmax, sparsemax = nn.sparsemax })[p.activation]
  or error("activation must be softmax or sparsemax, got " .. p.activation)

local function features(at) -- {10, hidden}: the mean over the images of a digit
  local x, target = at.data.validation:batches(400)()
  local class = sm.one_hot(target, 10)
  return class:transpose():matmul(at.model(x).features):narrow(2, 1, 96) / class:sum(1):reshape(10, 1)
end

return sm.experiment {
  data      = sm.data[p.data] { validation = 5000 },
  model     = nn.sequential {
    nn.flatten(), nn.linear { p.hidden }, activation { groups = p.groups },
    nn.branch { scores = nn.linear { 10 }, features = nn.identity() },
  },
  loss      = function(y, target) return y.scores:cross_entropy(target) end,
  metrics   = {
    accuracy = function(y, target) return y.scores:accuracy(target) end,
    kept = function(y) return sm.where(y.features:gt(0), 1, 0):mean() end, -- the share that is not 0
    options = function(y) -- how many options of a group an image has, counted as if they were equally strong
      return y.features:group_entropy({ groups = p.groups }):exp():mean()
    end,
  },
  optimizer = sm.optim.adam { lr = p.lr },
  schedule  = { steps = p.steps, batch = p.batch },
  views     = { view.image(features, { scale = 12, title = "What each digit has on, group beside group" }) },
  seed      = p.seed,
}
