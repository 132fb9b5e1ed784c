-- Activations are the probabilities of options in groups, weights are log-probabilities. So the network turned
-- around should paint: pick a class, then one option in every group, with the probabilities that the weights from
-- above give it, down to the pixels. Half-way between two options is possible, all of both is not. Does it work?
--   smrun experiments/paint.lua top_down=0,0.1,1
-- Trained to tell classes apart and nothing else (top_down=0) the network paints noise: what it is blind to bottom-up,
-- the common part of a group's weights, is the bias of what it paints, and no gradient reaches it. So the loss has a
-- second part, what it costs to tell an image from the top down, which top_down weighs. The weights stay one set for
-- both directions.
local sm = require "sm"
local nn, optim, data, view = sm.nn, sm.optim, sm.data, sm.view

local p = sm.params { data = "mnist", top_down = 0.1, seed = 1, steps = 6000, batch = 100, lr = 2e-3 }

local low, high = { groups = 64 }, { groups = 8 } -- of 8 and of 32 options

local model = nn.sequential {
  nn.flatten(),
  nn.linear { 64 * 8 }, nn.softmax(low),
  nn.linear { 8 * 32 }, nn.softmax(high),
  nn.linear { 10 },
}

local function log(x) return x:clamp(1e-30, 1e30):log() end

-- A layer turned around: from what is on above it to the logits of what it reads.
local function turned(layer, above) return above:matmul(model:layer(layer).weight:transpose()) end

-- One option of every group, with the probabilities q: the largest of log q plus Gumbel noise. The gradient goes
-- straight through to q (Bengio, Léonard and Courville 2013). There are dice in evaluation too, so that losses on
-- training and validation data are estimates of one quantity.
local function pick(q, groups)
  local logits = log(q:detach()) - log(-log(sm.rand(q.shape)))
  return logits:softmax { groups = groups.groups, temperature = 1e-3 } + q - q:detach()
end

-- What it costs, per image, to tell options q to one who expects them with the probabilities r.
local function cost_of_options(q, r) return (q * (log(q) - log(r))):sum() / #q end

-- The same for pixels x, of which one expects that they are ink with the log-odds z.
local function cost_of_pixels(x, z) return (z:relu() + log((-z:abs()):exp() + 1) - x * z):sum() / #x end

-- The class is known; the upper options are told to one who knows it, the lower ones to one who knows which upper
-- ones were picked, the pixels to one who knows which lower ones. Their sum is a bound on -log p(image | class), in
-- nats, the one that variational autoencoders use (Kingma and Welling 2014), here with tied weights.
local function loss(scores, labels, images)
  local right = scores:cross_entropy(labels)
  if p.top_down == 0 then return right end
  local up = model:activations(images)
  local away = labels:to(images.dtype):reshape(-1, 1) - sm.arange(10):reshape(1, 10)
  local class = (1 - away:abs()):relu() -- 1 at the label
  local expected_high = turned("linear3", class):softmax(high)
  local expected_low = turned("linear2", pick(up.softmax2, high)):softmax(low)
  local expected_ink = turned("linear1", pick(up.softmax1, low))
  local telling = cost_of_options(up.softmax2, expected_high) + cost_of_options(up.softmax1, expected_low)
    + cost_of_pixels(images:reshape(#images, -1), expected_ink)
  return right + telling * p.top_down
end

return sm.experiment {
  data      = data[p.data] { validation = 5000 },
  model     = model,
  loss      = loss,
  metrics   = { "accuracy" },
  optimizer = optim.smorms3 { lr = p.lr },
  schedule  = { steps = p.steps, batch = p.batch, evaluate = 500, checkpoint = 1000 },
  views     = { view.paint { pairs = { { 3, 8 }, { 4, 9 }, { 1, 7 }, { 0, 6 }, { 2, 5 } } } },
  seed      = p.seed,
}
