--- Parameters: key=value words, a line each, or the values of params.json where the input begins with a brace; both set
--- what a file declares.
local json = require "sm.json"
local params = require "sm.experiment.params"
local plain = require "plain"
local settings = require "sm.cli.settings"

local DEFAULTS <const> = { steps = 10, lr = 0.5, name = "relu", deep = true, seed = 1, groups = 4 }

--- Declares the parameters with what is given; what is wrong with what the file sees.
local function declare(given, input)
  params.begin(given, "fuzz.lua")
  local ok, seen = pcall(params.declare, DEFAULTS)
  local finished, record = pcall(params.finish)
  if not ok then return plain(seen, input) end
  if not finished then return "finish raised: " .. tostring(record) end
  for name, default in pairs(DEFAULTS) do
    local value = seen[name]
    if (math.type(value) or type(value)) ~= (math.type(default) or type(default)) then
      return ("%s is %s"):format(name, tostring(value))
    elseif math.type(value) and value - value ~= 0 then
      return name .. " is not finite"
    end
  end
  if #record.name > 255 or record.name:find "[%c/]" or record.name:find "^%." then
    return "a name of " .. record.name
  end
  local text = json.encode { values = record.values, defaults = record.defaults }
  local again = json.object(text)
  if not again then return "params.json is not read back: " .. text end
  for name, value in pairs(record.values) do
    if again.values[name] ~= value then return ("%s is read back as %s"):format(name, tostring(again.values[name])) end
  end
  if type(tostring(seen)) ~= "string" then return "no text" end
end

return function(input)
  if input:sub(1, 1) == "{" then
    local object = json.object(input)
    if not object then return end
    return declare(object, input)
  end
  if input:find "%.%.%-?%d%d%d" and #input % 16 > 0 then return end -- thousands of settings take their time
  local words = {}
  for word in input:gmatch "[^\n]+" do words[#words + 1] = word end
  local ok, list, swept = pcall(settings.read, words, 1)
  if not ok then return plain(list, input) end
  if #list == 0 or #list > 10000 then return #list .. " settings" end
  if type(swept) ~= "table" then return "no list of what is swept" end
  local last = list[#list]
  for name, text in pairs(last) do
    if type(text) ~= "string" then return "a value that is no text" end
    local back, one = pcall(settings.read, { settings.word(name, text) }, 1)
    if not back then return "not read back: " .. tostring(one) end
    if #one ~= 1 or one[1][name] ~= text then
      return ("%s=%s is read back as %s"):format(name, text, tostring(one[1][name]))
    end
  end
  return declare(last, input)
end
