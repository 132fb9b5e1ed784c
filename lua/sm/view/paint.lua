--- What a network of grouped softmaxes paints when it is read from the top down: `view.paint {}`.
--
-- A class is picked, then one option in every group of every hidden layer, down to the pixels (sm.view.painter).
-- Half-way between two classes, the class activations are a half and a half: the options of both have a chance,
-- and still every group picks one. What the network, read from the bottom up again, takes its own paintings for
-- stands in a CSV beside the picture.
-- @module sm.view.paint
local check = require "sm.check"
local declaration = require "sm.view.declaration"
local fail = require "sm.fail"
local painter = require "sm.view.painter"
local runtime = require "sm.runtime"
local samples = require "sm.view.sample"
local tensor = require "sm.tensor"
local words = require "sm.view.words"
local shape_text = require "sm.text".shape

local STEPS = { 0, 0.25, 0.5, 0.75, 1 } -- shares of the second class, from one class to another
local PAIRS = 5                         -- by default at most
local BATCH = 250                       -- paintings at once: a few dozen megabytes for a layer of 28×28×32

local View, new_view = declaration.class "view.paint"

--- The pairs of labels as tables of one's own, or nil where none are given.
local function check_pairs(given)
  if not given then return nil end
  check.plain("view.paint", given)
  local couples = {}
  for i = 1, rawlen(given) do
    local pair = rawget(given, i)
    local couple = type(pair) == "table" and rawlen(pair) == 2 and { rawget(pair, 1), rawget(pair, 2) } or {}
    local valid = couple[1] ~= couple[2]
    for k = 1, 2 do valid = valid and math.type(couple[k]) == "integer" and couple[k] >= 0 end
    if not valid then
      fail("view.paint: pair %d must be the labels of two classes, such as {3, 8}; got %s", i, check.describe(pair))
    end
    couples[i] = couple
  end
  return couples
end

