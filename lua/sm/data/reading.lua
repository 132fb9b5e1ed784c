--- Files and directories of the user's own, as data sets read them.
-- @module sm.data.reading
local lfs = require "lfs"
local fail = require "sm.fail"
local reach = require "sm.reach"

local M = {}

--- The bytes of a regular file that a script names.
function M.text(path)
  path = reach.to_read(path)
  local mode, reason = lfs.attributes(path, "mode")
  if mode and mode ~= "file" then fail("%s: expected a regular file, found a %s", path, mode) end
  local file <close>, problem = io.open(path, "rb")
  local content
  if file then content, problem = file:read "a" end
  return content or fail("%s: cannot read: %s", path, tostring(problem or reason):gsub("^.*: ", ""))
end

--- The names in a directory, sorted by their bytes, without hidden ones.
function M.names(path)
  local mode, reason = lfs.attributes(path, "mode")
  if mode ~= "directory" then
    fail("%s: expected a directory, %s", path, mode and "found a " .. mode or tostring(reason):gsub("^.*: ", ""))
  end
  local opened, iterator, state = pcall(lfs.dir, path)
  if not opened then fail("%s: cannot read: %s", path, tostring(iterator):gsub("^.*: ", "")) end
  local names = {}
  for name in iterator, state do
    if name:sub(1, 1) ~= "." then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

return M
