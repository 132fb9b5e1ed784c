--- A network of grouped softmaxes read from the top down: which option each group picks, given what was picked
-- above it, down to the pixels.
--
-- Bottom-up such a network infers: p(option k | below) ∝ exp(b_k + Σ_j w_jk a_j). Where the activations a_j are
-- probabilities, each group of j adding up to 1, this is Bayes' rule with w_jk = log p(j | k). So the weights can
-- be read the other way. Given the options k that were picked above, one in each group, the options j of a group
-- below have the logits z_j = Σ_k w_jk, and p(j | above) is the softmax of z over that group: the groups above
-- multiply their opinions (a product of experts), as in a restricted Boltzmann machine with softmax units
-- (Salakhutdinov, Mnih and Hinton 2007). A pixel is a group of two, ink or none, where none has the weights 0:
-- its probability of ink is the logistic function of z.
--
-- What has no effect in one direction is a bias in the other. The mean of a group's weight vectors changes
-- nothing bottom-up, since a softmax is blind to what its options share; top-down it is the bias of j. The bias
-- b_k works bottom-up alone. So every number that painting needs is in the network; but training that looks at
-- nothing but classes never touches those that it is blind to.
-- @module sm.view.painter
local chain = require "sm.view.chain"
local competition = require "sm.view.competition"
local runtime = require "sm.runtime"
local tensor = require "sm.tensor"
local words = require "sm.view.words"

local M = {}

local DICE <const> = 102 -- the first of as many random streams as there are layers, beyond those of sm.random

local PASSED_OVER = { shape = true, noise = true } -- roles: nothing to pick there

local Painter = {}
Painter.__index = Painter

--- A layer turned around: from what is on above it to the logits of what it reads.
-- @param above real {count, …}, as many numbers as the layer gives
-- @return real {count, shape of what is below}
local function turned(stage, above)
  local layer = stage.layer
  local z = layer:turned(above:reshape(#above, table.unpack(layer.output_shape)))
  return z:reshape(#above, table.unpack(stage.below)) * stage.factor
end

--- The dice of some paintings at one layer, as Gumbel noise: log p_j + noise is largest at option j with probability
--- p_j.
-- @param stream of the layer, where the dice of painting after painting lie
-- @param places shape of what is below, for one painting
-- @return real {dice.count, places}
local function throw(dice, stream, places)
  local each = 1
  for _, size in ipairs(places) do each = each * size end
  local u = runtime.random.uniform({ dice.count, table.unpack(places) }, dice.seed, stream, (dice.first - 1) * each)
  return -(-(u:clamp(1e-30, 1):log())):clamp(1e-30, math.huge):log()
end

--- The likeliest option of every group.
-- @param z real {count, …, channels}: logits
-- @return real of this shape: 1 for what is picked, 0 for the others
local function pick(z, stage)
  local options = z:reshape(-1, #stage.grouping.order):transpose()
  return competition.marked(options, stage.groups, stage.identity):reshape(-1, table.unpack(stage.below))
end

--- Paints from the classes downwards.
-- @param classes real {1, classes}: the activations of the classes, which add up to 1
-- @param dice {seed=, first=, count=}: paintings number first … first + count - 1, each with dice of its own, which
--   depend on the seed and its number alone; or nil: one painting, of the likeliest option of every group
-- @return real {count, height, width, depth}: each pixel's probability of ink
function Painter:paint(classes, dice)
  local above = classes
  for s, stage in ipairs(self.stages) do
    local z = turned(stage, above)
    if not stage.grouping then return z:sigmoid() end
    above = pick(dice and z + throw(dice, DICE + s - 1, stage.below) or z, stage)
  end
end

--- The hidden layers in words, from the top: {"8 groups of 32", …}.
function Painter:describe()
  local layers = {}
  for _, stage in ipairs(self.stages) do
    if stage.grouping then
      local sizes, places = stage.grouping.sizes, stage.below
      layers[#layers + 1] = words.groups(sizes)
        .. (#places == 3 and (" at %d×%d locations"):format(places[1], places[2]) or "")
    end
  end
  return layers
end

--- What activations are to probabilities: for each channel 1, or its group's size where they are scaled.
local function scale_of(softmax, channels)
  if not softmax.options.scale then return 1 end
  local factors = {}
  for _, size in ipairs(softmax:sizes(channels)) do
    for _ = 1, size do factors[#factors + 1] = size end
  end
  return tensor.tensor(factors)
end

--- One step down.
-- @param layer of weights
-- @param below the softmax that it reads, or nil: it reads the pixels
-- @param above the softmax that reads it, or nil: it gives the scores of the classes
-- @return {layer=, below= shape of what it reads, factor= of its logits, and unless it reads the pixels grouping=,
--   groups=, identity= as sm.view.competition has them}
local function stage_of(layer, below, above, pixels)
  local stage = { layer = layer, below = pixels, factor = 1 / (above and above:temperature() or 1) }
  if below then
    local channels = below.output_shape[#below.output_shape]
    stage.below, stage.factor = below.output_shape, scale_of(below, channels) * stage.factor
    stage.grouping = competition.of_softmax(below, channels)
    stage.groups = competition.options(stage.grouping)
    stage.identity = competition.identity(channels)
  end
  return stage
end

--- Why a layer cannot stand where it does, or nil.
-- @param weighs whether a layer of weights belongs there, not a softmax
local function objection(layer, weighs)
  local parent = layer.parent
  while parent do
    if parent.role ~= "sequence" then return "is inside a " .. parent.kind end
    parent = parent.parent
  end
  if weighs then
    if not layer.turned then return ("is a %s, where a linear or conv2d layer belongs"):format(layer.kind) end
  elseif layer.role ~= "grouping" then
    return ("is a %s, where a softmax belongs"):format(layer.kind)
  elseif layer.options.off then
    return "has groups with an option of their own (off), which has no weights to read"
  elseif type(layer:temperature()) ~= "number" then
    return "has a temperature of its own for each group"
  end
end

--- The painter of a model: layers of weights, a grouped softmax between each two.
-- @param model built
-- @return a painter; or nil, and why the model cannot be read from the top down
function M.of(model)
  local kept = {}
  for _, leaf in ipairs(chain.up_to(model)) do
    if not PASSED_OVER[leaf.role] then
      kept[#kept + 1] = leaf
      local problem = objection(leaf, #kept % 2 == 1)
      if problem then return nil, ("layer '%s' %s"):format(leaf.path, problem) end
    end
  end
  if #kept < 3 or #kept % 2 == 0 then
    return nil, "it needs hidden layers, each with its softmax, and a last layer that gives the classes' scores"
  end
  local stages = {}
  for position = #kept, 1, -2 do
    stages[#stages + 1] = stage_of(kept[position], kept[position - 1], kept[position + 1], model.input_shape)
  end
  return setmetatable({ stages = stages }, Painter)
end

return M
