--- Experiments: a declaration that can be run, resumed and evaluated.
local check = require "sm.check"
local fail = require "sm.fail"
local average = require "sm.experiment.average"
local checkpoint = require "sm.experiment.checkpoint"
local continued = require "sm.experiment.continued"
local checkpoint_files = require "sm.experiment.checkpoint_files"
local classes = require "sm.experiment.classes"
local declare = require "sm.experiment.declare"
local directory = require "sm.experiment.directory"
local evaluate = require "sm.experiment.evaluate"
local identity = require "sm.experiment.identity"
local load = require "sm.experiment.load"
local file_names = require "sm.experiment.names"
local numbers = require "sm.numbers"
local place_of = require "sm.place"
local random = require "sm.random"
local ranks = require "sm.experiment.ranks"
local run = require "sm.experiment.run"
local stand_in = require "sm.data.stand_in"
local text = require "sm.text"

local Experiment = {}
local class <const> = { __index = Experiment }
local hidden <const> = setmetatable({}, { __mode = "k" }) -- experiment → {host=, declared_with=}, which no script sees

function class:__tostring()
  local name = self.declaration.name
  return ("experiment%s, declared at %s"):format(name and " " .. name or "", self.declaration.where)
end

local no_params = { values = {}, defaults = {}, differing = {}, name = "default" }

local run_options = check.spec("experiment:run", {
  file = { type = "string", required = true, doc = "the experiment's file; in a script arg[0]" },
  source = { type = "string", doc = "its text, where that is known already" },
  params = { type = "table", default = no_params, doc = "what sm.params gave, as smrun hands it over" },
  runs = { type = "string", default = "runs", doc = "the directory of run directories" },
  again = { type = "boolean", default = false, doc = "trains anew what is finished" },
  quiet = { type = "boolean", default = false, doc = "prints nothing" },
  dry_run = { type = "boolean", default = false, doc = "shows the plan, writes nothing" },
  interrupted = { type = "function", doc = "asked at each step: whether to save and stop" },
})

local directory_options = {
  directory = { type = "string", required = true, doc = "of the run" },
  file = { type = "string", doc = "the experiment's file; by default what the run kept" },
  source = { type = "string", doc = "its text, where that is known already" },
  params = run_options.params,
  quiet = run_options.quiet,
}
check.spec("experiment:plan", run_options)
check.spec("experiment:resume", directory_options)
check.spec("experiment:evaluate", directory_options)

--- The text of the user's own file, which may be a link or a pipe.
local function read(path)
  local file <close>, problem = io.open(path, "rb")
  local source = file and file:read "a"
  return source or fail("cannot read the experiment %s", problem or path)
end

local function with_source(options)
  local wrong = file_names.not_utf8(options.file)
  if wrong then
    fail("the name of the file %s must be UTF-8, as the record of its run is; byte %d is not",
      text.visible(options.file), wrong)
  end
  options.source = options.source or read(options.file)
  wrong = file_names.not_utf8(options.source)
  if wrong then fail("%s: byte %d is not UTF-8, as every checkpoint keeps it", options.file, wrong) end
  return options
end

local function already_finished(this, path)
  local summary = ranks.first(this, function() return directory.summary(path) end)
  this.host.finished_already(this.progress, summary, path)
  return { directory = path, summary = summary }
end

local function new_run(experiment, options)
  local this = run.new(experiment.declaration, options, hidden[experiment].host)
  this.sets = stand_in.noted()
  this.identity = identity.of(experiment.declaration,
    { source = this.source, params = this.params, file = this.file, from_file = experiment.from_file })
  return this
end

--- The run that belongs to the options, and the directory it belongs in.
--- @param planning boolean|nil whether nothing is to be trained
--- @param origin string|nil the directory of a finished run that it goes on from
--- @return table run, string path, string state "new", "unfinished" or "finished", string|nil reason
local function place(experiment, given, where, planning, origin)
  local options = with_source(check.options(where, given or {}, run_options))
  local this = new_run(experiment, options)
  if origin then continued.prepare(this, origin) end
  local path, state, reason, replaces = this.host.place {
    runs = options.runs, name = this.name, variant = this.variant, identity = this.identity, again = options.again,
    planning = planning or options.dry_run,
  }
  this.replaces = replaces
  if reason then reason = ("%s; this run %s %s"):format(reason, replaces and "begins anew in" or "goes to", path) end
  return this, path, state, reason
end

