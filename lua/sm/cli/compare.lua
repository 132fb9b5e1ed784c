--- smrun compare RUN…
local columns = require "sm.study.columns"
local compare = require "sm.study.compare"
local index = require "sm.study.index"
local paths = require "sm.cli.paths"
local runtime = require "sm.runtime"
local tabulate = require "sm.study.tables"
local text = require "sm.text"

local M = {}

--- Prints the tables; with --csv also writes one for other programs, and with --csv - prints that alone,
--- in which what a terminal would obey is made visible.
--- @return integer exit code
function M.compare(options)
  local found, unread, stamps = paths.runs(options.words)
  local records, left_out = index.read_all(found, options.words, stamps)
  table.move(unread, 1, #unread, #left_out + 1, left_out)
  local comparison = compare.records(records, left_out, options.figure)
  if options.csv == "-" then
    io.stdout:write(text.visible(tabulate.csv(comparison), "\n\t"))
    return 0
  end
  text.print(tabulate.text(comparison, columns.terminal()))
  if options.csv then runtime.io.write_durably(options.csv, tabulate.csv(comparison)) end
  return 0
end

return M
