--- The accuracy of each class, with the interval in which it lies.
-- @module sm.view.panel.accuracies
local axes = require "sm.view.axis"
local colour = require "sm.view.colour"
local page = require "sm.view.page"
local style = require "sm.view.style"
local words = require "sm.view.words"

local CLASSES <const> = 40 -- at most; of more, those with the lowest accuracy
local ROW, GAP, PLOT, DOT, BELOW = 24, 14, 260, 8, 26

--- The classes that are shown, in the order of their labels where all are, else the lowest accuracy first.
local function chosen(classes)
  local list = {}
  for i, class in ipairs(classes) do
    local share = class.correct / class.examples
    if share == share then list[#list + 1] = { class = class, label = i, share = share } end
  end
  local all = #list
  if all > CLASSES then
    table.sort(list, function(a, b)
      if a.share ~= b.share then return a.share < b.share end
      return a.label < b.label
    end)
    list = table.move(list, 1, CLASSES, 1, {})
  end
  return list, all
end

--- @param numbers see sm.view.classification
-- @return a panel
return function(numbers)
  local list, all = chosen(numbers.classes)
  local names, figures, counts, low = {}, {}, {}, 1
  for i, one in ipairs(list) do
    names[i], figures[i] = one.class.name, ("%.1f %%"):format(100 * one.share)
    counts[i] = "of " .. words.thousands(one.class.examples)
    low = math.min(low, one.class.low)
  end
  local axis = axes.new(math.max(0, low), 1, { range = { math.max(0, math.floor(low * 20) / 20), 1 } })
  local first = math.ceil(page.widest(names, style.label)) + GAP
  local second = first + math.ceil(page.widest(figures, style.label))
  local third = second + GAP + math.ceil(page.widest(counts, style.small))
  local plot, height = third + GAP, ROW * #list
  local blue = colour.sequential[math.floor(0.8 * #colour.sequential)]
  local content = { width = plot + PLOT + GAP, height = height + BELOW, draw = function(canvas, x, y)
    for _, mark in ipairs(axis.marks) do
      local at = x + plot + PLOT * axis.place(mark.at)
      canvas:line({ at, y, at, y + height }, { colour = style.edge, thickness = 1 })
      page.text(canvas, at, y + height + style.small.size + 4, ("%.3g %%"):format(100 * mark.at), style.small, "centre",
        style.quiet)
    end
    for i, one in ipairs(list) do
      local base, middle = y + i * ROW - 7, y + (i - 0.5) * ROW
      page.text(canvas, x + first - GAP, base, names[i], style.label, "right")
      page.text(canvas, x + second, base, figures[i], style.label, "right")
      page.text(canvas, x + third, base, counts[i], style.small, "right", style.quiet)
      local function at(share) return x + plot + PLOT * axis.place(share) end
      canvas:line({ at(one.class.low), middle, at(one.class.high), middle }, { colour = style.quiet, thickness = 2 })
      canvas:rect(at(one.share) - DOT / 2, middle - DOT / 2, DOT, DOT, { fill = blue, radius = DOT / 2 })
    end
  end }
  local without = #numbers.classes - all
  return page.panel {
    heading = "How often is each class right?",
    caption = "Accuracy, and Wilson's 95 % interval: how far it may be from that of many more examples."
      .. (#list < all and (" Shown: the %d of %d classes with the lowest accuracy."):format(#list, all) or "")
      .. (without > 0 and (" %s no example."):format(without == 1 and "1 class has"
        or ("%d classes have"):format(without)) or ""),
    content = content,
  }
end
