--- The commands that concern a run: a file, `resume`, `eval`.
local host = require "sm.cli.host"
local loader = require "sm.experiment.load"
local paths = require "sm.cli.paths"
local settings = require "sm.cli.settings"

local M = {}

local function exit_code(result)
  return type(result) == "table" and result.interrupted and 130 or 0
end

-- What a script that trains experiments itself says to each of them instead.
local said_by_scripts <const> = {
  { "dry_run", "dry_run = true" }, { "again", "again = true" }, { "runs", "runs = DIR" },
}

--- Loads a file that may turn out to be a script.
local function load_file(options, overrides)
  local why
  for _, said in ipairs(said_by_scripts) do
    local name, words = table.unpack(said)
    if options[name] and not why then
      why = ("option '--%s' is for a file that returns an experiment; this script trains it itself: experiment:run "
        .. "{ file = arg[0], %s }"):format((name:gsub("_", "-")), words)
    end
  end
  local _ <close> = host.refusing(why)
  return loader.file(options.words[1], options.text and loader.read(options.text), overrides, options.text
    and { kept = options.text:match "^(.*)/" .. "/modules", share = true })
end

--- smrun FILE.lua [key=value …]; more than one value for a parameter makes a sweep.
--- @return integer exit code
function M.file(options)
  local path = options.words[1]
  if not options.text then paths.check_file(path) end -- a run of a sweep has the text that the sweep began with
  local combinations, swept = settings.read(options.words, 2)
  if #combinations > 1 then return require "sm.cli.sweep".run(options, combinations, swept) end
  local loaded = load_file(options, combinations[1])
  if not loaded.experiment then return 0 end
  return exit_code(loaded.experiment:run {
    file = path, source = loaded.source, params = loaded.params, runs = options.runs or "runs",
    again = options.again, quiet = options.quiet, dry_run = options.dry_run,
  })
end

--- Makes the experiment of a run directory anew and hands it to one of its methods.
local function with_run(method, options)
  local directory = options.words[1]:gsub("(.)/+$", "%1")
  paths.check_run(directory)
  local loaded = loader.run_directory(directory, require "sm.cli.traceback".handler)
  if not loaded.experiment then
    require "sm.usage".fail("%s/experiment.lua is a plain script; there is no run to go on with", directory)
  end
  return exit_code(loaded.experiment[method](loaded.experiment, {
    directory = directory, file = directory .. "/experiment.lua",
    source = loaded.source, params = loaded.params, quiet = options.quiet,
  }))
end

--- smrun resume RUN
function M.resume(options)
  return with_run("resume", options)
end

--- smrun eval RUN
function M.eval(options)
  return with_run("evaluate", options)
end

return M
