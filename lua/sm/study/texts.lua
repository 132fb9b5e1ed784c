--- The texts that all runs of a sweep use, so that an edit meanwhile changes none of them: a directory with
--- experiment.lua and modules/, for --text of their commands.
local lfs = require "lfs"
local fail = require "sm.fail"
local directory = require "sm.experiment.directory"
local module_files = require "sm.module_files"
local runtime = require "sm.runtime"
local sorted_keys = require "sm.ordered".sorted_keys

local M = {}

--- The file in such a directory whose text takes the place of the experiment's.
M.name = "experiment.lua"

--- Writes them into a directory that is there.
--- @param source string the experiment's
--- @param modules table place → text
function M.write(path, source, modules)
  for place, text in pairs(modules) do directory.write_in(path, "modules/" .. place, text) end
  directory.write_in(path, M.name, source) -- last: a directory that has it is whole
end

--- Whether a directory has these texts and no others. A run may have added a module that planning did not load: such a
--- one is left to its own commands, for that module may have changed since.
local function holds(path, source, modules)
  if lfs.symlinkattributes(path, "mode") ~= "directory" or directory.read(path, M.name) ~= source then return false end
  local kept = module_files.kept(path .. "/modules")
  for place, text in pairs(modules) do
    if kept[place] ~= text then return false end
    kept[place] = nil
  end
  return next(kept) == nil
end

--- A name of the texts: those of another edit have another one.
local function base_of(runs, source, modules)
  local parts = { source }
  for _, place in ipairs(sorted_keys(modules)) do
    parts[#parts + 1] = ("%s %d"):format(place, #modules[place])
    parts[#parts + 1] = modules[place]
  end
  return ("%s/.plan-%s"):format(runs:gsub("(.)/+$", "%1"), runtime.io.checksum(table.concat(parts, "\n")))
end

--- The directory that keeps these texts for commands which outlive this process: a hidden one beside the runs, named by
--- what it holds. It stays until a person removes it.
--- @param runs string the directory of runs
--- @param dry boolean|nil whether nothing is written
--- @return string path
--- @return boolean whether it was made now
function M.keep(runs, source, modules, dry)
  local base, number = base_of(runs, source, modules), 1
  local path, made = base, false
  while not made do
    if lfs.symlinkattributes(path) then
      local readable, same = pcall(holds, path, source, modules) -- links and pipes are not: they are none of ours
      if readable and same then return path, false end
      number = number + 1
      path = ("%s-%d"):format(base, number)
    elseif dry then
      return path, false
    else
      directory.make(runs)
      local problem
      made, problem = runtime.io.make_directory(path) -- false where another process was faster
      if problem then fail("%s", problem) end
    end
  end
  local written, problem = pcall(M.write, path, source, modules)
  if written then return path, true end
  pcall(directory.remove, path)
  error(problem, 0)
end

return M
