--- JSON by the letter (RFC 8259). It reads integers exactly, and refuses a key that comes twice in one object, text
-- after a NUL, text that is not UTF-8, and what is too large to be read in little memory. It writes as people read it:
-- sorted keys, two spaces of indentation, numbers that read back exactly.
-- @module sm.json
local brief = require "sm.text".brief
local shortest = require "sm.text".shortest
local sorted_keys = require "sm.ordered".sorted_keys
local visible = require "sm.text".visible

local M = {}

--- What null is read as.
function M.null() end

local MAX_DEPTH <const> = 64
local MAX_BYTES <const> = 16000000
local MAX_VALUES <const> = 2000000

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
  local plain, after = text:match('^"([^"\\\0-\31]*)"()', at)
  if plain then return plain, after end
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

--- Where the next item of what stands between brackets begins, behind `at`; nil, and the position after it, at its end.
--- @param first boolean whether no item was read yet
local function next_item(text, at, close, first)
  at = skip(text, at)
  local char = text:sub(at, at)
  if char == close then return nil, at + 1 end
  if first then return at end
  if char ~= "," then expect(at, ("a comma or '%s'"):format(close)) end
  return skip(text, at + 1)
end

local function read_object(text, at, depth, count)
  local object = {}
  local start, last = next_item(text, at + 1, "}", true)
  while start do
    if text:sub(start, start) ~= '"' then expect(start, "a key in quotation marks") end
    local key, colon = read_string(text, start)
    if object[key] ~= nil then refuse(start, "has '%s' twice", brief(key)) end
    colon = skip(text, colon)
    if text:sub(colon, colon) ~= ":" then expect(colon, "a colon") end
    object[key], last, count = read_value(text, skip(text, colon + 1), depth + 1, count)
    start, last = next_item(text, last, "}")
  end
  return object, last, count
end

local function read_array(text, at, depth, count)
  local list, length = M.array {}, 0
  local start, last = next_item(text, at + 1, "]", true)
  while start do
    length = length + 1
    list[length], last, count = read_value(text, start, depth + 1, count)
    start, last = next_item(text, last, "]")
  end
  return list, last, count
end

--- The value at `at`, the position after it, and how many values have been read, of which there were `count` before.
function read_value(text, at, depth, count)
  if depth > MAX_DEPTH then expect(at, ("at most %d levels of brackets"):format(MAX_DEPTH)) end
  if count == MAX_VALUES then refuse(at, "has more than %d values", MAX_VALUES) end
  count = count + 1
  local char = text:sub(at, at)
  if char == "{" then return read_object(text, at, depth, count) end
  if char == "[" then return read_array(text, at, depth, count) end
  local word = WORDS[char]
  if not word then
    local value, last = (char == '"' and read_string or read_number)(text, at)
    return value, last, count
  end
  if text:sub(at, at + #word[1] - 1) ~= word[1] then expect(at, "a value") end
  return word[2], at + #word[1], count
end

--- @param text string
-- @return the value: objects are tables, arrays such that is_array knows, whole numbers without fraction or
--   exponent integers where they fit, null json.null; or nil, the position (1-based) of what is wrong, and what
--   it is: "is not JSON: expected a value", "has 'a' twice", "has more than 2000000 values"
function M.decode(text)
  if #text > MAX_BYTES then return nil, MAX_BYTES + 1, ("has %d bytes, and %d are allowed"):format(#text, MAX_BYTES) end
  local valid, bad = utf8.len(text)
  if not valid then return nil, bad, "is not UTF-8" end
  local ok, value, last = pcall(read_value, text, skip(text, 1), 1, 0)
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
