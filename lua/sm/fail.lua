--- Errors that blame the user's own line.
-- @module sm.fail
local runtime = require "sm.runtime"

local _, path = ... -- require passes the name and the file of a module
runtime.set_library("@" .. path:match "^(.*)fail%.lua$")

--- Raises an error whose message begins with the position of the innermost function outside the library.
-- @param format string, as for string.format when values follow, plain otherwise
-- @param ... values
return function(format, ...)
  runtime.raise(select("#", ...) > 0 and format:format(...) or format)
end
