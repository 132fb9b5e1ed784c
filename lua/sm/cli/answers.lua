--- What the supervisor does when its worker calls: a function for each call of sm.cli.calls. What it raises is an error
--- of the worker's; "restart" is no answer, but begins anew with other rights.
-- @module sm.cli.answers
local checkpoint_files = require "sm.experiment.checkpoint_files"
local directory = require "sm.experiment.directory"
local environment = require "sm.experiment.environment"
local host = require "sm.cli.host"
local modules = require "sm.modules"
local reach = require "sm.reach"
local runtime = require "sm.runtime"
local schema = require "sm.experiment.schema"
local staging = require "sm.cli.staging"

local M = {}

local now <const> = runtime.system.now
local most_restarts <const> = 5

-- The screen and the log -----------------------------------------------------------------------------------------

function M.screen(self, call)
  self.progress = host.screen { quiet = self.options.quiet or call.quiet }
end

for _, name in ipairs { "say", "conclude", "note" } do
  M[name] = function(self, call) self.progress[name](self.progress, call.given, call.indent) end
end

function M.row(self, call)
  self.progress:row(call.row, call.steps, call.metrics)
end

function M.step(self, call)
  local at = now()
  self.longest, self.last_step = math.max(self.longest, at - self.last_step), at
  self.progress:step(call.step, call.steps, call.figures, call.seconds, at)
end

function M.clear(self)
  self.progress:clear()
end

function M.plan(self, call)
  host.plan(self.progress, call.about, call.path, staging.words(self, self.path))
end

function M.finished(self, call)
  host.finished(self.progress, { summary = self.summary, pictures = call.pictures }, self.path)
end

function M.finished_already(self)
  local path = self.path or self.run
  host.finished_already(self.progress, self.summary or directory.summary(path), path)
end

function M.interrupted_run(self, call)
  host.interrupted_run(self.progress, call, self.path)
end

-- The run directory ----------------------------------------------------------------------------------------------

--- Begins anew as a script, which writes beneath the directory of its own name.
local function become_script(self)
  if self.kind ~= "experiment" or self.granted then return nil end
  self.kind = "script"
  return "restart"
end

--- Where relative paths are written.
function M.home(self)
  if self.kind == "nothing" then error("this writes nothing: `smrun eval` and `--dry-run` leave no file behind", 0) end
  if self.unwritable then error(self.unwritable, 0) end
  return become_script(self) or error("there is no directory yet for what it writes", 0)
end

--- Where the directories of an experiment lie. One that a script runs lies beneath the script's own.
local function base_of(self, call)
  if call.identity.from_file or self.kind == "nothing" and not call.runs then
    return ("%s/%s/%s"):format(self.runs, call.name, call.variant)
  end
  local own = staging.of_script(self)
  local asked = call.runs
  if asked and reach.lies_in(asked, self.permits.write) then
    return ("%s/%s/%s"):format(asked:gsub("(.)/+$", "%1"), call.name, call.variant)
  elseif asked and (asked:sub(1, 1) == "/" or ("/" .. asked .. "/"):find("/../", 1, true)) then
    error(("%s: this script may write beneath %s alone; `--write DIR` grants more"):format(asked, own), 0)
  end
  if asked then own = own .. "/" .. asked:gsub("/+$", "") end
  if call.name ~= own:match "[^/]*$" then own = own .. "/" .. call.name end
  return own .. "/" .. call.variant
end

--- The directory that belongs to a run, and, where it is to be trained, the right to write in it.
function M.place(self, call)
  if call.planning or self.kind == "nothing" then self.planning = true
  elseif not call.identity.from_file and self.kind == "experiment" then return become_script(self) end
  local path, state, reason, replaces = host.place {
    base = base_of(self, call), identity = call.identity, again = call.again,
  }
  self.begun = state == "unfinished"
  self.path, self.summary = path, state == "finished" and directory.summary(path) or nil
  local saved = state ~= "new" and checkpoint_files.steps(path)[1] or 0
  if not call.planning and state ~= "finished" and self.kind == "experiment" and self.granted ~= path
    and not (state == "new" and staging.settle(self, path)) then
    if (self.restarts or 0) == most_restarts then error(("%s is another process's"):format(path), 0) end
    self.granted = path
    return "restart"
  end
  return { path = path, state = state, reason = reason, replaces = replaces, saved = saved, summary = self.summary }
end

--- Keeps other processes out of the run's directory, and opens its log.
function M.open(self, call)
  if call.path ~= (self.path or self.run) then error(("%s is not the run's directory"):format(call.path), 0) end
  self.path = call.path
  if self.opened then self.opened:close() end
  self.opened = host.open(self.progress, call.path)
  if self.begun then self.progress:say(("%-11s%s"):format("confined", staging.words(self, self.path)), 11) end
  return { unlocked = self.opened.unlocked }
end

function M.surroundings(self)
  local original = self.run and require "sm.cli.permits".original_of(self.run, self.record)
  return environment.surroundings(original or self.file or self.run .. "/experiment.lua")
end

function M.prune(self, call)
  host.prune(self.path, call.keep, call.step)
end

function M.conclude_run(self, call)
  host.conclude(self.path, schema.check(self.path .. "/summary.json", call.summary, schema.summary))
  self.summary = call.summary
end

function M.report(self, call)
  host.report(self.progress, self.path, { steps = call.steps, pause = call.pause, ended = call.ended })
end

--- Puts the text of a module where all runs of a sweep look first. @return string the text that they all use
function M.publish(_, call)
  if not call.place:find "%.lua$" or call.place:sub(1, 1) == "/" or call.place:find("..", 1, true)
    or call.place:find("\0", 1, true) then
    error(("%s is no place of a module"):format(call.place), 0)
  end
  return modules.publish(call.place, call.text)
end

-- The work itself ------------------------------------------------------------------------------------------------

function M.graceful(self, call)
  self.graceful, self.last_step = call.on, now()
end

--- The run has heard that it is to stop, and saves.
function M.asked(self)
  self.asked = true
end

function M.planned(self, call)
  if self.planned then self.planned(call.result, call.problem, call.modules) end
end

function M.ended(self, call)
  self.ended = { code = call.code, problem = call.problem }
end

return M
