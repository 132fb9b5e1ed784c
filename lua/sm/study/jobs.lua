--- Runs of a sweep, each a process of its own, a few at a time. What one of them does, a crash even, changes
-- nothing for the others.
local lfs = require "lfs"
local directory = require "sm.experiment.directory"
local metrics = require "sm.experiment.metrics"
local runtime = require "sm.runtime"

local M = {}
M.__index = M

local now = runtime.system.now

local pause <const> = 0.05      -- seconds between two looks at the processes
local look_again <const> = 0.5  -- seconds between two looks at the rows of a run
local interrupted_code <const> = 130

--- The program's exit, by what became of the run.
local function outcome(run, how, code)
  if how == "exit" and code == 0 then
    run.summary = directory.summary(run.directory)
    if run.summary then return "finished" end
    return "failed", ("it ended without leaving a summary in %s"):format(run.directory)
  end
  if how == "exit" and code == interrupted_code then return "interrupted" end
  local said = (directory.read(run.errors) or ""):gsub("^smrun: ", ""):gsub("%s+$", "")
  if how == "signal" then said = ("killed by signal %d%s"):format(code, said ~= "" and "; " .. said or "") end
  return "failed", said ~= "" and said or ("it ended with exit code %d"):format(code)
end

--- What the newest rows of metrics.csv say; only a file that has grown is read.
local function look(run)
  run.looked = now()
  local path = run.directory .. "/metrics.csv"
  local size = lfs.attributes(path, "size")
  if not size or size == run.size then return end
  run.size = size
  local readable, rows = pcall(metrics.rows, path) -- what is wrong with the file, the run itself will say
  for _, row in ipairs(readable and rows or {}) do
    run.step, run.accuracy = row.step, row.validation_accuracy or run.accuracy
  end
  if not run.step then return end
  if not run.first or run.first.step > run.step then run.first = { step = run.step, at = now() } end
  local steps = run.step - run.first.step
  run.pace = steps > 0 and (now() - run.first.at) / steps or run.pace
end

local function start(self, run)
  self.started = self.started + 1
  run.errors = ("%s/errors-%d"):format(self.directory, self.started)
  run.process = self.host.start(run.words, run.errors)
  run.state, run.began, run.looked = "running", now(), now()
  self.running[#self.running + 1] = run
  self.watch(run)
end

--- The process of a run is over.
local function conclude(self, run, how, code)
  run.process = nil
  look(run)
  local ok, state, problem = pcall(outcome, run, how, code)
  if not ok then state, problem = "failed", state end
  if self.stopping and how == "signal" then state, problem = "interrupted", nil end -- before it could save
  run.state, run.problem, run.seconds = state, problem, now() - run.began
  os.remove(run.errors)
  self.watch(run)
end

local function reap(self)
  local still = {}
  for _, run in ipairs(self.running) do
    local how, code = self.host.ended(run.process)
    if how then
      conclude(self, run, how, code)
    else
      still[#still + 1] = run
      if now() - run.looked >= look_again then look(run) end
    end
  end
  self.running = still
end

--- Asks those that run to save and stop.
local function stop(self)
  if self.stopping then return end
  self.stopping = true
  for _, run in ipairs(self.running) do self.host.stop(run.process) end
end

--- However it ends, no process is left behind.
function M:__close()
  stop(self)
  while #self.running > 0 do
    reap(self)
    self.host.sleep(pause)
  end
end

--- Runs what waits, in order.
--- @param runs table array of {state=, words=(of the command), directory=, steps=}; those whose state is "waiting"
---   are run, and get state= "running", then "finished" (summary=), "failed" (problem=) or "interrupted";
---   step=, accuracy= (on validation data), pace= (seconds per step) and seconds= tell how far they are
--- @param count integer how many at once
--- @param place string a directory for what they write to standard error
--- @param host table as sm.host: start, stop, ended, sleep, graceful, interrupted
--- @param watch function(run) is called when a run begins and when it ends, and often without one
--- @return boolean whether a signal stopped the sweep; then those that ran have saved
function M.pursue(runs, count, place, host, watch)
  local jobs <close> = setmetatable({ host = host, running = {}, watch = watch, directory = place, started = 0 }, M)
  local next_run = 1
  host.graceful(true)
  repeat
    reap(jobs)
    if host.interrupted() then stop(jobs) end
    while not jobs.stopping and #jobs.running < count and next_run <= #runs do
      if runs[next_run].state == "waiting" then start(jobs, runs[next_run]) end
      next_run = next_run + 1
    end
    watch()
    if #jobs.running > 0 then host.sleep(pause) end
  until #jobs.running == 0 and (jobs.stopping or next_run > #runs)
  host.graceful(false)
  return jobs.stopping == true
end

return M
