--- Which classes are taken for which: the confusion matrix, rows true and columns predicted.
-- @module sm.view.panel.confusion
local NUMBERED <const> = require "sm.view.classification".figures
local colour = require "sm.view.colour"
local page = require "sm.view.page"
local style = require "sm.view.style"
local tensor = require "sm.tensor"
local words = require "sm.view.words"

local GAP, BELOW = 12, 20
local LARGEST <const> = 56                    -- pixels of a cell's side
local SIDE <const> = 840                      -- of a matrix of many classes, roughly
local TEXT_NEEDS <const> = 9                  -- pixels of a digit
local DARK <const> = 0.5                      -- of the scale; above, figures are white

--- The side of a cell, whose figures must fit.
local function cell_of(numbers)
  local count, longest = #numbers.classes, 1
  if count > NUMBERED then return math.max(8, SIDE // count) end
  for _, row in ipairs(numbers.confusion) do
    for _, value in ipairs(row) do longest = math.max(longest, #tostring(value)) end
  end
  return math.max(count <= 12 and LARGEST or 34, longest * TEXT_NEEDS + 8)
end

--- What stands over the columns: names where they fit, else labels. Of many classes every fifth or tenth.
-- @return array of texts; false where there is none
-- @return boolean whether they are labels that differ from the names
local function headings(classes, cell)
  local count, texts, plain = #classes, {}, true
  local widest = 0
  for i, class in ipairs(classes) do
    widest = math.max(widest, page.width(class.name, style.label))
    plain = plain and class.name == tostring(i - 1)
  end
  local fits = widest <= cell - 4
  local stride = (count <= NUMBERED or fits) and 1 or cell >= 12 and 5 or 10
  for i, class in ipairs(classes) do
    texts[i] = (i - 1) % stride == 0 and (fits and class.name or tostring(i - 1))
  end
  return texts, not fits and not plain
end

--- What stands before the rows.
local function row_labels(classes, cell, labelled, shown)
  local texts = {}
  for i, class in ipairs(classes) do
    if cell >= style.label.size + 1 then
      texts[i] = labelled and ("%s  %d"):format(class.name, i - 1) or class.name
    else
      texts[i] = shown[i] and tostring(i - 1) or ""
    end
  end
  return texts
end

--- Shares of rows, as their square roots: a scale on which few mistakes are seen beside many right answers.
local function shades_of(numbers)
  local rows = {}
  for r, row in ipairs(numbers.confusion) do
    local total = numbers.classes[r].examples
    rows[r] = {}
    for c, value in ipairs(row) do rows[r][c] = total > 0 and math.sqrt(value / total) or 0 end
  end
  return rows
end

--- @param numbers see sm.view.classification
-- @return a panel
return function(numbers)
  local classes, cell = numbers.classes, cell_of(numbers)
  local columns, labelled = headings(classes, cell)
  local rows = row_labels(classes, cell, labelled, columns)
  local left = math.ceil(math.max(page.width("true", style.label), page.widest(rows, style.label))) + GAP
  local top, side = 2 * style.label.size + GAP, cell * #classes
  local shades = shades_of(numbers)
  local values = tensor.tensor(shades)
  local bar = page.legend(colour.sequential, { "0", "25 %", "100 %" }, "share of the row")
  local content = {
    width = math.max(left + side, bar.width), height = top + side + BELOW + bar.height,
    draw = function(canvas, x, y)
      local from_x, from_y = x + left, y + top
      page.text(canvas, from_x, y + style.label.size - 2, "predicted", style.label, "left", style.quiet)
      page.text(canvas, from_x - GAP, y + top - 7, "true", style.label, "right", style.quiet)
      canvas:rect(from_x - 1, from_y - 1, side + 2, side + 2, { fill = style.edge })
      canvas:image(from_x, from_y, side, side, values, { low = 0, high = 1, map = colour.sequential })
      for i = 1, #classes do
        local middle = (i - 0.5) * cell
        if columns[i] then page.text(canvas, from_x + middle, y + top - 7, columns[i], style.label, "centre") end
        page.text(canvas, from_x - GAP, from_y + middle + 6, rows[i], style.label, "right")
      end
      for r, row in ipairs(#classes <= NUMBERED and numbers.confusion or {}) do
        for c, value in ipairs(row) do
          if value > 0 then
            page.text(canvas, from_x + (c - 0.5) * cell, from_y + (r - 0.5) * cell + 5, tostring(value), style.small,
              "centre", shades[r][c] > DARK and style.background or style.ink)
          end
        end
      end
      bar.draw(canvas, from_x, from_y + side + BELOW)
    end,
  }
  return page.panel {
    heading = "Which class is taken for which?",
    caption = "Each row has the examples of one class, counted by the class that was predicted, and shaded by the "
      .. "share of the row."
      .. (labelled and " Columns have the labels; rows have the names before them." or "")
      .. (numbers.undecided > 0 and (" %s with a score that is no number: in no column."):format(
        words.count(numbers.undecided, "row")) or ""),
    content = content,
  }
end
