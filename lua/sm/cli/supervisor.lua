--- The process that a person starts, for as long as another one, the worker, runs an experiment's text confined. It
--- decides what that one may do, answers its calls, and speaks to the terminal. The directory of the run, its summary,
--- its report, which checkpoints stay and the exit status are its own.
-- @module sm.cli.supervisor
local answers = require "sm.cli.answers"
local calls = require "sm.cli.calls"
local complain = require "sm.cli.complain"
local host = require "sm.cli.host"
local limits = require "sm.cli.limits"
local message = require "sm.cli.message"
local modules = require "sm.modules"
local permits = require "sm.cli.permits"
local program = require "sm.host"
local ranks = require "sm.cli.ranks"
local runtime = require "sm.runtime"
local staging = require "sm.cli.staging"
local text = require "sm.text"
local usage = require "sm.usage"

local M = {}

local class <const> = { __close = staging.close }
class.__index = class

local now <const> = runtime.system.now

local glance <const> = 0.25 -- seconds between two looks at the time
local shortest_patience <const>, longest_patience <const>, patience_to_save <const> = 10, 600, 60 -- seconds
local time_alone <const> = 2 -- seconds for a worker without the other ranks to end
local reprieve <const> = 1 -- seconds in which a worker that has ended is still answered
local most_output <const> = 1 << 16 -- bytes in one piece
local most_source <const> = 8 << 20 -- bytes of a file, which goes to the worker in one message
local interrupted_code <const>, failed_code <const> = 130, 1

