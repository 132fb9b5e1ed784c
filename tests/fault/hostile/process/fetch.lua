-- Asks the library to fetch a data set, with its own addresses and by names of its rooms. Nothing may be fetched.
-- expect: contained
local sm = require "sm"
for _, name in ipairs { "sm.data.fetch", "sm.data.shell", "sm.cli.data", "sm.data.catalogue" } do
  local ok, room = pcall(require, name)
  if ok and type(room) == "table" then print("BREACH: require " .. name) end
end
local ok, message = pcall(sm.data.fashion)
print(ok, ok or message)