--- Trains, and leaves a run directory. The same text with the same parameters is not trained twice: a
--- finished run is named, an unfinished one goes on.
--- @return table {directory=, and summary= once finished, or interrupted=true}
function Experiment:run(options)
  local _ <close> = random.scope()
  local this, path, state, reason = place(self, options, "experiment:run")
  if options.dry_run then
    this:build()
    this.host.plan(this.progress, this:about(), ("%s (%s)"):format(path, state))
    return { directory = path }
  end
  if state == "finished" then return already_finished(this, path) end
  return this:pursue(path, reason)
end

--- What `run` would do. Writes nothing; with dry_run it also builds the model, and so finds its errors.
--- @return table {name=, variant=, directory=, state="new", "unfinished" or "finished", steps=(to be done in
---   all), saved=(step of the newest checkpoint, 0 without one), summary=(of a finished run)}
function Experiment:plan(options)
  local _ <close> = random.scope()
  local this, path, state = place(self, options, "experiment:plan", true)
  if options.dry_run then this:build() end
  return {
    name = this.name, variant = this.variant, directory = path, state = state, steps = this.schedule.steps,
    saved = state ~= "new" and checkpoint_files.steps(path)[1] or 0,
    summary = state ~= "new" and directory.summary(path),
  }
end

--- A run that belongs to a directory which is there already.
local function existing(experiment, given, where)
  local options = check.options(where, given or {}, directory_options)
  local path = options.directory:gsub("(.)/+$", "%1")
  if not options.file then
    options.file = path .. "/experiment.lua"
    options.source = options.source or directory.read(options.file)
  end
  local this = new_run(experiment, with_source(options))
  this.name, this.variant = directory.names(path)
  identity.check_modules(path)
  return this, path
end

--- Goes on with a run from its newest checkpoint; one that is finished says so.
--- @return table as for run
function Experiment:resume(options)
  local _ <close> = random.scope()
  local this, path = existing(self, options, "experiment:resume")
  local finished = ranks.first(this, function() return directory.summary(path) ~= nil end)
  if finished then return already_finished(this, path) end
  local changed = identity.changed(path, this.identity)
  if changed then fail("%s; the run cannot go on like this", changed) end
  return this:pursue(path)
end

--- Puts the weights of a run into its model.
--- @param which string|integer|nil "best", "newest", or the step of a checkpoint; nil for those that are evaluated: the
---   best where the experiment says what is best, else the newest
--- @param exact boolean|nil raises where the newest cannot be read, instead of saying so and taking an older one
local function put_back(this, path, which, exact)
  if type(which) == "string" and which ~= "best" and which ~= "newest" then
    fail("a checkpoint is \"best\", \"newest\" or the number of a step, got %s", check.describe(which))
  elseif which == "best" and not this.best then
    fail("%s keeps no best weights: its experiment does not say what is best", path)
  end
  local say = function(line) this.progress:say(line) end
  local step = math.type(which) and which or exact and checkpoint_files.steps(path)[1] or nil
  if not checkpoint.restore(this, path, say, true, step) then
    fail("%s has no checkpoint yet", path)
  end
  if which == "best" or not which and this.best and this.state.validation.best then
    this.state.step = checkpoint.restore_best(this, path)
  else
    average.settle(this)
  end
end

--- The run of a directory with weights that it has saved, to be looked at. Says what has changed since.
--- @param which string|integer|nil as put_back takes it, and exact
--- @return table run
--- @return string path
local function restored(experiment, options, where, which, exact)
  local this, path = existing(experiment, options, where)
  local changed = identity.changed(path, this.identity)
  if changed then this.progress:conclude(changed) end
  this:build(true)
  put_back(this, path, which, exact)
  this:moment(false)
  return this, path
end

