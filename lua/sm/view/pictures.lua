--- Many small pictures of one scale, group by group, as one box.
-- @module sm.view.pictures
local arrange = require "sm.view.layout".arrange
local page = require "sm.view.page"
local style = require "sm.view.style"

local LABEL_SPACE = 24 -- above a frame that has a label
local CAPTION_SPACE = 22 -- below a picture that has a caption
local WIDEST_GAP = 24

-- A sheet of few pictures has large cells; many share an area.
local AREA, SMALLEST_CELL, LARGEST_CELL = 1400 * 700, 48, 112

--- Sizes of the cells. A value becomes a square of a whole number of pixels, so that it stays crisp.
local function plan_cell(given)
  local height, width = 0, 0
  for _, picture in ipairs(given.pictures) do
    height, width = math.max(height, picture.shape[1]), math.max(width, picture.shape[2])
  end
  local side = given.side
    or math.max(SMALLEST_CELL, math.min(LARGEST_CELL, math.sqrt(AREA / #given.pictures)))
  local enlarged = given.scale or math.max(given.side and 1 or 2, math.floor(side / math.max(height, width) + 0.5))
  local gap = math.min(WIDEST_GAP, math.max(6, enlarged * width // 11))
  return {
    enlarged = enlarged, gap = gap,
    width = math.max(enlarged * width, given.captions and math.ceil(page.widest(given.captions, style.small)) or 0),
    height = enlarged * height + (given.captions and CAPTION_SPACE or 0),
    padding = given.framed and gap + 4 or 0,
    space = given.labels and LABEL_SPACE or given.framed and 2 * gap or gap,
  }
end

--- @param given {pictures={real {h, w} or {h, w, 3}, …}, low= and high= their scale (-1 and 1), sizes={pictures of each
--   group}, framed= whether groups have a frame, labels={text above each frame} (optional), captions={text below each
--   picture} (optional), columns= (optional, of a group), side= of a cell, roughly, or scale= pixels of a value's side
--   (optional), map= colours from low to high}
-- @return a box, see sm.view.page
return function(given)
  local cell = plan_cell(given)
  local layout = arrange(given.sizes, cell, given.columns)
  local above = given.labels and LABEL_SPACE or 0
  return { width = layout.width, height = above + layout.height, draw = function(canvas, x, y)
    y = y + above
    for group, frame in ipairs(given.framed and layout.frames or {}) do
      canvas:rect(x + frame.x, y + frame.y, frame.width, frame.height, style.frame)
      if given.labels then
        canvas:text(x + frame.x + style.frame.radius, y + frame.y - 6, given.labels[group], style.small)
      end
    end
    for i, values in ipairs(given.pictures) do
      local rows, columns = table.unpack(values.shape)
      local wide, high = cell.enlarged * columns, cell.enlarged * rows
      local place = layout.cells[i]
      local left, top = x + place.x + (cell.width - wide) // 2, y + place.y
      canvas:rect(left - 1, top - 1, wide + 2, high + 2, { fill = style.edge })
      canvas:image(left, top, wide, high, values,
        { low = given.low or -1, high = given.high or 1, map = #values.shape == 2 and given.map or nil })
      if given.captions then
        page.text(canvas, x + place.x + cell.width / 2, top + high + CAPTION_SPACE - 6, given.captions[i], style.small,
          "centre")
      end
    end
  end }
end
