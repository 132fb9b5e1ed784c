--- The panels of a consequence sheet on their page.
-- @module sm.view.groups_sheet
local ablation = require "sm.view.panel.ablation"
local entropy = require "sm.view.panel.entropy"
local page = require "sm.view.page"
local patches = require "sm.view.panel.patches"
local redundancy = require "sm.view.panel.redundancy"
local use = require "sm.view.panel.use"
local winners = require "sm.view.panel.winners"

local M = {}

-- Pixels.
local SIDE = 400                      -- of the panels at the right
local BESIDE, BELOW = 56, 44          -- between panels

--- Draws a sheet and saves it as PNG.
-- @param path
-- @param sheet {name=, about=, lines=} texts above the panels
-- @param numbers see sm.view.consequence
-- @param moments see sm.view.panel.entropy
-- @param class_names one for each class
function M.draw(path, sheet, numbers, moments, class_names)
  local maps = winners(numbers, class_names)
  local right = { entropy(moments, SIDE) }
  if #numbers.groups > 1 then table.insert(right, 1, redundancy(numbers, SIDE)) end
  local top = page.row({ maps, page.column(right, BELOW) }, BESIDE)
  local features, worth = patches(numbers), ablation(numbers, class_names, SIDE)
  local bottom = page.row({ features, worth }, BESIDE)
  local width = math.max(top.width, bottom.width)
  sheet.content = page.column({ top, use(numbers, class_names, width), bottom }, BELOW)
  page.save(path, sheet)
end

return M
