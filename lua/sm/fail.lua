--- Errors that blame the user's own line.
-- @module sm.fail
local runtime = require "sm.runtime"
local visible = require "sm.text".visible

runtime.set_library(require "sm.place".prefix, visible, require "sm.problem".new)

--- Raises an error whose message begins with the position of the innermost function outside the library.
-- @param format string, as for string.format when values follow, plain otherwise
-- @param ... values
return function(format, ...)
  local message = select("#", ...) > 0 and format:format(...) or format
  runtime.raise((message:gsub("\0", "\\0")))
end
