--- Errors that blame the user's own line.
-- @module sm.fail
local runtime = require "sm.runtime"

local visible = require "sm.text".visible

runtime.set_library(require "sm.place".prefix)

--- Raises an error whose message begins with the position of the innermost function outside the library. What others'
-- strings have in them that a terminal would obey is made visible: plain Lua shows a message as it is.
-- @param format string, as for string.format when values follow, plain otherwise
-- @param ... values
return function(format, ...)
  runtime.raise(visible(select("#", ...) > 0 and format:format(...) or format, "\n\t"))
end
