--- The two sheets about a classifier: which classes it confuses, and its worst mistakes.
-- @module sm.view.classes_sheet
local classification = require "sm.view.classification"
local images = require "sm.view.images".images
local page = require "sm.view.page"
local style = require "sm.view.style"
local words = require "sm.view.words"

local M = {}

local BESIDE <const>, BELOW <const> = 64, 44
local FEW <const>, SOME <const>, MANY <const> = 10, 20, 40 -- pairs of classes that are listed: beside a matrix with
-- figures, beside one of colours alone, without one
local NARROW <const> = 460                      -- pixels of a panel of few words
local COLUMNS <const> = 8                       -- of pictures
local LARGEST <const> = 512                     -- pixels of a picture's side
local LONGEST_NAME <const> = 16                 -- characters of a class beside a picture
local LINE <const>, GAP <const> = 26, 24

--- "accuracy 98.76 % of 10,000 test examples".
local function measured(numbers, split)
  return ("accuracy %.2f %% of %s"):format(100 * numbers.correct / numbers.examples,
    words.count(numbers.examples, ("%s %s"):format(split, numbers.mistakes and "example" or "label")))
end

--- Draws the confusion matrix, the accuracies and the reliability diagram.
-- @param path of the PNG
-- @param numbers see sm.view.classification
-- @param about {split="test", lines=}
function M.confusion(path, numbers, about)
  local panel = "sm.view.panel."
  local right = { require(panel .. "accuracies")(numbers) }
  if numbers.calibration then right[#right + 1] = require(panel .. "reliability")(numbers, NARROW) end
  local confused = require(panel .. "confused")
  local left = numbers.confusion and { require(panel .. "confusion")(numbers) } or {}
  if #numbers.classes > 2 then
    left[#left + 1] = confused(numbers, not numbers.confusion and MANY
      or #numbers.classes > classification.figures and SOME or FEW, NARROW)
  end
  page.save(path, {
    name = "Confusion", about = measured(numbers, about.split), lines = about.lines,
    content = page.row({ page.column(left, BELOW), page.column(right, BELOW) }, BESIDE),
  })
end

--- A class's name, cut where it is long.
local function short(numbers, label)
  local name = numbers.classes[label + 1].name
  if utf8.len(name) <= LONGEST_NAME then return name end
  return name:sub(1, utf8.offset(name, LONGEST_NAME) - 1) .. "…"
end

--- What is said of a mistake: "4 → 9  99.8 %".
local function caption(numbers, mistake)
  return ("%s → %s%s"):format(short(numbers, mistake.label), short(numbers, mistake.predicted), mistake.probability
    and ("  %.1f %%"):format(100 * mistake.probability) or "")
end

--- Whether inputs are images that a sheet has room for: {N, height, width, 1 or 3}.
local function are_images(split)
  local shape = type(split.inputs) == "userdata" and split.inputs.shape or {}
  return #shape == 4 and (shape[4] == 1 or shape[4] == 3) and math.max(shape[2], shape[3]) <= LARGEST
    and math.min(shape[2], shape[3]) > 1
end

--- The mistakes as a table.
local function listed(numbers)
  local columns = { { "example" }, { "true" }, { "predicted" }, { numbers.mistakes[1].loss and "loss" or "margin" },
    { numbers.mistakes[1].probability and "its probability" or "" },
    { numbers.mistakes[1].probability and "that of the true class" or "" } }
  local function percent(share) return share and ("%.3g %%"):format(100 * share) or "" end
  for _, mistake in ipairs(numbers.mistakes) do
    for i, text in ipairs { words.thousands(mistake.example), short(numbers, mistake.label),
      short(numbers, mistake.predicted), ("%.3g"):format(mistake.loss or mistake.margin or math.huge),
      percent(mistake.probability), percent(mistake.label_probability) } do
      table.insert(columns[i], text)
    end
  end
  local ends, width = {}, -GAP
  for i, texts in ipairs(columns) do
    width = width + GAP + math.ceil(page.widest(texts, style.label))
    ends[i] = width
  end
  return { width = width, height = LINE * (#numbers.mistakes + 1), draw = function(canvas, x, y)
    for i, texts in ipairs(columns) do
      for line, text in ipairs(texts) do
        page.text(canvas, x + ends[i], y + line * LINE - 8, text, style.label, "right",
          line == 1 and style.quiet or nil)
      end
    end
  end }
end

--- Draws the worst mistakes: as pictures where inputs are images, else as a table.
-- @param path of the PNG
-- @param numbers see sm.view.classification, with mistakes
-- @param split of the data set that was looked at
-- @param about {split="test", lines=}
function M.mistakes(path, numbers, split, about)
  local count, wrong = #numbers.mistakes, numbers.examples - numbers.correct
  local lines = table.move(about.lines, 1, #about.lines, 1, {})
  if count > 0 then
    local worst = numbers.mistakes[1]
    lines[#lines + 1] = ("%s by %s: true → predicted%s"):format(
      count == wrong and words.count(wrong, "wrong answer")
        or ("The %d worst of %s,"):format(count, words.count(wrong, "wrong answer")),
      worst.margin and "how far the predicted class's score is above the true one's" or "loss",
      worst.probability and ", and its probability" or "")
  end
  local sheet = { name = "Mistakes", about = measured(numbers, about.split), lines = lines }
  if count > 0 and are_images(split) then
    local labels = {}
    for i, mistake in ipairs(numbers.mistakes) do labels[i] = caption(numbers, mistake) end
    local pictures = images(classification.inputs(split, numbers.mistakes), { columns = COLUMNS, title = sheet.name })
    local content = pictures:read(pictures.given)
    content.about, content.captions = sheet.about, labels
    return pictures:write(path, content, lines)
  end
  sheet.content = count > 0 and listed(numbers) or page.column({}, 0)
  if count == 0 then
    lines[#lines + 1] = wrong == 0 and "Every example is predicted right." or "No mistake has a loss that is a number."
  end
  page.save(path, sheet)
end

return M
