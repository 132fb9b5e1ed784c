--- The process that a person starts, for as long as another one, the worker, runs an experiment's text confined. It
--- decides what that one may do, answers its calls, and speaks to the terminal. The directory of the run, its summary,
--- its report, which checkpoints stay and the exit status are its own.
-- @module sm.cli.supervisor
local answers = require "sm.cli.answers"
local calls = require "sm.cli.calls"
local complain = require "sm.cli.complain"
local limits = require "sm.cli.limits"
local message = require "sm.cli.message"
local modules = require "sm.modules"
local permits = require "sm.cli.permits"
local program = require "sm.host"
local runtime = require "sm.runtime"
local staging = require "sm.cli.staging"
local text = require "sm.text"
local usage = require "sm.usage"

local M = {}

local now <const> = runtime.system.now

local glance <const> = 0.25 -- seconds between two looks at the time
local shortest_patience <const>, longest_patience <const>, patience_to_save <const> = 10, 600, 60 -- seconds
local interrupted_code <const>, failed_code <const> = 130, 1

--- Starts a worker, or one more with other rights.
local function start(self)
  self.worker, self.early = self.early or program.worker(), nil
  self.skip = { output = self.said.output, errors = self.said.errors }
  self.said = { output = 0, errors = 0 }
  self.ended, self.patience, self.asked = nil, nil, false
  local place = staging.place(self)
  local write = table.move(self.permits.write, 1, #self.permits.write, 1, {})
  if place then write[#write + 1] = place end
  self.worker:limit {
    seconds = self.limits.time - (now() - self.began), bytes = self.limits.disk, files = self.limits.files,
    directories = write,
  }
  self.worker:send(message.encode {
    what = self.what, options = self.options, overrides = self.overrides, combinations = self.combinations,
    source = self.source, called = self.called,
    read = self.permits.read, runs = self.permits.runs, hint = self.permits.hint, write = write,
    places = self.permits.places, home = self.kind ~= "experiment" and place,
    limits = self.limits, terminal = self.terminal, threads = runtime.system.threads(),
  })
end

--- Ends the worker, and begins anew with what its experiment turned out to need. What it has said until now is not said
--- again.
local function restart(self)
  self.restarts = (self.restarts or 0) + 1
  self.worker:kill()
  repeat local kind = self.worker:next(glance) until kind == "ended"
  start(self)
end

--- Writes what a script has written, with nothing in it that a terminal would obey. A character may come in two pieces.
local function pass_on(self, stream, kind, bytes)
  self.said[kind] = (self.said[kind] or 0) + #bytes
  local skip = self.skip[kind] or 0
  if skip > 0 then
    self.skip[kind] = math.max(0, skip - #bytes)
    bytes = bytes:sub(skip + 1)
  end
  bytes = (self.rest[kind] or "") .. bytes
  local rest = bytes:match "[\xC2-\xF4][\x80-\xBF]?[\x80-\xBF]?$"
  if rest and utf8.len(rest) then rest = nil end
  self.rest[kind] = rest
  bytes = bytes:sub(1, #bytes - #(rest or ""))
  if bytes == "" then return end
  if self.progress then self.progress:clear() end
  stream:write(text.visible(bytes, "\n\t"))
  stream:flush()
  if stream == io.stdout and program.output_closed() and not self.graceful then -- a script prints for nobody
    self.unheard = true
    self.worker:kill()
  end
end

--- How long the worker may go on after a signal: as long as three of its longest steps.
local function be_patient(self)
  local longest = self.graceful and math.max(self.longest, now() - self.last_step) or 0
  local patience = self.asked and patience_to_save
    or math.max(shortest_patience, math.min(longest_patience, 3 * longest))
  if patience ~= self.patience then self.worker:patience(patience) end
  self.patience = patience
end

--- A call of the worker's. One that it waits for is answered, also where that fails.
local function answer(self, bytes)
  local call, reason = calls.decode(bytes)
  if not call then
    self.problem = ("the experiment's process sent what it should not: %s"):format(reason)
    self.worker:kill()
    return
  end
  local ok, result = pcall(answers[call.call], self, call)
  if ok and result == "restart" then return restart(self) end
  if not calls.calls[call.call].answered then
    if not ok then
      self.problem = self.problem or tostring(result)
      self.worker:kill()
    end
    return
  end
  local reply = message.encode(ok and { result = result } or { problem = tostring(result) })
  pcall(self.worker.send, self.worker, reply) -- one that is gone is told of by its end
end

--- What became of the worker that has not said so itself.
local function judge(self, how, code, why, cpu)
  local bounds = self.limits
  if self.problem then return self.problem end
  local exceeded = ({
    time = { "it ran for more than %s (--max-time)", limits.time_words(bounds.time) },
    disk = { "it wrote more than %s (--max-disk)", limits.size_words(bounds.disk) },
    files = { "it made more than %d files (--max-files)", bounds.files },
  })[why]
  if exceeded then return "stopped: " .. exceeded[1]:format(exceeded[2]) end
  if why == "signal" then return "killed, for what ran did not stop" end
  if why == "broken" then return "the experiment's process sent what it should not, and was killed" end
  if cpu >= bounds.cpu then
    return ("stopped: it used more than %s of processor time (--max-cpu)"):format(limits.time_words(bounds.cpu))
  end
  if how == "signal" then return ("the experiment's process was ended by signal %d"):format(code) end
  return ("the experiment's process ended by itself, with exit code %d"):format(code)
end

--- @return integer exit code
local function conclude(self, how, code, why, cpu)
  if self.progress then self.progress:clear() end
  if self.unheard then return failed_code end
  local ended = not self.problem and self.ended
  if ended and ended.problem then
    local problem = ended.problem
    if problem.usage then usage.fail("%s", problem.message) end
    complain(why and judge(self, how, code, why, cpu) or { message = problem.message, lines = problem.lines })
    return program.interrupted() and interrupted_code or failed_code
  end
  if ended and (why == nil or ended.code == interrupted_code) then
    if why then complain(judge(self, how, code, why, cpu)) end
    return ended.code
  end
  local words = judge(self, how, code, why, cpu)
  if self.progress then self.progress:note("stopped: " .. words) end
  complain(words)
  return program.interrupted() and interrupted_code or failed_code
end

local function serve(self)
  while true do
    local kind, bytes, code, why, cpu = self.worker:next(glance)
    if kind == "message" then answer(self, bytes)
    elseif kind == "output" then pass_on(self, io.stdout, "output", bytes)
    elseif kind == "errors" then pass_on(self, io.stderr, "errors", bytes)
    elseif kind == "noise" then pass_on(self, io.stderr, "noise", bytes)
    elseif kind == "ended" then return conclude(self, bytes, code, why, cpu)
    end
    be_patient(self)
  end
end

--- Runs an experiment's text in a worker.
--- @param work table {what="train", "resume", "evaluate" or "plan", options=(of the command line), overrides= (what the
---   command line sets), combinations=(for "plan": an array of overrides), source=(the text of the file),
---   file=(its path) or run=(a directory), worker=(one that was started), planned=function(result, problem, modules),
---   for "plan"}
--- @return integer exit code
function M.run(work)
  local options = work.options
  local self <close> = setmetatable({
    what = work.what, options = {
      words = options.words, again = options.again, quiet = options.quiet, dry_run = options.dry_run,
      text = options.text, runs = options.runs,
    },
    overrides = work.overrides, combinations = work.combinations, source = work.source, file = work.file,
    run = work.run, early = work.worker, begun = work.run ~= nil, planned = work.planned, called = usage.program(),
    runs = (options.runs or "runs"):gsub("(.)/+$", "%1"), limits = limits.of(options),
    kind = staging.kind(work), began = now(), last_step = now(), longest = 0,
    said = { output = 0, errors = 0 }, rest = {}, terminal = runtime.system.is_terminal(1),
  }, { __close = staging.close })
  self.record = work.run and require "sm.experiment.directory".record(work.run) or nil
  self.permits = permits.of({ file = work.file, run = work.run, record = self.record, runs = self.runs }, options)
  if self.kind == "script" and not options.quiet and runtime.system.is_terminal(2) then -- an experiment says it itself
    io.stderr:write("smrun: ", staging.words(self), "\n")
  end
  if work.file then -- where the texts of its modules lie that it has not loaded yet
    local kept = options.text and options.text:match "^(.*)/" .. "/modules"
    modules.begin(work.file, { kept = kept, share = kept ~= nil })
  end
  program.graceful(true)
  start(self)
  local code = serve(self)
  program.graceful(false)
  return code
end

return M
