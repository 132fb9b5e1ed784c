--- What a classifier gets right, class by class: a tally that takes in batch after batch, and what it comes to.
-- Labels count from 0, examples from 1. The same numbers on any number of threads: sums go over the examples in their
-- order, in double.
-- @module sm.view.classification
local json = require "sm.json"
local own = require "sm.view.own"
local runtime = require "sm.runtime"
local shapes = require "sm.shapes"
local shape_text = require "sm.text".shape

local M = {}

local K <const> = runtime.math
local MOST_CLASSES <const> = 1000   -- that are told apart: a vocabulary is no set of classes
local LARGEST_MATRIX <const> = 100  -- classes, of which all pairs are counted
local FIGURES <const> = 30          -- classes whose matrix is read as figures; of more its colours are
local MOST_PAIRS <const> = 50       -- of classes that are taken for one another
local MOST_MISTAKES <const> = 32
local BINS <const> = 15             -- of equal width, as Guo et al. have them
local LONGEST_NAME <const> = 40     -- bytes
local BLOCK <const> = 16384         -- rows that are Lua's numbers at once
local Z <const> = 1.959963984540054 -- within which 95 % of a normal distribution lie
local BATCH <const> = 250

M.most_classes, M.largest_matrix, M.figures, M.bins = MOST_CLASSES, LARGEST_MATRIX, FIGURES, BINS
M.most_pairs, M.most_mistakes = MOST_PAIRS, MOST_MISTAKES

--- Wilson's 95 % interval for a share (E. B. Wilson, Probable inference, the law of succession, and statistical
-- inference, JASA 22, 1927).
-- @param count integer of n, which is at least 1
-- @return low, high
function M.interval(count, n)
  local share, square = count / n, Z * Z / n
  local middle = (share + square / 2) / (1 + square)
  local half = Z / (1 + square) * math.sqrt(share * (1 - share) / n + square / (4 * n))
  return math.max(0, middle - half), math.min(1, middle + half)
end

