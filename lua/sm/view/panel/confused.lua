--- The pairs of classes that are taken for one another most often, as a list.
-- @module sm.view.panel.confused
local page = require "sm.view.page"
local style = require "sm.view.style"
local words = require "sm.view.words"

local LINE, GAP = 24, 18

--- @param numbers see sm.view.classification
-- @param most lines
-- @param width of the panel, at least
-- @return a panel
return function(numbers, most, width)
  local names, counts, shares = {}, {}, {}
  for i = 1, math.min(most, #numbers.pairs) do
    local pair = numbers.pairs[i]
    local class = numbers.classes[pair.label + 1]
    names[i] = ("%s → %s"):format(class.name, numbers.classes[pair.predicted + 1].name)
    counts[i] = ("%s of %s"):format(words.thousands(pair.count), words.thousands(class.examples))
    shares[i] = ("%.1f %%"):format(100 * pair.count / class.examples)
  end
  local first = page.widest(names, style.label) + GAP
  local second = first + page.widest(counts, style.label)
  local third = second + GAP + page.widest(shares, style.label)
  return page.panel {
    heading = "The most confused", width = width,
    caption = #names > 0 and "True → predicted: how many of the class, and what share of it."
      or "No class is taken for another.",
    content = { width = math.ceil(third), height = LINE * #names, draw = function(canvas, x, y)
      for i, name in ipairs(names) do
        local base = y + i * LINE - 7
        page.text(canvas, x, base, name, style.label)
        page.text(canvas, x + second, base, counts[i], style.label, "right")
        page.text(canvas, x + third, base, shares[i], style.label, "right")
      end
    end },
  }
end
