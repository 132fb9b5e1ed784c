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

--- What shows the predictions for pictures, as sm.terminal.predictions.
function M.predictions(pictures, options)
  return require "sm.terminal.predictions".new(pictures, options)
end

--- The directory for a run, as sm.experiment.directory.choose gives it.
--- @param wanted table {base=(runs/<name>/<variant>), or runs=, name= and variant=; identity=, again=}
--- @return string path, string state, string|nil reason, boolean|nil replaces
function M.place(wanted)
  local identity = require "sm.experiment.identity"
  local base = wanted.base or ("%s/%s/%s"):format(wanted.runs:gsub("(.)/+$", "%1"), wanted.name, wanted.variant)
  return require "sm.experiment.directory".choose(base, function(path)
    return identity.difference(path, wanted.identity)
  end, wanted.again)
end

--- Makes the directory of a run ready, keeps other processes out, and has its log hear what is said.
--- @param root string|nil the directory beneath which it is reached through no link
--- @return table of sm.experiment.directory
function M.open(progress, path, root)
  local opened = require "sm.experiment.directory".open(path, root)
  progress.log = opened.log
  return opened
end

--- On what machine, and from which revision of its file, a run runs.
--- @return table for environment.json
function M.surroundings(file)
  return require "sm.experiment.environment".surroundings(file)
end

--- Deletes all checkpoints of a run but the newest `keep` up to `step`.
function M.prune(path, keep, step)
  require "sm.experiment.checkpoint_files".prune(path, keep, step)
end

--- Writes summary.json: the run is finished.
function M.conclude(path, summary)
  require "sm.experiment.checkpoint_files".finish(path, summary)
end

--- Writes the report of a run anew. A run does not end for want of one: what is wrong is said once.
--- @param about table as report.page has it
function M.report(progress, path, about)
  local written, problem = pcall(function() require "sm.report".write({ path }, nil, about) end)
  if written then
    progress.reported = true
  elseif not progress.unreported then
    progress.unreported = true
    progress:say(("the report could not be written%s: %s"):format(about.ended and "" or ", and the run goes on",
      tostring(problem)))
  end
end

local function nothing() end

--- Whether somebody wants the run to save and stop.
--- @return boolean
M.interrupted = program and program.interrupted or nothing

--- Whether the first signal is to be noted alone, for `interrupted` to tell, rather than end what runs.
M.graceful = program and program.graceful or nothing

--- Whether what runs goes on where nobody reads what it prints any more.
M.unheard = program and program.unheard or nothing

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
