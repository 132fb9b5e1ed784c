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

local STEPS = { 0, 0.25, 0.5, 0.75, 1 } -- shares of the second class, from one class to another
local PAIRS = 5                         -- by default at most
local BATCH = 250                       -- paintings recognised at once

local View = declaration.class "view.paint"

local function check_pairs(pairs)
  for i, pair in ipairs(pairs or {}) do
    local valid = type(pair) == "table" and #pair == 2 and pair[1] ~= pair[2]
    for k = 1, valid and 2 or 0 do valid = valid and math.type(pair[k]) == "integer" and pair[k] >= 0 end
    if not valid then
      fail("view.paint: pair %d must be the labels of two classes, such as {3, 8}; got %s", i, check.describe(pair))
    end
  end
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
    self:fail("it paints images {height, width, 1 or 3}, but the model takes {%s}", table.concat(shape, ", "))
  elseif not data or not data.classes then
    self:fail("it paints classes, but %s", data and ("the data set '%s' has none"):format(tostring(data.name))
      or "no data set was given")
  elseif #output ~= 1 or output[1] ~= data.classes then
    self:fail("the model must give one score for each of %d classes, but it gives {%s}", data.classes,
      table.concat(output, ", "))
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

--- Which class the model takes each picture for: 0-based, {count}.
local function recognise(model, pictures)
  local taken = {}
  for first = 1, #pictures, BATCH do
    local scores = model(pictures:slice(first, math.min(first + BATCH - 1, #pictures)))
    for _, class in ipairs(scores:argmax(2):totable()) do taken[#taken + 1] = class - 1 end
    runtime.tensor.collect()
  end
  return taken
end

--- Shares of the classes among taken[first …], so many of them: {[class, 0-based]= share}.
local function shares(taken, first, count, classes)
  local out = {}
  for class = 0, classes - 1 do out[class] = 0 end
  for i = first, first + count - 1 do out[taken[i]] = out[taken[i]] + 1 / count end
  return out
end

--- Paints rows of class activations.
-- @param rows array of {class → activation}, classes 0-based
-- @return for each row {likeliest= picture, mean= of all paintings, paintings= the first `shown` pictures, taken=
--   {[class]= share of all paintings that the model takes for it}}
local function paint(self, model, by, rows, classes)
  local activations, results = {}, {}
  for r, row in ipairs(rows) do
    activations[r] = {}
    for class = 1, classes do activations[r][class] = row[class - 1] or 0 end
  end
  activations = tensor.tensor(activations)
  local likeliest = by:paint(activations)
  local pictures = by:paint(activations, { seed = self.seed, count = self.paintings })
  local taken, count = recognise(model, pictures), self.paintings
  for r = 1, #rows do
    local first = (r - 1) * count + 1
    local own = pictures:slice(first, first + count - 1)
    results[r] = {
      likeliest = likeliest[r], mean = own:mean(1), paintings = {}, taken = shares(taken, first, count, classes),
    }
    for i = 1, math.min(self.shown, count) do results[r].paintings[i] = own[i]:clone() end
  end
  return results
end

--- Everything that is shown.
-- @return of each class what paint() gives; of each pair the same for every one of STEPS
local function measure(self, model, by, classes, pairs)
  local rows = {}
  for class = 0, classes - 1 do rows[class + 1] = { [class] = 1 } end
  local of_class, of_pair = paint(self, model, by, rows, classes), {}
  for i, pair in ipairs(pairs) do
    rows = {}
    for s, share in ipairs(STEPS) do rows[s] = { [pair[1]] = 1 - share, [pair[2]] = share } end
    of_pair[i] = paint(self, model, by, rows, classes)
  end
  return of_class, of_pair
end

--- The numbers as CSV: of the paintings of a class, or of a class and another, the share taken for each class.
-- Classes are their labels, from 0.
local function write_csv(path, step, of_class, of_pair, pairs)
  local lines = { "step,class,other_class,share_of_other,taken_for,share\n" }
  local function add(class, other, share, taken)
    for label = 0, #of_class - 1 do
      lines[#lines + 1] = ("%d,%d,%s,%g,%d,%.7g\n"):format(step, class, other or "", share, label, taken[label])
    end
  end
  for class, result in ipairs(of_class) do add(class - 1, nil, 0, result.taken) end
  for i, results in ipairs(of_pair) do
    for s, result in ipairs(results) do add(pairs[i][1], pairs[i][2], STEPS[s], result.taken) end
  end
  runtime.io.write_durably(path, table.concat(lines))
end

--- Writes the picture, and the numbers beside it as .csv.
-- @param model built
-- @param path of the PNG
-- @param moment {step=, validation_accuracy=, title=, data=}
function View:draw(model, path, moment)
  local by, data = self:check(model, moment.data), moment.data
  local pairs = self.pairs or pairs_of(data.classes)
  local of_class, of_pair = samples.quietly(model, measure, self, model, by, data.classes, pairs)
  local sheet = require "sm.view.paint_sheet" -- only a program that draws needs cairo
  sheet.draw(path, { words.moment(moment) }, {
    layers = by:describe(), of_class = of_class, of_pair = of_pair, pairs = pairs, steps = STEPS,
    names = words.class_names(data), paintings = self.paintings,
  })
  write_csv(path:gsub("%.png$", "") .. ".csv", moment.step, of_class, of_pair, pairs)
end

--- Declares a picture of a network's paintings.
-- @param given {pairs={{3, 8}, …} labels of the classes to go half-way between (the first with the second, the
--   third with the fourth, … when absent), shown=10 paintings of each class, paintings=200 of each class that the
--   figures are counted on, seed=1 of the dice, name="paint"}
-- @return a view
return function(given)
  local options = check.options("view.paint", given or {}, {
    pairs = { type = "table" },
    shown = { type = "integer", min = 1, max = 20, default = 10 },
    paintings = { type = "integer", min = 1, max = 10000, default = 200 },
    seed = { type = "integer", default = 1 },
    name = { type = "string", default = "paint" },
  })
  check_pairs(options.pairs)
  return View.new(options)
end