--- Shows what a run is worth on validation and test data, by its best weights where it keeps them, else by those of its
--- newest checkpoint, and of each class how often it is right; writes nothing.
--- @return table {step=, validation={loss=, accuracy=, metrics=, classes=(what sm.view.classification says, or nil)},
---   test=(the same)}
function Experiment:evaluate(options)
  local _ <close> = random.scope()
  local this, path = restored(self, options, "experiment:evaluate")
  local result, counted = { step = this.state.step }, {}
  for _, split in ipairs { "validation", "test" } do
    if this.data[split] then
      local tally = classes.tally(this)
      local loss, accuracy, metrics = evaluate.split(this, this.data[split], nil, tally)
      local found = tally and tally:result()
      result[split] = { loss = loss, accuracy = accuracy, metrics = metrics, classes = found }
      if found then counted[#counted + 1] = { split = split, of = found } end
      local figures = numbers.figures(loss, accuracy, metrics)
      this.progress:conclude(("%-10s   %s"):format(split, figures ~= "" and figures or "nothing is measured"))
    end
  end
  local of_classes = classes.table(counted)
  if of_classes then this.progress:say("\n" .. of_classes .. "\n", 0) end
  if not this.data.validation and not this.data.test then
    this.progress:conclude(("%s has neither validation nor test examples to evaluate"):format(this.data.name))
  end
  this.progress:say(("%s   after step %d"):format(path, result.step))
  return result
end

--- The run of a checkpoint that is a file of its own, not built yet.
--- @param name string what its text is called
local function revived(experiment, loaded, name, quiet)
  return run.new(experiment.declaration,
    { file = name, source = loaded.source, params = loaded.params, quiet = quiet }, hidden[experiment].host)
end

--- Trains on from a finished run, in a directory of its own.
--- @param options table as for run
--- @param origin string the directory of that run
--- @return table as run gives it
local function continue(experiment, options, origin)
  local _ <close> = random.scope()
  hidden[experiment].declared_with.used = true
  local this, path, state, reason = place(experiment, options, "experiment:run", false, origin)
  if state == "finished" then return already_finished(this, path) end
  return this:pursue(path, reason)
end

local M = { continue = continue, restored = restored, revived = revived }

local sought -- while a script is run again for the sake of one of its runs: {directory=, file=, source=}

--- What `run` does while a script is run again: nothing is trained. The run that is sought ends the script, and of
--- others there is the result.
local function seek_run(experiment, given)
  if sought.found then error(sought, 0) end
  local _ <close> = random.scope()
  local options = check.options("experiment:run", given or {}, run_options)
  options.file, options.source = sought.file, sought.source
  local this = new_run(experiment, options)
  sought.reason = identity.difference(sought.directory, this.identity)
  if not sought.reason then
    sought.found, sought.params = experiment, options.params
    error(sought, 0)
  end
  for _, path in ipairs(directory.beside(sought.directory, this.name)) do
    local summary = directory.summary(path)
    if summary and not identity.difference(path, this.identity) then return { directory = path, summary = summary } end
  end
  fail("of another run that this script trains, no result lies beside %s; run the script itself, which goes on with "
    .. "all that it trains", sought.directory)
end

local function seek_resume(_, given)
  local path = type(given) == "table" and given.directory
  local summary = type(path) == "string" and directory.summary(path)
  return summary and { directory = path, summary = summary }
    or fail("%s is not finished; run the script itself, which goes on with all that it trains", tostring(path))
end

local while_seeking = { run = seek_run, resume = seek_resume }

for _, name in ipairs { "run", "plan", "resume", "evaluate" } do
  local method = Experiment[name]
  Experiment[name] = function(self, options)
    local host = hidden[self].host
    hidden[self].declared_with.used = true
    if name == "run" and host.refusal then fail("%s", host.refusal) end
    return (sought and while_seeking[name] or method)(self, options)
  end
end

check.public_methods(Experiment, "experiment:", { "run", "plan", "resume", "evaluate" }, "an experiment")

--- Runs a script again until it comes to the run of a directory, and trains nothing.
--- @param given table {directory=, file=, source=(its text)}
--- @param script function
--- @param handler function|nil for xpcall
--- @return table|nil experiment nil where the script has not come to it
--- @return any the parameters of the run; or else why the last one is another, nil where the script trains none
--- @return any what the script returned
function M.seek(given, script, handler)
  local before = sought
  sought = given
  local ok, result = xpcall(script, function(value) return value ~= given and handler and handler(value) or value end)
  sought = before
  if given.found then return given.found, given.params end
  if not ok then error(result, 0) end
  return nil, given.reason, result
end

--- sm.experiment { data = …, model = …, optimizer = …, schedule = { … } }: declares an experiment. What is declared is
--- checked at once; nothing is drawn or trained yet. A file returns it, for smrun to train.
--- @param host table the program around it, as sm.cli.host
function M.declare(given, host)
  local declaration, declared = declare.declare(given), load.declares(place_of.innermost())
  local experiment = setmetatable({ declaration = declaration }, class)
  hidden[experiment] = { host = host, declared_with = declared }
  return experiment
end

--- Notes that a file returned an experiment: its text, with its modules and parameters, tells what it declares.
function M.is_from_file(experiment)
  experiment.from_file = true
end

--- The seed that an experiment declares.
function M.seed(experiment)
  return experiment.declaration.seed
end

--- Whether a value is an experiment.
function M.is(value)
  return debug.getmetatable(value) == class
end

return M
