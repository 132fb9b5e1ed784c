--- Maps that remember the order in which their keys came: named parameters, activations, an optimizer's
--- state. `pairs` goes in that order, `#map` is the number of keys, `map[name]` is the value. The values lie
--- in the table itself, so that C code which walks it with lua_next sees them too (in no particular order).
local fail = require "sm.fail"

local M = {}

local function count(map)
  return #getmetatable(map).keys
end

local function in_order(map)
  local keys, position = getmetatable(map).keys, 0
  return function()
    position = position + 1
    local key = keys[position]
    local value = key ~= nil and map[key]
    if value == nil then fail("this map is read-only, but '%s' was taken out of it", key) end
    return key, value
  end
end

--- One line for each key: what it has.
local function in_lines(map)
  local describe, lines = require "sm.check".describe, {}
  for key, value in in_order(map) do lines[#lines + 1] = ("%s: %s"):format(key, describe(value)) end
  return table.concat(lines, "\n")
end

local function refuse(_, key)
  fail("this map is read-only; '%s' cannot be added to it", require "sm.check".word(key))
end

--- An empty ordered map.
function M.new()
  return setmetatable({}, {
    keys = {}, __len = count, __pairs = in_order, __newindex = refuse, __tostring = in_lines,
  })
end

--- Adds a key that the map does not have yet.
function M.set(map, key, value)
  if rawget(map, key) ~= nil then fail("there is a '%s' already", tostring(key)) end
  local keys = getmetatable(map).keys
  keys[#keys + 1] = key
  rawset(map, key, value)
end

--- The list of a map's keys in their order, which is the map's own.
function M.keys(map)
  return getmetatable(map).keys
end

--- The keys of any map of strings, in alphabetical order.
function M.sorted_keys(map)
  local keys = {}
  for key in next, map do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

--- Whether a value is an ordered map.
function M.is(value)
  local meta = type(value) == "table" and getmetatable(value)
  return type(meta) == "table" and meta.__pairs == in_order
end

return M
