--- Tells the user what went wrong, on standard error.
local ranks = require "sm.cli.ranks"
local text = require "sm.text"
local usage = require "sm.usage"

local failed <const>, wrong_usage <const> = 1, 2

--- @param problem any what xpcall gave with the handler of sm.cli.traceback; a text when memory ran out
--- @return integer exit code
return function(problem)
  local words, code
  if usage.is(problem) then
    words, code = ("%s\nsee %s --help"):format(problem.message, usage.program()), wrong_usage
  else
    local message, lines = problem, nil
    if type(problem) == "table" then message, lines = problem.message, problem.lines end
    words, code = tostring(message) .. (lines and "\n" .. lines or ""), failed
  end
  local heard
  heard, words = ranks.fail(words)
  if heard then return code end
  words = "smrun: " .. text.visible(words, "\n\t") .. "\n"
  local columns = text.terminal(2)
  io.stderr:write(columns and text.wrap(words, columns, 2) or words)
  return code
end
