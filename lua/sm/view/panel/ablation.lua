--- What a group is worth: the accuracy that is lost without its choice.
-- @module sm.view.panel.ablation
local choice = require "sm.view.panel.choice"
local colour = require "sm.view.colour"
local page = require "sm.view.page"
local style = require "sm.view.style"
local tensor = require "sm.tensor"

local GROUPS, CLASSES = 16, 20 -- at most
local ROW, COLUMN, GAP = 24, 42, 12
local SCALE = 10 -- points of loss, at least, that the darkest colour stands for
local DARK = 0.5 -- shares of the scale above have white figures

--- A change in percentage points, as figures show it.
local function points(change)
  local rounded = math.floor(math.abs(change) + 0.5)
  if rounded == 0 then return "0" end
  return (change < 0 and "−" or "+") .. rounded
end

--- @param numbers see sm.view.consequence
-- @param class_names
-- @param width of the panel, at least
-- @return a panel
return function(numbers, class_names, width)
  local groups = choice.evenly(#numbers.groups, GROUPS)
  local rows, labels = {}, {}
  for _, class in ipairs(choice.evenly(#class_names, CLASSES)) do
    if numbers.accuracy[class] then
      rows[#rows + 1], labels[#labels + 1] = class, class_names[class]
    end
  end
  local shown_classes = #rows
  rows[#rows + 1], labels[#labels + 1] = "all", "all"
  local losses, peak = {}, SCALE
  for r, class in ipairs(rows) do
    losses[r] = {}
    for i, g in ipairs(groups) do
      losses[r][i] = 100 * (numbers.accuracy[class] - numbers.groups[g].accuracy[class])
      peak = math.max(peak, losses[r][i])
    end
  end
  local label_width = math.ceil(page.widest(labels, style.label)) + GAP
  local intact = math.ceil(page.width("intact", style.label)) + 2 * GAP
  local top = 2 * style.label.size + GAP
  local values = tensor.tensor(losses)
  local heading = "without group"
  local matrix = #groups * COLUMN
  local content = {
    width = label_width + intact + math.max(matrix, math.ceil(page.width(heading, style.label))),
    height = top + #rows * ROW + GAP / 2,
    draw = function(canvas, x, y)
      local left = x + label_width + intact
      page.text(canvas, left, y + style.label.size - 2, heading, style.label, "left", style.quiet)
      page.text(canvas, left - GAP, y + top - 7, "intact", style.label, "right", style.quiet)
      for i, g in ipairs(groups) do
        page.text(canvas, left + (i - 0.5) * COLUMN, y + top - 7, tostring(g), style.label, "centre")
      end
      for r, class in ipairs(rows) do
        local row_y = y + top + (r - 1) * ROW + (class == "all" and GAP / 2 or 0)
        local base = row_y + ROW - 7
        page.text(canvas, x + label_width - GAP, base, labels[r], style.label, "right")
        local accuracy = ("%.1f%%"):format(100 * numbers.accuracy[class])
        page.text(canvas, left - GAP, base, accuracy, style.small, "right")
        canvas:image(left, row_y, matrix, ROW, values:slice(r, r),
          { low = 0, high = peak, map = colour.sequential })
        for i = 1, #groups do
          page.text(canvas, left + (i - 0.5) * COLUMN, base, points(-losses[r][i]), style.small, "centre",
            losses[r][i] > DARK * peak and style.background or style.ink)
        end
      end
    end,
  }
  return page.panel {
    heading = "What is a group's choice worth?", width = width,
    caption = "Accuracy as it is, and its change in percentage points when at every location all channels of "
      .. "the group are set to their mean. " .. ("One image of a class weighs about %s points."):format(
        ("%.2g"):format(100 * shown_classes / numbers.images))
      .. choice.note(#groups, #numbers.groups, "group") .. choice.note(shown_classes, #class_names, "class"),
    content = content,
  }
end
