-- Can a network learn what "the same digit" is, without being told which digit? Two images go through one network, and
-- what it says of them should be near each other if they are of one digit, and else at least `margin` apart.
-- Source: R. Hadsell, S. Chopra and Y. LeCun (2006), "Dimensionality Reduction by Learning an Invariant Mapping".
--   smrun experiments/ideas/siamese.lua size=2,16
-- Reached, in 1,500 steps: 88.2 % of test pairs with 2 numbers for an image. The paper shows such maps, and no figure.
local sm = require "sm"
local nn, view = sm.nn, sm.view

local p = sm.params {
  data = "mnist_mini", size = 2, filters = 16, margin = 1.0, seed = 1, steps = 1500, batch = 50, lr = 1e-3,
}

-- Each image twice, with another of the same digit and with any: sorted by digit, an image's neighbour is of its own.
local function pairs_of(split)
  local sorted = split.targets:to("float32"):argsort()
  local shuffled = sm.randperm(2 * #split)
  local function both(x)
    local left = x:index_select(1, sorted)
    return sm.cat({ left, left }):index_select(1, shuffled), sm.cat({ left:roll(1, 1), x }):index_select(1, shuffled)
  end
  local left, right = both(split.inputs)
  local digit, other = both(split.targets)
  return { left = left, right = right }, digit:eq(other)
end

local siamese = nn.layer {
  kind = "siamese",
  layers = function()
    local function conv(n) return nn.sequential { nn.conv2d { n, kernel = 5 }, nn.relu(), nn.maxpool2d { 2 } } end
    return { tower = nn.sequential { conv(p.filters), conv(2 * p.filters), nn.flatten(), nn.linear { p.size } } }
  end,
  forward = function(self, pair) return (self.tower(pair.left) - self.tower(pair.right)):norm(2) end,
}

local function contrast(distance, same)
  local too_near = (p.margin - distance):relu()
  return sm.where(same:eq(1), distance:square(), too_near:square()):mean() / 2
end

local function near(at)
  local pair, is_same = at.data.validation:batches(400)()
  local bin = (at.model(pair) * (10 / p.margin)):clamp(0, 19):floor():to "int32"
  local function count(label) return (sm.one_hot(bin, 20) * is_same:eq(label):to("float32"):unsqueeze(2)):sum(1) end
  return { ["one digit"] = count(1), ["two digits"] = count(0) }
end

local set = sm.data[p.data] {}
local inputs, same = pairs_of(set.train)
local test_inputs, test_same = pairs_of(set.test)

return sm.experiment {
  data      = sm.data.tensors { inputs = inputs, targets = same, test_inputs = test_inputs, test_targets = test_same,
    validation = #same // 12 },
  model     = siamese {},
  loss      = contrast,
  metrics   = {
    accuracy = function(distance, is_same) -- the share of pairs on their side of half the margin
      local said = sm.where(distance:lt(p.margin / 2), 1, 0)
      return 1 - (said - is_same:to "float32"):abs():mean()
    end,
  },
  optimizer = sm.optim.adam { lr = p.lr },
  schedule  = { steps = p.steps, batch = p.batch },
  views     = { view.plot(near, { title = "Pairs by distance", x_axis = "twentieths of two margins" }) },
  seed      = p.seed,
}
