--- What makes a run this run and no other: its text, the modules that it loaded from beside it, its parameters, what it
-- declared, and its data. environment.json keeps what is not kept as files; runs of version 0.1.0 have none of that.
local runtime = require "sm.runtime"
local fail = require "sm.fail"
local modules = require "sm.modules"
local random = require "sm.random"
local sorted_keys = require "sm.ordered".sorted_keys
local borrowed = require "sm.experiment.borrowed"
local directory = require "sm.experiment.directory"
local params = require "sm.experiment.params"

local M = {}

--- What the command line sets of a script that trains. @return table|nil nil where the file is no such script
local function given_to_script(file)
  local running, values = params.given()
  return running and directory.absolute(running) == directory.absolute(file) and values or nil
end

--- @param declaration table as sm.experiment.declare gives it
--- @param given table {source=, params=(the content of params.json), file=, from_file=(whether the file returned the
---   experiment, so that text, modules and parameters tell nearly all)}
--- @return table
function M.of(declaration, given)
  local declared = require "sm.experiment.declared" -- brings the numeric libraries, which a comparison can do without
  local lines = declared.declaration(declaration, not given.from_file)
  local script = not given.from_file and given_to_script(given.file) or nil
  for name, value in pairs(script or {}) do lines["arg." .. name] = tostring(value) end
  return {
    source = given.source, params = given.params, from_file = given.from_file,
    modules = modules.loaded(given.file), drew = given.from_file == true and (random.file_drew()),
    declaration = lines, data = declared.data(declaration.data), script = script,
    loaded = borrowed.noted(),
  }
end

--- The first place, by name, where two maps differ.
--- @param common boolean|nil only places that both have
local function first_difference(a, b, common)
  local places = {}
  for place in pairs(a) do places[place] = not common or b[place] ~= nil or nil end
  for place in pairs(b) do places[place] = not common or a[place] ~= nil or nil end
  for _, place in ipairs(sorted_keys(places)) do
    if a[place] ~= b[place] then return place end
  end
end

local function module_difference(path, identity)
  local kept = modules.read(path .. "/modules")
  for place in pairs(identity.modules) do
    if not kept[place] then return ("%s was run without the module %s"):format(path, place) end
  end
  for _, place in ipairs(sorted_keys(kept)) do
    if (identity.modules[place] or modules.text(place)) ~= kept[place] then
      return ("%s was run with a different text of its module %s"):format(path, place)
    end
  end
end

--- A run of version 0.1.0 is taken for the same where nothing is known that may differ.
local function earlier_difference(path, identity)
  if next(identity.modules) then
    return ("%s was run by an earlier version, which kept no modules, so that they cannot be compared"):format(path)
  elseif identity.drew then
    return ("%s was run by an earlier version, in which what a file draws did not follow the seed"):format(path)
  end
end

--- Numbers of the other build have other bits; the texts and parameters that made them are compared.
local function data_difference(record, identity)
  if record.real ~= runtime.real then return nil end
  return first_difference(record.data, identity.data)
end

local function loaded_difference(path, record, identity)
  local place = record.real == runtime.real and borrowed.difference(record.loaded or {}, identity.loaded)
  return place and ("%s was run with the run %s of %s, and now that is of %s"):format(path, place,
    record.loaded and record.loaded[place] or "which it knew nothing", identity.loaded[place])
end

--- A run that goes on from another one is not the run that begins with its parameters.
local function continued_difference(path, record, identity)
  local before = require "sm.experiment.continued".text(record.continued)
  if before == identity.continued then return nil end
  return ("%s was begun %s, and this one %s"):format(path, before and "with a checkpoint of another run, " .. before
    or "anew", identity.continued and "goes on from " .. identity.continued or "begins anew")
end

local function settings_difference(path, record, identity)
  local place = first_difference(record.declaration, identity.declaration, identity.from_file)
  return place and ("%s was run with %s %s, and here it is %s"):format(path, place,
    record.declaration[place] or "not there", identity.declaration[place] or "not there")
end

--- Why what is to be run is not the run that a directory has.
--- @return string|nil reason nil where it is the same run
function M.difference(path, identity)
  local source = directory.read(path .. "/experiment.lua")
  if not source then return ("%s has no experiment.lua, so that nobody can tell what it is"):format(path) end
  if source ~= identity.source then return ("%s was run from a different text of this file"):format(path) end
  local kept = directory.read(path .. "/params.json")
  if not kept then return ("%s has no params.json, so that nobody can tell what it is"):format(path) end
  if kept ~= identity.params then return ("%s was run with other parameters"):format(path) end
  local record = directory.record(path)
  if not record.sessions then return earlier_difference(path, identity) end
  local reason = module_difference(path, identity) or settings_difference(path, record, identity)
    or loaded_difference(path, record, identity)
    or continued_difference(path, record, identity)
  if reason then return reason end
  local place = data_difference(record, identity)
  return place and ("%s was run on other data: its %s are not the same"):format(path, place)
end

--- What has changed since a run began, without its text or parameters: its data, or what it took from its
--- surroundings. What functions have captured may change, as a time does.
--- @return string|nil
function M.changed(path, identity)
  local record = directory.record(path)
  if not record.sessions then return nil end
  local declaration = {}
  for place, text in pairs(identity.declaration) do
    if not place:find(":", 1, true) then declaration[place] = text end
  end
  local reason = settings_difference(path, record, { declaration = declaration, from_file = true })
    or loaded_difference(path, record, identity)
  if reason then return reason end
  local place = data_difference(record, identity)
  return place and ("%s was trained on other data: its %s have changed since (they were %s, and are %s)"):format(path,
    place, record.data[place] or "not there", identity.data[place] or "not there")
end

--- Raises where a module that a run directory keeps is not as it was kept.
function M.check_modules(path)
  local recorded, kept = directory.record(path).modules or {}, modules.read(path .. "/modules")
  for _, place in ipairs(sorted_keys(recorded)) do
    if not kept[place] then fail("%s/modules/%s is missing, and the run cannot go on without it", path, place) end
    if runtime.io.checksum(kept[place]) ~= recorded[place] then
      fail("%s/modules/%s is not the text that the run was trained with", path, place)
    end
  end
end

return M
