--- smrun -e CODE
local loader = require "sm.experiment.load"
local modules = require "sm.modules"
local text = require "sm.text"

local REFUSED <const> = "sm.load_run runs the text that the run has kept, which may be a stranger's, and this code is "
  .. "not confined; `smrun --trust -e CODE` runs it all the same, and in a file, `smrun FILE`, it is confined"

local M = {}

--- Runs the code; what it returns, or the value of an expression, is printed.
--- @return integer exit code
function M.code(options)
  if not options.trust then modules.refuse_runs(REFUSED) end
  local environment = loader.environment({ [0] = "-e" }, { sm = function() return require "sm" end })
  local name <const> = "=(command line)"
  local chunk, problem = load("return " .. options.code, name, "t", environment)
  if not chunk then
    local of_expression = problem
    chunk, problem = load(options.code, name, "t", environment)
    if not chunk then error(require "sm.cli.syntax".of_either(options.code, of_expression, problem), 0) end
  end
  local values = table.pack(chunk())
  local words = {}
  for i = 1, values.n do words[i] = tostring(values[i]) end
  if values.n > 0 then text.print(table.concat(words, "\t")) end
  return 0
end

return M
