--- What the winner of each group says about the class.
-- @module sm.view.panel.use
local choice = require "sm.view.panel.choice"
local colour = require "sm.view.colour"
local page = require "sm.view.page"
local style = require "sm.view.style"
local tensor = require "sm.tensor"

local GROUPS, OPTIONS, CLASSES = 32, 160, 20 -- at most
local ROW, WIDEST, NARROWEST = 19, 30, 8     -- pixels of a cell
local SPACE, GAP = 14, 12                    -- between blocks; beside labels

--- @param numbers see sm.view.consequence
-- @param class_names
-- @param width of the page
-- @return a panel
return function(numbers, class_names, width)
  local classes, blocks = choice.evenly(#class_names, CLASSES), {}
  local groups = choice.evenly(#numbers.groups, GROUPS)
  local count, peak, shortened = 0, 0, false
  for i, g in ipairs(groups) do
    local group = numbers.groups[g]
    local options = choice.frequent(group, math.max(2, OPTIONS // #groups))
    local cells = {}
    for k, class in ipairs(classes) do
      cells[k] = {}
      for o, option in ipairs(options) do
        cells[k][o] = group.given_class[class][option]
        peak = math.max(peak, cells[k][o])
      end
    end
    blocks[i] = { number = g, group = group, options = options, cells = tensor.tensor(cells) }
    count, shortened = count + #options, shortened or #options < group.count
  end

  local labels = { "bits about the class", "bits by chance" }
  for k, class in ipairs(classes) do labels[k + 2] = class_names[class] end
  local label_width = math.ceil(page.widest(labels, style.label)) + GAP
  local cell = (width - label_width - (#groups - 1) * SPACE) // count
  cell = math.max(NARROWEST, math.min(WIDEST, cell))
  local numbered = cell >= page.width(tostring(numbers.channels), style.small) + 2
  local top, matrix = style.label.size + 8, #classes * ROW
  local below = matrix + (numbered and style.small.size + 8 or 6)
  local content = {
    width = label_width + count * cell + (#groups - 1) * SPACE,
    height = top + below + 2 * (style.label.size + 6),
    draw = function(canvas, x, y)
      local function label(base, text, ink)
        page.text(canvas, x + label_width - GAP, base, text, style.label, "right", ink)
      end
      for k, class in ipairs(classes) do label(y + top + k * ROW - 4, class_names[class]) end
      local bits_y = y + top + below + style.label.size
      local chance_y = bits_y + style.label.size + 4
      label(bits_y, labels[1])
      label(chance_y, labels[2], style.quiet)
      local left = x + label_width
      for _, block in ipairs(blocks) do
        local group, wide = block.group, #block.options * cell
        local middle = left + wide / 2
        local title = "group " .. block.number
        if page.width(title, style.label) > wide + SPACE / 2 then title = tostring(block.number) end
        page.text(canvas, middle, y + style.label.size, title, style.label, "centre")
        canvas:rect(left - 1, y + top - 1, wide + 2, matrix + 2, { fill = style.edge })
        canvas:image(left, y + top, wide, matrix, block.cells,
          { low = 0, high = math.max(peak, 1e-6), map = colour.sequential })
        for o, option in ipairs(numbered and block.options or {}) do
          page.text(canvas, left + (o - 0.5) * cell, y + top + matrix + style.small.size + 3,
            tostring(group.channels[option] or "–"), style.small, "centre", style.quiet)
        end
        local information, chance = ("%.2f"):format(group.information), ("%.2f"):format(group.chance)
        page.text(canvas, middle, bits_y, information, style.label, "centre")
        page.text(canvas, middle, chance_y, chance, style.label, "centre", style.quiet)
        left = left + wide + SPACE
      end
    end,
  }
  local scale = page.legend(colour.sequential, { "0", ("%.0f%%"):format(100 * peak) },
    "of all locations in images of the class are won by the channel")
  return page.panel {
    width = width, heading = "What the winner says about the class",
    caption = "One row for each class, one column for each channel"
      .. (numbered and " (its number below)" or "") .. (numbers.off and ", – for none of them" or "")
      .. ". Rows that differ: the group tells classes apart. Even colour: the group is not used. One dark "
      .. "column: one channel always wins. In bits: the mutual information of winner and class, and what it is "
      .. "when the classes are shuffled." .. choice.note(#groups, #numbers.groups, "group")
      .. (shortened and " Of larger groups only the most frequent winners are shown." or "")
      .. choice.note(#classes, #class_names, "class"),
    content = page.column({ content, scale }, 16),
  }
end
