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

local most_restarts <const> = 5
local writes_nothing <const> = { evaluate = true, plan = true, predict = true, export = true }

--- What a piece of work writes: "nothing", the directory of an "experiment" that its file returns, that of a "run"
--- which is there, or whatever a "script" comes to, beneath runs/<its name>.
--- @param work table as supervisor.run takes it
function M.kind(work)
  if writes_nothing[work.what] or work.pictures or work.options.dry_run then return "nothing" end
  if work.what == "resume" then return "run" end
  if work.run then return "nothing" end
  return loader.returns_experiment(work.source) and "experiment" or "script"
end

--- The directory beneath which a script writes.
function M.of_script(self)
  return ("%s/%s"):format(self.runs, file_names.of_file(self.file or self.run))
end

local function lies_in(path, outer)
  return path:sub(1, #outer + 1) == outer .. "/"
end

--- Raises where a directory beneath that of the runs is a link: what it leads to may be a stranger's choice.
local function refuse_links(self, path)
  local inner = path:sub(#self.runs + 1)
  for stop in inner:gmatch "()%f[/\0]" do
    local outer = stop > 1 and self.runs .. inner:sub(1, stop - 1)
    if outer and lfs.symlinkattributes(outer, "mode") == "link" then
      error(("%s is a link; expected a directory of runs"):format(outer), 0)
    end
  end
end

--- The directory of those that a script may write in which holds a path, as both are written.
--- @return string|nil
function M.root(self, path)
  local own = M.of_script(self)
  if lies_in(path, own) then return own end
  for _, granted in ipairs(self.permits.write) do
    if lies_in(path, granted) then return granted end
  end
end

--- A path beneath a directory: without "." and with single slashes.
local function below(outer, path)
  for part in path:gmatch "[^/]+" do
    if part ~= "." then outer = outer .. "/" .. part end
  end
  return outer
end

--- Where the directories of an experiment lie. One that a script runs lies beneath the script's own, or where the
--- person lets it write.
--- @param call table {name=, variant=, runs=(as the script says it), identity=}
--- @return string path
--- @return string|nil the directory beneath which it is reached through no link, since the script may make them
function M.base(self, call)
  local asked <const> = call.runs
  if call.identity.from_file or not self.file or self.kind == "nothing" and not asked then
    return ("%s/%s/%s"):format(self.runs, call.name, call.variant), nil
  end
  if asked and asked:find("\0", 1, true) then error("a path has no zero bytes", 0) end
  local own <const> = M.of_script(self)
  if asked and reach.lies_in(asked, self.permits.write) then
    local path = below(reach.real(asked), call.name .. "/" .. call.variant)
    return path, M.root(self, path)
  elseif asked and (asked:sub(1, 1) == "/" or ("/" .. asked .. "/"):find("/../", 1, true)) then
    error(("%s: this script may write beneath %s alone; `--write DIR` grants more"):format(asked, own), 0)
  end
  local path = below(own, asked or "")
  if call.name ~= path:match "[^/]*$" then path = path .. "/" .. call.name end
  return path .. "/" .. call.variant, own
end

--- Removes what killed processes have left, if nothing is in it. A process of another machine that loses its directory
--- so begins anew with the run's own.
local function remove_forgotten(runs)
  if lfs.attributes(runs, "mode") ~= "directory" then return end
  for name in lfs.dir(runs) do
    local process = name:match "^%.new%-(%d+)%-%d+$"
    if process and not lfs.attributes("/proc/" .. process) then
      lfs.rmdir(("%s/%s/checkpoints"):format(runs, name))
      lfs.rmdir(("%s/%s"):format(runs, name))
    end
  end
end

--- Makes a directory that nobody else has. It is not empty, for one that is can be replaced by another that is moved
--- to its place.
local function make_new(place)
  remove_forgotten(place)
  directory.make(place)
  local number = 0
  local path, made, problem
  repeat -- a process of another machine may have the same number, and be faster
    number = number + 1
    path = ("%s/.new-%d-%d"):format(place, runtime.system.process_id(), number)
    made, problem = runtime.io.make_directory(path)
    if problem then error(problem, 0) end
  until made
  directory.make(path .. "/checkpoints")
  return path
end

local places <const> = {
  nothing = function() return nil end,
  run = function(self) return self.run end,
  experiment = function(self)
    if not self.granted then
      self.made_runs = self.made_runs or not lfs.attributes(self.runs)
      self.staged = self.staged or make_new(self.runs)
    end
    return self.granted or self.staged
  end,
  script = function(self)
    local path = M.of_script(self)
    self.made_runs = self.made_runs or not lfs.attributes(self.runs)
    self.made = self.made or not lfs.attributes(path) and path or nil
    local made, problem = pcall(function()
      refuse_links(self, path)
      directory.make(path)
    end)
    self.unwritable = not made and tostring(problem) or nil
    return made and path or nil
  end,
}

--- Where relative paths are written: a script's directory, which an experiment has too if its file writes while it is
--- loaded; nil where nobody knows yet.
--- @return string|nil its path, from the root
function M.home(self)
  if self.kind == "experiment" then
    local path = self.writes and places.script(self)
    return path and reach.real(path) or nil
  end
  return M.place(self)
end

--- Makes the directory that the worker may write in.
--- @return string|nil its path, from the root
function M.place(self)
  local path = places[self.kind](self)
  return path and reach.real(path)
end

--- Where the worker writes the one file that the person asks for: in a new directory beside its place.
--- @return string|nil the file's path, from the root
--- @return string|nil the directory
function M.outbox(self)
  if not self.output then return nil end
  self.staged = self.staged or make_new(self.output:match "^(.*)/[^/]*$" or ".")
  local place = reach.real(self.staged)
  return place .. "/" .. self.output:match "[^/]*$", place
end

--- Moves that file to its place, once the worker has ended.
function M.deliver(self)
  local path = M.outbox(self)
  if lfs.symlinkattributes(path, "mode") ~= "file" then error("the experiment's process wrote no file", 0) end
  local moved, reason = runtime.io.move_directory(path, self.output)
  if not moved then error(reason or ("cannot write %s"):format(self.output), 0) end
end

--- Moves the new directory to the place of the run.
--- @return boolean whether it is there now
local function settle(self, path)
  directory.make(path:match "^(.*)/")
  if lfs.symlinkattributes(path) or not runtime.io.move_directory(self.staged, path) then return false end
  self.staged = nil
  return true
end

--- Gives an experiment its run's directory.
--- @return boolean whether the worker may write there; false where one that begins anew may
function M.grant(self, path)
  if self.granted == path then return true end
  refuse_links(self, path)
  local is_new <const> = not lfs.symlinkattributes(path)
  if is_new then self.settled[#self.settled + 1] = path end
  if not self.granted and is_new then
    if settle(self, path) then
      self.granted = path
      return true
    end
    directory.make(path) -- from another file system, say
  end
  self.restarts = self.restarts + 1
  if self.restarts > most_restarts then error(("%s is another process's"):format(path), 0) end
  self.granted = lfs.attributes(path, "mode") == "directory" and path or nil
  return false
end

--- What the worker may do, in words.
function M.words(self, path)
  local own = self.kind ~= "nothing" and path or nil
  if self.kind == "script" or own and self.writes then
    local scripts = not self.unwritable and M.of_script(self) .. "/" or nil
    local apart = self.kind == "experiment" and not lies_in(own, M.of_script(self))
    own = apart and scripts and own .. ", " .. scripts or scripts
  end
  return permits.words(self.permits, own, limits.words(self.limits))
end

local function remove_empty(path)
  if path then lfs.rmdir(path) end -- which fails where there is anything in it
end

--- Takes away what was made for nothing, and ends a worker that is left.
function M.close(self)
  if self.worker and not self.over then
    self.worker:kill()
    repeat local kind = self.worker:next() until kind == "ended"
  end
  runtime.io.beneath.hold(nil)
  if self.opened then self.opened:close() end
  if self.staged then pcall(directory.remove, self.staged) end
  for _, path in ipairs(self.settled) do
    if not lfs.attributes(path .. "/log.txt") then -- else a run has begun there: this one's, or another process's
      remove_empty(path .. "/checkpoints")
      remove_empty(path)
      remove_empty(path:match "^(.*)/")
    end
  end
  remove_empty(self.made)
  remove_empty(self.made_runs and self.runs)
end

return M
