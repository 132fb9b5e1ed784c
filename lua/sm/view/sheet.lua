--- A sheet: many small pictures of one scale, group by group, under a title and over a colour bar.
-- @module sm.view.sheet
local arrange = require "sm.view.layout".arrange
local tensor = require "sm.tensor"

local M = {}

-- Pixels.
local MARGIN = 40
local LINE = 32                        -- from one line of text to the next
local HEADER_SPACE, BAR_SPACE = 26, 28 -- between the pictures and what is above and below
local BAR_WIDTH, BAR_HEIGHT = 256, 14
local TICK = 6

local BACKGROUND, INK, QUIET, EDGE = "#ffffff", "#1c1f24", "#6b717a", "#d4d8dd"
local FRAME = { fill = "#f6f7f9", stroke = "#b9bfc7", thickness = 1.5, radius = 8 }
local TITLE = { size = 28, colour = INK, bold = true }
local ABOUT = { size = 21, colour = INK }
local MOMENT = { size = 20, colour = QUIET }
local LEGEND = { size = 17, colour = QUIET }

-- A sheet of few pictures has large cells; many share an area.
local AREA, SMALLEST_CELL, LARGEST_CELL = 1400 * 700, 48, 112

--- Sizes of the cells. A value becomes a square of a whole number of pixels, so that it stays crisp.
local function plan_cell(sheet)
  local height, width = table.unpack(sheet.pictures[1].shape)
  local side = math.max(SMALLEST_CELL, math.min(LARGEST_CELL, math.sqrt(AREA / #sheet.pictures)))
  local enlarged = math.max(2, math.floor(side / math.max(height, width) + 0.5))
  local gap = math.max(6, enlarged * width // 11)
  return {
    width = enlarged * width, height = enlarged * height, gap = gap,
    padding = sheet.framed and gap + 4 or 0,
    space = sheet.framed and 2 * gap or gap,
  }
end

--- A number as figures show it: three digits, a sign, a true minus.
local function figure(value)
  if value == 0 then return "0" end
  return (value < 0 and "−" or "+") .. ("%.3g"):format(math.abs(value))
end

local function draw_pictures(canvas, x, y, sheet, layout, cell)
  if sheet.framed then
    for _, frame in ipairs(layout.frames) do
      canvas:rect(x + frame.x, y + frame.y, frame.width, frame.height, FRAME)
    end
  end
  for i, values in ipairs(sheet.pictures) do
    local left, top = x + layout.cells[i].x, y + layout.cells[i].y
    canvas:rect(left - 1, top - 1, cell.width + 2, cell.height + 2, { fill = EDGE })
    canvas:image(left, top, cell.width, cell.height, values,
      { low = -1, high = 1, map = #values.shape == 2 and sheet.map or nil })
  end
end

local function draw_bar(canvas, x, y, sheet)
  local ramp = tensor.arange(BAR_WIDTH):reshape(1, BAR_WIDTH)
  canvas:image(x, y, BAR_WIDTH, BAR_HEIGHT, ramp, { low = 0, high = BAR_WIDTH - 1, map = sheet.map })
  local bottom = y + BAR_HEIGHT
  local middle = x + BAR_WIDTH / 2
  canvas:line({ middle, bottom, middle, bottom + TICK }, { colour = QUIET })
  local function number(at, value, align)
    canvas:text(at, bottom + TICK + LEGEND.size, figure(value),
      { size = LEGEND.size, colour = LEGEND.colour, align = align })
  end
  number(x, -sheet.peak, "left")
  number(middle, 0, "centre")
  number(x + BAR_WIDTH, sheet.peak, "right")
end

--- Draws a sheet and saves it as PNG.
-- @param path
-- @param sheet {pictures={real {h, w} or {h, w, 3}, …} of values in -1..1, sizes={pictures of each group},
--   framed= whether groups have a frame, columns= (optional, of a group), map= colours from -1 to 1,
--   peak= what 1 stands for, name=, about=, moment=, legend= texts}
function M.draw(path, sheet)
  local canvas = require "sm.canvas" -- only a program that draws needs cairo
  local function width(text, style)
    return (canvas.measure(text, { size = style.size, bold = style.bold }))
  end
  local cell = plan_cell(sheet)
  local layout = arrange(sheet.sizes, cell, sheet.columns)
  local about_at = width(sheet.name, TITLE) + TITLE.size / 2
  local legend_at = BAR_WIDTH + 1.5 * LEGEND.size
  local inner = math.ceil(math.max(layout.width, about_at + width(sheet.about, ABOUT),
    width(sheet.moment, MOMENT), legend_at + width(sheet.legend, LEGEND)))

  local header = 2 * LINE + HEADER_SPACE
  local footer = BAR_SPACE + BAR_HEIGHT + TICK + LEGEND.size
  local picture <close> = canvas.new(inner + 2 * MARGIN, header + layout.height + footer + 2 * MARGIN,
    BACKGROUND)
  local x, y = MARGIN, MARGIN
  picture:text(x, y + TITLE.size, sheet.name, TITLE)
  picture:text(x + about_at, y + TITLE.size, sheet.about, ABOUT)
  picture:text(x, y + TITLE.size + LINE, sheet.moment, MOMENT)
  y = y + header
  draw_pictures(picture, x, y, sheet, layout, cell)
  y = y + layout.height + BAR_SPACE
  draw_bar(picture, x, y, sheet)
  picture:text(x + legend_at, y + BAR_HEIGHT, sheet.legend, LEGEND)
  picture:save(path)
end

return M
