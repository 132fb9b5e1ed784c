--- What an error looks like to the person who wrote the experiment: the message, and the lines of their own
-- files that led to it. SM_TRACEBACK=full shows every level, also of a confined experiment, which has no environment.
local position = require "sm.place"
local problem = require "sm.problem"
local syntax = require "sm.cli.syntax"
local text = require "sm.text"
local usage = require "sm.usage"

local M = {}

local levels_shown <const> = 12
local levels_walked <const> = 1000
local fields_shown <const> = 8
local bytes_shown <const> = 4000 -- of a message
local shows_all <const> = os.getenv "SM_TRACEBACK" == "full" -- read before a worker empties its environment

--- A value in one line, and without its address, which is another one each time.
local function value_text(value)
  if type(value) == "string" then return '"' .. text.visible(value) .. '"' end
  local words = select(2, pcall(tostring, value))
  return (type(words) == "string" and words or type(value)):gsub(":? %(?0x%x+%)?$", "")
end

local function field_text(key, value)
  return ("%s = %s"):format(type(key) == "string" and text.visible(key) or value_text(key), (value_text(value)))
end

local function table_text(value)
  local fields = {}
  for key, item in next, value do fields[#fields + 1] = field_text(key, item) end
  table.sort(fields)
  local rest = #fields > fields_shown and ", …" or ""
  local shown = table.concat(fields, ", ", 1, math.min(#fields, fields_shown))
  return "an error that is a table: {" .. shown .. rest .. "}"
end

--- Of the message about a module that is not there, what a person may mend: not every place that Lua has looked in.
local function shorten(message)
  if not message:find "^[^\n]*module '[^\n]*' not found:\n" then return message end
  return (message:gsub("\n\tno field [^\n]*", ""):gsub("\n\tno file '[^\n]*'%f[\n\0]", ""):gsub(":%f[\n\0]", ""):gsub(
    "\n\t", ": ", 1):gsub("\n\t", ", "))
end

--- Where calls without end overflow the stack is chance: it is the user's line that matters, not one of the library's.
local function blame_user(message)
  local file, rest = message:match "^([^:\n]*):%d+: (.*stack overflow.*)$"
  if not file or ("@" .. file):sub(1, #position.prefix) ~= position.prefix then return message end
  local line = position.line()
  return line == "?" and rest or line .. ": " .. rest
end

--- An error value as text; any value may be raised.
local function text_of(value)
  if problem.kind(value) then value = tostring(value) end
  if type(value) == "string" then
    value = blame_user(shorten(value))
    return #value > bytes_shown and value or value .. syntax.hint(value)
  end
  local meta = getmetatable(value)
  if type(value) == "table" and type(meta) == "table" and meta.__tostring then
    local ok, words = pcall(tostring, value)
    if ok then return words end
  end
  if value == nil then return "an error without a message (nil)" end
  if type(value) == "table" then return table_text(value) end
  if type(value) == "boolean" or type(value) == "number" then
    return ("an error that is a %s: %s"):format(type(value), value)
  end
  return "an error that is a " .. type(value)
end

--- The same, but no screenfuls of it, and nothing that a terminal would obey.
local function message_of(value)
  local message = text.visible(text_of(value), "\n\t")
  if #message <= bytes_shown then return message end
  return ("%s… (%d bytes in all)"):format((message:sub(1, bytes_shown):gsub("[\192-\255]?[\128-\191]*$", "")), #message)
end

local function place(info)
  local line = ("%s:%d: in "):format(info.source:gsub("^[@=]", ""), info.currentline)
  if info.what == "main" then return line .. "main chunk" end
  if info.name then return ("%s%s '%s'"):format(line, info.namewhat, info.name) end
  return ("%sfunction at line %d"):format(line, info.linedefined)
end

local function users_lines(level)
  local lines, walked = {}, 0
  local info = debug.getinfo(level, "Sln")
  while info and walked < levels_walked do
    if position.is_users(info) then
      if #lines == levels_shown then
        lines[#lines + 1] = "\t…"
        break
      end
      lines[#lines + 1] = "\t" .. place(info)
    end
    walked = walked + 1
    info = debug.getinfo(level + walked, "Sln")
  end
  return #lines > 0 and "stack traceback:\n" .. table.concat(lines, "\n") or nil
end

local handled = {} -- the metatable of what the handler has made

--- The message handler for xpcall.
--- @return table {message=, lines=(text of the traceback, or nil)}; a usage error, and what it has made before, stays
function M.handler(value)
  if usage.is(value) or getmetatable(value) == handled then return value end
  local lines
  if shows_all then
    lines = debug.traceback(nil, 2):gsub("^\n", "")
  else
    lines = users_lines(3)
  end
  return setmetatable({ message = message_of(value), lines = lines }, handled)
end

return M