--- The pairs of neighbours: {{0, 1}, {2, 3}, …}.
local function pairs_of(classes)
  local found = {}
  for i = 1, math.min(PAIRS, classes // 2) do found[i] = { 2 * i - 2, 2 * i - 1 } end
  return found
end

--- Raises unless the view can be drawn of this model and data.
-- @return the model's painter
function View:check(model, data)
  if not model.input_shape then self:fail "the model has no weights yet; build it first" end
  local shape, output = model.input_shape, model.output_shape
  if #shape ~= 3 or shape[3] ~= 1 and shape[3] ~= 3 then
    self:fail("it paints images {height, width, 1 or 3}, but the model takes %s", shape_text(shape))
  elseif not data or not data.classes then
    self:fail("it paints classes, but %s", data and ("the data set '%s' has none"):format(tostring(data.name))
      or "no data set was given")
  elseif #output ~= 1 or output[1] ~= data.classes then
    self:fail("the model must give one score for each of %d classes, but it gives %s", data.classes,
      shape_text(output))
  end
  for i, pair in ipairs(self.pairs or {}) do
    for _, label in ipairs(pair) do
      if label >= data.classes then
        self:fail("pair %d names the class %d, but there are %d classes, from 0", i, label, data.classes)
      end
    end
  end
  local found, problem = painter.of(model)
  if not found then
    self:fail("it needs a network whose hidden layers are softmaxes between linear or conv2d layers; %s", problem)
  end
  return found
end

--- Paints, and has the model recognise, paintings of some classes, a batch at a time.
-- @param shares of the activation: {[class, 0-based]= share}
-- @return {likeliest= picture, mean= of all paintings, paintings= the first `shown` pictures, taken= {[class,
--   0-based]= share of all paintings that the model takes for it}}
local function paint(self, model, by, classes, shares)
  local activations, count, sum = {}, self.paintings, nil
  local result = { paintings = {}, taken = {} }
  for class = 0, classes - 1 do activations[class + 1], result.taken[class] = shares[class] or 0, 0 end
  activations = tensor.tensor { activations }
  for first = 1, count, BATCH do
    local dice = { seed = self.seed, first = first, count = math.min(BATCH, count - first + 1) }
    local pictures = by:paint(activations, dice)
    sum = sum and sum + pictures:sum(1) or pictures:sum(1)
    for _, class in ipairs(model(pictures):argmax(2):totable()) do
      result.taken[class - 1] = result.taken[class - 1] + 1 / count
    end
    for i = 1, math.min(self.shown - #result.paintings, #pictures) do
      result.paintings[#result.paintings + 1] = pictures[i]:clone()
    end
    runtime.tensor.collect()
  end
  result.likeliest, result.mean = by:paint(activations)[1], sum / count
  return result
end

--- Everything that is shown.
-- @return of each class what paint() gives; of each pair the same for every one of STEPS
local function measure(self, model, by, classes, couples)
  local of_class, of_pair = {}, {}
  for class = 0, classes - 1 do of_class[class + 1] = paint(self, model, by, classes, { [class] = 1 }) end
  for i, couple in ipairs(couples) do
    of_pair[i] = {}
    for s, share in ipairs(STEPS) do
      of_pair[i][s] = paint(self, model, by, classes, { [couple[1]] = 1 - share, [couple[2]] = share })
    end
  end
  return of_class, of_pair
end

--- The numbers as CSV: of the paintings of a class, or of a class and another, the share taken for each class.
-- Classes are their labels, from 0.
local function write_csv(path, step, of_class, of_pair, couples)
  local lines = { "step,class,other_class,share_of_other,taken_for,share\n" }
  local function add(class, other, share, taken)
    for label = 0, #of_class - 1 do
      lines[#lines + 1] = ("%d,%d,%s,%g,%d,%.7g\n"):format(step, class, other or "", share, label, taken[label])
    end
  end
  for class, result in ipairs(of_class) do add(class - 1, nil, 0, result.taken) end
  for i, results in ipairs(of_pair) do
    for s, result in ipairs(results) do add(couples[i][1], couples[i][2], STEPS[s], result.taken) end
  end
  runtime.io.write_durably(path, table.concat(lines))
end

--- Writes the picture, and the numbers beside it as .csv.
-- @param model built
-- @param path of the PNG
-- @param moment {step=, validation_accuracy=, title=, data=}
function View:draw(model, path, moment)
  local by, data = self:check(model, moment.data), moment.data
  local couples = self.pairs or pairs_of(data.classes)
  local of_class, of_pair = samples.quietly(model, measure, self, model, by, data.classes, couples)
  local sheet = require "sm.view.paint_sheet" -- only a program that draws needs cairo
  sheet.draw(path, { words.moment(moment) }, {
    layers = by:describe(), of_class = of_class, of_pair = of_pair, pairs = couples, steps = STEPS,
    names = words.class_names(data), paintings = self.paintings,
  })
  write_csv(path:gsub("%.png$", "") .. ".csv", moment.step, of_class, of_pair, couples)
end

local OPTIONS <const> = check.spec("view.paint", {
  pairs = { type = "table",
    doc = "labels of classes to go half-way between, {{3, 8}, …}; by default the first with the second and so on" },
  shown = { type = "integer", min = 1, max = 20, default = 10, doc = "paintings of each class on the sheet" },
  paintings = { type = "integer", min = 1, max = 10000, default = 200,
    doc = "paintings of each class that the figures are counted on" },
  seed = { type = "integer", default = 1, doc = "of the dice" },
  name = { type = "string", default = "paint", doc = "what the files are called" },
})

--- view.paint { pairs = { { 3, 8 } } }: what the network paints of each class, read from the top down.
-- @return a view
return function(given)
  local options = check.options("view.paint", given or {}, OPTIONS)
  options.pairs = check_pairs(options.pairs)
  return new_view(options)
end
