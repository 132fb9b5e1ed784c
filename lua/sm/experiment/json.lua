--- JSON as people read it: sorted keys, two spaces of indentation, numbers that read back exactly.
-- cjson's writer keeps 14 digits and no order, too little for a record, and its reader makes every number a double.
local null = require "cjson".null
local strict_json = require "sm.strict_json"
local sorted_keys = require "sm.ordered".sorted_keys
local shortest = require "sm.experiment.params".text

local M = {}

local escapes = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function quote(text)
  local escaped = text:gsub('[%c"\\]', function(c) return escapes[c] or ("\\u%04x"):format(c:byte()) end)
  return '"' .. escaped .. '"'
end

--- JSON has no infinities and no NaN; those are null.
local function number(value)
  return value - value == 0 and shortest(value) or "null"
end

local array = {} -- the metatable of a list that may be empty

--- Marks a list, so that it is written as an array even when it is empty.
function M.array(list)
  return setmetatable(list, array)
end

local function write(value, indent)
  local kind = type(value)
  if kind == "number" then return number(value) end
  if kind == "boolean" then return tostring(value) end
  if value == null then return "null" end
  if kind ~= "table" then return quote(tostring(value)) end
  local lines, inner, open, close = {}, indent .. "  ", "{", "}"
  if value[1] ~= nil or getmetatable(value) == array or strict_json.is_array(value) then
    open, close = "[", "]"
    for i, item in ipairs(value) do lines[i] = inner .. write(item, inner) end
  else
    for i, key in ipairs(sorted_keys(value)) do
      lines[i] = inner .. quote(key) .. ": " .. write(value[key], inner)
    end
  end
  if #lines == 0 then return open .. close end
  return open .. "\n" .. table.concat(lines, ",\n") .. "\n" .. indent .. close
end

--- @param value table with string keys, or an array; numbers, booleans, strings and tables inside
--- @return string the JSON text, ending in a newline; an empty table is an object unless it is marked an array
function M.encode(value)
  return write(value, "") .. "\n"
end

--- @param text string JSON
--- @return any tables, strings, booleans, cjson.null, and numbers: an integer where it is written as one. Raises a text
---   that says what is wrong, and where.
function M.decode(text)
  local value, at, reason = strict_json.decode(text)
  if value == nil then error(("byte %d %s"):format(at + 1, reason), 0) end
  return value
end

return M
