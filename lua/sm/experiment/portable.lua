--- What a checkpoint carries so that it is enough by itself: the modules of its experiment, and what its data sets are
-- like. `about` in its metadata is a JSON object; source and params stand beside it. Equal runs have equal ones: there
-- is no time, no path and no name of a machine in it.
local runtime = require "sm.runtime"
local attempt = require "sm.problem".attempt
local brief = require "sm.text".brief
local fail = require "sm.fail"
local json = require "sm.json"
local modules = require "sm.modules"
local problem = require "sm.problem"
local random = require "sm.random"
local schema = require "sm.experiment.schema"
local sorted_keys = require "sm.ordered".sorted_keys
local stand_in = require "sm.data.stand_in"
local borrowed = require "sm.experiment.borrowed"
local checkpoint = require "sm.experiment.checkpoint"
local declared = require "sm.experiment.declared"
local load = require "sm.experiment.load"
local params = require "sm.experiment.params"

local M = {}

--- @return table|nil nil where a checkpoint carries none
local function about_of(path, metadata)
  return metadata.about and schema.decode_about(path .. ": about", metadata.about)
end

--- Reads a checkpoint as a file of its own.
--- @param path string
--- @param root integer|nil how much of it names a directory beneath which no link is followed
--- @return table {path=, tensors=, metadata=, step=, about=(nil where it carries none)}
function M.read(path, root)
  local tensors, metadata = checkpoint.read_file(path, root)
  local step = math.tointeger(tonumber(metadata.step:match "^%d+$"))
  if not step then fail("%s: its step is '%s', expected a number", path, brief(metadata.step)) end
  return { path = path, tensors = tensors, metadata = metadata, step = step, about = about_of(path, metadata) }
end

--- The modules that a checkpoint carries, for a run that goes on from it.
--- @param found table {path=, metadata=}
--- @return table place → text
function M.modules(found)
  local about = about_of(found.path, found.metadata)
  return about and about.modules or {}
end

--- Why a checkpoint is not enough by itself; nil where it is.
function M.lacks(found)
  if not found.about then
    return ("%s carries no description of its data: it is of a version that left it to the run directory"):format(
      found.path)
  elseif found.about.lacks then
    return ("%s: %s"):format(found.path, found.about.lacks)
  end
end

--- Raises where a checkpoint is not enough by itself.
local function require_whole(found)
  local why = M.lacks(found)
  if why then fail("%s; its run directory has the rest", why) end
end

--- The weights as they are evaluated: their averages, where there are any.
local function weights_of(tensors)
  local weights = {}
  for name, tensor in pairs(tensors) do
    local averaged = name:match "^average%.(.*)$"
    if averaged then weights[averaged] = tensor
    elseif name:find "^model%." and not tensors["average." .. name] then weights[name] = tensor
    elseif not name:find "^model%." and not name:find "^optimizer%." then
      fail("the tensor '%s' is neither the model's nor the optimizer's", brief(name))
    end
  end
  return weights
end

