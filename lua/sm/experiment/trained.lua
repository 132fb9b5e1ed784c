--- A run that is finished, or was stopped, as any script may have it: sm.load_run.
local lfs = require "lfs"
local runtime = require "sm.runtime"
local check = require "sm.check"
local fail = require "sm.fail"
local modules = require "sm.modules"
local random = require "sm.random"
local reach = require "sm.reach"
local sorted_keys = require "sm.ordered".sorted_keys
local borrowed = require "sm.experiment.borrowed"
local checkpoint = require "sm.experiment.checkpoint"
local directory = require "sm.experiment.directory"
local experiments = require "sm.experiment"
local load = require "sm.experiment.load"
local params = require "sm.experiment.params"
local portable = require "sm.experiment.portable"
local stand_in = require "sm.data.stand_in"

local M = {}

local options_of_load = check.spec("sm.load_run", {
  checkpoint = { type = { "string", "integer" },
    doc = "\"best\", \"newest\", or a step that has one; by default the best where the run keeps it, else the newest" },
  quiet = { type = "boolean", default = false, doc = "does not say what has changed since" },
})

local loading = {} -- the directories whose text is running: true

--- For `local mark <close> = …`: raises where a run loads itself.
local function mark(path)
  local place = directory.absolute(path)
  if loading[place] then fail("sm.load_run: %s loads itself", path) end
  loading[place] = true
  return setmetatable({}, { __close = function() loading[place] = nil end })
end

--- All that tells a run at a step from another: its text, modules, parameters and weights.
local function content_of(run, path)
  local parts = { run.source, run.params }
  local kept, tensors = modules.read(path .. "/modules"), checkpoint.tensors_of(run.model)
  for _, place in ipairs(sorted_keys(kept)) do parts[#parts + 1] = place .. " " .. runtime.io.checksum(kept[place]) end
  for _, name in ipairs(sorted_keys(tensors)) do
    parts[#parts + 1] = name .. " " .. runtime.io.checksum(tensors[name])
  end
  return ("step %d, checksum %s"):format(run.state.step, runtime.io.checksum(table.concat(parts, "\n")))
end

--- The experiment of a directory, run anew, and its run with the weights of a checkpoint. What is loading now keeps its
--- random numbers, its parameters, its modules and what it has declared.
local function restore(path, given)
  local apart <const> = modules.apart(path, modules.read(path .. "/modules"))
  local _ <close> = mark(path)
  local _ <close> = random.scope()
  local _ <close> = params.scope()
  local _ <close> = borrowed.scope()
  local _ <close> = stand_in.scope()
  local _ <close> = load.scope()
  local _ <close> = apart.enter()
  local loaded = load.run_directory(path, nil, apart.require)
  if not loaded.experiment then fail("sm.load_run: %s/experiment.lua is a plain script, which trains no run", path) end
  return loaded.params.values, experiments.restored(loaded.experiment, {
    directory = path, file = path .. "/experiment.lua", source = loaded.source, params = loaded.params,
    quiet = given.quiet,
  }, "sm.load_run", given.checkpoint, true)
end

--- The run of a checkpoint that lies anywhere.
local function of_file(path, given)
  if given.checkpoint then
    fail("sm.load_run: option 'checkpoint' is for run directories, and %s is one checkpoint", path)
  end
  local _ <close> = mark(path)
  local run, values, content = portable.restore(portable.read(path), function(experiment, loaded, name)
    return experiments.revived(experiment, loaded, name, given.quiet)
  end)
  borrowed.note(path, content)
  return { model = run.model, data = run.data, params = values, step = run.state.step, name = run.name, path = path }
end

--- sm.load_run(path, { checkpoint = "best" }): the model of a finished or stopped run, with the weights of its newest
--- checkpoint, and its data. The text that the run has kept is run anew, with its modules and parameters; nothing is
--- trained. An experiment that loads a run is another one where that run is.
--- @param path string the run directory
--- @return table {model= (in eval mode), data=, params= (name → value), step= (of the checkpoint), directory=, name=
---   (of the experiment), variant=, summary= (of a finished run; nil before)}
function M.load_run(path, options)
  if type(path) ~= "string" then
    fail("sm.load_run takes the path of a run directory, or of a checkpoint, got %s", check.describe(path))
  end
  local given = check.options("sm.load_run", options, options_of_load)
  path = reach.to_read((path:gsub("(.)/+$", "%1")), true)
  if path:find "%.safetensors$" and lfs.attributes(path, "mode") == "file" then return of_file(path, given) end
  local problem = directory.problem(path)
  if problem then fail("sm.load_run: %s", problem) end
  local values, run = restore(path, given)
  run.model:eval()
  borrowed.note(path, content_of(run, path))
  return {
    model = run.model, data = run.data, params = values, step = run.state.step, directory = path, name = run.name,
    variant = run.variant, summary = directory.summary(path),
  }
end

return M
