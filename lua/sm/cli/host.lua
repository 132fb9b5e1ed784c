--- What a run asks of the program around it, and is handed when an experiment is declared: a screen to speak on, what
--- is said before and after, the report, and whether somebody wants it to stop.
-- Nothing is loaded before it is asked for: a plain script asks for none of it.
local program = package.loaded["sm.host"] -- what smrun has in C; nil under plain Lua

local M = {}

for _, said in ipairs { "plan", "finished", "finished_already", "interrupted_run" } do
  M[said] = function(...) return require "sm.terminal.present"[said](...) end
end

--- @param options table {quiet=}
--- @return table of sm.terminal.progress
function M.screen(options)
  return require "sm.terminal.progress".new(options)
end

--- Writes the report of a run anew.
--- @param about table as report.page has it
function M.report(path, about)
  require "sm.report".write({ path }, nil, about)
end

local function nothing() end

--- Whether somebody wants the run to save and stop.
--- @return boolean
M.interrupted = program and program.interrupted or nothing

--- Whether the first signal is to be noted alone, for `interrupted` to tell, rather than end what runs.
M.graceful = program and program.graceful or nothing

--- Under plain Lua a program that only runs an experiment asks this of its runs. Lua answers Ctrl-C by a hook on its
--- main thread, and runs are on another.
function M.answer_signals()
  M.interrupted = function()
    return debug.gethook(debug.getregistry()[1]) == "external hook" -- 1: LUA_RIDX_MAINTHREAD
  end
end

--- For `local scope <close> = …`: while a file is loaded for which the command line asks for what a script that trains
--- experiments itself does not heed. It is refused when the script comes to train one.
--- @param why string|nil
function M.refusing(why)
  M.refusal = why
  return setmetatable({}, { __close = function() M.refusal = nil end })
end

--- sm.experiment { data =, model =, optimizer =, schedule = }: declares an experiment, for its file to return. smrun
--- trains it, saves it, resumes it and reports it.
function M.experiment(given)
  return require "sm.experiment".declare(given, M)
end

return M
