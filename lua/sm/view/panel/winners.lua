--- Which channel of each group wins where, in one image of each class.
-- @module sm.view.panel.winners
local choice = require "sm.view.panel.choice"
local colour = require "sm.view.colour"
local page = require "sm.view.page"
local runtime = require "sm.runtime"
local style = require "sm.view.style"
local tensor = require "sm.tensor"

local GROUPS, CLASSES = 8, 10    -- at most
local COLOURS = 10               -- of a legend; the last is for all others where there are more channels
local FEW = 4                    -- groups that have room for large maps
local LARGE, SMALL, GAP = 112, 84, 6 -- pixels of a map, between maps
local SWATCH, ENTRY_LINE, ENTRY_WIDTH = 12, 17, 102
local LIGHTNESS, CHROMA = 0.74, 0.15
local OTHER, NONE = { 0.55, 0.55, 0.55 }, { 0.92, 0.92, 0.92 }

--- The colour of each option of a group, and the entries of the legend.
-- @return palette {option → {red, green, blue}}, entries {{label=, share=, colour=}, …}
local function colours(group)
  local named = choice.frequent(group, group.count <= COLOURS and COLOURS or COLOURS - 1)
  local palette, entries, rest = {}, {}, 1
  for option = 1, group.count do palette[option] = OTHER end
  for i, option in ipairs(named) do
    local channel = group.channels[option]
    palette[option] = channel and { colour.srgb(LIGHTNESS, CHROMA, 360 * (i - 1) / #named + 20) } or NONE
    entries[i] = { label = channel and tostring(channel) or "none", share = group.share[option],
      colour = palette[option] }
    rest = rest - group.share[option]
  end
  if #named < group.count then
    entries[#entries + 1] = { label = "others", share = math.max(0, rest), colour = OTHER }
  end
  return palette, entries
end

--- The map of one group in one image: hue from the winner, brightness from its margin over chance (the square
-- root, so that small margins can be seen).
local function map_of(winner, probability, palette)
  local rows, columns = table.unpack(winner.shape)
  local hues = runtime.tensor.gather(palette, winner, 0, rows * columns)
  local even = 1 / #palette
  local margin = ((probability - even) / (1 - even)):clamp(0, 1):sqrt():reshape(rows * columns, 1)
  return (hues * margin):clamp(0, 1):reshape(rows, columns, 3)
end

--- Draws a picture as large as fits into a square, in whole pixels where it can.
local function draw_square(canvas, x, y, side, values, options)
  local rows, columns = table.unpack(values.shape)
  local scale = side / math.max(rows, columns)
  if scale >= 1 then scale = math.floor(scale) end
  local width, height = scale * columns, scale * rows
  canvas:rect(x, y, side, side, { fill = style.night })
  canvas:image(x + (side - width) // 2, y + (side - height) // 2, width, height, values, options)
end

local function draw_legend(canvas, x, y, entries)
  local lines = math.ceil(#entries / math.ceil(#entries / (COLOURS // 2)))
  for i, entry in ipairs(entries) do
    local left, top = x + (i - 1) // lines * ENTRY_WIDTH, y + (i - 1) % lines * ENTRY_LINE
    canvas:rect(left, top + 2, SWATCH, SWATCH, { fill = colour.hex(table.unpack(entry.colour)) })
    page.text(canvas, left + SWATCH + 5, top + SWATCH + 1,
      ("%s  %.0f%%"):format(entry.label, 100 * entry.share), style.small)
  end
end

--- @param numbers see sm.view.consequence
-- @param class_names
-- @return a panel
return function(numbers, class_names)
  local groups, examples = choice.evenly(#numbers.groups, GROUPS), {}
  for _, i in ipairs(choice.evenly(#numbers.examples, CLASSES)) do
    examples[#examples + 1] = numbers.examples[i]
  end
  local labels = {}
  for i, g in ipairs(groups) do labels[i] = "group " .. g end
  local side = #groups <= FEW and LARGE or SMALL
  local label_width = math.ceil(page.widest(labels, style.label)) + 12
  local pitch = side + GAP
  for _, example in ipairs(examples) do
    pitch = math.max(pitch, math.ceil(page.width(class_names[example.class], style.label)) + GAP)
  end
  local top = style.label.size + GAP
  local maps = {}
  for i, g in ipairs(groups) do
    local palette, entries = colours(numbers.groups[g])
    local rows = tensor.tensor(palette)
    maps[i] = { entries = entries }
    for j, example in ipairs(examples) do
      maps[i][j] = map_of(example.winner[g], example.probability[g], rows)
    end
  end
  local legend_x = label_width + #examples * pitch + 2 * GAP
  local many = false
  for _, g in ipairs(groups) do many = many or numbers.groups[g].count > COLOURS end
  local content = {
    width = legend_x + 2 * ENTRY_WIDTH, height = top + (#groups + 1) * (side + GAP) - GAP,
    draw = function(canvas, x, y)
      for j, example in ipairs(examples) do
        local left = x + label_width + (j - 1) * pitch
        page.text(canvas, left + side / 2, y + style.label.size - 2, class_names[example.class], style.label,
          "centre")
        local image = example.image
        local depth = image.shape[3]
        if depth == 1 then image = image:reshape(image.shape[1], image.shape[2]) end
        draw_square(canvas, left, y + top, side, image,
          { low = 0, high = 1, map = depth == 1 and colour.grey or nil })
      end
      page.text(canvas, x + legend_x, y + top + side - 4, "channel, share of wins", style.small, "left",
        style.quiet)
      for i, row in ipairs(maps) do
        local row_y = y + top + i * (side + GAP)
        page.text(canvas, x, row_y + side / 2 + 6, labels[i], style.label)
        for j = 1, #examples do
          draw_square(canvas, x + label_width + (j - 1) * pitch, row_y, side, row[j], { low = 0, high = 1 })
        end
        draw_legend(canvas, x + legend_x, row_y, row.entries)
      end
    end,
  }
  return page.panel {
    heading = "Who wins where",
    caption = "At every location one channel of a group wins. Colour: which (legend at the right, with its "
      .. "share of all wins). Brightness: how clearly, from black, where all are alike, to full, "
      .. "where it is certain."
      .. (many and (" Only the %d most frequent winners have their own colour."):format(COLOURS - 1) or "")
      .. choice.note(#groups, #numbers.groups, "group") .. choice.note(#examples, #class_names, "class"),
    content = content,
  }
end
