--- What the supervisor does when its worker calls: a function for each call of sm.cli.calls. What it raises is an error
--- of the worker's; "restart" is no answer, but begins anew with other rights.
-- @module sm.cli.answers
local checkpoint_files = require "sm.experiment.checkpoint_files"
local directory = require "sm.experiment.directory"
local environment = require "sm.experiment.environment"
local host = require "sm.cli.host"
local modules = require "sm.modules"
local permits = require "sm.cli.permits"
local ranks = require "sm.cli.ranks"
local runtime = require "sm.runtime"
local schema = require "sm.experiment.schema"
local staging = require "sm.cli.staging"

local M = {}

local now <const> = runtime.system.now
local share_of_reports <const> = 1 / 20 -- of the time, at most
local most_published <const>, most_modules <const> = 64 << 20, 1000 -- bytes of a run's modules, and how many
local most_planned <const> = 256 << 20 -- bytes of the modules of a sweep

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

--- What the run has come to, if it is finished.
local function summary_of(self)
  return self.summary or error("the run is not finished", 0)
end

function M.finished(self, call)
  host.finished(self.progress, { summary = summary_of(self), pictures = call.pictures, next = call.next }, self.path)
end

function M.finished_already(self)
  self.path = self.path or self.run
  self.summary = self.summary or self.run and directory.summary(self.run)
  host.finished_already(self.progress, summary_of(self), self.path)
end

function M.interrupted_run(self, call)
  host.interrupted_run(self.progress, call, self.path)
end

--- The first word of the predictions; no other piece of work has any.
function M.predictions(self, call)
  if not self.predictions or self.predictions.about then error("there are no predictions to begin", 0) end
  self.predictions:begin(call)
end

function M.predicted(self, call)
  self.predictions:one(call.rows, call.done)
end

function M.predicted_all(self)
  self.predictions:finish()
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
  self.writes = true
  if self.what == "plan" and not self.options.dry_run and self.kind == "nothing" then -- as its runs may
    self.kind = "script"
    return "restart"
  end
  if ranks.rank() > 0 then error("under --mpi rank 0 alone writes", 0) end
  if self.kind == "nothing" then error("this writes nothing: `smrun eval` and `--dry-run` leave no file behind", 0) end
  if self.unwritable then error(self.unwritable, 0) end
  return become_script(self) or error("there is no directory yet for what it writes", 0)
end

--- For `local scope <close> = …`: runs beneath a directory are reached through no link there.
local function holding(self, root)
  runtime.io.beneath.hold(root)
  return setmetatable({}, { __close = function() runtime.io.beneath.hold(self.root) end })
end

--- The directory that belongs to a run, and, where it is to be trained, the right to write in it.
function M.place(self, call)
  local planning, from_file = call.planning or self.kind == "nothing", call.identity.from_file
  if from_file and call.identity.source ~= self.source then error("this is not the text of the file", 0) end
  if self.kind == "run" and not planning then error("`smrun resume` goes on with one run, and begins no other", 0) end
  if self.kind == "experiment" and not planning and not from_file then
    return become_script(self) or error("a file that returns an experiment trains no other one", 0)
  end
  if self.kind == "script" and not planning and from_file then -- its text did not look so
    self.kind = "experiment"
    return "restart"
  end
  local base, root = staging.base(self, call)
  local _ <close> = holding(self, root)
  local path, state, reason, replaces = host.place { base = base, identity = call.identity, again = call.again }
  local trains <const> = not planning and state ~= "finished"
  if trains and self.kind == "experiment" and not staging.grant(self, path) then return "restart" end
  self.begun, self.path, self.placed = state == "unfinished", path, trains and path
  self.summary = state == "finished" and directory.summary(path) or nil
  local saved = state ~= "new" and checkpoint_files.steps(path)[1] or 0
  return { path = path, state = state, reason = reason, replaces = replaces, saved = saved, summary = self.summary }
