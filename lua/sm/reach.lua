--- Which files a script may name, and where they are. A confined script reads and writes in a few directories alone;
--- what it writes by a relative path lies in one of its own. The operating system is the boundary: what is said here
--- makes the messages clear, and the paths convenient.
-- @module sm.reach
local lfs = require "lfs"
local fail = require "sm.fail"

local M = {}

local MOST_LINKS <const> = 40 -- as many as Linux follows

local granted -- {read=, write= (directories without links), shown= (those of write, as they came), home=, ask=}

--- A path from the root, without links, "." and "..". What does not exist stays as it is named.
local function real(path)
  if path:sub(1, 1) ~= "/" then
    path = (lfs.currentdir() or fail("the current directory has been removed; expected a path that begins with /, "
      .. "got %s", path)) .. "/" .. path
  end
  local done, links = {}, 0
  local left = {} -- the parts to come, the next one last
  local function push(text)
    local parts = {}
    for part in text:gmatch "[^/]+" do parts[#parts + 1] = part end
    for i = #parts, 1, -1 do left[#left + 1] = parts[i] end
  end
  push(path)
  while #left > 0 do
    local part = table.remove(left)
    if part == ".." then
      done[#done] = nil
    elseif part ~= "." then
      done[#done + 1] = part
      local target = links < MOST_LINKS and lfs.symlinkattributes("/" .. table.concat(done, "/"), "target")
      if target then
        links, done[#done] = links + 1, nil
        if target:sub(1, 1) == "/" then done = {} end
        push(target)
      end
    end
  end
  return "/" .. table.concat(done, "/")
end

M.real = real

local function lies_in(path, directory)
  return path == directory or directory == "/" or path:sub(1, #directory + 1) == directory .. "/"
end

--- Whether one of the directories holds a path.
local function holds(directories, path)
  for _, directory in ipairs(directories) do
    if lies_in(path, directory) then return true end
  end
  return false
end

--- Whether a directory is more than anybody grants without a word: the root, the home directory, or one above it.
--- @param home string|nil the home directory
function M.is_too_much(directory, home)
  directory = real(directory)
  return directory == "/" or home ~= nil and home ~= "" and lies_in(real(home), directory)
end

--- Whether a path lies in one of some directories, which have no links.
function M.lies_in(path, directories)
  return holds(directories, real(path))
end

--- From now on, what to_read and to_write go by; before that they give back the path that they get. What may be written
--- may be read.
--- @param grants table {read=, write= (arrays of directories), runs= (a directory in which runs may be read, or nil),
---   hint= (words behind what is said of a path that is out of reach, or nil), home= (where relative paths are written;
---   where there is none yet, ask=function gives it, or raises)}; nil lifts it
function M.confine(grants)
  if not grants then
    granted = nil
    return
  end
  granted = { read = {}, write = {}, shown = table.move(grants.write, 1, #grants.write, 1, {}),
    home = grants.home, ask = grants.ask, runs = grants.runs and real(grants.runs), hint = grants.hint or "" }
  for i, path in ipairs(grants.write) do granted.write[i], granted.read[i] = real(path), real(path) end
  for _, path in ipairs(grants.read) do granted.read[#granted.read + 1] = real(path) end
end

--- Makes the directories of a relative path, beneath one that ends in "/", or beneath the working directory.
local function make_directories(inner, beneath)
  local at = beneath or ""
  for part in inner:gmatch "([^/]+)/" do
    at = at .. part .. "/"
    lfs.mkdir(at) -- where it fails, so does what comes to write there, which says why
  end
end

--- Why a path cannot be one, or nil.
local function unfit(path)
  return path:find("\0", 1, true) and "a path has no zero bytes" or path == "" and "an empty text is no path" or nil
end

--- Where a script's path is written.
--- @return string|nil the path to open; nil where it is out of reach, and then why
function M.find_to_write(path)
  local problem, relative = unfit(path), path:sub(1, 1) ~= "/"
  if not granted then
    if relative and not problem then make_directories(path) end
    return path
  elseif problem then
    return nil, problem
  elseif holds(granted.write, real(path)) then
    if relative then make_directories(path) end
    return path
  end
  if relative and not granted.home then granted.home = granted.ask() end
  local own = relative and granted.home .. "/" .. path
  if own and holds(granted.write, real(own)) then
    make_directories(path, granted.home .. "/")
    return own
  end
  return nil, ("%s: this experiment may write %s; `--write DIR` grants more"):format(path,
    #granted.shown > 0 and ("in %s alone"):format(table.concat(granted.shown, ", ")) or "nothing")
end

--- Where a script's path is read: beneath `home`, if it is there, else where it says.
--- @return string|nil the path to open; nil where it is out of reach, and then why
--- @param of_runs boolean|nil whether a run may be read, or its tensors
function M.find_to_read(path, of_runs)
  if not granted then return path end
  local problem = unfit(path)
  if problem then return nil, problem end
  local own = path:sub(1, 1) ~= "/" and granted.home and granted.home .. "/" .. path
  if own and lfs.attributes(own, "mode") and holds(granted.read, real(own)) then return own end
  local place <const> = real(path)
  if holds(granted.read, place) or of_runs and granted.runs and lies_in(place, granted.runs) then return path end
  return nil, ("%s: this experiment may not read there; `--read DIR` grants more%s"):format(path, granted.hint)
end

--- The path to open for writing; raises where it is out of reach. A relative one that lies in no directory that may be
--- written is one beneath `home`. The directories of a relative one are made, also where nothing is confined.
function M.to_write(path)
  local found, problem = M.find_to_write(path)
  return found or fail("%s", problem)
end

--- The path to open for reading; raises where it is out of reach.
function M.to_read(path, of_runs)
  local found, problem = M.find_to_read(path, of_runs)
  return found or fail("%s", problem)
end

return M
