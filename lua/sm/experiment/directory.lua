--- Run directories: which one an experiment belongs in, and how it is kept to one process.
-- runs/<experiment>/<variant>, then <variant>-2, <variant>-3, …
-- A run may be a stranger's. What it has in its directory is reached through no link, and is a file or a directory.
local lfs = require "lfs"
local runtime = require "sm.runtime"
local fail = require "sm.fail"
local schema = require "sm.experiment.schema"

local M = {}
M.__index = M

local beneath <const> = runtime.io.beneath
local most_bytes <const> = 256 << 20 -- of a file that is read whole: three million rows of metrics.csv

--- What a function of beneath gives; raises where it gives a reason.
local function sure(result, reason, kind, ...)
  if result == nil and reason then
    fail("%s%s", reason, kind == "link" and "; only a whole run directory may be one" or "")
  end
  return result, reason, kind, ...
end

--- A path as a directory and a name beneath it.
local function split(path)
  local directory, name = path:match "^(.*)/([^/]*)$"
  return directory == "" and "/" or directory or ".", name or path
end

--- The content of a file of a run. Raises where it is no plain file, or too large.
--- @param path string RUN/NAME; or RUN, which may be reached through links, as the rest may not
--- @param name string|nil of the file beneath it
--- @return string|nil nil where there is none
function M.read(path, name)
  if not name then path, name = split(path) end
  return (sure(beneath.read(path, name, most_bytes)))
end

--- Begins a file of a run with a text, all of which is there or nothing, for more to be appended.
--- @return table as beneath.append gives it
function M.begin(path, text)
  local directory, name = split(path)
  sure(beneath.write(directory, name, text))
  return (sure(beneath.append(directory, name)))
end

--- The names in a directory of a run, which may not be a link, and the kind of each.
--- @return table name → "file", "directory", "link" or "other"; empty where there is none
function M.list(path, name)
  return (sure(beneath.list(path, name))) or {}
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
  if path:sub(1, 1) ~= "/" then
    local here = lfs.currentdir()
    if not here then
      fail("the current directory has been removed; expected a path that begins with /, got %s", path)
    end
    path = here .. "/" .. path
  end
  local parts = {}
  for part in path:gmatch "[^/]+" do
    if part == ".." then parts[#parts] = nil elseif part ~= "." then parts[#parts + 1] = part end
  end
  return "/" .. table.concat(parts, "/")
end

M.absolute = absolute

local absent <const> = { [2] = true, [20] = true } -- ENOENT, ENOTDIR

--- What a path is; nil where nothing is there, with the reason where the system does not tell, as in a directory that
--- may not be read.
function M.mode(path)
  local mode, reason, code = lfs.attributes(path, "mode")
  if mode or absent[code] then return mode end
  return nil, ("cannot open '%s': %s"):format(path, tostring(reason):match ": ([^:]*)$" or reason)
end

--- Why a path is no run directory, in words; nil where it is one.
--- @return string|nil
--- @return string|nil what there is of it: "something", "nothing"; nil where the system does not tell
function M.problem(path)
  local mode, reason = M.mode(path)
  if reason then return reason end
  if not mode then return ("no such run directory '%s'"):format(path), "nothing" end
  for _, name in ipairs { "experiment.lua", "params.json" } do
    mode, reason = M.mode(path .. "/" .. name)
    if reason then return reason end
    if not mode then return ("'%s' is not a run directory: it has no %s"):format(path, name), "something" end
  end
end

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

--- The other directories that lie where one does, and those of another experiment beside its own. Beneath the current
--- directory they are written as from there, if the one is: so a run is called by the script that trains it.
--- @param experiment string the name of that one
function M.beside(path, experiment)
  local own = absolute(path)
  local around, found = own:match "^(.*)/[^/]*$", {}
  local others <const> = around:gsub("[^/]*$", "") .. experiment
  for _, place in ipairs { around .. "/", others ~= around and lfs.attributes(others) and others or nil } do
    for name in lfs.dir(place) do
      local other = place:gsub("/*$", "/") .. name
      if name:sub(1, 1) ~= "." and other ~= own and lfs.attributes(other, "mode") == "directory" then
        found[#found + 1] = other
      end
    end
  end
  local here <const> = absolute "." .. "/"
  for i, other in ipairs(found) do
    if path:sub(1, 1) ~= "/" and other:sub(1, #here) == here then found[i] = other:sub(#here + 1) end
  end
  table.sort(found)
  return found
end

--- Whether another process trains in a directory.
local function is_locked(path)
  local log <close> = sure(beneath.open(path, "log.txt", "r+"))
  return log ~= nil and runtime.io.is_locked(log)
end

local function has_checkpoint(path)
  for name in pairs(M.list(path, "checkpoints")) do
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
  local made, reason = runtime.io.make_directory(path)
  if made or made == false and lfs.attributes(path, "mode") == "directory" then return end
  fail("%s", reason or ("cannot make the directory %s: File exists"):format(path))
end

--- Makes the directory and keeps other processes out for as long as the handle is open: log.txt, open
--- throughout, carries the lock.
--- @param root string|nil the directory beneath which it is made through no link
--- @return table handle with `.path`, `.log` (a file to append to) and `.unlocked` (why there is no lock, where a file
---   system gives none)
function M.open(path, root)
  if root then sure(beneath.make(root, path:sub(#root + 2))) else make(path) end
  local log = sure(beneath.open(path, "log.txt", "a"))
  log:setvbuf "line"
  local locked, unavailable = runtime.io.lock(log)
  if locked == false then
    log:close()
    fail("%s is being trained by another process", path)
  end
  for _, name in ipairs { "checkpoints", "plots" } do sure(beneath.make(path, name)) end
  return setmetatable({ path = path, log = log, unlocked = unavailable }, M)
end

--- The directory of a run that another process has opened.
--- @param unlocked string|nil why there is no lock
function M.attach(path, unlocked)
  return setmetatable({ path = path, unlocked = unlocked }, M)
end

M.make = make

--- Makes a directory that nobody has made before, and those above it.
function M.make_new(path)
  make((split(path)))
  local made, reason = runtime.io.make_directory(path)
  if not made then fail("%s", reason or ("cannot make the directory %s: File exists"):format(path)) end
end

--- Removes a file, or a directory with all that it has. A link goes, and not what it leads to; what is not there is no
--- error.
function M.remove(path)
  sure(beneath.remove(split(path)))
end

--- Removes what another run left that never came to a checkpoint. Rows that it measured stay in metrics-before.csv.
function M:clear()
  local rows = M.read(self.path .. "/metrics.csv")
  if rows and rows:find "\n." then os.rename(self.path .. "/metrics.csv", self.path .. "/metrics-before.csv") end
  for _, name in ipairs { "plots", "modules", "metrics.csv", "report.html", "spent.json" } do
    M.remove(self.path .. "/" .. name)
  end
  sure(beneath.make(self.path, "plots"))
end

--- Writes a file of a directory so that a crash leaves all of it or none.
--- @param name string its place beneath the directory, in which directories are made for it
function M.write_in(path, name, text)
  if name:find "/" then sure(beneath.make(path, (split(name)))) end
  sure(beneath.write(path, name, text))
end

--- Writes one of the run's files.
function M:write(name, text)
  M.write_in(self.path, name, text)
end

--- Raises where something else than a file lies where a view is about to write one.
function M:check_place(name)
  local kind = sure(beneath.status(self.path, name))
  if kind and kind ~= "file" then
    fail("%s/%s: expected a file to replace, found a %s", self.path, name, kind == "other" and "pipe or device" or kind)
  end
end

function M:close()
  if self.log then self.log:close() end
end

return M
