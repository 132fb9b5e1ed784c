--- The command line as the person knows it: what smrun was called, and errors in what they typed. These are one line,
--- without a traceback, with the exit code 2.
local problem = require "sm.problem"
local text = require "sm.text"

local M = {}

local called

local LONGEST_WORD <const> = 500 -- bytes: that is quoted whole; a path may be long

--- Raises a usage error.
--- @param format string one line without a full stop, as for string.format
function M.fail(format, ...)
  local words = table.pack(...)
  for i = 1, words.n do
    if type(words[i]) == "string" then words[i] = text.brief(words[i], LONGEST_WORD) end
  end
  error(problem.new("usage", text.visible(format:format(table.unpack(words, 1, words.n)))), 0)
end

--- Says what the program was called, argv[0].
function M.call(name)
  called = name ~= "" and name or nil
end

--- A word as a shell reads it back: in quotes where it needs them, or always.
function M.quoted(word, always)
  if not always and word:find "^[%w_@%%+=:,./-]+$" then return word end
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

--- A value as key=value has it, where a comma separates values and FIRST..LAST is a range.
function M.value(value)
  local word = text.shortest(value):gsub("[,\\]", "\\%0")
  return (word:gsub("^(%-?%d+%.)(%.%-?%d+)$", "%1\\%2"))
end

--- The program to name in a command to copy: as it was called. A plain Lua, which was not called so, takes the program
--- that lies with the library, if one does.
function M.program()
  if called then return M.quoted(called) end
  local library = package.searchpath("sm.runtime", package.cpath) or ""
  local beside, count = library:gsub("lib/sm/runtime%.so$", "smrun")
  local file = count > 0 and io.open(beside, "rb")
  if file then file:close() end
  return file and M.quoted(beside) or "smrun"
end

--- Whether an error value was raised by `fail` of this module.
function M.is(value)
  return problem.kind(value) == "usage"
end

return M
