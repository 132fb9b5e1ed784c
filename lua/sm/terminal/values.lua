--- Values as the prompt prints them: a tensor with its shape, dtype and the corner of its numbers, a model as its table
--- of layers, a table as Lua with its keys sorted, a function by its name. Nothing that is printed is without bounds.
-- @module sm.terminal.values
local check = require "sm.check"
local ordered = require "sm.ordered"
local place = require "sm.place"
local text = require "sm.text"
local tree = require "sm.nn.tree"

local M = {}

local most_items <const>, most_items_within <const> = 50, 12 -- of a table; of one within it
local most_depth <const> = 4
local most_text <const>, most_text_within <const> = 2000, 100 -- bytes of a string
local most_shown <const> = 1 << 16                            -- bytes in all, roughly

-- Functions --------------------------------------------------------------------------------------------------------

local names -- function → "sm.nn.conv2d"

local function add_names(map, prefix)
  for key, value in check.pairs(check.behind[map] or map) do
    local callable = type(value) == "function" or type(value) == "table" and check.is_callable(value)
    if type(key) == "string" and callable then names[value] = names[value] or prefix .. key end
  end
end

--- The public name of a function; nil where it has none.
function M.name_of(f)
  if not names then
    local sm = require "sm"
    names = {}
    for room, global in pairs { math = math, string = string, table = table, utf8 = utf8, io = io, os = os,
      coroutine = coroutine } do
      add_names(global, room .. ".")
    end
    add_names(require "sm.modules".globals(), "")
    for _, room in ipairs { "nn", "optim", "data", "view", "png" } do add_names(sm[room], room .. ".") end
    add_names(sm.nn.init, "nn.init.")
    for key, value in pairs(sm) do
      if type(value) == "function" then names[value] = "sm." .. key end
    end
    for key, value in pairs(require "sm.tensor".methods) do names[value] = names[value] or "x:" .. key end
    for _, class in pairs(check.classes) do
      for _, name in ipairs(class.names) do
        names[class.class[name]] = names[class.class[name]] or "x:" .. name
      end
    end
  end
  return names[f]
end

local function function_text(f)
  local name = M.name_of(f)
  if name then return "function " .. name end
  local info = debug.getinfo(f, "S")
  if info.what == "C" then return "function in C" end
  if not place.is_users(info) then return "function of sm" end
  return ("function at %s:%d"):format(text.visible(info.short_src), info.linedefined)
end

-- Texts and numbers ------------------------------------------------------------------------------------------------

