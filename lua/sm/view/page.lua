--- A page of panels: boxes beside and below each other. A box is {width=, height=, draw= function(canvas, x,
-- y)}; its size is known before anything is drawn.
-- @module sm.view.page
local fail = require "sm.fail"
local style = require "sm.view.style"
local tensor = require "sm.tensor"

local drawn, canvas = pcall(require, "sm.canvas")
if not drawn then fail("cannot draw: %s (Debian's package libcairo2)", canvas:match "[^\n\t]*$") end

local M = {}

M.largest = 16384 -- pixels of a canvas's side at most
M.most = 16000    -- of a content's, under its header and within margins

--- A picture of one colour: see bind/canvas.c.
M.canvas = canvas.new

local HEADING_SPACE, CAPTION_SPACE = 10, 14 -- below them
local CAPTION_LINE = 22
local BAR_WIDTH, BAR_HEIGHT = 200, 14

--- How wide a text is.
function M.width(text, look)
  return (canvas.measure(text, { size = look.size, bold = look.bold }))
end

--- How wide the widest is.
function M.widest(texts, look)
  local widest = 0
  for _, text in ipairs(texts) do widest = math.max(widest, M.width(text, look)) end
  return widest
end

--- Writes a text; x is its left end, middle or right end, y its base line.
-- @param align "left" (when absent), "centre" or "right"
-- @param colour instead of the look's
function M.text(picture, x, y, text, look, align, colour)
  picture:text(x, y, text,
    { size = look.size, bold = look.bold, align = align, colour = colour or look.colour })
end

--- The lines of a text that is not to be wider than so many pixels.
local function wrap(text, look, width)
  local lines = {}
  for word in text:gmatch "%S+" do
    local longer = lines[#lines] and lines[#lines] .. " " .. word
    if longer and M.width(longer, look) <= width then lines[#lines] = longer else lines[#lines + 1] = word end
  end
  return lines
end

--- Boxes below each other.
function M.column(boxes, gap)
  local width, height = 0, -gap
  for _, box in ipairs(boxes) do width, height = math.max(width, box.width), height + gap + box.height end
  return { width = width, height = math.max(0, height), draw = function(picture, x, y)
    for _, box in ipairs(boxes) do
      box.draw(picture, x, y)
      y = y + box.height + gap
    end
  end }
end

--- Boxes beside each other, their tops on one line.
function M.row(boxes, gap)
  local width, height = -gap, 0
  for _, box in ipairs(boxes) do width, height = width + gap + box.width, math.max(height, box.height) end
  return { width = math.max(0, width), height = height, draw = function(picture, x, y)
    for _, box in ipairs(boxes) do
      box.draw(picture, x, y)
      x = x + box.width + gap
    end
  end }
end

--- A content under its heading and the words that explain it.
-- @param panel {heading=, caption=, content= a box, width= at least}
function M.panel(panel)
  local heading = M.width(panel.heading, style.heading)
  local width = math.ceil(math.max(panel.width or 0, panel.content.width, heading))
  local lines = wrap(panel.caption, style.legend, width)
  local above = style.heading.size + HEADING_SPACE + #lines * CAPTION_LINE + CAPTION_SPACE
  return { width = width, height = above + panel.content.height, draw = function(picture, x, y)
    local base = y + style.heading.size
    M.text(picture, x, base, panel.heading, style.heading)
    base = base + HEADING_SPACE - style.tick
    for i, line in ipairs(lines) do M.text(picture, x, base + i * CAPTION_LINE, line, style.legend) end
    panel.content.draw(picture, x, y + above)
  end }
end

--- A colour map as a bar, a text below each end and, if there are three, below its middle.
-- @param map array of colours
-- @param texts {low, high} or {low, middle, high}
function M.bar(map, texts)
  return {
    width = BAR_WIDTH, height = BAR_HEIGHT + style.tick + style.small.size,
    draw = function(picture, x, y)
      local ramp = tensor.arange(BAR_WIDTH):reshape(1, BAR_WIDTH)
      picture:image(x, y, BAR_WIDTH, BAR_HEIGHT, ramp, { low = 0, high = BAR_WIDTH - 1, map = map })
      local base = y + BAR_HEIGHT + style.tick + style.small.size
      local function write(at, text, align)
        M.text(picture, at, base, text, style.small, align, style.quiet)
      end
      write(x, texts[1], "left")
      write(x + BAR_WIDTH, texts[#texts], "right")
      if texts[3] then write(x + BAR_WIDTH / 2, texts[2], "centre") end
    end,
  }
end

--- A bar with a few words at its right.
function M.legend(map, texts, words)
  local bar, gap = M.bar(map, texts), style.legend.size
  return { width = math.ceil(bar.width + gap + M.width(words, style.legend)), height = bar.height,
    draw = function(picture, x, y)
      bar.draw(picture, x, y)
      M.text(picture, x + bar.width + gap, y + BAR_HEIGHT, words, style.legend)
    end }
end

--- Draws a box under a title and saves it as PNG.
-- @param path
-- @param sheet {name=, about=, lines={texts below}, content= a box}
function M.save(path, sheet)
  local about_at = M.width(sheet.name, style.title) + style.title.size / 2
  local inner = math.ceil(math.max(sheet.content.width, about_at + M.width(sheet.about, style.about),
    M.widest(sheet.lines, style.moment)))
  local header = (1 + #sheet.lines) * style.line + style.title.size
  local width, height = inner + 2 * style.margin, header + math.ceil(sheet.content.height) + 2 * style.margin
  local picture <close> = canvas.new(width, height, style.background)
  local x, y = style.margin, style.margin
  M.text(picture, x, y + style.title.size, sheet.name, style.title)
  M.text(picture, x + about_at, y + style.title.size, sheet.about, style.about)
  for i, line in ipairs(sheet.lines) do
    M.text(picture, x, y + style.title.size + i * style.line, line, style.moment)
  end
  sheet.content.draw(picture, x, y + header)
  picture:save(path)
end

return M
