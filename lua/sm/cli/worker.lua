--- The process that runs an experiment's text, confined. It hears what to do, loads what it needs, gives up all
--- rights but those that it was granted, and begins. The terminal is its supervisor's, which it calls.
-- @module sm.cli.worker
require "sm.modules".shield() -- before anything else is required
require "sm.packages"
require "sm.cli.globals"
local calls = require "sm.cli.calls"
local host = require "sm.cli.host"
local limits = require "sm.cli.limits"
local message = require "sm.cli.message"
local modules = require "sm.modules"
local problem = require "sm.problem"
local program = require "sm.host"
local ranks = require "sm.cli.ranks"
local reach = require "sm.reach"
local runtime = require "sm.runtime"
local traceback = require "sm.cli.traceback"
local usage = require "sm.usage"

local M = {}

local seen_often <const>, seen_seldom <const> = 0.1, 1 -- seconds between two steps that are told
local done_code <const>, failed_code <const> = 0, 1
local most_descriptors <const>, spare_bytes <const> = 1024, 1 << 20
local shared_descriptor <const> = 4 -- of the memory by which ranks compute together
local loaded_before <const> = { "sm", "lfs" } -- what has code in C: no more is loaded afterwards

--- Calls the supervisor. @return any what it answers, where it does
local function call(name, fields)
  local bytes = calls.encode(name, fields)
  if not calls.calls[name].answered then return program.channel.send(bytes) end
  bytes = program.channel.ask(bytes)
  if not bytes then os.exit(failed_code) end -- the supervisor is gone
  local answer = message.decode(bytes)
  if answer.problem then error(answer.problem, 0) end
  return answer.result
end

-- What a run asks of the program around it -----------------------------------------------------------------------

local Screen <const> = {}
Screen.__index = Screen

function Screen.say(_, given, indent) call("say", { given = given, indent = indent }) end
function Screen.conclude(_, given) call("conclude", { given = given }) end
function Screen.note(_, given) call("note", { given = given }) end
function Screen.row(_, row, steps, metrics) call("row", { row = row, steps = steps, metrics = metrics }) end
function Screen.clear() call "clear" end

--- Told no more often than it is seen.
function Screen:step(step, steps, figures, seconds, at)
  if at - self.told < self.pause then return end
  self.told = at
  call("step", { step = step, steps = steps, figures = figures, seconds = seconds })
end

local asked = false

local function answering(work, collective)
  local permits <const> = {
    read = work.read, write = work.write, runs = work.runs, hint = work.hint, home = work.home or nil,
    ask = function() return call "home" end,
  }
  local Host <const> = {}

  function Host.screen(options)
    call("screen", { quiet = options.quiet == true })
    local pause <const> = work.terminal and seen_often or seen_seldom
    return setmetatable({ quiet = options.quiet, told = 0, pause = pause }, Screen)
  end

  function Host.plan(_, about, path) call("plan", { about = about, path = path }) end
  function Host.finished(_, about) call("finished", { pictures = about.pictures, next = about.next }) end
  function Host.finished_already() call "finished_already" end
  function Host.interrupted_run(_, about) call("interrupted_run", about) end

  function Host.predictions(_, options)
    local shown = { most = options.most }
    function shown.begin(_, about) call("predictions", about) end
    function shown.one(_, rows, done) call("predicted", { rows = rows, done = done }) end
    function shown.finish() call "predicted_all" end
    return shown
  end

  function Host.place(wanted)
    local answer = call("place", {
      name = wanted.name, variant = wanted.variant, runs = wanted.runs ~= "runs" and wanted.runs or nil,
      identity = wanted.identity, again = wanted.again, planning = wanted.planning,
    })
    return answer.path, answer.state, answer.reason, answer.replaces, answer.saved, answer.summary
  end

  function Host.open(_, path)
    local opened = require "sm.experiment.directory".attach(path, call("open", { path = path }).unlocked)
    if not work.home then
      permits.home, permits.write = path, { reach.real(path), table.unpack(work.write) }
      reach.confine(permits)
    end
    return opened
  end

  function Host.surroundings() return call "surroundings" end
  function Host.prune(_, keep, step) call("prune", { keep = keep, step = step }) end
  function Host.conclude(_, summary) call("conclude_run", { summary = summary }) end

  function Host.report(_, _, about)
    call("report", { steps = about.steps, pause = about.pause, ended = about.ended })
  end

  function Host.graceful(on)
    program.graceful(on)
    call("graceful", { on = on })
  end

  function Host.unheard() end -- nobody reads what this process writes but its supervisor

  function Host.interrupted()
    local is = program.interrupted()
    if is and not asked then
      asked = true
      call "asked"
    end
    return is
  end

  reach.confine(permits)
  for name, f in pairs(Host) do host[name] = f end
  if collective then ranks.join(host, collective) end
  modules.publish_by(function(place, text) return call("publish", { place = place, text = text }) end)
