-- Which pixels does a network decide by? Those along which the score of its class changes fastest: the gradient of the
-- score for the image. If it tells the truth, to blank the pixels that it names costs more accuracy than to blank as
-- many others of the digit.
-- Source: K. Simonyan, A. Vedaldi and A. Zisserman (2013), "Deep Inside Convolutional Networks: Visualising Image
-- Classification Models and Saliency Maps".
--   smrun experiments/ideas/saliency.lua blank=10,20,40
-- Reached, in 600 steps: of a test accuracy of 97.7 % the twenty most salient pixels take 4.7, as many others of the
-- digit 0.8. The paper finds objects in ImageNet by such maps, with 46.4 % errors.
local sm = require "sm"
local nn, view = sm.nn, sm.view

local p = sm.params { data = "mnist_mini", filters = 16, blank = 20, seed = 1, steps = 600, batch = 50, lr = 1e-3 }

-- How fast the score of the class that the model names changes with each pixel: {N, 28, 28, 1}.
local function saliency(model, x)
  x = x:detach():requires_grad()
  local scores = model(x)
  return sm.grad(scores:pick(scores:predict()):sum(), { x })[1]:abs()
end

-- The accuracy that is left where the pixels of the digit that are highest in `order` are blank.
local function without(order)
  return { mean = function(_, target, x, at)
    local ranks = order(at.model, x) * sm.where(x:gt(0), 1, 0)
    local least = ranks:reshape(#x, 784):topk(p.blank):narrow(2, p.blank, 1):reshape(#x, 1, 1, 1)
    return at.model(sm.where(ranks:ge(least), 0, x)):accuracy(target)
  end }
end

local function shown(at)
  local x, labels = at.data.validation:batches(8)()
  local map = saliency(at.model, x)
  return sm.cat { x, map / map:max { 2, 3, 4 }:reshape(-1, 1, 1, 1) }, sm.cat { labels, labels }
end

local function conv(n) return nn.sequential { nn.conv2d { n, kernel = 5 }, nn.relu(), nn.maxpool2d { 2 } } end

return sm.experiment {
  data      = sm.data[p.data] { validation = 5000 },
  model     = nn.sequential {
    conv(p.filters), conv(2 * p.filters), nn.flatten(), nn.linear { 128 }, nn.relu(), nn.dropout { 0.5 },
    nn.linear { 10 },
  },
  loss      = "cross_entropy",
  metrics   = {
    without_salient = without(saliency),
    without_random  = without(function(_, x) return sm.rand(x.shape) + 1e-3 end),
  },
  optimizer = sm.optim.adam { lr = p.lr },
  schedule  = { steps = p.steps, batch = p.batch },
  views     = { view.images(shown, { columns = 8, grad = true, title = "Digits, and the pixels that decide" }) },
  seed      = p.seed,
}
