--- What a worker says to its supervisor: a call that is read has the fields that its supervisor relies on, is written
--- as it was read, and can be said on a screen.
local calls = require "sm.cli.calls"
local message = require "sm.cli.message"
local progress = require "sm.terminal.progress"

local MOST_TIME <const> = 5 -- seconds for 4 KiB

local function equal(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then
    return math.type(a) == math.type(b) and (a == b or a ~= a and b ~= b)
  end
  for key, value in next, a do
    if not equal(value, b[key]) then return false end
  end
  for key in next, b do
    if a[key] == nil then return false end
  end
  return true
end

--- A screen whose log looks at what it hears.
local function screen()
  local made = progress.new { quiet = true }
  made.log = { write = function(_, text) return not text:find "[\0-\8\11-\31\127]" or error "control codes" end }
  return made
end

local SAID <const> = {
  say = function(on, call) on:say(call.given, call.indent) end,
  conclude = function(on, call) on:note(call.given) end,
  note = function(on, call) on:note(call.given) end,
  row = function(on, call) on:row(call.row, call.steps, call.metrics) end,
}

return function(input)
  local ok, call, reason = pcall(calls.decode, input)
  if not ok then return "decode raised: " .. tostring(call) end
  if call == nil then return type(reason) ~= "string" and "a reason that is no text" or nil end
  local name = call.call
  if not calls.calls[name] then return "no call" end
  local bytes = message.encode(call)
  local again, why = calls.decode(bytes)
  if not again then return ("%s is not read back: %s"):format(name, why) end
  if not equal(call, again) then return name .. " is read back differently" end
  local say = SAID[name]
  if not say then return end
  local began = os.clock()
  local said, problem = pcall(say, screen(), call)
  if not said then return ("%s: %s"):format(name, tostring(problem)) end
  if os.clock() - began > MOST_TIME then return name .. " takes long" end
end
