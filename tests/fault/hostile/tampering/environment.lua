-- Climbs from a function's _ENV and from metatables to the library's globals. It must find the script's own at most.
-- expect: contained
local seen = {}
local function climb(value, path)
  if type(value) ~= "table" or seen[value] then return end
  seen[value] = true
  local ok, host = pcall(rawget, value, "sm.host")
  if ok and host ~= nil then print("BREACH: " .. path .. " leads to sm.host") end
  for key, item in next, value do climb(item, path .. "." .. tostring(key)) end
  climb(getmetatable(value), path .. "'s metatable")
end
climb(_G, "_G")
climb(getmetatable "", "a text's metatable")
climb(require "sm", "sm")
