--- Errors that code reacts to have a kind: tables that read as texts. All other errors are texts.
---   "memory"       there was none left; C raises it too. Nothing that was tried is to blame
---   "interrupted"  somebody wants what runs to stop; nothing that was tried is to blame
---   "usage"        the command line is wrong (sm.usage)
---   "ranks"        another rank of the run has ended (sm.collective); nothing that was tried is to blame
---   "not finite"   an optimizer cannot take a step: a gradient, a parameter or a state is not finite, or would not be
---   "unmoved"      an optimizer has nothing to move
--- Code asks for the kind and never reads the message, which may change.
-- @module sm.problem
local M = {}

local class = { __index = {}, __metatable = false }

--- Whether an error value is one of these tables.
local function is(value)
  return debug.getmetatable(value) == class
end

function class:__tostring()
  return is(self) and tostring(rawget(self, "message")) or "an error"
end

function class.__concat(left, right)
  return tostring(left) .. tostring(right)
end

for name, f in pairs(string) do -- so that code that takes an error for a text goes on working: message:find "x"
  class.__index[name] = function(self, ...) return f(tostring(self), ...) end
end

--- An error of a kind.
--- @param message string as people read it
--- @param words string|nil the same without the place in front
function M.new(kind, message, words)
  return setmetatable({ kind = kind, message = message, words = words or message }, class)
end

local OWN_OF_LUA <const> = "not enough memory$" -- LUA_ERRMEM has no other sign; a coroutine may put a place in front

--- The kind of an error; nil where it has none.
function M.kind(value)
  if is(value) then return rawget(value, "kind") end
  return type(value) == "string" and value:find(OWN_OF_LUA) and "memory" or nil
end

--- The message of an error without the place in front, where it is known to be one.
function M.words(value)
  return is(value) and tostring(rawget(value, "words")) or value
end

--- An error of the kind of another, if that has one, with a message of its own.
function M.reworded(value, message)
  local kind = M.kind(value)
  return kind and M.new(kind, message) or message
end

--- Raises an error of a kind, whose message begins with the user's line.
--- @param format string as for sm.fail
function M.raise(kind, format, ...)
  local message = select("#", ...) > 0 and format:format(...) or format
  require "sm.runtime".raise((message:gsub("\0", "\\0")), kind)
end

local blameless <const> = { memory = true, interrupted = true, ranks = true }

local function passed_on(ok, ...)
  if not ok and blameless[M.kind((...))] then error((...), 0) end
  return ok, ...
end

--- As pcall, for what is tried and may fail; but an error for which nothing that was tried is to blame goes on.
function M.attempt(f, ...)
  return passed_on(pcall(f, ...))
end

return M
