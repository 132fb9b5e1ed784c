--- JSON by the letter (RFC 8259). It reads integers exactly, and refuses a key that comes twice in one object, text
-- after a NUL and text that is not UTF-8. It writes as people read it: sorted keys, two spaces of indentation, numbers
-- that read back exactly.
-- @module sm.json
local shortest = require "sm.text".shortest
local sorted_keys = require "sm.ordered".sorted_keys
local visible = require "sm.text".visible

local M = {}

--- What null is read as.
function M.null() end

local MAX_DEPTH <const> = 64

local ESCAPES <const> = { ['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }
local WORDS <const> = { t = { "true", true }, f = { "false", false }, n = { "null", M.null } }

local array = {} -- the metatable of arrays

--- Marks a list, so that it is written as an array even when it is empty.
function M.array(list)
  return setmetatable(list, array)
end

--- Whether a value was read as an array, or marked as one.
function M.is_array(value)
  return getmetatable(value) == array
end

-- Reading -----------------------------------------------------------------------------------------------------

local function refuse(at, format, ...)
  error({ at = at, reason = format:format(...) }, 0)
end

local function expect(at, what)
  refuse(at, "is not JSON: expected %s", what)
end

--- The position of the next character that is no space.
local function skip(text, at)
  return text:find("[^ \t\r\n]", at) or #text + 1
end

--- The code point of \uXXXX, or of two of them that are a surrogate pair, and the position after it.
local function code_point(text, at)
  local code = tonumber(text:match("^\\u(%x%x%x%x)", at) or expect(at, "four hexadecimal digits"), 16)
  if code < 0xD800 or code > 0xDFFF then return code, at + 6 end
  local low = tonumber(text:match("^\\u([dD][c-fC-F]%x%x)", at + 6) or "", 16)
  if code > 0xDBFF or not low then expect(at, "a pair of surrogates") end
  return 0x10000 + (code - 0xD800) * 0x400 + low - 0xDC00, at + 12
end

--- A string whose quotation mark is at `at`; the position after it.
local function read_string(text, at)
  local parts = {}
  at = at + 1
  while true do
    local stop = text:find('["\\\0-\31]', at) or expect(#text + 1, "the end of a string")
    parts[#parts + 1] = text:sub(at, stop - 1)
    local char = text:sub(stop, stop)
    if char == '"' then return table.concat(parts), stop + 1 end
    if char == "\\" then
      local escaped = text:sub(stop + 1, stop + 1)
      if escaped == "u" then
        local code
        code, at = code_point(text, stop)
        parts[#parts + 1] = utf8.char(code)
      else
        parts[#parts + 1] = ESCAPES[escaped] or expect(stop, "an escape sequence of JSON")
        at = stop + 2
      end
    else
      expect(stop, "no control character in a string")
    end
  end
end

local function read_number(text, at)
  local whole = text:match("^-?%d+", at)
  if not whole or whole:find "^-?0%d" then expect(at, "a value") end
  local last = at + #whole
  local fraction = text:match("^%.%d+", last) or ""
  local exponent = text:match("^[eE][+-]?%d+", last + #fraction) or ""
  local token = whole .. fraction .. exponent
  if token == "-0" then return -0.0, at + 2 end
  return tonumber(token), at + #token
end

local read_value

--- Reads what stands between brackets: each(at) reads one item and returns the position after it.
local function read_items(text, at, close, each)
  at = skip(text, at + 1)
  if text:sub(at, at) == close then return at + 1 end
  while true do
    at = skip(text, each(at))
    local char = text:sub(at, at)
    if char == close then return at + 1 end
    if char ~= "," then expect(at, ("a comma or '%s'"):format(close)) end
    at = skip(text, at + 1)
  end
end

local function read_object(text, at, depth)
  local object, seen = {}, {}
  return object, read_items(text, at, "}", function(start)
    if text:sub(start, start) ~= '"' then expect(start, "a key in quotation marks") end
    local key, colon = read_string(text, start)
    if seen[key] then refuse(start, "has '%s' twice", key) end
    seen[key] = true
    colon = skip(text, colon)
    if text:sub(colon, colon) ~= ":" then expect(colon, "a colon") end
    local last
    object[key], last = read_value(text, skip(text, colon + 1), depth + 1)
    return last
  end)
end

local function read_array(text, at, depth)
  local list, count = M.array {}, 0
  return list, read_items(text, at, "]", function(start)
    local last
    count = count + 1
    list[count], last = read_value(text, start, depth + 1)
    return last
  end)
end

--- The value at `at`, and the position after it.
function read_value(text, at, depth)
  if depth > MAX_DEPTH then expect(at, ("at most %d levels of brackets"):format(MAX_DEPTH)) end
  local char = text:sub(at, at)
  if char == "{" then return read_object(text, at, depth) end
  if char == "[" then return read_array(text, at, depth) end
  if char == '"' then return read_string(text, at) end
  local word = WORDS[char]
  if not word then return read_number(text, at) end
  if text:sub(at, at + #word[1] - 1) ~= word[1] then expect(at, "a value") end
  return word[2], at + #word[1]
end

--- @param text string
-- @return the value: objects are tables, arrays such that is_array knows, whole numbers without fraction or
--   exponent integers where they fit, null json.null; or nil, the position (1-based) of what is wrong, and what
--   it is: "is not JSON: expected a value", "has 'a' twice"
function M.decode(text)
  local valid, bad = utf8.len(text)
  if not valid then return nil, bad, "is not UTF-8" end
  local ok, value, last = pcall(read_value, text, skip(text, 1), 1)
  if not ok then
    if type(value) ~= "table" then error(value, 0) end
    return nil, value.at, value.reason
  end
  last = skip(text, last)
  if last <= #text then return nil, last, "is not JSON: expected its end" end
  return value
end

--- What a decoded value is, in JSON's words: "null", "array", "object", "number", "string", "boolean".
function M.kind(value)
  if value == M.null then return "null" end
  if M.is_array(value) then return "array" end
  return type(value) == "table" and "object" or type(value)
end

--- As decode, for a text that must be an object.
-- @return table; or nil and, for a message, what it is instead: "found null", "byte 7 is not JSON: expected a value"
function M.object(text)
  local value, at, reason = M.decode(text)
  if value == nil then return nil, ("byte %d %s"):format(at, reason) end
  if M.kind(value) ~= "object" then return nil, "found " .. M.kind(value) end
  return value
end

-- Writing -----------------------------------------------------------------------------------------------------

local escapes = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

--- A string in quotation marks. What is no UTF-8, as the name of a directory may be, is written as people see it.
function M.quote(text)
  if not utf8.len(text) then text = visible(text) end
  local escaped = text:gsub('[%c"\\]', function(c) return escapes[c] or ("\\u%04x"):format(c:byte()) end)
  return '"' .. escaped .. '"'
end

--- JSON has no infinities and no NaN; those are null.
local function number(value)
  return value - value == 0 and shortest(value) or "null"
end

local function write(value, indent)
  local kind = type(value)
  if kind == "number" then return number(value) end
  if kind == "boolean" then return tostring(value) end
  if value == M.null then return "null" end
  if kind ~= "table" then return M.quote(tostring(value)) end
  local lines, inner, open, close = {}, indent .. "  ", "{", "}"
  if value[1] ~= nil or M.is_array(value) then
    open, close = "[", "]"
    for i, item in ipairs(value) do lines[i] = inner .. write(item, inner) end
  else
    for i, key in ipairs(sorted_keys(value)) do
      lines[i] = inner .. M.quote(key) .. ": " .. write(value[key], inner)
    end
  end
  if #lines == 0 then return open .. close end
  return open .. "\n" .. table.concat(lines, ",\n") .. "\n" .. indent .. close
end

--- @param value table with string keys, or an array; numbers, booleans, strings and tables inside
-- @return string the JSON text, ending in a newline; an empty table is an object unless it is marked an array
function M.encode(value)
  return write(value, "") .. "\n"
end

return M
