--- smrun report RUN…
local paths = require "sm.cli.paths"
local report = require "sm.experiment.report"
local text = require "sm.text"

local M = {}

--- Writes the page, and says where it lies; with --out - prints the page.
--- @return integer exit code
function M.report(options)
  local found, unread = paths.runs(options.words)
  local out = options.out or report.shared_directory(found) .. "/report.html"
  if out == "-" then
    io.stdout:write(report.page(found, nil, unread))
    return 0
  end
  report.write(found, out, nil, unread)
  print(text.visible(out))
  return 0
end

return M
