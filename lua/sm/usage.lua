--- Errors of whoever typed the command line, not of the experiment: one line, no traceback, exit code 2.
local M = {}

local wrong_usage = {}
wrong_usage.__index = wrong_usage

function wrong_usage:__tostring()
  return self.message
end

--- Raises a usage error.
--- @param format string one line without a full stop, as for string.format
function M.fail(format, ...)
  error(setmetatable({ message = format:format(...) }, wrong_usage), 0)
end

--- Whether an error value was raised by `fail` of this module.
function M.is(value)
  return getmetatable(value) == wrong_usage
end

return M