--- All that tells a checkpoint from another.
local function content_of(found, weights)
  local parts = { found.metadata.source, found.metadata.params, found.metadata.about }
  for _, name in ipairs(sorted_keys(weights)) do
    parts[#parts + 1] = name .. " " .. runtime.io.checksum(weights[name])
  end
  return ("step %d, checksum %s"):format(found.step, runtime.io.checksum(table.concat(parts, "\n")))
end

--- The values of the parameters that a checkpoint keeps.
local function values_of(found)
  local place = found.path .. ": params"
  return schema.decode(place, found.metadata.params, schema.settings).values
end

--- Runs the text, once with data sets without their numbers; where it reads these, with the data sets themselves.
--- @param say function(line)
local function run_text(found, own_require, kept, say)
  local name, values = found.path .. "/experiment.lua", values_of(found)
  local function run(sets)
    return load.file(name, found.metadata.source, values, {
      record = found.path .. ": params", require = own_require, kept = kept, data = sets,
    })
  end
  local ok, result = attempt(run, found.about.sets)
  if ok then return result end
  if problem.kind(result) ~= "stand-in" then error(result, 0) end
  say(("the text in %s reads the numbers of its data, so the data themselves are loaded"):format(found.path))
  return run(nil)
end

--- Says where the data or the runs that the text has loaded are not what they were.
local function say_changes(found, data, say)
  local about = found.about
  local known = {}
  for _, text in ipairs(about.loaded) do known[text] = true end
  for path, text in pairs(borrowed.noted()) do
    if not known[text] then
      say(("%s was trained with another run than %s is now, which is of %s"):format(found.path, path, text))
    end
  end
  if stand_in.is(data) or about.real ~= runtime.real then return end
  local sums = declared.data(data)
  for _, place in ipairs(sorted_keys(sums)) do
    if sums[place] ~= about.sums[place] then
      say(("%s was trained on other data: its %s were %s, and here are %s"):format(found.path, place,
        about.sums[place] or "not there", sums[place]))
      return
    end
  end
end

--- The experiment of a checkpoint, run anew, with its weights in the model. What is loading now keeps its random
--- numbers, its parameters, its modules and what it has declared.
--- @param found table as M.read gives it
--- @param revive function(experiment, loaded, text name) → the run, not built yet: sm.experiment's
--- @return table run whose model has the weights and is in eval mode; its `described` says what its data are like
--- @return table the values of the parameters
--- @return string what tells this checkpoint from another
function M.restore(found, revive)
  require_whole(found)
  local about = found.about
  local apart <const> = modules.apart(found.path, about.modules)
  local run, loaded
  do
    local _ <close> = random.scope()
    local _ <close> = params.scope()
    local _ <close> = borrowed.scope()
    local _ <close> = stand_in.scope()
    local _ <close> = load.scope()
    local _ <close> = apart.enter()
    local notes = {}
    loaded = run_text(found, apart.require, about.modules, function(line) notes[#notes + 1] = line end)
    if not loaded.experiment then fail("%s: its text is a plain script, which declares no experiment", found.path) end
    run = revive(loaded.experiment, loaded, found.path .. "/experiment.lua")
    for _, line in ipairs(notes) do run.progress:conclude(line) end
    say_changes(found, run.data, function(line) run.progress:conclude(line) end)
    random.train(run.seed)
    run.model:build(run.data.shape, run.data.dtype)
  end
  local weights = weights_of(found.tensors)
  checkpoint.put_tensors(run.model, weights, found.path)
  run.model:eval()
  run.state.step, run.described = found.step, about.data
  run.name = loaded.experiment.declaration.name or found.path:match "([^/]*)%.[^./]*$"
  run:moment(false)
  return run, loaded.params.values, content_of(found, weights)
end

-- What is written --------------------------------------------------------------------------------------------------

local most_bytes <const> = 2 << 20 -- of `about`: the header of the file has its own limit

--- The modules of a run, those that a session before this one has loaded included.
local function modules_of(run)
  local texts = {}
  for place, text in pairs(run.carried or {}) do texts[place] = text end
  for place, text in pairs(modules.loaded(run.file)) do texts[place] = text end
  run.carried = texts
  return texts
end

local function unfit(texts)
  for place, text in pairs(texts) do
    if not utf8.len(place) or not utf8.len(text) then
      return ("its module %s is not UTF-8, and a checkpoint cannot carry it"):format(brief(place))
    end
  end
end

--- `about` of a run's checkpoints.
--- @return string
function M.about(run)
  local texts = modules_of(run)
  local lacks = not run.identity.from_file and "a script trained it, which begins its runs itself"
    or unfit(texts)
  if lacks then return json.encode { lacks = lacks } end
  run.described = run.described or stand_in.describe(run.data)
  local loaded = {}
  for _, text in pairs(run.identity.loaded) do loaded[#loaded + 1] = text end
  table.sort(loaded)
  local written, text = attempt(json.encode, {
    modules = texts, sets = json.array(run.sets), data = run.described, sums = run.identity.data, real = runtime.real,
    loaded = json.array(loaded),
  })
  if not written or not utf8.len(text) then
    lacks = "it has names that are not UTF-8, and a checkpoint cannot carry them"
  elseif #text > most_bytes then
    lacks = ("its modules and names take %d bytes, and a checkpoint carries at most %d"):format(#text, most_bytes)
  end
  return lacks and json.encode { lacks = lacks } or text
end

return M
