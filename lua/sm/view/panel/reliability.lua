--- Whether a model is right as often as it says: the reliability diagram.
-- @module sm.view.panel.reliability
local classification = require "sm.view.classification"
local colour = require "sm.view.colour"
local page = require "sm.view.page"
local style = require "sm.view.style"
local words = require "sm.view.words"

local SIDE, COUNTS, LEFT, BELOW, BETWEEN = 330, 70, 60, 46, 40 -- pixels: the diagram, the counts, the margins
local DOT = 8
local MARKS = { 0, 0.25, 0.5, 0.75, 1 }

local function percent(share) return ("%g %%"):format(100 * share) end

local function draw_axes(canvas, x, y)
  for _, mark in ipairs(MARKS) do
    canvas:line({ x, y + SIDE * (1 - mark), x + SIDE, y + SIDE * (1 - mark) }, { colour = style.edge, thickness = 1 })
    page.text(canvas, x - 8, y + SIDE * (1 - mark) + 5, percent(mark), style.small, "right", style.quiet)
    page.text(canvas, x + SIDE * mark, y + SIDE + style.small.size + 5, percent(mark), style.small, "centre",
      style.quiet)
  end
end

--- @param numbers see sm.view.classification, with calibration
-- @param width of the panel, at least
-- @return a panel
return function(numbers, width)
  local calibration, bins = numbers.calibration, numbers.calibration.bins
  local blue, pale = colour.sequential[math.floor(0.8 * #colour.sequential)],
    colour.sequential[math.floor(0.3 * #colour.sequential)]
  local step, most = SIDE / #bins, 0
  for _, bin in ipairs(bins) do most = math.max(most, bin.examples) end
  local height = SIDE + BETWEEN + COUNTS + BELOW
  local content = { width = LEFT + SIDE + LEFT, height = height, draw = function(canvas, left, y)
    local x = left + LEFT
    draw_axes(canvas, x, y)
    local floor = y + SIDE + BETWEEN + COUNTS
    for b, bin in ipairs(bins) do
      if bin.examples > 0 then
        local share = bin.correct / bin.examples
        canvas:rect(x + (b - 1) * step + 1, y + SIDE * (1 - share), step - 2, SIDE * share, { fill = pale })
        local tall = math.max(1, COUNTS * bin.examples / most)
        canvas:rect(x + (b - 1) * step + 1, floor - tall, step - 2, tall, { fill = style.quiet })
      end
    end
    canvas:line({ x, y + SIDE, x + SIDE, y }, { colour = style.quiet, thickness = 1.5 })
    for _, bin in ipairs(bins) do
      if bin.examples > 0 then
        local at, share = x + SIDE * bin.confidence, bin.correct / bin.examples
        local low, high = classification.interval(bin.correct, bin.examples)
        canvas:line({ at, y + SIDE * (1 - high), at, y + SIDE * (1 - low) }, { colour = blue, thickness = 1.5 })
        canvas:rect(at - DOT / 2, y + SIDE * (1 - share) - DOT / 2, DOT, DOT, { fill = blue, radius = DOT / 2 })
      end
    end
    canvas:line({ x, floor, x + SIDE, floor }, { colour = style.quiet, thickness = 1 })
    page.text(canvas, x - 8, floor - COUNTS + 10, words.thousands(most), style.small, "right", style.quiet)
    page.text(canvas, x - 8, floor, "0", style.small, "right", style.quiet)
    page.text(canvas, x + SIDE / 2, floor + style.small.size + 8, "probability of the predicted class", style.label,
      "centre", style.quiet)
  end }
  return page.panel {
    heading = "Is it right as often as it says?", width = width,
    caption = ("Accuracy above, and examples below, by the probability of the predicted class, in %d bins. On the line "
      .. "both are the same. Mean confidence %.2f %%, accuracy %.2f %%, expected calibration error (ECE) %.2f %%.")
      :format(#bins, 100 * calibration.confidence, 100 * numbers.correct / numbers.examples, 100 * calibration.error),
    content = content,
  }
end
