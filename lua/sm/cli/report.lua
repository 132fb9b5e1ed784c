--- smrun report RUN…
local paths = require "sm.cli.paths"
local report = require "sm.report"
local text = require "sm.text"

local M = {}

--- Writes the page, and says where it lies; with --out - prints the page.
--- @return integer exit code
function M.report(options)
  local found, unread = paths.runs(options.words)
  if options.out == "-" then
    io.stdout:write(report.page(found, nil, unread))
    return 0
  end
  text.print(report.write(found, options.out, nil, unread))
  return 0
end

return M
