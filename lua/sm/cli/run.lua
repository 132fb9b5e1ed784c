--- The commands that concern a run: a file, `resume`, `eval`.
local host = require "sm.cli.host"
local program = package.loaded["sm.host"] -- nil under plain Lua, which runs a file in its own process
local loader = require "sm.experiment.load"
local paths = require "sm.cli.paths"
local ranks = require "sm.cli.ranks"
local settings = require "sm.cli.settings"
local usage = require "sm.usage"

local M = {}

local function exit_code(result)
  return type(result) == "table" and result.interrupted and 130 or 0
end

-- What a script that trains experiments itself says to each of them instead.
local said_by_scripts <const> = {
  { "dry_run", "dry_run = true" }, { "again", "again = true" },
}

--- Where the modules lie that go with a text of --text.
local function kept_beside(text_path)
  return text_path and (text_path:match "^(.*)/" or ".") .. "/modules"
end

--- Loads a file that may turn out to be a script.
local function load_file(options, overrides, source, where)
  local why = options.mpi and "option '--mpi' is for a file that returns an experiment; this script trains it itself"
    or nil
  for _, said in ipairs(said_by_scripts) do
    local name, words = table.unpack(said)
    if options[name] and not why then
      why = ("option '--%s' is for a file that returns an experiment; this script trains it itself: experiment:run "
        .. "{ file = arg[0], %s }"):format((name:gsub("_", "-")), words)
    end
  end
  local _ <close> = host.refusing(why)
  where = where or options.text and { kept = kept_beside(options.text), share = true } or nil
  return loader.file(options.words[1], source or options.text and loader.read(options.text), overrides, where)
end

--- Runs a file in this process.
--- @param source string|nil its text, where that is known already
--- @param where table|nil as for sm.experiment.load.file
--- @return integer exit code
--- @return table|nil the experiment that it returns
--- @return table|nil what its run gives
function M.train(options, overrides, source, where)
  local loaded = load_file(options, overrides, source, where)
  if not loaded.experiment then return 0 end
  local result = loaded.experiment:run {
    file = options.words[1], source = loaded.source, params = loaded.params, runs = options.runs or "runs",
    again = options.again, quiet = options.quiet, dry_run = options.dry_run,
  }
  return exit_code(result), loaded.experiment, result
end

--- What a run of a sweep would do.
--- @return table {directory=, state=, steps=, saved=} as experiment:plan gives it
--- @return table place → text of the modules that it has loaded
function M.plan(options, overrides, source)
  local path = options.words[1]
  local _ <close> = host.refusing "a sweep needs a file that returns an experiment; this script trains it itself"
  local kept = kept_beside(options.text)
  local loaded = loader.file(path, source, overrides, { again = true, kept = kept, share = kept ~= nil })
  if not loaded.experiment then
    usage.fail("%s is a plain script; a sweep needs a file that returns an experiment", path)
  end
  local plan = loaded.experiment:plan {
    file = path, source = loaded.source, params = loaded.params, runs = options.runs or "runs", again = options.again,
    quiet = true, dry_run = options.dry_run,
  }
  return { directory = plan.directory, state = plan.state, steps = plan.steps, saved = plan.saved },
    require "sm.modules".loaded(path)
end

--- Whether a stranger's text runs in a worker.
function M.is_confined(options)
  return program and not options.trust
end

local is_confined <const> = M.is_confined

--- Hands work to a worker, which loads its libraries while this process loads its own.
--- @return integer exit code
function M.confine(work)
  work.worker = program.worker(nil, ranks.memory())
  return require "sm.cli.supervisor".run(work)
end