end

--- Keeps other processes out of the run's directory, and opens its log.
function M.open(self, call)
  local path = call.path
  local root = self.kind == "script" and staging.root(self, path) or nil
  if self.kind == "nothing" or not root and path ~= (self.kind == "run" and self.run or self.placed) then
    error(("%s is not the run's directory"):format(path), 0)
  end
  if self.opened then self.opened:close() end
  self.opened, self.progress.log, self.summary, self.root = nil, nil, nil, root
  local _ <close> = holding(self, root)
  self.opened = host.open(self.progress, path, root)
  self.path, self.next_report, self.told_end = path, 0, false
  if self.begun then self.progress:say(("%-11s%s"):format("confined", staging.words(self, path)), 11) end
  return { unlocked = self.opened.unlocked }
end

function M.surroundings(self)
  local of = self.run or self.origin
  local original = of and permits.original_of(of, self.record)
  return environment.surroundings(original or self.file or self.run .. "/experiment.lua")
end

function M.prune(self, call)
  host.prune(self.opened.path, call.keep, call.step)
end

function M.conclude_run(self, call)
  local path <const> = self.opened.path
  host.conclude(path, schema.check(path .. "/summary.json", call.summary, schema.summary))
  self.summary = call.summary
end

--- A report takes the supervisor's time, but for a share of all time; the one at the end is always written, once.
function M.report(self, call)
  local began, last = now(), call.ended ~= nil or self.summary ~= nil
  if last and self.told_end or not last and began < self.next_report then return end
  host.report(self.progress, self.opened.path, { steps = call.steps, pause = call.pause, ended = call.ended })
  self.told_end, self.next_report = last, now() + (now() - began) / share_of_reports
end

--- Puts the text of a module where all runs of a sweep look first. @return string the text that they all use
function M.publish(self, call)
  local published = self.published
  published.bytes, published.count = published.bytes + #call.text, published.count + 1
  if not self.shares or published.bytes > most_published or published.count > most_modules then
    error(("%s: there is no room for more modules"):format(call.place), 0)
  end
  return modules.publish(call.place, call.text)
end

-- A prompt ---------------------------------------------------------------------------------------------------------

function M.line(self, call)
  return self.typing:line(self, call)
end

function M.picture(self, call)
  return self.typing.picture(call.png)
end

-- The work itself ------------------------------------------------------------------------------------------------

--- A step may take its time, once a run has begun.
function M.graceful(self, call)
  self.graceful, self.last_step = call.on and (self.opened ~= nil or ranks.rank() > 0), now()
end

--- The run has heard that it is to stop, and saves.
function M.asked(self)
  self.asked = self.asked or (self.opened or ranks.rank() > 0) and now()
end

function M.planned(self, call)
  local plans, texts = self.plans, call.modules
  plans.count = plans.count + 1
  for place, words in next, texts do
    local known = plans.texts[place]
    if known ~= words then plans.texts[place], plans.bytes = words, plans.bytes + #place + #words end
    texts[place] = plans.texts[place] -- once, for all plans
  end
  if not self.planned or plans.count > #self.combinations or plans.bytes > most_planned then
    error("the experiment's process planned more than it was asked for", 0)
  end
  if call.result and call.result.directory ~= self.path then
    error(("%s is not the run's directory"):format(call.result.directory), 0)
  end
  self.planned(plans.count, call.result, call.problem, texts)
end

function M.ended(self, call)
  self.ended = { code = call.code, problem = call.problem }
end

--- Answers a call; raises where it comes before what it needs.
local function answer(self, call, needs)
  if needs == "screen" and not self.progress or needs == "run" and not self.opened
    or needs == "predictions" and not (self.predictions and self.predictions.about) then
    error(("the experiment's process sent what it should not: %s comes too early"):format(call.call), 0)
  end
  return M[call.call](self, call)
end

return { calls = M, answer = answer }
