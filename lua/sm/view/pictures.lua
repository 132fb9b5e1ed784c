--- Many small pictures of one scale, group by group, as one box.
-- @module sm.view.pictures
local arrange = require "sm.view.layout".arrange
local style = require "sm.view.style"

local LABEL_SPACE = 24 -- above a frame that has a label

-- A sheet of few pictures has large cells; many share an area.
local AREA, SMALLEST_CELL, LARGEST_CELL = 1400 * 700, 48, 112

--- Sizes of the cells. A value becomes a square of a whole number of pixels, so that it stays crisp.
local function plan_cell(given)
  local height, width = table.unpack(given.pictures[1].shape)
  local side = given.side
    or math.max(SMALLEST_CELL, math.min(LARGEST_CELL, math.sqrt(AREA / #given.pictures)))
  local enlarged = math.max(given.side and 1 or 2, math.floor(side / math.max(height, width) + 0.5))
  local gap = math.max(6, enlarged * width // 11)
  return {
    width = enlarged * width, height = enlarged * height, gap = gap,
    padding = given.framed and gap + 4 or 0,
    space = given.labels and LABEL_SPACE or given.framed and 2 * gap or gap,
  }
end

--- @param given {pictures={real {h, w} or {h, w, 3}, …} of values in -1..1, sizes={pictures of each group},
--   framed= whether groups have a frame, labels={text above each frame} (optional), columns= (optional, of a
--   group), side= of a cell, roughly (optional), map= colours from -1 to 1}
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
      local left, top = x + layout.cells[i].x, y + layout.cells[i].y
      canvas:rect(left - 1, top - 1, cell.width + 2, cell.height + 2, { fill = style.edge })
      canvas:image(left, top, cell.width, cell.height, values,
        { low = -1, high = 1, map = #values.shape == 2 and given.map or nil })
    end
  end }
end
