--- smrun report RUN…
local index = require "sm.study.index"
local paths = require "sm.cli.paths"
local report = require "sm.report"
local text = require "sm.text"

local M = {}

--- Writes the page, and says where it lies; with --out - prints the page.
--- @return integer exit code
function M.report(options)
  local found, unread, stamps = paths.runs(options.words)
  local known = { index.read_all(found, options.words, stamps, true) }
  if options.out == "-" then
    io.stdout:write(report.page(found, nil, unread, known))
    return 0
  end
  text.print(report.write(found, options.out, nil, unread, known))
  return 0
end

return M
