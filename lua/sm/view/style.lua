--- What all sheets have in common: colours, and how each kind of text looks. Lengths are pixels.
-- @module sm.view.style
local M = {
  background = "#ffffff", ink = "#1c1f24", quiet = "#6b717a", edge = "#d4d8dd", night = "#000000",
  odd = "#ff00c8", -- of a pixel that is no number
  margin = 40,
  line = 32, -- from one line of a sheet's title to the next
  tick = 6,  -- length of a mark on an axis
}

M.frame = { fill = "#f6f7f9", stroke = "#b9bfc7", thickness = 1.5, radius = 8 }
M.title = { size = 28, colour = M.ink, bold = true }
M.about = { size = 21, colour = M.ink }
M.moment = { size = 20, colour = M.quiet }
M.heading = { size = 21, colour = M.ink, bold = true }
M.legend = { size = 17, colour = M.quiet }
M.label = { size = 16, colour = M.ink }
M.small = { size = 14, colour = M.ink }

return M
