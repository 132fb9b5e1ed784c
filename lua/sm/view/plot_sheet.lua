--- The page of a person's own curves, points and bars.
-- @module sm.view.plot_sheet
local axes = require "sm.view.axis"
local colour = require "sm.view.colour"
local own = require "sm.view.own"
local page = require "sm.view.page"
local style = require "sm.view.style"
local words = require "sm.view.words"

local M = {}

-- Pixels.
local WIDTH, HEIGHT = 760, 380                  -- within the axes
local SWATCH, GAP, ROW = 14, 10, 26             -- of the legend: a colour, what is between, a line
local BELOW, BESIDE = 24, 12                    -- under the axis for its marks, for its title; around the mark
local THICKNESS, DOT, SMALL_DOT = 2, 6, 4
local MANY = 500                                -- points, from which on they are small
local FULL = 0.8                                -- share of its place that a group of bars takes
local LONGEST_NAME = 40                         -- bytes
local MARGIN = 0.04                             -- of an axis, beyond its numbers

--- How far bars are from one another: the smallest distance of two places.
local function bar_places(list)
  local places, count, least = {}, 0, math.huge
  for _, series in ipairs(list) do
    if series.style == "bars" then
      count = count + 1
      for _, x in ipairs(series.x) do if axes.fits(x) then places[#places + 1] = x end end
    end
  end
  table.sort(places)
  for i = 2, #places do
    if places[i] > places[i - 1] then least = math.min(least, places[i] - places[i - 1]) end
  end
  return count, least < math.huge and least or 1
end

--- The axes, and how many points cannot be drawn.
local function plan(list, options)
  local low, high, left_out, total = {}, {}, 0, 0
  local bars, unit = bar_places(list)
  local function take(axis, value)
    low[axis], high[axis] = math.min(low[axis] or value, value), math.max(high[axis] or value, value)
  end
  local only_lines = true
  for _, series in ipairs(list) do
    only_lines = only_lines and series.style == "line"
    for i, x in ipairs(series.x) do
      local y = series.y[i]
      total = total + 1
      if axes.fits(x, options.x_log) and axes.fits(y, options.y_log) then
        local half = series.style == "bars" and unit / 2 or 0
        take("x", x - half)
        take("x", x + half)
        take("y", y)
        if half > 0 and not options.y_log then take("y", 0) end
      else
        left_out = left_out + 1
      end
    end
  end
  return {
    x = axes.new(low.x, high.x, { log = options.x_log, range = options.x_range, margin = only_lines and 0 or MARGIN }),
    y = axes.new(low.y, high.y, { log = options.y_log, range = options.y_range, margin = MARGIN }),
    bars = bars, unit = unit, left_out = left_out, total = total,
  }
end

--- The part of a stretch that lies within the axes, all in shares of them (Liang and Barsky 1984).
-- @return x1, y1, x2, y2; nil where none does
local function clipped(x1, y1, x2, y2)
  local from, to = 0, 1
  local dx, dy = x2 - x1, y2 - y1
  for _, side in ipairs { { -dx, x1 }, { dx, 1 - x1 }, { -dy, y1 }, { dy, 1 - y1 } } do
    local along, room = side[1], side[2]
    if along == 0 then
      if room < 0 then return nil end
    elseif along < 0 then
      from = math.max(from, room / along)
    else
      to = math.min(to, room / along)
    end
  end
  if from > to then return nil end
  return x1 + from * dx, y1 + from * dy, x1 + to * dx, y1 + to * dy
end

local function inside(x, y)
  return x >= 0 and x <= 1 and y >= 0 and y <= 1
end

--- The points of a series in shares of the axes; false where one cannot be drawn.
local function placed(series, planned, options)
  local points = {}
  for i, x in ipairs(series.x) do
    local y = series.y[i]
    points[i] = axes.fits(x, options.x_log) and axes.fits(y, options.y_log)
      and { planned.x.place(x), planned.y.place(y) }
  end
  return points
end

local function draw_line(points, stroke, dot)
  local path = {}
  local function finish()
    if #path > 2 then stroke(path) end
    path = {}
  end
  for i, point in ipairs(points) do
    local before, after = points[i - 1], points[i + 1]
    if point and not before and not after and inside(point[1], point[2]) then dot(point[1], point[2]) end
    local x1, y1, x2, y2
    if point and before then x1, y1, x2, y2 = clipped(before[1], before[2], point[1], point[2]) end
    if x1 then
      if #path == 0 or path[#path - 1] ~= x1 or path[#path] ~= y1 then
        finish()
        path[1], path[2] = x1, y1
      end
      path[#path + 1], path[#path + 2] = x2, y2
    else
      finish()
    end
  end
  finish()
end

--- Draws the series within the axes, whose upper left corner is at x, y.
local function draw_series(canvas, x, y, list, planned, options)
  local bar = 0
  for number, series in ipairs(list) do
    local ink = colour.of_series(number, #list)
    local points = placed(series, planned, options)
    local size = #points > MANY and SMALL_DOT or DOT
    local function dot(px, py)
      canvas:rect(x + px * WIDTH - size / 2, y + (1 - py) * HEIGHT - size / 2, size, size,
        { fill = ink, radius = size / 2 })
    end
    if series.style == "line" then
      draw_line(points, function(path)
        for i = 1, #path, 2 do path[i], path[i + 1] = x + path[i] * WIDTH, y + (1 - path[i + 1]) * HEIGHT end
        canvas:line(path, { colour = ink, thickness = THICKNESS })
      end, dot)
    elseif series.style == "points" then
      for _, point in ipairs(points) do
        if point and inside(point[1], point[2]) then dot(point[1], point[2]) end
      end
    else
      local wide = FULL * planned.unit / planned.bars
      local foot = options.y_log and 0 or math.max(0, math.min(1, planned.y.place(0)))
      for i, point in ipairs(points) do
        if point then
          local left = planned.x.place(series.x[i] + wide * (bar - planned.bars / 2))
          local right = planned.x.place(series.x[i] + wide * (bar + 1 - planned.bars / 2))
          left, right = math.max(0, math.min(1, left)), math.max(0, math.min(1, right))
          local top = math.max(0, math.min(1, point[2]))
          canvas:rect(x + left * WIDTH, y + (1 - math.max(top, foot)) * HEIGHT, (right - left) * WIDTH,
            math.abs(top - foot) * HEIGHT, { fill = ink })
        end
      end
      bar = bar + 1
    end
  end
end

--- Where a thin line at a coordinate fills pixels rather than halves of them.
local function crisp(coordinate)
  return math.floor(coordinate) + 0.5
end

--- The axes with their marks, and between them the series.
local function plot_box(list, planned, options)
  local labels = {}
  for i, mark in ipairs(planned.y.marks) do labels[i] = mark.text end
  local y_title, x_title = options.y_axis, options.x_axis
  local left = math.ceil(page.widest(labels, style.small)) + GAP
  local above = y_title and ROW or GAP
  return { width = left + WIDTH + BESIDE, height = above + HEIGHT + BELOW + (x_title and ROW or 0),
    draw = function(canvas, x, y)
      local x0, y0 = x + left, y + above
      for _, mark in ipairs(planned.y.marks) do
        local level = crisp(y0 + (1 - planned.y.place(mark.at)) * HEIGHT)
        canvas:line({ x0, level, x0 + WIDTH, level }, { colour = style.edge })
        page.text(canvas, x0 - GAP, level + 5, mark.text, style.small, "right", style.quiet)
      end
      draw_series(canvas, x0, y0, list, planned, options)
      local foot = crisp(y0 + HEIGHT)
      canvas:line({ x0, foot, x0 + WIDTH, foot }, { colour = style.quiet })
      for _, mark in ipairs(planned.x.marks) do
        local along = crisp(x0 + planned.x.place(mark.at) * WIDTH)
        canvas:line({ along, foot, along, foot + style.tick }, { colour = style.quiet })
        page.text(canvas, along, y0 + HEIGHT + BELOW - 4, mark.text, style.small, "centre", style.quiet)
      end
      if y_title then page.text(canvas, x, y + style.label.size, own.line(y_title), style.label) end
      if x_title then
        page.text(canvas, x0 + WIDTH, y0 + HEIGHT + BELOW + style.label.size, own.line(x_title), style.label,
          "right")
      end
    end }
end

--- The colours and the names of the series, as many in a row as fit; nil where none has a name.
local function legend_box(list, width)
  local places, x, row, named = {}, 0, 0, false
  for number, series in ipairs(list) do
    named = named or series.name ~= nil
    local name = own.line(series.name or "", LONGEST_NAME)
    local wide = SWATCH + GAP // 2 + page.width(name, style.label)
    if x > 0 and x + wide > width then x, row = 0, row + 1 end
    places[number] = { x = x, y = row * ROW, name = name }
    x = x + wide + 2 * GAP
  end
  if not named then return nil end
  return { width = width, height = (row + 1) * ROW, draw = function(canvas, left, top)
    for number, place in ipairs(places) do
      canvas:rect(left + place.x, top + place.y + 2, SWATCH, SWATCH,
        { fill = colour.of_series(number, #list), radius = 3 })
      page.text(canvas, left + place.x + SWATCH + GAP // 2, top + place.y + SWATCH, place.name, style.label)
    end
  end }
end

--- Draws the page and saves it as PNG.
-- @param path
-- @param sheet {name=, lines= texts below the title, series= as sm.view.plot reads them, options= its options}
function M.draw(path, sheet)
  local list, options = sheet.series, sheet.options
  local planned = plan(list, options)
  local box = plot_box(list, planned, options)
  local lines, boxes = sheet.lines, { legend_box(list, box.width) }
  if planned.left_out > 0 then
    lines[#lines + 1] = ("%s of %s cannot be drawn%s"):format(words.thousands(planned.left_out),
      words.count(planned.total, "point"), (options.x_log or options.y_log) and ": no finite numbers above 0"
        or ": no finite numbers")
  end
  boxes[#boxes + 1] = box
  page.save(path, { name = sheet.name, about = planned.total == 0 and "no points" or "", lines = lines,
    content = page.column(boxes, GAP) })
end

return M
