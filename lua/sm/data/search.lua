--- Where data sets lie on this machine.
-- @module sm.data.search
local lfs = require "lfs"
local catalogue = require "sm.data.catalogue"
local reach = require "sm.reach"

local _, module_path = ... -- require passes the name and the file of a module

local M = {}

local function variable(name)
  local value = os.getenv(name)
  return value ~= "" and value or nil
end

--- A directory from the root, without a last slash.
local function absolute(path)
  if path:sub(1, 1) ~= "/" then path = (lfs.currentdir() or ".") .. "/" .. path:gsub("^%./+", "") end
  return (path:gsub("(.)/+$", "%1"))
end

--- A directory as a variable names it, without a last slash: "~" is the home directory, which a shell may not have put
-- in its place, and a relative path counts from the current one. Nil without the variable.
local function named_directory(name)
  local path = variable(name)
  if not path then return nil end
  if path:find "^~/" or path == "~" then path = (variable "HOME" or "~") .. path:sub(2) end
  return absolute(path)
end

--- The user's own directory for data, or nil where there is no home.
local function user_directory()
  local home = named_directory "HOME"
  local base = named_directory "XDG_DATA_HOME" or home and home .. "/.local/share"
  return base and base .. "/smrun"
end

local places -- what the environment says: {given= (SM_DATA), user=}

--- What the environment says of where data sets lie, for a process that has none to be told it.
-- @param handed_over what this function gave elsewhere; without it, or nil, the answer stays as it is
-- @return table {given=, user=, only=(whether data sets lie in `given` alone)}, directories or nil
function M.places(handed_over)
  if handed_over then places = handed_over end
  return places or { given = named_directory "SM_DATA", user = user_directory() }
end

--- From now on data sets lie in a directory that the command line names, as if SM_DATA did.
-- @param directory
-- @param only boolean whether they lie nowhere else
function M.put(directory, only)
  places = { given = absolute(directory), user = user_directory(), only = only }
end

--- The directory into which a data set is fetched; nil when neither SM_DATA nor a home directory is set.
function M.destination(name)
  local base = M.places().given or M.places().user
  return base and base .. "/" .. name
end

--- The directories that may have a data set, first the one that is preferred.
-- @param name of the data set
-- @param shared a further directory of the system, or nil
function M.directories(name, shared)
  local list, given, user = {}, M.places().given, M.places().user
  if given then list = { given .. "/" .. name, given } end
  if M.places().only then return list end
  if user then list[#list + 1] = user .. "/" .. name end
  list[#list + 1] = "/usr/local/share/smrun/" .. name
  list[#list + 1] = "/usr/share/smrun/" .. name
  list[#list + 1] = shared
  return list
end

--- The directories that may have the scale model of MNIST: the repository's, and that of an installation.
function M.mini_directories()
  if M.places().only then return M.directories "mnist_mini" end
  local here = module_path:match "^(.*)search%.lua$"
  return { here .. "../../../tests/data/mnist_mini", here .. "mnist_mini" }
end

--- The directories that there are in which data sets with a name lie, as real paths. Never the root, the home directory
-- or one above it.
function M.reach()
  local list, seen, home = {}, {}, variable "HOME"
  local function add(directories)
    for _, path in ipairs(directories) do
      path = reach.real(path)
      if lfs.attributes(path, "mode") == "directory" and not seen[path] and not reach.is_too_much(path, home) then
        list[#list + 1], seen[path] = path, true
      end
    end
  end
  for name, entry in pairs(catalogue) do add(M.directories(name, entry.shared)) end
  add(M.mini_directories())
  table.sort(list)
  return list
end

--- The path of a file in a directory, with or without .gz; nil when it has neither.
function M.file(directory, name)
  for _, ending in ipairs { "", ".gz" } do
    local path = directory .. "/" .. name .. ending
    if lfs.attributes(path, "mode") == "file" then return path end
  end
end

--- The paths of several files of a directory, in order; nil and the missing name unless all are there.
-- @param files array of {name=}
function M.files(directory, files)
  local paths = {}
  for i, file in ipairs(files) do
    paths[i] = M.file(directory, file.name)
    if not paths[i] then return nil, file.name end
  end
  return paths
end

return M
