--- Whether groups repeat each other.
-- @module sm.view.panel.redundancy
local choice = require "sm.view.panel.choice"
local colour = require "sm.view.colour"
local page = require "sm.view.page"
local style = require "sm.view.style"
local tensor = require "sm.tensor"

local GROUPS = 32                             -- at most
local SIDE, WIDEST, NARROWEST = 374, 56, 10   -- pixels of the matrix, of a cell
local DARK = 0.5                              -- values above have white figures

--- @param numbers see sm.view.consequence; at least two groups
-- @param width of the panel
-- @return a panel
return function(numbers, width)
  local groups, cells = choice.evenly(#numbers.groups, GROUPS), {}
  for i, g in ipairs(groups) do
    cells[i] = {}
    for j, h in ipairs(groups) do cells[i][j] = numbers.redundancy[g][h] end
  end
  local cell = math.max(NARROWEST, math.min(WIDEST, SIDE // #groups))
  local values = tensor.tensor(cells)
  local written, numbered = cell >= 36, cell >= style.small.size + 2
  local edge = numbered and 26 or 0
  local side = #groups * cell
  local content = { width = edge + side, height = edge + side, draw = function(canvas, x, y)
    local left, top = x + edge, y + edge
    canvas:rect(left - 1, top - 1, side + 2, side + 2, { fill = style.edge })
    canvas:image(left, top, side, side, values, { low = 0, high = 1, map = colour.sequential })
    for i, g in ipairs(groups) do
      local middle, base = (i - 0.5) * cell, (i - 0.5) * cell + style.small.size / 2 - 2
      if numbered then
        page.text(canvas, left + middle, top - 8, tostring(g), style.small, "centre")
        page.text(canvas, left - 8, top + base, tostring(g), style.small, "right")
      end
      local corner = (i - 1) * cell
      canvas:rect(left + corner, top + corner, cell, cell, { fill = style.edge }) -- with itself
      for j = 1, written and #groups or 0 do
        if i ~= j then
          local value = cells[i][j]
          page.text(canvas, left + middle, top + (j - 0.5) * cell + style.small.size / 2 - 2,
            ("%.2f"):format(value), style.small, "centre", value > DARK and style.background or style.ink)
        end
      end
    end
  end }
  return page.panel {
    heading = "Do groups repeat each other?", width = width,
    caption = "How much the winner of one group tells about the winner of another, at the same location: "
      .. "0 nothing, 1 everything (mutual information over the mean of both entropies)."
      .. choice.note(#groups, #numbers.groups, "group"),
    content = page.column({ content, page.bar(colour.sequential, { "0", "1" }) }, 14),
  }
end