--- Starts a worker, or one more with other rights.
local function start(self)
  self.worker, self.early, self.over = self.early or program.worker(self.words, ranks.memory()), nil, false
  self.skip = { output = self.said.output, errors = self.said.errors }
  self.said = { output = 0, errors = 0 }
  self.ended, self.asked, self.placed = nil, nil, nil
  self.plans = { count = 0, bytes = 0, texts = {} }
  local home, write = staging.home(self), table.move(self.permits.write, 1, #self.permits.write, 1, {})
  write[#write + 1] = staging.place(self)
  write[#write + 1] = self.kind == "experiment" and home or nil
  local output, outbox = staging.outbox(self)
  write[#write + 1] = outbox
  self.worker:limit {
    seconds = math.max(0, self.limits.time - (now() - self.began)), bytes = self.limits.disk, files = self.limits.files,
    directories = write,
  }
  pcall(self.worker.send, self.worker, message.encode { -- one that is gone is told of by its end
    what = self.what, options = self.options, overrides = self.overrides, combinations = self.combinations,
    source = self.source, run = self.run, called = self.called,
    read = self.permits.read, runs = self.permits.runs, hint = self.permits.hint, write = write,
    source_of = self.source_of, pictures = self.pictures, output = output, places = self.permits.places, home = home,
    limits = self.limits, terminal = self.terminal, is_rank = ranks.memory() ~= nil,
    columns = text.columns(), threads = runtime.system.threads(),
  })
end

--- Ends the worker, and begins anew with what its experiment turned out to need. What it has said until now is not said
--- again.
local function restart(self)
  self.worker:kill()
  if program.interrupted() then
    self.problem = "interrupted"
    return
  end
  repeat local kind = self.worker:next(glance) until kind == "ended"
  self.over = true
  if self.opened then self.opened:close() end
  self.opened, self.summary, self.gone = nil, nil, nil
  if self.progress then self.progress.log = nil end
  start(self)
end

--- The worker has done what one that is a process of ours does not.
local function refuse(self, reason)
  self.problem = self.problem or ("the experiment's process sent what it should not: %s"):format(reason)
  self.worker:kill()
end

--- Writes what a script has written, with nothing in it that a terminal would obey. A character may come in two pieces.
local function pass_on(self, stream, kind, bytes)
  if #bytes > most_output then return refuse(self, "too much at once") end
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

--- Once a signal has come: the worker may go on for as long as three of its longest steps until now, and then save.
local function be_patient(self)
  if self.over or not program.interrupted() then return end
  local at <const> = now()
  if not self.signalled then
    local longest = self.graceful and math.max(self.longest, at - self.last_step) or 0
    self.signalled = at
    self.patience = math.max(shortest_patience, math.min(longest_patience, 3 * longest))
  elseif self.asked and not self.saves then
    self.saves, self.patience = true, math.max(self.asked - self.signalled, 0) + patience_to_save
  else
    return
  end
  pcall(self.worker.patience, self.worker, self.patience) -- one that is gone needs none
end

--- Whether the worker has ended so long ago that what it has said is not worth an answer.
local function is_late(self)
  self.gone = self.gone or self.worker:gone() and now()
  return self.gone and now() > self.gone + reprieve
end

--- A call of the worker's. One that it waits for is answered, also where that fails.
local function answer(self, bytes)
  if is_late(self) then return end
  local call, reason = calls.decode(bytes)
  if not call then return refuse(self, reason) end
  local known <const> = calls.calls[call.call]
  local ok, result = pcall(answers.answer, self, call, known.needs)
  if ok and result == "restart" then
    if not (self.typing and self.typing.begun) then return restart(self) end
    ok, result = false, "a prompt that has begun writes where its file did, and nowhere else"
  end
  if known.answered then
    local reply = message.encode(ok and { result = result } or { problem = tostring(result) })
    pcall(self.worker.send, self.worker, reply) -- one that is gone is told of by its end
  elseif not ok then
    self.problem = self.problem or tostring(result)
    self.worker:kill()
  end
end

--- What became of the worker that has not said so itself.
local function judge(self, how, code, why, cpu)
  local bounds = self.limits
  if self.problem then return self.problem end
  if program.insisted() then return "killed, for what ran did not stop" end
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
  return ranks.named((how == "signal" and "the experiment's process was ended by signal %d"
    or "the experiment's process ended by itself, with exit code %d"):format(code))
end

--- Why a worker that says that all is done is not believed: it has begun to train a run, and the run is not finished.
local function undone(self)
  if self.typing or ranks.rank() > 0 then return nil end
  if self.predictions and not self.predictions.finished then return "the experiment's process ended too early" end
  local run = self.kind == "experiment" and self.opened or self.what == "resume"
  return run and not self.summary and ("%s is not finished, and the experiment's process has ended"):format(self.path
    or self.run) or nil
end

--- @return integer exit code
local function conclude(self, how, code, why, cpu)
  self.over = true
  if self.progress then self.progress:clear() end
  if self.unheard then return failed_code end
  local ended = not self.problem and self.ended
  if ended and ended.code == 0 then self.problem = undone(self) end
  if ended and ended.problem then
    local problem = ended.problem
    if problem.usage then usage.fail("%s", problem.message) end
    local exceeded = why or cpu >= self.limits.cpu
    complain(exceeded and judge(self, how, code, why, cpu) or { message = problem.message, lines = problem.lines })
    return program.interrupted() and interrupted_code or failed_code
  end
  if ended and not self.problem and how == "exit" and (why == nil or ended.code == interrupted_code) then
    if why then complain(judge(self, how, code, why, cpu)) end
    if self.output and ended.code == 0 then staging.deliver(self) end
    return ended.code
  end
  local words = judge(self, how, code, why, cpu)
  if self.progress then self.progress:note("stopped: " .. words) end
  complain(words)
  return program.interrupted() and interrupted_code or failed_code
end

--- Asks a worker that waits for a line what Tab may add to it.
--- @return table|nil the call that it answers with; nil where it does otherwise, and will run no line any more
function class:complete(before)
  if self.end_of_worker then return nil end
  pcall(self.worker.send, self.worker, message.encode { result = { complete = before } })
  while true do
    local event = table.pack(self.worker:next(glance))
    local kind, bytes = event[1], event[2]
    if kind == "message" then
      local call, reason = calls.decode(bytes)
      if call and call.call == "line" then return call end
      return refuse(self, reason or "it was asked for a name")
    elseif kind == "ended" then
      self.end_of_worker = event
      return nil
    elseif kind then
      pass_on(self, io.stderr, kind, bytes)
    end
    be_patient(self)
  end
end

--- A worker hears itself that another rank has ended, once it waits for that one. One that does not is ended soon.
local function heed_others(self)
  local words = ranks.problem()
  if not words or self.over then return end
  self.alone = self.alone or now()
  if now() > self.alone + time_alone and not self.problem then
    self.problem = words
    self.worker:kill()
  end
end

--- What the worker does next, until it has ended.
local function next_event(self)
  local known = self.end_of_worker
  if known then return table.unpack(known, 1, known.n) end
  return self.worker:next(glance)
end

local function serve(self)
  while true do
    local kind, bytes, code, why, cpu = next_event(self)
    if kind == "message" then answer(self, bytes)
    elseif kind == "output" then pass_on(self, io.stdout, "output", bytes)
    elseif kind == "errors" then pass_on(self, io.stderr, "errors", bytes)
    elseif kind == "noise" then pass_on(self, io.stderr, "noise", bytes)
    elseif kind == "ended" then return conclude(self, bytes, code, why, cpu)
    end
    be_patient(self)
    heed_others(self)
  end
end

--- Runs an experiment's text in a worker.
--- @param work table {what=(one of sm.cli.worker's works), options=(of the command line), overrides=(what that sets),
---   combinations=(for "plan": an array of overrides), source=(the text of the file), file=(its path) or run=(a
---   directory), origin=(the run that the text is of, for "train_on"), worker=(one that was started),
---   planned=function(position, result, problem, modules), for "plan"; words=(of the worker's command, for tests); for
---   pictures: pictures=, source_of=(as sm.cli.predict has it), checkpoint=(its path) and read=(further paths);
---   for "export" the last three, and output=(the file that it writes)}
--- @return integer exit code
function M.run(work)
  local options = work.options
  if work.source and #work.source > most_source then
    error(("%s has %d bytes; expected a text of at most %s"):format(work.file, #work.source,
      limits.size_words(most_source)), 0)
  end
  local predictions = work.what == "predict" and host.predictions(work.pictures, options) or nil
  local self <close> = setmetatable({
    what = work.what, options = {
      words = options.words, again = options.again, quiet = options.quiet, dry_run = options.dry_run, mpi = options.mpi,
      text = options.text, runs = options.runs, data = options.data, needs_data = options.needs_data,
      grey = options.grey, resize = options.resize, invert = options.invert,
      most = predictions and predictions.most,
    },
    overrides = work.overrides, combinations = work.combinations, source = work.source, file = work.file,
    run = work.run, words = work.words, early = work.worker, begun = work.run ~= nil, planned = work.planned,
    called = usage.program(),
    runs = (options.runs or "runs"):gsub("(.)/+$", "%1"), limits = limits.of(options),
    kind = ranks.rank() > 0 and "nothing" or staging.kind(work), began = now(), last_step = now(), longest = 0,
    origin = work.origin, source_of = work.source_of, pictures = work.pictures, output = work.output,
    predictions = predictions,
    restarts = 0, settled = {}, published = { bytes = 0, count = 0 },
    said = { output = 0, errors = 0 }, rest = {}, terminal = runtime.system.is_terminal(1),
  }, class)
  if work.what == "interact" then
    self.typing = require "sm.cli.typing".new()
    program.at_prompt(true)
  end
  local of = work.run or work.origin
  self.record = of and require "sm.experiment.directory".record(of) or nil
  self.permits = permits.of({
    file = work.file, run = work.run, record = self.record, checkpoint = work.checkpoint, runs = self.runs,
    further = work.read,
  }, options)
  if self.kind == "script" and not options.quiet and runtime.system.is_terminal(2) then -- an experiment says it itself
    io.stderr:write("smrun: ", staging.words(self), "\n")
  end
  if work.file then -- where the texts of its modules lie that it has not loaded yet
    local kept = options.text and (options.text:match "^(.*)/" or ".") .. "/modules"
    self.shares = kept ~= nil
    modules.begin(work.file, { kept = kept, share = kept ~= nil })
  end
  program.graceful(true)
  start(self)
  local code = serve(self)
  program.graceful(false)
  return code
end

return M