local function string_text(value, most)
  local shown = text.visible(text.brief(value:sub(1, 4 * most), most)):gsub('"', '\\"')
  return ('"%s"%s'):format(shown, #value > most and (" (%d bytes)"):format(#value) or "")
end

local function number_text(value)
  if value ~= value then return "nan" end
  if value == math.huge then return "inf" end
  if value == -math.huge then return "-inf" end
  local shortest = text.shortest(value)
  return math.type(value) == "float" and not shortest:find "[%.e]" and shortest .. ".0" or shortest
end

-- Tables -----------------------------------------------------------------------------------------------------------

--- Lua's reserved words.
M.keywords = { "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in", "local",
  "nil", "not", "or", "repeat", "return", "then", "true", "until", "while" }
local reserved <const> = {}
for _, word in ipairs(M.keywords) do reserved[word] = true end

local function key_text(key)
  if type(key) == "string" then
    local plain = key:find "^[%a_][%w_]*$" and not reserved[key]
    return plain and key or ("[%s]"):format(string_text(key, most_text_within))
  end
  return ("[%s]"):format(type(key) == "number" and number_text(key) or check.describe(key))
end

local function rank(key)
  return ({ number = 1, string = 2, boolean = 3 })[type(key)] or 4
end

local function before(a, b)
  if rank(a) ~= rank(b) then return rank(a) < rank(b) end
  if rank(a) <= 2 then return a < b end
  return tostring(a) < tostring(b)
end

--- The keys beyond those of the list, sorted; and of the list how many.
local function keys_of(map)
  if ordered.is(map) then return 0, ordered.keys(map) end
  local count, keys = 0, {}
  while rawget(map, count + 1) ~= nil do count = count + 1 end
  for key in next, map do
    if not (math.type(key) == "integer" and key >= 1 and key <= count) then keys[#keys + 1] = key end
  end
  table.sort(keys, before)
  return count, keys
end

local show

--- A table as lines of "{ … }" where they fit no single one.
local function table_text(map, state, depth, columns)
  if state.open[map] then return "{ … }  -- itself" end
  local count, keys = keys_of(map)
  if count + #keys == 0 then return "{}" end
  if depth > most_depth then return ("{ … }  -- %d items"):format(count + #keys) end
  state.open[map] = true
  local most, parts = depth == 1 and most_items or most_items_within, {}
  local inner = columns - 2
  for i = 1, math.min(count, most) do parts[i] = show(rawget(map, i), state, depth + 1, inner) end
  for i = 1, math.min(#keys, most - #parts) do
    local key = key_text(keys[i])
    parts[#parts + 1] = ("%s = %s"):format(key, show(rawget(map, keys[i]), state, depth + 1,
      math.max(20, inner - #key - 3)))
  end
  state.open[map] = nil
  local left = count + #keys - #parts
  local line = "{ " .. table.concat(parts, ", ") .. (left > 0 and ", … " or " ") .. "}"
  local comment = line:find("--", 1, true)
  if text.width(line) <= columns and not line:find "\n" and not comment then return line end
  for i, part in ipairs(parts) do
    local words, remark = part:match "^(.-)(  %-%- [^\n\"]*)$"
    parts[i] = "  " .. ((words or part) .. "," .. (remark or "")):gsub("\n", "\n  ")
  end
  if left > 0 then parts[#parts + 1] = ("  …  -- %d more"):format(left) end
  return "{\n" .. table.concat(parts, "\n") .. "\n}"
end

--- What an object's tostring gives.
local function object_text(value, depth, columns)
  local ok, words = pcall(tostring, value)
  if not ok or type(words) ~= "string" then return type(value) end
  words = text.visible(text.brief(words, most_shown), "\n\t")
  if depth > 1 and (words:find "\n" or text.width(words) > columns) then
    return text.clip(words:match "^[^\n]*", math.max(20, columns - 2)) .. (words:find "\n" and " …" or "")
  end
  return words
end

function show(value, state, depth, columns)
  local kind = type(value)
  if kind == "string" then return string_text(value, depth == 1 and most_text or most_text_within) end
  if kind == "number" then return number_text(value) end
  if kind == "function" then return function_text(value) end
  if kind == "nil" or kind == "boolean" then return tostring(value) end
  if kind == "thread" then return ("coroutine (%s)"):format(coroutine.status(value)) end
  state.spent = state.spent + 1
  if state.spent > most_items * most_items_within then return "…" end
  local meta = debug.getmetatable(value)
  if check.describe(value):find "^tensor" then
    if depth > 1 then return check.describe(value) end
    return object_text(value, depth, columns)
  end
  if depth > 1 and tree.is(value) then
    local words = value.describe and value:describe() or ""
    return text.visible(value.kind .. (words ~= "" and " " .. words or ""))
  end
  local own = type(meta) == "table" and (rawget(meta, "__tostring") or rawget(meta, "__name"))
  if kind ~= "table" then return object_text(value, depth, columns):gsub(" ?%(?0x%x+%)?", "") end
  if own and not ordered.is(value) then
    return (M.name_of(value) and "function " .. M.name_of(value)) or object_text(value, depth, columns)
  end
  return table_text(check.behind[value] or value, state, depth, columns)
end

--- A value in words for a terminal, of one line or several.
--- @param columns integer|nil of the terminal
--- @return string with nothing in it that a terminal would obey
function M.show(value, columns)
  local words = show(value, { open = {}, spent = 0 }, 1, columns or text.columns())
  return text.visible(words, "\n\t")
end

return M
