--- smrun compare RUN…
local lfs = require "lfs"
local compare = require "sm.experiment.compare"
local paths = require "sm.cli.paths"
local records = require "sm.experiment.records"
local runtime = require "sm.runtime"
local tabulate = require "sm.experiment.tabulate"
local usage = require "sm.usage"

local M = {}

--- Prints the tables; with --csv also writes one for other programs.
--- @return integer exit code
function M.compare(options)
  local found = {}
  for _, word in ipairs(options.words) do
    local mode = lfs.attributes(word, "mode")
    if not mode then usage.fail("no such run directory '%s'%s", word, paths.hint(word, "/")) end
    if mode ~= "directory" or #records.find(word) == 0 then usage.fail("there is no run in '%s'", word) end
    records.find(word, found)
  end
  local comparison = compare.runs(found)
  print(tabulate.text(comparison))
  if options.csv then runtime.io.write_durably(options.csv, tabulate.csv(comparison)) end
  return 0
end

return M
