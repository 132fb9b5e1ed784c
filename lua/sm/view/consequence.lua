--- What grouping does: the numbers of a consequence sheet, measured on a sample of images.
-- @module sm.view.consequence
local chain = require "sm.view.chain"
local competition = require "sm.view.competition"
local field = require "sm.view.field"
local information = require "sm.view.information"
local runtime = require "sm.runtime"
local samples = require "sm.view.sample"
local tensor = require "sm.tensor"

local T, K = runtime.tensor, runtime.math
local M = {}

local SHUFFLES <const> = 10
local SHUFFLING <const> = 101 -- a random stream beyond those of sm.random

--- Adds to a tensor that may not be there yet.
local function plus(sum, x)
  return sum and sum + x or x
end

--- One row {classes} for each label, 1 at the label.
local function one_hot(labels, identity)
  return T.gather(identity, labels:to "int32", 0, #labels)
end

--- How many images of each class the model gets right: {classes}.
local function right(result, truth, identity)
  local _, guess = K.max(result, 2)
  return (T.gather(identity, guess, 0, #guess) * truth):sum(1)
end

local Sums = {}
Sums.__index = Sums

--- Takes in one batch.
function Sums:add(x, labels, first)
  local grouping, groups = self.grouping, self.groups
  local truth = one_hot(labels, self.classes)
  local seen = chain.watch(self.model, self.layer, x)
  local p = competition.probabilities(seen.input, grouping)
  local rows = competition.by_option(p, grouping)

  local marks = competition.marked(rows, groups, self.options)
  local by_image = marks:reshape(#x, -1, #self.options):sum(2)
  self.wins = plus(self.wins, T.place(by_image, { self.images, #self.options }, first))
  self.truth = plus(self.truth, T.place(truth, { self.images, #self.classes }, first))
  self.joint = plus(self.joint, K.matmul(marks, marks, true))
  self.surprise = plus(self.surprise, -(rows * rows:clamp(1e-30, 1):log()):sum(2))
  self.locations = self.locations + #p
  self.patches:add(p:reshape(#x, -1, #grouping.order), x)

  self.right = plus(self.right, right(seen.result, truth, self.classes))
  for index, group in ipairs(groups) do
    local levelled = seen.output:reshape(-1, #self.channels)
      :matmul(competition.levelling(group.channels, self.channels)):reshape(seen.output.shape)
    self.without[index] = plus(self.without[index], right(seen.onward(levelled), truth, self.classes))
  end
end

--- The block of a table of options that belongs to a group.
local function block(rows, group)
  local out = {}
  local last = group.first + group.count - 1
  for i, row in ipairs(rows) do out[i] = table.move(row, group.first, last, 1, {}) end
  return out
end

--- Mutual information of winner and class when the classes are shuffled among the images: for each group, the
-- mean over several shufflings.
local function by_chance(sums)
  local means = {}
  for shuffle = 1, SHUFFLES do
    local index = runtime.random.permutation(sums.images, shuffle, SHUFFLING, 0)
    local truth = T.gather(sums.truth, index, 0, sums.images)
    local use = K.matmul(truth, sums.wins, true):totable()
    for g, group in ipairs(sums.groups) do
      means[g] = (means[g] or 0) + information.mutual(block(use, group)) / SHUFFLES
    end
  end
  return means
end

local function shares(counts, total)
  local out = {}
  for i, count in ipairs(counts) do out[i] = total > 0 and count / total or 0 end
  return out
end

local function total_of(counts)
  local sum = 0
  for _, count in ipairs(counts) do sum = sum + count end
  return sum
end

--- Fractions right: of each class (nil where the sample has none), and `all`.
local function accuracies(counts, sizes)
  local out = { all = total_of(counts) / total_of(sizes) }
  for class, count in ipairs(counts) do out[class] = sizes[class] > 0 and count / sizes[class] or nil end
  return out
end

local function group_figures(sums, g, use, surprise, sizes)
  local group = sums.groups[g]
  local own, wins = block(use, group), {}
  for option = 1, group.count do
    wins[option] = 0
    for _, row in ipairs(own) do wins[option] = wins[option] + row[option] end
  end
  local given_class = {}
  for class, row in ipairs(own) do given_class[class] = shares(row, total_of(row)) end
  local entropy = 0
  for option = group.first, group.first + group.count - 1 do entropy = entropy + surprise[option] end
  return {
    channels = group.channels,
    count = group.count,
    share = shares(wins, sums.locations),
    given_class = given_class,
    information = information.mutual(own),
    entropy = entropy / sums.locations / math.log(group.count),
    accuracy = accuracies(sums.without[g]:totable(), sizes),
  }
end

--- The first image of each class and who wins where in it.
local function examples(model, layer, sample, grouping, groups, classes)
  local split, first, found = sample.split, {}, {}
  local labels = split.targets:to "int32":totable()
  for position = #labels, 1, -1 do first[labels[position] + 1] = position - 1 end
  local positions = {}
  for class = 1, classes do
    if first[class] then
      found[#found + 1] = { class = class }
      positions[#positions + 1] = first[class]
    end
  end
  local x = split:gather(tensor.tensor(positions, "int32"), 0, #positions)
  local p = competition.probabilities(chain.watch(model, layer, x).input, grouping)
  local rows = competition.by_option(p, grouping)
  local places = #layer.output_shape == 3 and layer.output_shape or { 1, 1 }
  for i, example in ipairs(found) do
    example.image = x[i]
    example.winner, example.probability = {}, {}
  end
  for g, group in ipairs(groups) do
    local value, winner = competition.winners(rows, group)
    value = value:reshape(#found, places[1], places[2])
    winner = T.reshape(winner, { #found, places[1], places[2] })
    for i, example in ipairs(found) do
      example.winner[g], example.probability[g] = T.select(winner, i), value[i]
    end
  end
  return found
end

local function measure(model, layer, sample, grouping, classes)
  local groups, options = competition.options(grouping)
  local sums = setmetatable({
    model = model, layer = layer, grouping = grouping, groups = groups, images = sample.size, locations = 0,
    options = competition.identity(options), channels = competition.identity(#grouping.order),
    classes = competition.identity(classes), patches = field.mean(layer, #grouping.order), without = {},
  }, Sums)
  for x, labels, first in samples.batches(sample) do sums:add(x, labels, first) end

  local use, joint = K.matmul(sums.truth, sums.wins, true):totable(), sums.joint:totable()
  local sizes, surprise, chance = sums.truth:sum(1):totable(), sums.surprise:totable(), by_chance(sums)
  local numbers = {
    images = sample.size, split = sample.name, locations = sums.locations // sample.size, class_sizes = sizes,
    accuracy = accuracies(sums.right:totable(), sizes), groups = {}, redundancy = {}, off = grouping.off,
    channels = #grouping.order,
    field = field.of(layer), patches = sums.patches:result(), sizes = grouping.sizes,
    examples = examples(model, layer, sample, grouping, groups, classes),
  }
  for g, group in ipairs(groups) do
    numbers.groups[g] = group_figures(sums, g, use, surprise, sizes)
    numbers.groups[g].chance = chance[g]
    numbers.redundancy[g] = {}
    local rows = table.move(joint, group.first, group.first + group.count - 1, 1, {})
    for h, other in ipairs(groups) do
      numbers.redundancy[g][h] = information.normalised(block(rows, other))
    end
  end
  return numbers
end

--- The numbers of measure as one for each quantity: means over the groups, and over pairs of them.
-- @return {entropy=, class_bits= (information of winner and class), redundancy= (nil for one group), ablation=
--   (accuracy that is lost when a group is set to its mean)}
function M.means(numbers)
  local count = #numbers.groups
  local entropy, bits, ablation, redundancy = 0, 0, 0, 0
  for g, group in ipairs(numbers.groups) do
    entropy, bits = entropy + group.entropy, bits + group.information
    ablation = ablation + numbers.accuracy.all - group.accuracy.all
    for h, shared in ipairs(numbers.redundancy[g]) do redundancy = redundancy + (h ~= g and shared or 0) end
  end
  return {
    entropy = entropy / count, class_bits = bits / count, ablation = ablation / count,
    redundancy = count > 1 and redundancy / (count * (count - 1)) or nil,
  }
end

--- Measures a layer's groups. The model is left as it was.
-- @param model built
-- @param layer the activation whose input is the logits of the groups' channels
-- @param sample of images, see sm.view.sample
-- @param grouping see sm.view.competition
-- @param classes how many
-- @return a table of
--   images, split (its name), locations (in one image), channels, off
--   sizes       channels of each group
--   class_sizes images of each class
--   accuracy    fraction right of each class (nil where there is no image of it), and .all
--   groups      for each group {
--     channels    their numbers
--     count       of options, "none" included
--     share       of all locations that each option wins
--     given_class for each class: P(winner | class) of each option
--     information of winner and class, bits
--     chance      the same when the classes are shuffled
--     entropy     mean over locations, in units of log(count): 0..1
--     accuracy    as above, when all channels of the group are set to their mean at each location }
--   redundancy  [group][group]: normalised mutual information of their winners
--   examples    an image of each class {class=, image= {h, w, depth}, and for each group winner= int32
--               {h', w'}, the option counted from 0, and probability= {h', w'}}
--   field       see sm.view.field
--   patches     real {rows, columns, depth, channels in the grouping's order}
function M.measure(model, layer, sample, grouping, classes)
  return samples.quietly(model, measure, model, layer, sample, grouping, classes)
end

return M
