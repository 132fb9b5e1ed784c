--- Run directories: which one an experiment belongs in, and how it is kept to one process.
-- runs/<experiment>/<variant>, then <variant>-2, <variant>-3, …
local lfs = require "lfs"
local runtime = require "sm.runtime"
local fail = require "sm.fail"
local schema = require "sm.experiment.schema"

local M = {}
M.__index = M

--- @return string|nil the content of a file, nil where there is none
function M.read(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local content <const> = file:read "a"
  file:close()
  return content
end

--- @return table|nil what summary.json says, nil while the run is unfinished
function M.summary(path)
  local file <const> = path .. "/summary.json"
  local text = M.read(file)
  return text and schema.decode(file, text, schema.summary)
end

--- What environment.json says; empty where there is none.
--- @param needed boolean|nil raises where there is none
function M.record(path, needed)
  local file <const> = path .. "/environment.json"
  local text = M.read(file)
  if needed and not text then fail("there is no %s", file) end
  local record = text and schema.decode(file, text, schema.environment) or {}
  return record.sessions and schema.check(file, record, schema.later_environment) or record
end

--- A path from the root, without "." and "..".
local function absolute(path)
  if path:sub(1, 1) ~= "/" then path = lfs.currentdir() .. "/" .. path end
  local parts = {}
  for part in path:gmatch "[^/]+" do
    if part == ".." then parts[#parts] = nil elseif part ~= "." then parts[#parts + 1] = part end
  end
  return "/" .. table.concat(parts, "/")
end

M.absolute = absolute

--- The names of the experiment and of the variant, wherever the directory lies now. Runs of version 0.1.0 say them by
--- their path alone.
--- @return string, string
function M.names(path)
  local record = M.record(path)
  local experiment, variant = absolute(path):match "([^/]*)/([^/]*)$"
  if type(record.experiment) == "string" then experiment = record.experiment end
  if type(record.variant) == "string" then variant = record.variant end
  return experiment, variant
end

--- The other directories that lie where one does.
function M.beside(path)
  local around, own = absolute(path):match "^(.*)/([^/]*)$"
  local found = {}
  for name in lfs.dir(around .. "/") do
    local other = around .. "/" .. name
    if name:sub(1, 1) ~= "." and name ~= own and lfs.attributes(other, "mode") == "directory" then
      found[#found + 1] = other
    end
  end
  table.sort(found)
  return found
end

--- Whether another process trains in a directory.
local function is_locked(path)
  local log <close> = io.open(path .. "/log.txt", "r+")
  return log ~= nil and runtime.io.is_locked(log)
end

local function has_checkpoint(path)
  local folder = path .. "/checkpoints"
  if lfs.attributes(folder, "mode") ~= "directory" then return false end
  for name in lfs.dir(folder) do
    if name:find "%.safetensors$" and name:sub(1, 1) ~= "." then return true end
  end
  return false
end

--- Whether a directory has nothing worth keeping: no checkpoint, no result, nobody at work.
local function is_worthless(path)
  return not has_checkpoint(path) and not M.read(path .. "/summary.json") and not is_locked(path)
end

--- The directory for a run. One in which another run was stopped before its first checkpoint is used again.
--- @param base string runs/<experiment>/<variant>
--- @param difference function(path) why the directory's run is another one; nil where it is the same
--- @param again boolean|nil leave every directory that exists alone
--- @return string path
--- @return string state "new", "unfinished" or "finished"
--- @return string|nil reason why it is not the first of its name, or what was there before
--- @return boolean|nil replaces whether what another run left there is to go
function M.choose(base, difference, again)
  local path, number, reason = base, 1, nil
  while true do
    if not lfs.attributes(path) then return path, "new", reason end
    if again then
      reason = ("%s is there already, and another run was asked for"):format(base)
    else
      local other = difference(path)
      if not other then return path, M.summary(path) and "finished" or "unfinished", reason end
      if is_worthless(path) then
        if not M.read(path .. "/experiment.lua") then return path, "new", reason end -- died before it had begun
        return path, "new", other .. ", and was stopped before its first checkpoint", true
      end
      reason = other
    end
    number = number + 1
    path = base .. "-" .. number
  end
end

--- Makes a directory, and those above it.
local function make(path)
  local parent = path:match "^(.+)/[^/]+/*$"
  if parent and not lfs.attributes(parent) then make(parent) end
  local made, reason = lfs.mkdir(path)
  if not made and lfs.attributes(path, "mode") ~= "directory" then
    fail("cannot make the directory %s: %s", path, reason)
  end
end

--- Makes the directory and keeps other processes out for as long as the handle is open: log.txt, open
--- throughout, carries the lock.
--- @return table handle with `.path`, `.log` (a file to append to) and `.unlocked` (why there is no lock, where a file
---   system gives none)
function M.open(path)
  make(path .. "/checkpoints")
  make(path .. "/plots")
  local log, reason = io.open(path .. "/log.txt", "a")
  if not log then fail("%s", reason) end
  log:setvbuf "line"
  local locked, unavailable = runtime.io.lock(log)
  if locked == false then
    log:close()
    fail("%s is being trained by another process", path)
  end
  return setmetatable({ path = path, log = log, unlocked = unavailable }, M)
end

M.make = make

--- Removes everything in a directory, and the directory. What is not there is no error.
function M.remove(path)
  if lfs.symlinkattributes(path, "mode") ~= "directory" then return os.remove(path) end
  for name in lfs.dir(path) do
    if name ~= "." and name ~= ".." then M.remove(path .. "/" .. name) end
  end
  lfs.rmdir(path)
end

--- Removes what another run left that never came to a checkpoint. Rows that it measured stay in metrics-before.csv.
function M:clear()
  local rows = M.read(self.path .. "/metrics.csv")
  if rows and rows:find "\n." then os.rename(self.path .. "/metrics.csv", self.path .. "/metrics-before.csv") end
  for _, name in ipairs { "plots", "modules", "metrics.csv", "report.html", "spent.json" } do
    M.remove(self.path .. "/" .. name)
  end
  make(self.path .. "/plots")
end

--- Writes one of the run's files so that a crash leaves all of it or none.
--- @param name string its place below the run directory, whose directories are made
function M:write(name, text)
  if name:find "/" then make((self.path .. "/" .. name):match "^(.+)/") end
  runtime.io.write_durably(self.path .. "/" .. name, text)
end

function M:close()
  self.log:close()
end

return M
