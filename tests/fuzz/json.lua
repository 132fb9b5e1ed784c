--- JSON of a run: what is read is written and read back.
local json = require "sm.json"
local plain = require "plain"

--- The number of values in a value; and what is wrong with one that decode gave.
local function wrong(value)
  local kind = json.kind(value)
  if kind == "object" then
    for key, inner in pairs(value) do
      if type(key) ~= "string" or not utf8.len(key) then return "a key that is no text" end
      local inside = wrong(inner)
      if inside then return inside end
    end
  elseif kind == "array" then
    local count = 0
    for _ in pairs(value) do count = count + 1 end
    if count ~= #value then return "an array with holes" end
    for _, inner in ipairs(value) do
      local inside = wrong(inner)
      if inside then return inside end
    end
  elseif kind == "number" then
    if value ~= value then return "a NaN" end
  elseif kind == "string" then
    if not utf8.len(value) then return "a string that is no UTF-8" end
  elseif kind ~= "boolean" and kind ~= "null" then
    return "a value that is " .. kind
  end
end

--- Equal, where infinities, which JSON does not have, have become null.
local function equal(a, b)
  local kind = json.kind(a)
  if kind == "number" and a - a ~= 0 then return b == json.null end
  if kind ~= json.kind(b) then return false end
  if kind ~= "object" and kind ~= "array" then return a == b and math.type(a) == math.type(b) or a == b end
  for key, value in pairs(a) do
    if b[key] == nil or not equal(value, b[key]) then return false end
  end
  for key in pairs(b) do
    if a[key] == nil then return false end
  end
  return true
end

return function(input)
  local ok, value, at, reason = pcall(json.decode, input)
  if not ok then return "decode raised: " .. tostring(value) end
  if value == nil then
    if math.type(at) ~= "integer" or at < 1 or at > #input + 1 then return "a position of " .. tostring(at) end
    if type(reason) ~= "string" then return "a reason that is no text" end
    local _, told = json.object(input)
    return told ~= ("byte %d %s"):format(at, reason) and "object told another reason" or plain(told, input)
  end
  local bad = wrong(value)
  if bad then return bad end
  local text = json.encode(value)
  local again, place, why = json.decode(text)
  if again == nil then return ("not read back: byte %d %s of %s"):format(place, why, text) end
  if not equal(value, again) then return "read back differently: " .. text end
  if (json.object(input) ~= nil) ~= (json.kind(value) == "object") then return "object has another mind" end
end
