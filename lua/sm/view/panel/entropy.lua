--- How decided each group is, over training.
-- @module sm.view.panel.entropy
local colour = require "sm.view.colour"
local page = require "sm.view.page"
local style = require "sm.view.style"
local words = require "sm.view.words"

local LABELLED = 16                           -- groups at most that are named at the end of their line
local HEIGHT, LEFT, BELOW = 230, 44, 26       -- pixels of the plot and its margins
local LABEL = 15                              -- pixels from one label to the next
local DOT = 5

--- Places labels as near to where they belong as can be without overlapping.
-- @param wanted array of positions
-- @return array of positions
local function spread(wanted, limit)
  local order, placed = {}, {}
  for i = 1, #wanted do order[i] = i end
  table.sort(order, function(a, b) return wanted[a] < wanted[b] end)
  local free = -math.huge
  for _, i in ipairs(order) do
    placed[i] = math.max(wanted[i], free)
    free = placed[i] + LABEL
  end
  free = limit -- and back, so that the last ones stay inside
  for position = #order, 1, -1 do
    local i = order[position]
    placed[i] = math.min(placed[i], free)
    free = placed[i] - LABEL
  end
  return placed
end

--- @param moments array of {step=, [group]= entropy in units of its largest value}; the last is now
-- @param width of the panel
-- @return a panel
return function(moments, width)
  local now = moments[#moments]
  local labelled = #now > 1 and #now <= LABELLED
  local right = labelled and 30 or 12
  local content = { width = width, height = HEIGHT + BELOW, draw = function(canvas, x, y)
    local left, across = x + LEFT, width - LEFT - right
    local last = math.max(1, now.step)
    local function at(moment, g)
      return left + across * moment.step / last, y + HEIGHT * (1 - math.max(0, math.min(1, moment[g])))
    end
    for _, value in ipairs { 0, 0.5, 1 } do
      local level = y + HEIGHT * (1 - value)
      canvas:line({ left, level, left + across, level }, { colour = style.edge })
      page.text(canvas, left - 10, level + 5, ("%g"):format(value), style.small, "right", style.quiet)
    end
    page.text(canvas, left, y + HEIGHT + BELOW - 4, "step 0", style.small, "left", style.quiet)
    page.text(canvas, left + across, y + HEIGHT + BELOW - 4, words.thousands(now.step), style.small, "right",
      style.quiet)
    local ends = {}
    for g = 1, #now do
      local ink = colour.of_series(g, #now)
      local points = {}
      for _, moment in ipairs(moments) do
        local px, py = at(moment, g)
        points[#points + 1], points[#points + 2] = px, py
        canvas:rect(px - DOT / 2, py - DOT / 2, DOT, DOT, { fill = ink, radius = DOT / 2 })
      end
      if #moments > 1 then canvas:line(points, { colour = ink, thickness = 2 }) end
      ends[g] = points[#points] + 5
    end
    for g, base in ipairs(labelled and spread(ends, y + HEIGHT + 5) or {}) do
      page.text(canvas, left + across + 8, base, tostring(g), style.small, "left",
        colour.of_series(g, #now, 0.5))
    end
  end }
  return page.panel {
    heading = "How undecided is each group?", width = width,
    caption = "Mean entropy over all locations, as a share of the largest possible. 1: all channels alike, "
      .. "0: one is certain."
      .. (labelled and " The numbers at the right are the groups, in the order of their lines." or ""),
    content = content,
  }
end