--- What several ranks do not train.
local function check_ranks(options, combinations)
  if #combinations > 1 then
    usage.fail("--mpi trains one run on several ranks, and this is a sweep of %d runs; --jobs runs several of these at "
      .. "once, each in a process of its own", #combinations)
  end
  local sweep <const> = "is for a sweep, and --mpi for one run"
  local refused <const> = { jobs = sweep, plan = sweep, slurm = sweep, compare = sweep, dry_run = "needs one process" }
  for name, why in pairs(refused) do
    if options[name] then usage.fail("option '--%s' does not go with --mpi: it %s", (name:gsub("_", "-")), why) end
  end
end

--- smrun FILE.lua [key=value …]; more than one value for a parameter makes a sweep.
--- @return integer exit code
function M.file(options)
  local path = options.words[1]
  if not options.text then paths.check_file(path) end -- a run of a sweep has the text that the sweep began with
  local combinations, swept = settings.read(options.words, 2)
  if options.mpi then check_ranks(options, combinations) end
  local sweeps = #combinations > 1 or options.plan or options.slurm or options.compare
  if sweeps then return require "sm.cli.sweep".run(options, combinations, swept) end
  if not is_confined(options) then return M.train(options, combinations[1]) end
  return M.confine {
    what = "train", options = options, overrides = combinations[1], file = path,
    source = loader.read(options.text or path),
  }
end

--- smrun -i FILE.lua [key=value …], smrun -i RUN: runs a file, or loads a run, then has a prompt.
--- @return integer exit code
function M.interact(options)
  local path = options.words[1]
  local is_run = require "lfs".attributes(path, "mode") == "directory"
  if is_run then
    path = path:gsub("(.)/+$", "%1")
    options.words[1] = path
    paths.check_run(path)
    if options.words[2] then usage.fail("unexpected argument '%s' after '%s'", options.words[2], path) end
  else
    paths.check_file(path)
  end
  local combinations = settings.read(options.words, 2)
  if #combinations > 1 then
    usage.fail "more than one value is a sweep, which has no prompt; expected one for each parameter"
  end
  if not is_confined(options) then return require "sm.cli.interact".trusted(options, combinations[1], is_run) end
  return M.confine {
    what = "interact", options = options, overrides = combinations[1], run = is_run and path or nil,
    file = not is_run and path or nil, source = not is_run and loader.read(path) or nil,
  }
end

--- Raises unless the files of a run's data set are found by its name, and so in the directory that --data says.
local function require_named(run, directory)
  local kinds = {}
  for _, set in ipairs(require "sm.data.stand_in".noted()) do
    if require "sm.data.catalogue"[set.made_by] or set.made_by == "mnist_mini" then
      require "sm.text".print(("%-10s %s in %s"):format("data", set.name, directory))
      return
    end
    kinds[#kinds + 1] = "data." .. set.made_by
  end
  error(("%s: --data takes a directory of PNG files for each class, or the files of the run's data set where that has "
    .. "a name, as mnist; this run's data are %s"):format(run, #kinds > 0 and table.concat(kinds, ", ")
    or "made by its text"), 0)
end

--- Makes the experiment of a run directory anew.
--- @param overrides table|nil parameters that are others
local function load_run(directory, overrides)
  local loaded = loader.run_directory(directory, require "sm.cli.traceback".handler, nil, overrides)
  if loaded.experiment then return loaded end
  usage.fail("%s/experiment.lua is a plain script; there is no run to go on with", directory)
end

--- Makes the experiment of a run directory anew and hands it to one of its methods, in this process.
--- @return integer exit code
function M.go_on(method, options)
  local directory = options.words[1]
  local loaded = load_run(directory)
  if options.needs_data then require_named(directory, options.data) end
  return exit_code(loaded.experiment[method](loaded.experiment, {
    directory = directory, file = directory .. "/experiment.lua",
    source = loaded.source, params = loaded.params, quiet = options.quiet,
  }))
end

local function with_run(method, options)
  options.words[1] = options.words[1]:gsub("(.)/+$", "%1")
  paths.check_run(options.words[1])
  if not is_confined(options) then return M.go_on(method, options) end
  return M.confine { what = method, options = options, run = options.words[1] }
end

--- Raises for a parameter that a run does not have.
local function check_parameters(run, given)
  local path = run .. "/params.json"
  local schema = require "sm.experiment.schema"
  local values = schema.decode(path, require "sm.experiment.directory".read(path), schema.settings).values
  local names = require "sm.ordered".sorted_keys(values)
  for _, name in ipairs(require "sm.ordered".sorted_keys(given)) do
    if values[name] == nil then
      local suggestion = require "sm.check".suggest(name, names)
      usage.fail("%s has no parameter '%s'%s", run, name, suggestion ~= "" and suggestion
        or ("; its file declares %s. A file that says `local p = sm.params { %s = … }` and uses p.%s takes it"):format(
          #names > 0 and table.concat(names, ", ") or "none", name, name))
    end
  end
end

--- Trains on from a finished run, in this process.
--- @return integer exit code
function M.train_on(options, overrides)
  local origin = options.words[1]
  check_parameters(origin, overrides)
  local loaded = load_run(origin, overrides)
  return exit_code(require "sm.experiment".continue(loaded.experiment, {
    file = origin .. "/experiment.lua", source = loaded.source, params = loaded.params, runs = options.runs,
    again = options.again, quiet = options.quiet,
  }, origin))
end

--- The directory of runs that a run lies in, RUNS/EXPERIMENT/VARIANT; "runs" where it lies otherwise.
local function runs_around(run)
  local directory = require "sm.experiment.directory"
  local runs, experiment = run:match "^(.+)/([^/]+)/[^/]+$"
  return runs and experiment == directory.names(run) and runs or "runs"
end

--- smrun resume RUN key=value …: a new run that goes on where a finished one ended.
local function train_on(options)
  local directory = require "sm.experiment.directory"
  local run = options.words[1]:gsub("(.)/+$", "%1")
  options.words[1] = run
  paths.check_run(run)
  local combinations = settings.read(options.words, 2)
  if #combinations > 1 then usage.fail "resume takes one value for each parameter" end
  if not directory.summary(run) then
    usage.fail("%s is not finished; `%s resume %s` goes on with it as it is, and parameters can change after that",
      run, usage.program(), usage.quoted(run))
  end
  if directory.record(run).script then
    usage.fail("%s was trained by a script, which begins its runs itself; parameters are the script's", run)
  end
  options.runs = options.runs or runs_around(run)
  if not is_confined(options) then return M.train_on(options, combinations[1]) end
  local file = run .. "/experiment.lua"
  return M.confine {
    what = "train_on", options = options, overrides = combinations[1], file = file, origin = run,
    source = directory.read(file),
  }
end

--- smrun resume RUN
function M.resume(options)
  if #options.words > 1 then return train_on(options) end
  for _, name in ipairs { "runs", "again" } do
    if options[name] then
      usage.fail("option '--%s' goes with parameters: resume RUN key=value makes a new run", name)
    end
  end
  return with_run("resume", options)
end

--- smrun eval RUN
function M.eval(options)
  local directory = options.data
  if not directory then return with_run("evaluate", options) end
  local pictures = require "sm.cli.predict".by_class(directory)
  if not pictures then
    options.needs_data = true
    return with_run("evaluate", options)
  end
  return require "sm.cli.predict".evaluate(options, pictures)
end

return M
