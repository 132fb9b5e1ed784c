--- Where the user's own code is running.
-- @module sm.place
local words = require "sm.problem".words

local M = {}

local MOST_LEVELS <const> = 10000 -- to look through: finding each takes longer the deeper it is

--- What the sources of the library begin with: "@<directory>/".
M.prefix = debug.getinfo(1, "S").source:match "^(@.*/)[^/]*$"

--- Whether a function is the user's: neither the library's nor written in C.
--- @param info table of debug.getinfo with "S"
function M.is_users(info)
  return info.what ~= "C" and info.source:sub(1, #M.prefix) ~= M.prefix
end

--- The innermost function of the user's that is running.
--- @return table|nil of debug.getinfo with "Sl"
function M.innermost()
  local level = 2
  local info = debug.getinfo(level, "Sl")
  while info and level < MOST_LEVELS and not M.is_users(info) do
    level = level + 1
    info = debug.getinfo(level, "Sl")
  end
  return info and M.is_users(info) and info or nil
end

--- "file.lua:9", the line of the user's that is running; "?" where none is.
function M.line()
  local info = M.innermost()
  return info and ("%s:%d"):format(info.short_src, info.currentline) or "?"
end

--- The message of an error that the library raised, without the user's line in front.
--- @param problem any the error
function M.without_line(problem)
  local message, line = words(problem), M.line() .. ": "
  return message:sub(1, #line) == line and message:sub(#line + 1) or message
end

return M
