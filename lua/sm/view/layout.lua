--- Where the pictures of a sheet lie: equal cells, group by group, in order, row by row.
-- @module sm.view.layout
local M = {}

local ASPECT = 1.6 -- width to height of a sheet that is pleasant on a page and a screen
-- What counts like a factor e in the aspect: a sheet without pictures; what any gap in the grid costs beyond that.
local WASTE, UNEVEN = 3, 0.6

--- How many cells a group has in a row: `columns` of them, or as many as make `rows` rows.
local function across_of(size, rows, columns)
  return columns and math.min(columns, size) or math.ceil(size / rows)
end

local function frame_of(size, across, cell)
  return {
    width = across * (cell.width + cell.gap) - cell.gap + 2 * cell.padding,
    height = math.ceil(size / across) * (cell.height + cell.gap) - cell.gap + 2 * cell.padding,
    across = across, size = size,
  }
end

--- Sets frames side by side as long as they fit into `width`.
local function place(frames, width, cell)
  local layout = { width = 0, height = 0, cells = {}, frames = {} }
  local x, y = 0, 0
  for group, frame in ipairs(frames) do
    if x > 0 and x + frame.width > width then x, y = 0, layout.height + cell.space end
    layout.frames[group] = { x = x, y = y, width = frame.width, height = frame.height }
    for i = 0, frame.size - 1 do
      layout.cells[#layout.cells + 1] = {
        x = x + cell.padding + i % frame.across * (cell.width + cell.gap),
        y = y + cell.padding + i // frame.across * (cell.height + cell.gap),
        group = group,
      }
    end
    layout.width = math.max(layout.width, x + frame.width)
    layout.height = math.max(layout.height, y + frame.height)
    x = x + frame.width + cell.space
  end
  return layout
end

--- How far an arrangement is from a full sheet of the right aspect.
local function cost(frames, layout, cell)
  local filled = 0 -- the area of frames, less their empty places
  for _, frame in ipairs(frames) do
    local places = frame.across * math.ceil(frame.size / frame.across)
    filled = filled + (frame.width + cell.space) * (frame.height + cell.space) * frame.size / places
  end
  local whole = (layout.width + cell.space) * (layout.height + cell.space)
  return math.abs(math.log(layout.width / layout.height / ASPECT)) + WASTE * (1 - filled / whole)
    + (filled < whole and UNEVEN or 0)
end

--- The arrangement of groups that comes nearest to a full sheet of a pleasant shape.
-- @param sizes   cells of each group
-- @param cell    {width=, height=, gap= between cells, padding= between a group's cells and its frame,
--                space= between groups}, pixels
-- @param columns cells in a row of a group, or nil: groups are equally high, and the height is chosen
-- @return {width=, height=, cells={{x=, y=, group=}, …} in order, frames={{x=, y=, width=, height=}, …}}
function M.arrange(sizes, cell, columns)
  local best, least
  for rows = 1, columns and 1 or math.max(table.unpack(sizes)) do
    local frames, width = {}, -cell.space
    for group, size in ipairs(sizes) do frames[group] = frame_of(size, across_of(size, rows, columns), cell) end
    for _, frame in ipairs(frames) do
      width = width + cell.space + frame.width
      local layout = place(frames, width, cell)
      local price = cost(frames, layout, cell)
      if not least or price < least then best, least = layout, price end
    end
  end
  return best
end

return M
