--- A sheet: many small pictures of one scale, group by group, under a title and over a colour bar.
-- @module sm.view.sheet
local page = require "sm.view.page"
local pictures = require "sm.view.pictures"
local words = require "sm.view.words"

local M = {}

local BAR_SPACE = 28 -- between the pictures and the bar

--- Draws a sheet and saves it as PNG.
-- @param path
-- @param sheet what sm.view.pictures takes, and {peak= what 1 stands for, name=, about=, lines=, legend=
--   texts}
function M.draw(path, sheet)
  local ends = { words.figure(-sheet.peak), "0", words.figure(sheet.peak) }
  page.save(path, {
    name = sheet.name, about = sheet.about, lines = sheet.lines,
    content = page.column({ pictures(sheet), page.legend(sheet.map, ends, sheet.legend) }, BAR_SPACE),
  })
end

return M
