--- The command line of smrun: reads it, runs the command, reports what went wrong.
require "sm.modules".shield() -- before anything else is required
require "sm.packages"
local host = require "sm.host"
local options = require "sm.cli.options"
local traceback = require "sm.cli.traceback"
local usage = require "sm.usage"

local M = {}

local exit <const> = { done = 0, failed = 1, wrong_usage = 2, interrupted = 130 }

local commands = {
  file = function(given) return require "sm.cli.run".file(given) end,
  resume = function(given) return require "sm.cli.run".resume(given) end,
  eval = function(given) return require "sm.cli.run".eval(given) end,
  compare = function(given) return require "sm.cli.compare".compare(given) end,
  report = function(given) return require "sm.cli.report".report(given) end,
  data = function(given) return require "sm.cli.data".data(given) end,
  code = function(given) return require "sm.cli.code".code(given) end,
  version = function(given) return require "sm.cli.version".version(given) end,
}

local function dispatch(arguments)
  local command, given, wrong = options.read(arguments)
  if given.threads then host.set_threads(given.threads) end
  if command ~= "help" then return commands[command](given) end
  local output = wrong and io.stderr or io.stdout
  output:write(options.help)
  return wrong and exit.wrong_usage or exit.done
end

--- Tells the user what went wrong, on standard error.
--- @param problem any what xpcall gave with the handler of sm.cli.traceback; a text when memory ran out
--- @return integer exit code
local function report(problem)
  if usage.is(problem) then
    io.stderr:write("smrun: ", problem.message, "\nsee smrun --help\n")
    return exit.wrong_usage
  end
  local interrupted = host.interrupted()
  if not host.output_closed() then
    local message, lines = problem, nil
    if type(problem) == "table" then message, lines = problem.message, problem.lines end
    io.stderr:write("smrun: ", tostring(message), "\n", lines and lines .. "\n" or "")
  end
  return interrupted and exit.interrupted or exit.failed
end

--- @param arguments table as Lua's `arg`: the words of the command line
--- @return integer exit code
function M.main(arguments)
  local ok, result = xpcall(dispatch, traceback.handler, arguments)
  return ok and result or report(result)
end

return M
