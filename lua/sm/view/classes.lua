--- What a classifier gets right and what it takes for what: `view.confusion`, `view.mistakes`.
--
-- Both look at the validation data (the training data where there is none), and at one evaluation of a run only once.
-- @module sm.view.classes
local autograd = require "sm.autograd"
local check = require "sm.check"
local classification = require "sm.view.classification"
local declaration = require "sm.view.declaration"
local samples = require "sm.view.sample"
local words = require "sm.view.words"

--- What tostring gives.
local function show(self)
  return ("%s (%s)"):format(self.kind, self.where)
end

local Confusion, new_confusion = declaration.class("view.confusion", show)
local Mistakes, new_mistakes = declaration.class("view.mistakes", show)

--- Raises unless the model classifies the data.
local function check_classes(self, model, data)
  if not data then self:fail "the data set is needed for its labels, and none was given" end
  local problem = classification.problem(model, data)
  if problem then self:fail("%s", problem) end
end

Confusion.check = check_classes

function Mistakes:check(model, data)
  check_classes(self, model, data)
  if #data.train.targets.shape > 1 then
    self:fail("it shows examples that are taken for another class, and here each has %s",
      words.count(math.tointeger(#data.train.targets[1]:reshape(-1)), "label"))
  end
end

local seen <const> = setmetatable({}, { __mode = "k" }) -- row of metrics.csv → what was seen at its evaluation

--- The tally of a sample, which the other view may have made just now.
local function tally_of(self, model, sample, moment)
  local logits = self.logits
  if logits == nil then logits = moment.logits ~= false end
  local row = moment.row
  local last = row and seen[row]
  local same = last and last.model == model and last.logits == logits and last.data == moment.data
  if same and last.size == sample.size then return last.numbers end
  local tally = classification.new(moment.data, model.output_shape[#model.output_shape], logits)
  for x, y in samples.batches(sample) do tally:add(autograd.no_grad(model, x), y) end
  local numbers = tally:result()
  if row then
    seen[row] = { model = model, logits = logits, data = moment.data, size = sample.size, numbers = numbers }
  end
  return numbers
end

--- Draws a sheet of what the model makes of the first `examples`.
local function draw(self, model, moment, f)
  self:check(model, moment.data)
  local sample = samples.of(moment.data, self.examples or math.maxinteger)
  local numbers = samples.undisturbed(model, tally_of, self, model, sample, moment)
  local sheet = require "sm.view.classes_sheet" -- only a program that draws needs cairo
  f(sheet, numbers, sample.split, { split = sample.name, lines = { words.moment(moment) } })
end

--- Writes the sheet.
-- @param model built
-- @param path of the PNG
-- @param moment {step=, validation_accuracy=, title=, data=, row=, logits= whether the loss takes scores for logits}
function Confusion:draw(model, path, moment)
  draw(self, model, moment, function(sheet, numbers, _, about) sheet.confusion(path, numbers, about) end)
end

--- The same.
function Mistakes:draw(model, path, moment)
  draw(self, model, moment, function(sheet, numbers, split, about) sheet.mistakes(path, numbers, split, about) end)
end

local function rules(name)
  return {
    examples = { type = "integer", min = 1, doc = "how many of the validation data are looked at; all when absent" },
    logits = { type = "boolean", doc = "whether scores are logits, the softmax of which gives probabilities; by "
      .. "default where the loss is \"cross_entropy\", and in a script" },
    name = { type = "string", default = name, doc = "what the files are called; views of one run have different ones" },
  }
end

local CONFUSION <const> = check.spec("view.confusion", rules "confusion")
local MISTAKES <const> = check.spec("view.mistakes", rules "mistakes")

local M = {}

--- view.confusion {}: the confusion matrix, the accuracy of each class with its interval, and, of logits, how well the
-- probabilities are calibrated, on one sheet.
-- @return a view
function M.confusion(given)
  return new_confusion(check.options("view.confusion", given, CONFUSION))
end

--- view.mistakes {}: the 32 mistakes with the highest loss, as pictures where inputs are images, else as a table.
-- @return a view
function M.mistakes(given)
  return new_mistakes(check.options("view.mistakes", given, MISTAKES))
end

return M