--- Why a model's outputs and a data set's targets do not classify, in words; nil where they do: integer labels {N, …},
-- and for each of them a row of scores {N, …, classes}.
-- @param model built
function M.problem(model, data)
  local targets, output = data.train.targets, model.output_shape
  if not runtime.tensor.is_tensor(targets) or targets.dtype == runtime.real then
    return ("the targets of '%s' are no integer labels"):format(tostring(data.name))
  elseif not shapes.is_shape(output) then
    return "the model gives several outputs, and not one row of scores for each label"
  end
  local labels = targets.shape
  local fits = #output == #labels
  for i = 2, #labels do fits = fits and output[i - 1] == labels[i] end
  if not fits then
    return ("the labels have shape %s and the model gives %s; each label needs a row of scores"):format(
      shape_text({ table.unpack(labels, 2) }, "N"), shape_text(output, "N"))
  elseif output[#output] > MOST_CLASSES then
    return ("the model tells %d classes apart, and this is for at most %d"):format(output[#output], MOST_CLASSES)
  end
end

--- The names of so many classes; the label of one that has none.
local function names_of(data, classes)
  local names, given = {}, type(data.class_names) == "table" and data.class_names or {}
  for class = 1, classes do
    local name = given[class]
    names[class] = name ~= nil and own.line(name, LONGEST_NAME) or tostring(class - 1)
  end
  return names
end

local Tally = {}
Tally.__index = Tally

--- @param classes integer how many scores a row has
-- @param logits boolean whether scores are logits, the softmax of which gives probabilities. Without, nothing is said
--   of calibration, and mistakes go by how far the score of the predicted class is above that of the true one.
function M.new(data, classes, logits)
  local tally = {
    classes = classes, logits = logits, names = names_of(data, classes), rows = 0, undecided = 0, counts = {},
    examples = {}, correct = {}, predicted = {}, mistakes = {}, bins = {}, several = false, certain = true,
  }
  for class = 0, classes - 1 do tally.examples[class], tally.correct[class], tally.predicted[class] = 0, 0, 0 end
  for bin = 1, BINS do tally.bins[bin] = { examples = 0, correct = 0, confidence = 0 } end
  return setmetatable(tally, Tally)
end

--- Notes a mistake, if it is among the worst. Of equal ones the first stays.
local function note_mistake(self, mistake)
  local worst = self.mistakes
  if #worst == MOST_MISTAKES and worst[#worst].cost >= mistake.cost then return end
  local place = #worst + 1
  while place > 1 and worst[place - 1].cost < mistake.cost do place = place - 1 end
  table.insert(worst, place, mistake)
  worst[MOST_MISTAKES + 1] = nil
end

--- Enters a confidence into its bin: that of ((m-1)/15, m/15].
local function note_confidence(self, confidence, right)
  if confidence ~= confidence then self.certain = false return end
  local bin = self.bins[math.max(1, math.min(BINS, math.ceil(confidence * BINS)))]
  bin.examples, bin.confidence = bin.examples + 1, bin.confidence + confidence
  if right then bin.correct = bin.correct + 1 end
end

--- Takes in rows of scores {count, classes} and their labels {count}, both without history.
local function add_rows(self, scores, labels)
  local logs = self.logits and scores:log_softmax() or scores
  local _, guess = K.max(scores, 2)
  local top, given = logs:pick(guess), logs:pick(labels)
  local cost = self.logits and -given or top - given
  local confidences = self.logits and top:exp():totable()
  local shares = self.logits and given:exp():totable()
  local odd, costs = scores:ne(scores):any(2):totable(), cost:totable()
  labels, guess = labels:totable(), guess:totable()
  local counts, classes = self.counts, self.classes
  for i, label in ipairs(labels) do
    local predicted, row = guess[i], self.rows + i
    self.examples[label] = self.examples[label] + 1
    if odd[i] ~= 0 then -- there is no largest score, and no accuracy counts it as right
      self.undecided, self.certain = self.undecided + 1, false
    else
      local pair, right = label * classes + predicted, predicted == label
      counts[pair] = (counts[pair] or 0) + 1
      self.predicted[predicted] = self.predicted[predicted] + 1
      if right then self.correct[label] = self.correct[label] + 1 end
      if confidences then note_confidence(self, confidences[i], right) end
      if not right and costs[i] == costs[i] then
        note_mistake(self, { example = row, label = label, predicted = predicted, cost = costs[i],
          probability = confidences and confidences[i], label_probability = shares and shares[i] })
      end
    end
  end
  self.rows = self.rows + #labels
end

--- Takes in a batch: the outputs {N, …, classes}, without a tape, and the labels {N, …}.
function Tally:add(output, targets)
  self.several = self.several or #targets.shape > 1
  local scores, labels = output:detach():reshape(-1, self.classes), targets:reshape(-1)
  for first = 1, #labels, BLOCK do
    local last = math.min(#labels, first + BLOCK - 1)
    add_rows(self, runtime.tensor.slice(scores, first, last), runtime.tensor.slice(labels, first, last))
  end
end

--- To the digits of metrics.csv: a float32 has no more to say.
local function rounded(number)
  return number and number - number == 0 and tonumber(("%.9g"):format(number)) or nil
end

--- The expected calibration error, Σ |bin| / n · |accuracy of the bin − its mean confidence| (Naeini, Cooper and
-- Hauskrecht, AAAI 2015; with these bins Guo et al., On calibration of modern neural networks, ICML 2017).
local function calibration_of(self)
  if not self.logits or not self.certain or self.rows == 0 then return nil end
  local error_sum, confidence, list = 0, 0, {}
  for b, bin in ipairs(self.bins) do
    local mean = bin.examples > 0 and bin.confidence / bin.examples or nil
    error_sum = error_sum + math.abs(bin.correct - bin.confidence)
    confidence = confidence + bin.confidence
    list[b] = { examples = bin.examples, correct = bin.correct, confidence = rounded(mean) }
  end
  return { error = rounded(error_sum / self.rows), confidence = rounded(confidence / self.rows), bins = list }
end

--- The pairs of classes that are taken for one another, most often first.
local function pairs_of(self)
  local list = {}
  for pair, count in pairs(self.counts) do
    local label, predicted = pair // self.classes, pair % self.classes
    if label ~= predicted then list[#list + 1] = { label = label, predicted = predicted, count = count } end
  end
  table.sort(list, function(a, b)
    if a.count ~= b.count then return a.count > b.count end
    if a.label ~= b.label then return a.label < b.label end
    return a.predicted < b.predicted
  end)
  return json.array(table.move(list, 1, math.min(#list, MOST_PAIRS), 1, {}))
end

local function matrix_of(self)
  if self.classes > LARGEST_MATRIX then return nil end
  local matrix = {}
  for label = 0, self.classes - 1 do
    matrix[label + 1] = {}
    for predicted = 0, self.classes - 1 do
      matrix[label + 1][predicted + 1] = self.counts[label * self.classes + predicted] or 0
    end
  end
  return matrix
end

local function mistakes_of(self)
  if self.several then return nil end
  local list = json.array {}
  for i, mistake in ipairs(self.mistakes) do
    list[i] = {
      example = mistake.example, label = mistake.label, predicted = mistake.predicted,
      probability = rounded(mistake.probability or nil), label_probability = rounded(mistake.label_probability or nil),
      loss = self.logits and rounded(mistake.cost) or nil, margin = not self.logits and rounded(mistake.cost) or nil,
    }
  end
  return list
end

--- What it has come to, as classes.json keeps it.
-- @return {examples= (labels), correct=, undecided= (rows without a largest score),
--   classes= {{name=, examples=, correct=, predicted=, low=, high= (of the accuracy; nil without examples)}, …},
--   confusion= {{count, …}, …} (rows are true, columns predicted; nil for many classes), pairs= {{label=, predicted=,
--   count=}, …}, calibration= {error=, confidence=, bins= {{examples=, correct=, confidence=}, …}} or nil,
--   mistakes= {{example=, label=, predicted=, probability=, label_probability=, loss= or margin=}, …}, nil where
--   an example has several labels}
function Tally:result()
  local classes, correct = {}, 0
  for class = 0, self.classes - 1 do
    local n, low, high = self.examples[class], nil, nil
    if n > 0 then low, high = M.interval(self.correct[class], n) end
    correct = correct + self.correct[class]
    classes[class + 1] = { name = self.names[class + 1], examples = n, correct = self.correct[class],
      predicted = self.predicted[class], low = rounded(low), high = rounded(high) }
  end
  return {
    examples = self.rows, correct = correct, undecided = self.undecided, classes = classes,
    confusion = matrix_of(self), pairs = pairs_of(self), calibration = calibration_of(self),
    mistakes = mistakes_of(self),
  }
end

--- Iterates over a split as the evaluation does: inputs, targets.
function M.batches(split) return split:batches(BATCH) end

--- The inputs of some examples of a split: a tensor {count, …}, or tables of these.
-- @param mistakes array of {example=}, not empty
function M.inputs(split, mistakes)
  local positions = {}
  for i, mistake in ipairs(mistakes) do positions[i] = mistake.example - 1 end
  return (split:gather(runtime.tensor.tensor(positions, "int32"), 0, #positions))
end

return M
