--- key=value, key=1,2,4 and key=1..5 on the command line: the values that parameters take.
-- A comma separates values and FIRST..LAST stands for a range of integers; a backslash before a comma, a dot or a
-- backslash makes it part of a value. What is there as a file or directory, and is written as one, is one value.
local lfs = require "lfs"
local usage = require "sm.usage"

local M = {}

local most_runs <const> = 10000

--- The items between commas, still with their backslashes.
local function items_of(text)
  local items, item, position = {}, "", 1
  while position <= #text do
    local char = text:sub(position, position)
    if char == "\\" and text:find("^[,.\\]", position + 1) then
      item, position = item .. text:sub(position, position + 1), position + 2
    elseif char == "," then
      items[#items + 1], item, position = item, "", position + 1
    else
      item, position = item .. char, position + 1
    end
  end
  items[#items + 1] = item
  return items
end

local function unescape(item)
  return (item:gsub("\\([,.\\])", "%1"))
end

local function add_range(values, item, first, last)
  local from, to = math.tointeger(tonumber(first)), math.tointeger(tonumber(last))
  if not from or not to or from > to then
    usage.fail("the range '%s' must go from an integer up to another; got %s to %s", item, first, last)
  elseif to - from >= most_runs or to - from < 0 then
    usage.fail("the range '%s' has more than %d values", item, most_runs)
  end
  for value = from, to do values[#values + 1] = ("%d"):format(value) end
end

--- Whether a text with commas is the path of something, such as runs/x/groups=4,seed=2.
local function is_path(text)
  return text:find "[/=]" ~= nil and not text:find("\0", 1, true) and text:find(",", 1, true) ~= nil
    and lfs.attributes(text) ~= nil
end

--- @return table array of texts
local function values_of(name, text)
  if is_path(text) then return { text } end
  local values, items, seen = {}, items_of(text), {}
  for _, item in ipairs(items) do
    local first, last = item:match "^(%-?%d+)%.%.(%-?%d+)$"
    if first then
      add_range(values, item, first, last)
    elseif item == "" and #items > 1 then
      usage.fail("a value is missing between the commas of '%s=%s'; a comma in a value is written '\\,'", name, text)
    else
      values[#values + 1] = unescape(item)
    end
  end
  for _, value in ipairs(values) do
    if seen[value] then usage.fail("parameter '%s' is given the value '%s' twice", name, value) end
    seen[value] = true
  end
  return values
end

--- Every setting extended by every value: the last parameter changes fastest.
local function multiply(settings, name, values)
  local result = {}
  for _, setting in ipairs(settings) do
    for _, value in ipairs(values) do
      local extended = { [name] = value }
      for key, given in pairs(setting) do extended[key] = given end
      result[#result + 1] = extended
    end
  end
  return result
end

--- A parameter whose "=" is missing or has spaces around it, as it should be: "; write steps=10".
local function joined(words, position, first)
  local before, word, after = words[position - 1], words[position], words[position + 1]
  local name, value = word:match "^([%a_][%w_]*):(.+)$"
  if name then
    return ("; write %s=%s"):format(name, value)
  end
  name, value = word, after
  if position > first and before:find "^[%a_][%w_]*=$" then
    name, value = before:sub(1, -2), word
  elseif after == "=" then
    value = words[position + 2]
  elseif after then
    value = after:gsub("^=", "")
  end
  local fits = value and value ~= "" and not value:find "=" and name:find "^[%a_][%w_]*$"
  return fits and ("; write %s=%s"):format(name, value) or ""
end

--- Reads words such as groups=1,2,4 seed=1..5.
--- @param words table array; those after the first few are read
--- @param first integer position of the first word to read
--- @return table array of settings: every combination, each a map from parameter to text; one without words
--- @return table array of the names of the parameters that take more than one value, as they came
function M.read(words, first)
  local settings, seen, swept = { {} }, {}, {}
  for position = first, #words do
    local name, text = words[position]:match "^([%a_][%w_]*)=(.*)$"
    if not name then
      usage.fail("unexpected argument '%s'; parameters are given as key=value%s", words[position],
        joined(words, position, first))
    end
    if seen[name] then usage.fail("parameter '%s' is given twice", name) end
    local values = values_of(name, text)
    seen[name] = true
    if #values > 1 then swept[#swept + 1] = name end
    if #settings * #values > most_runs then usage.fail("these are more than %d runs", most_runs) end
    settings = multiply(settings, name, values)
  end
  return settings, swept
end

--- The word that gives a parameter this one value.
function M.word(name, value)
  return name .. "=" .. usage.value(value)
end

return M
