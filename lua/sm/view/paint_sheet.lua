--- The page of a network's paintings: of each class, and half-way between two.
-- @module sm.view.paint_sheet
local colour = require "sm.view.colour"
local page = require "sm.view.page"
local style = require "sm.view.style"
local words = require "sm.view.words"

local M = {}

-- Pixels.
local SIDE, GAP, BREAK = 58, 6, 26 -- of a picture, roughly; between pictures; between blocks of columns
local HEADS, BELOW = 24, 48        -- above the rows; between panels
local OTHER_DICE = 4               -- further paintings half-way between two classes

--- Rows of pictures in columns.
-- @param blocks array of {head=, columns= how many}: columns that belong together
-- @param rows array of {label=, note=, pictures= one for each column}
-- @param head of the notes
-- @return a box
local function grid(blocks, rows, head)
  local height, width, depth = table.unpack(rows[1].pictures[1].shape)
  local enlarged = math.max(1, math.floor(SIDE / math.max(height, width) + 0.5)) -- whole, so that pixels stay crisp
  local wide, high = enlarged * width, enlarged * height
  local labels, notes, lefts = {}, { head }, {}
  for r, row in ipairs(rows) do labels[r], notes[r + 1] = row.label, row.note end
  local label_width = math.ceil(page.widest(labels, style.label)) + 2 * GAP
  local x = label_width
  for _, block in ipairs(blocks) do
    block.x = x
    for _ = 1, block.columns do
      lefts[#lefts + 1] = x
      x = x + wide + GAP
    end
    x = math.max(x - GAP, block.x + math.ceil(page.width(block.head, style.small))) + BREAK
  end
  local note_x = x
  return {
    width = note_x + math.ceil(page.widest(notes, style.label)), height = HEADS + #rows * (high + GAP) - GAP,
    draw = function(canvas, left, top)
      local base = top + HEADS - 9
      for _, block in ipairs(blocks) do
        page.text(canvas, left + block.x, base, block.head, style.small, "left", style.quiet)
      end
      page.text(canvas, left + note_x, base, head, style.small, "left", style.quiet)
      for r, row in ipairs(rows) do
        local y = top + HEADS + (r - 1) * (high + GAP)
        local middle = y + high / 2 + style.label.size / 2 - 2
        page.text(canvas, left + label_width - 2 * GAP, middle, row.label, style.label, "right")
        for column, picture in ipairs(row.pictures) do
          local grey = depth == 1
          canvas:image(left + lefts[column], y, wide, high, grey and picture:reshape(height, width) or picture,
            { low = 0, high = 1, map = grey and colour.grey or nil })
        end
        page.text(canvas, left + note_x, middle, row.note, style.label)
      end
    end,
  }
end

local function percent(share)
  return ("%.0f%%"):format(100 * share)
end

local function classes_panel(given, width)
  local rows, right = {}, 0
  for class, result in ipairs(given.of_class) do
    local share = result.taken[class - 1]
    right = right + share / #given.of_class
    rows[class] = { label = given.names[class], note = percent(share),
      pictures = { result.likeliest, result.mean, table.unpack(result.paintings) } }
  end
  return page.panel {
    heading = "Paint one of each class", width = width,
    caption = ("The class is on. From the top down, every group of every hidden layer picks one option, with the "
      .. "probabilities that the weights give it, by what was picked above; brightness is a pixel's probability "
      .. "of ink. Likeliest: every group picks its likeliest option. Mean: of all paintings. In one column the "
      .. "dice are the same for all classes. Read from the bottom up again, the network takes %s of its "
      .. "paintings for what they are meant to be (%s of each class)."):format(percent(right),
      words.count(given.paintings, "painting")),
    content = grid({
      { head = "likeliest", columns = 1 }, { head = "mean", columns = 1 },
      { head = "paintings", columns = #rows[1].pictures - 2 },
    }, rows, "taken for it"),
  }
end

--- Both pictures at once: what is ink in either.
local function overlay(a, b)
  return (a + b + (a - b):abs()) / 2
end

local function pair_row(given, i)
  local results, pictures = given.of_pair[i], {}
  local first, second = given.names[given.pairs[i][1] + 1], given.names[given.pairs[i][2] + 1]
  for s, result in ipairs(results) do pictures[s] = result.paintings[1] end
  local middle = results[#results // 2 + 1]
  local others = math.min(OTHER_DICE, #middle.paintings - 1)
  for k = 1, others do pictures[#pictures + 1] = middle.paintings[1 + k] end
  pictures[#pictures + 1] = overlay(pictures[1], pictures[#results])
  local taken = middle.taken
  local one, other = taken[given.pairs[i][1]], taken[given.pairs[i][2]]
  return { label = first .. " – " .. second, pictures = pictures,
    note = ("%s: %s, %s: %s, other: %s"):format(first, percent(one), second, percent(other),
      percent(math.max(0, 1 - one - other))) }, others
end

local function pairs_panel(given)
  local rows, others = {}, 0
  for i in ipairs(given.pairs) do rows[i], others = pair_row(given, i) end
  local blocks = { { head = "from one to the other, same dice", columns = #given.steps } }
  if others > 0 then blocks[2] = { head = "half-way, other dice", columns = others } end
  blocks[#blocks + 1] = { head = "both at once", columns = 1 }
  return page.panel {
    heading = "Half-way between two classes",
    caption = ("The two classes share the activation: all to the first, three quarters to one, half to half, one "
      .. "to three quarters, all to the second. Options of both have a chance, but every group still picks one. "
      .. "All of both at once is what no choice of options paints: for comparison, the first and the last "
      .. "painting laid over each other. At the right, what the network takes %s half-way for."):format(
      words.count(given.paintings, "painting")),
    content = grid(blocks, rows, "half-way, taken for"),
  }
end

--- Draws the page and saves it as PNG.
-- @param path
-- @param lines texts below the title
-- @param given {layers= hidden layers in words, from the top, names= of the classes, paintings= how many of each,
--   of_class= for each class {likeliest=, mean=, paintings=, taken=}, of_pair= for each pair the same at each of
--   steps, pairs= {{label, label}, …}}, as sm.view.paint makes them
function M.draw(path, lines, given)
  local half_way = #given.pairs > 0 and pairs_panel(given) or nil
  local panels = { classes_panel(given, half_way and half_way.width), half_way }
  page.save(path, {
    name = "Paintings", about = ("%d classes, %s, pixels"):format(#given.names, table.concat(given.layers, ", ")),
    lines = lines, content = page.column(panels, BELOW),
  })
end

return M