end

-- The confinement ------------------------------------------------------------------------------------------------

--- Gives up all rights but those granted, once everything is loaded that must be loaded before, and then starts the
--- threads.
--- @return table|nil what the ranks of a run compute together, as sm.collective has it
local function confine(work)
  require "sm.data.search".places(work.places)
  os.date "%c" -- reads the time zone
  require "sm.cli.allowed"
  for _, name in ipairs(loaded_before) do require(name) end
  if work.what ~= "parameters" then
    require "sm.canvas".measure("x", { size = 10 }) -- finds the font: fontconfig notes what it has seen, in ~/.cache
  end
  local collective = work.is_rank and require "sm.collective".join(shared_descriptor) or nil
  program.wipe_environment()
  local read = table.move(work.read, 1, #work.read, 2, { work.runs or "/dev/null" })
  local confined, reason = pcall(program.confine, { read = read, write = work.write })
  if not confined then
    error(("this system cannot confine an experiment: %s; `%s --trust` runs it without confinement"):format(
      tostring(reason):gsub("^[^\n]-:%d+: ", ""), usage.program()), 0)
  end
  runtime.system.set_threads(work.threads)
  if work.what ~= "parameters" then runtime.system.warm_up() end
  local bounds <const> = work.limits
  program.restrict {
    memory = bounds.memory, cpu = math.ceil(bounds.cpu), descriptors = most_descriptors,
    file = bounds.disk + bounds.disk // 16 + spare_bytes, -- the supervisor ends what has written more than the limit
  }
  return collective
end

-- The work -------------------------------------------------------------------------------------------------------

--- @param limit integer bytes of memory
local function told(met, limit)
  if usage.is(met) then return { message = met.message, usage = true } end
  local words, lines, kind = met, nil, problem.kind(met)
  if type(met) == "table" then words, lines, kind = met.message, met.lines, met.kind end
  words = tostring(words)
  if problem.kind(words) == "memory" then words = limits.memory_words(limit)
  elseif kind == "memory" then words = ("%s; %s"):format(words, limits.memory_words(limit):gsub("^.-; ", "")) end
  return { message = words, lines = lines }
end

--- The handler for xpcall, which also tells where memory ran out.
local function handle(value)
  local kind, handled = problem.kind(value), traceback.handler(value)
  if kind == "memory" and type(handled) == "table" then handled.kind = kind end
  return handled
end

local works <const> = {
  interact = function(work) return require "sm.cli.interact".confined(work, call) end,
  train = function(work) return require "sm.cli.run".train(work.options, work.overrides, work.source) end,
  train_on = function(work) return require "sm.cli.run".train_on(work.options, work.overrides) end,
  resume = function(work) return require "sm.cli.run".go_on("resume", work.options) end,
  evaluate = function(work) return require "sm.cli.run".go_on("evaluate", work.options) end,
  --- Tells what the file declares, for sm.cli.parameters, and ends there: what follows sm.params does not run.
  parameters = function(work)
    local params = require "sm.experiment.params"
    local declare <const> = params.declare
    function params.declare(defaults)
      declare(defaults)
      program.channel.send(message.encode { declared = params.finish().defaults })
      os.exit(done_code)
    end
    require "sm.experiment.load".file(work.options.words[1], work.source, {})
    return done_code
  end,
  evaluate_pictures = function(work) return require "sm.cli.predict".evaluate_work(work) end,
  predict = function(work) return require "sm.cli.predict".work(work) end,
  export = function(work) return require "sm.cli.export".work(work) end,
  plan = function(work)
    for _, combination in ipairs(work.combinations) do
      local ok, result, texts = xpcall(require "sm.cli.run".plan, handle, work.options, combination,
        work.source)
      call("planned", { result = ok and result or nil, problem = not ok and told(result, work.limits.memory) or nil,
        modules = ok and texts or modules.loaded(work.options.words[1]) })
      collectgarbage()
    end
    return done_code
  end,
}

--- What smrun --worker does. @return integer exit code
function M.main()
  program.set_interruption(problem.new("interrupted", "interrupted"))
  local bytes = program.channel.receive()
  if not bytes then return failed_code end
  local work = message.decode(bytes)
  usage.call(work.called)
  require "sm.text".assume(work.columns)
  local ok, result = xpcall(function()
    answering(work, confine(work))
    require "sm.cli.allowed".install()
    return works[work.what](work)
  end, handle)
  call("ended", ok and { code = result } or { problem = told(result, work.limits.memory) })
  return done_code
end

return M
