--- Where the user's own code is running.
-- @module sm.line
local fail = require "sm.fail"

--- @return string "file.lua:9", the line of the innermost function outside the library; "?" where there is none
return function()
  local _, message = pcall(fail, "")
  return message:match "^(.+:%d+): $" or "?"
end
