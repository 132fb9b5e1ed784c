--- The command line of smrun: reads it, runs the command, reports what went wrong.
require "sm.modules".shield() -- before anything else is required
require "sm.packages"
require "sm.cli.globals"
local host = require "sm.host"
local complain = require "sm.cli.complain"
local help = require "sm.cli.help"
local options = require "sm.cli.options"
local problem = require "sm.problem"
local ranks = require "sm.cli.ranks"
local text = require "sm.text"
local traceback = require "sm.cli.traceback"
local usage = require "sm.usage"

host.set_interruption(problem.new("interrupted", "interrupted"))

local M = {}

local exit <const> = { done = 0, failed = 1, wrong_usage = 2, interrupted = 130 }

local commands = {
  file = function(given) return require "sm.cli.run".file(given) end,
  resume = function(given) return require "sm.cli.run".resume(given) end,
  eval = function(given) return require "sm.cli.run".eval(given) end,
  export = function(given) return require "sm.cli.export".export(given) end,
  predict = function(given) return require "sm.cli.predict".predict(given) end,
  compare = function(given) return require "sm.cli.compare".compare(given) end,
  report = function(given) return require "sm.cli.report".report(given) end,
  list = function(given) return require "sm.cli.list".list(given) end,
  query = function(given) return require "sm.cli.list".query(given) end,
  data = function(given) return require "sm.cli.data".data(given) end,
  code = function(given) return require "sm.cli.code".code(given) end,
  interactive = function(given) return require "sm.cli.run".interact(given) end,
  repl = function(given) return require "sm.cli.prompt".prompt(given) end,
  version = function(given) return require "sm.cli.version".version(given) end,
}

local function dispatch(arguments)
  if arguments[1] == "--complete" then return require "sm.cli.complete".main(arguments) end -- by a shell, at Tab
  local command, given, wrong = options.read(arguments)
  if given.threads then
    host.set_threads(given.threads) -- for processes that this one starts
    require "sm.runtime".system.set_threads(given.threads)
  end
  if given.mpi then ranks.start(given) end
  if command ~= "help" then return commands[command](given) end
  local output = wrong and io.stderr or io.stdout
  output:write(text.visible(help.text(given.about, options.commands[given.about]), "\n"))
  return wrong and exit.wrong_usage or exit.done
end

--- Tells the user what went wrong.
--- @return integer exit code
local function report(met)
  local interrupted = host.interrupted()
  local code = (usage.is(met) or not interrupted or not host.output_closed()) and complain(met) or exit.failed
  return interrupted and code ~= exit.wrong_usage and exit.interrupted or code
end

--- @param arguments table as Lua's `arg`: the words of the command line
--- @return integer exit code
function M.main(arguments)
  usage.call(arguments[0] or "")
  local ok, result = xpcall(dispatch, traceback.handler, arguments)
  return ranks.finish(ok and result or report(result))
end

return M
