--- What a run says of its classes at its end: classes.json and two pictures. It is counted while the conclusion, or
-- without test data the last evaluation, looks at the examples anyway.
local average = require "sm.experiment.average"
local classification = require "sm.view.classification"
local directory = require "sm.experiment.directory"
local evaluate = require "sm.experiment.evaluate"
local fail = require "sm.fail"
local json = require "sm.json"
local numbers = require "sm.numbers"
local schema = require "sm.experiment.schema"
local text = require "sm.text"
local words = require "sm.view.words"

local M = {}

local file_name <const> = "classes.json"
local most_shown <const> = 20 -- classes on the screen

--- The pictures of a split, beneath the run directory. No view is called so: sm.experiment.declare.
--- @return string of the confusion matrix, string of the mistakes
function M.pictures(split)
  return ("plots/%s-confusion.png"):format(split), ("plots/%s-mistakes.png"):format(split)
end

--- A tally for an evaluation; nil where no accuracy is measured, or there are too many classes to tell apart.
--- @param run table whose model is built
function M.tally(run)
  if not run.accuracy or classification.problem(run.model, run.data) then return nil end
  local shape = run.model.output_shape
  return classification.new(run.data, shape[#shape], run.loss == "cross_entropy")
end

--- The tally for an evaluation of the validation data, where that may be the last one and there are no test data.
function M.validating(run)
  local may_end = run.state.step == run.schedule.steps or run.schedule.patience
  if run.data.test or not may_end then return nil end
  run.validated = { step = run.state.step, tally = M.tally(run) }
  return run.validated.tally
end

--- The tally of the last evaluation, with the weights that it had. A run that was stopped after it evaluates again.
--- @return table|nil nil where there are test data, or no validation data
function M.validated(run)
  if run.data.test or not run.data.validation then return nil end
  local known = run.validated
  if known and known.step == run.state.step then return known.tally end
  local tally = M.tally(run)
  if tally then
    run:moment(false)
    average.evaluating(run, function() evaluate.split(run, run.data.validation, nil, tally) end)
  end
  return tally
end

--- Draws the two pictures. One that cannot be written stops the run, as any view's does, and `resume` draws it.
local function draw(run, result, about)
  local lines = { words.moment { step = about.step, title = run.variant == "default" and run.name
    or run.name .. "  " .. run.variant } .. (about.weights == "best" and "  ·  best weights" or "") }
  local confusion, mistakes = M.pictures(about.split)
  local sheet = require "sm.view.classes_sheet"
  for _, name in ipairs { confusion, mistakes } do run.directory:check_place(name) end
  sheet.confusion(run.directory.path .. "/" .. confusion, result, { split = about.split, lines = lines })
  if result.mistakes then
    sheet.mistakes(run.directory.path .. "/" .. mistakes, result, run.data[about.split],
      { split = about.split, lines = lines })
  end
end

--- Writes what a tally has come to.
--- @param tally table|nil
--- @param about table {split=, step=, weights="last" or "best"}
function M.keep(run, tally, about)
  if not tally then return end
  local result = tally:result()
  for key, value in pairs(about) do result[key] = value end
  run.directory:write(file_name, json.encode(result))
  draw(run, result, about)
  run.classes_drawn = true
end

-- Reading ------------------------------------------------------------------------------------------------------

--- Raises unless what the file says fits together.
local function check(file, found)
  local count, examples, correct = #found.classes, 0, 0
  local function expect(holds, format, ...)
    if not holds then fail("%s: %s", file, format:format(...)) end
  end
  local function sure(place, value, most, what)
    expect(value <= most, "'%s' must be at most %d, %s, got %d", place, most, what, value)
  end
  expect(found.split == "test" or found.split == "validation", "'split' must be \"test\" or \"validation\", got \"%s\"",
    text.visible(text.brief(found.split, 40)))
  expect(count > 0 and count <= classification.most_classes, "'classes' must have from 1 to %d entries, got %d",
    classification.most_classes, count)
  for i, class in ipairs(found.classes) do
    sure(("classes.%d.correct"):format(i), class.correct, class.examples, "the examples")
    sure(("classes.%d.examples"):format(i), class.examples, found.examples, "those of all classes")
    examples, correct = examples + class.examples, correct + class.correct
  end
  expect(examples == found.examples, "'examples' is %d, but its classes have %d", found.examples, examples)
  expect(correct == found.correct, "'correct' is %d, but its classes have %d", found.correct, correct)
  expect(found.examples > 0, "'examples' must be at least 1")
  expect(not found.confusion or #found.confusion == count and count <= classification.largest_matrix,
    "'confusion' must have a row for each of %d classes, and at most %d, got %d", count,
    classification.largest_matrix, #(found.confusion or {}))
  for i, row in ipairs(found.confusion or {}) do
    expect(#row == count, "'confusion.%d' must have %d numbers, got %d", i, count, #row)
    for k, value in ipairs(row) do
      sure(("confusion.%d.%d"):format(i, k), value, found.classes[i].examples, "the examples of the class")
    end
  end
  for name, most in pairs { pairs = classification.most_pairs, mistakes = classification.most_mistakes } do
    local list = found[name] or {}
    expect(#list <= most, "'%s' must have at most %d entries, got %d", name, most, #list)
    for i, one in ipairs(list) do
      for _, field in ipairs { "label", "predicted" } do
        sure(("%s.%d.%s"):format(name, i, field), one[field], count - 1, "the last label")
      end
      if one.count then
        sure(("%s.%d.count"):format(name, i), one.count, found.classes[one.label + 1].examples, "the class's examples")
      end
    end
  end
  local bins = found.calibration and found.calibration.bins or {}
  expect(not found.calibration or #bins == classification.bins, "'calibration.bins' must have %d entries, got %d",
    classification.bins, #bins)
  for i, bin in ipairs(bins) do
    sure(("calibration.bins.%d.correct"):format(i), bin.correct, bin.examples, "the examples")
    sure(("calibration.bins.%d.examples"):format(i), bin.examples, found.examples, "all examples")
  end
  return found
end

--- Whether a run has a classes.json.
function M.kept(path)
  return directory.mode(path .. "/" .. file_name) ~= nil
end

--- What classes.json of a run says; nil where there is none.
--- @param path string the run directory
function M.read(path)
  local file <const> = path .. "/" .. file_name
  local content = directory.read(file)
  return content and check(file, schema.decode(file, content, schema.classes))
end

-- On the screen ------------------------------------------------------------------------------------------------

--- The classes that there is room for: all, else those with the lowest accuracy of the last split.
local function chosen(result)
  local list = {}
  for i, class in ipairs(result.classes) do
    list[i] = { label = i, share = class.examples > 0 and class.correct / class.examples or math.huge }
  end
  if #list <= most_shown then return list end
  table.sort(list, function(a, b)
    if a.share ~= b.share then return a.share < b.share end
    return a.label < b.label
  end)
  return table.move(list, 1, most_shown, 1, {})
end

--- A table of the accuracy of each class, as text.
--- @param given table array of {split=, of=(what a tally has come to)}
--- @return string|nil nil where there is nothing to say
function M.table(given)
  if #given == 0 then return nil end
  local results, last = {}, given[#given].of
  for i, one in ipairs(given) do results[i] = one.of end
  local list, rows = chosen(last), {}
  local few = #list < #last.classes
  rows[1] = { few and ("class (the %d lowest of %d)"):format(#list, #last.classes) or "class" }
  for _, one in ipairs(given) do table.insert(rows[1], one.split) end
  for i, one in ipairs(list) do
    rows[i + 1] = { text.visible(last.classes[one.label].name) }
    for _, result in ipairs(results) do
      local class = result.classes[one.label]
      table.insert(rows[i + 1], class.examples == 0 and "no examples"
        or ("%s of %5s"):format(numbers.percent(class.correct / class.examples), numbers.thousands(class.examples)))
    end
  end
  for place, name in pairs { confidence = "mean confidence", error = "calibration error (ECE)" } do
    local row = { name }
    for _, result in ipairs(results) do
      row[#row + 1] = result.calibration and numbers.percent(result.calibration[place]) or nil
    end
    if #row == #results + 1 then rows[#list + (place == "confidence" and 2 or 3)] = row end
  end
  local widths, lines = {}, {}
  for _, row in ipairs(rows) do
    for i, cell in ipairs(row) do widths[i] = math.max(widths[i] or 0, text.width(cell)) end
  end
  for r, row in ipairs(rows) do
    local cells = {}
    for i, cell in ipairs(row) do cells[i] = text.padded(cell, widths[i], i > 1) end
    lines[r] = (table.concat(cells, "   "):gsub(" +$", ""))
  end
  return table.concat(lines, "\n")
end

return M
