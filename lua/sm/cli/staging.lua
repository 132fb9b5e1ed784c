--- Where a confined experiment writes. Its rights are given before its first line, when nobody knows yet what its run
--- is called: so they are for a new directory, which moves to its place once that is known. The kernel goes by the
--- directory and not by its name. A run that is there already is granted to a worker that begins anew.
-- @module sm.cli.staging
local lfs = require "lfs"
local directory = require "sm.experiment.directory"
local file_names = require "sm.experiment.names"
local limits = require "sm.cli.limits"
local loader = require "sm.experiment.load"
local permits = require "sm.cli.permits"
local reach = require "sm.reach"
local runtime = require "sm.runtime"

local M = {}

--- What a piece of work writes: "nothing", the directory of an "experiment" that its file returns, that of a "run"
--- which is there, or whatever a "script" comes to, beneath runs/<its name>.
--- @param work table as supervisor.run takes it
function M.kind(work)
  if work.what == "evaluate" or work.what == "plan" or work.options.dry_run then return "nothing" end
  if work.what == "resume" then return "run" end
  return loader.returns_experiment(work.source) and "experiment" or "script"
end

--- The directory beneath which a script writes.
function M.of_script(self)
  return ("%s/%s"):format(self.runs, file_names.of_file(self.file))
end

--- Makes a directory that nobody else has.
local function make_new(self)
  for number = 1, 100 do
    local path = ("%s/.new-%d-%d"):format(self.runs, runtime.system.process_id(), number)
    if not lfs.attributes(path) then
      directory.make_new(path)
      return path
    end
  end
end

local places <const> = {
  nothing = function() return nil end,
  run = function(self) return self.run end,
  experiment = function(self)
    if not self.granted then
      self.made_runs = self.made_runs or not lfs.attributes(self.runs)
      self.staged = self.staged or make_new(self)
    end
    return self.granted or self.staged
  end,
  script = function(self)
    local path = M.of_script(self)
    self.made_runs = self.made_runs or not lfs.attributes(self.runs)
    self.made = self.made or not lfs.attributes(path) and path or nil
    local made, problem = pcall(directory.make, path)
    self.unwritable = not made and tostring(problem) or nil
    return made and path or nil
  end,
}

--- Makes the directory that the worker may write in.
--- @return string|nil its path, from the root
function M.place(self)
  local path = places[self.kind](self)
  return path and reach.real(path)
end

--- Moves the new directory to the place of the run.
--- @return boolean whether it is there now
function M.settle(self, path)
  if not self.staged or lfs.attributes(path) then return false end
  local parent = path:match "^(.*)/[^/]*$"
  if parent then directory.make(parent) end
  if not os.rename(self.staged, path) then return false end -- another process was faster
  self.staged, self.granted = nil, path
  return true
end

--- What the worker may do, in words.
function M.words(self, path)
  local own = path or self.kind == "script" and not self.unwritable and M.of_script(self) .. "/" or nil
  return permits.words(self.permits, own, limits.words(self.limits))
end

local function remove_empty(path)
  if path then lfs.rmdir(path) end -- which fails where there is anything in it
end

--- Takes away what was made for nothing, and ends a worker that is left.
function M.close(self)
  if self.worker then self.worker:kill() end
  if self.opened then self.opened:close() end
  if self.staged then directory.remove(self.staged) end
  remove_empty(self.made)
  remove_empty(self.made_runs and self.runs)
end

return M
