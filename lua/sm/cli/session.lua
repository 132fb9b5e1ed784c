--- What a person types at the prompt, line by line: understood, run, and its value printed. It knows no terminal, and
--- may be a confined process.
-- @module sm.cli.session
local host = require "sm.host"
local modules = require "sm.modules"
local problem = require "sm.problem"
local syntax = require "sm.cli.syntax"
local text = require "sm.text"
local traceback = require "sm.cli.traceback"

local M = {}

--- What other prompts have, and what this one has for it.
local at_prompts <const> = {
  exit = "; Ctrl-D ends", quit = "; Ctrl-D ends", help = "; ?name explains a name, and ? tells which there are",
}

local name <const> = "=prompt"
local names_of_rooms <const> = { "nn", "optim", "data", "view", "png" }
local rooms <const> = { sm = true }
for _, room in ipairs(names_of_rooms) do rooms[room] = true end

local class <const> = {}
class.__index = class

--- The globals of the prompt: a person's own, then those that scripts have, and the library's rooms by their short
--- names. One that is none of these is an error, as in a file.
local function environment_of(globals, offered)
  local own = {}
  own._G = own
  local function get(global)
    local value = globals[global]
    if value == nil and offered[global] then value = offered[global]() end
    return value
  end
  local function names()
    local all = {}
    for _, map in ipairs { own, globals, offered } do
      for global in next, map do
        if type(global) == "string" then all[#all + 1] = global end
      end
    end
    return all
  end
  setmetatable(own, { __metatable = false, __index = function(_, global)
    local value = get(global)
    if value ~= nil or type(global) ~= "string" then return value end
    require "sm.fail"("undefined variable '%s'%s", global, at_prompts[global] or
      require "sm.elsewhere".global_hint(global) or require "sm.check".suggest(global, names()))
  end })
  return own, {
    get = function(global) -- without what would run a stranger's text first, as `run` may
      local value = rawget(own, global)
      if value == nil and (not offered[global] or rooms[global]) then value = get(global) end
      return value
    end,
    names = names,
    documented = function() return require "sm.reference.words".names() end,
  }
end

--- A session.
--- @param options table {out=function(text), tell=function(text) (an error, a note), show=function(value) → whether it
---   was shown as a picture}
function M.new(options)
  local offered = { sm = function() return require "sm" end }
  for _, room in ipairs(names_of_rooms) do
    offered[room] = function() return require "sm"[room] end
  end
  local own, scope = environment_of(modules.globals(), offered)
  return setmetatable({
    environment = own, scope = scope, offered = offered, lines = 0, pending = {}, failed = false,
    out = options.out, tell = options.tell, show = options.show or function() end,
  }, class)
end

--- A leading `local`, which would end with its line, taken away: `local x = 1` makes a global. @return string|nil
local function as_global(source)
  local space, rest = source:match "^(%s*)local(%s.*)$"
  if not rest then return nil end
  space = space .. (" "):rep(#"local")
  if rest:find "^%s+function%s" then return space .. rest end
  local after = rest:match "^%s+[%a_][%w_]*()"
  while after and rest:find("^%s*,%s*[%a_]", after) do after = rest:match("^%s*,%s*[%a_][%w_]*()", after) end
  if not after then return nil end
  if rest:find("^%s*=[^=]", after) then return space .. rest end
  if rest:find("^%s*;?%s*$", after) then return space .. rest:sub(1, after - 1) .. " = nil" end
end

--- What was typed as a function that gives its values, packed; those of an expression, where it can be one.
--- @return function|nil
--- @return string|nil what is wrong
--- @return boolean|nil whether more is to come
--- @return boolean|nil whether a leading `local` was taken away
local function compile(self, source)
  local before = ("\n"):rep(self.lines)
  local expression = source:match "^%s*=(.*)$" or source
  local chunk, of_expression = load(before .. "return " .. expression, name, "t", self.environment)
  if chunk then -- called in no tail, so that errors find its line
    local form = before .. "local values = ... return values("
    local packed = load(form .. expression .. ")", name, "t", self.environment)
      or load(form .. expression .. "\n)", name, "t", self.environment) -- behind a comment
    return function() return packed(table.pack) end
  end
  local function statement(run)
    return function() return table.pack(run()) end
  end
  local global = as_global(source)
  chunk = global and load(before .. global, name, "t", self.environment)
  if chunk then return statement(chunk), nil, nil, true end
  local found
  chunk, found = load(before .. source, name, "t", self.environment)
  if chunk then return statement(chunk) end
  if found:find "<eof>'?$" then return nil, found, true end
  found = syntax.of_either(source, of_expression, found)
  return nil, found .. syntax.hint(found)
end

--- Prints values: short ones of one line side by side.
local function print_values(self, values)
  local show = require "sm.terminal.values".show
  local words, plain = {}, true
  for i = 1, values.n do
    if values.n == 1 and self.show(values[1]) then return end
    words[i] = show(values[i])
    plain = plain and not words[i]:find "\n"
  end
  local line = table.concat(words, "   ")
  if not plain or text.width(line) > text.columns() then line = table.concat(words, "\n") end
  self.out(line .. "\n")
end

--- Gives the prompt further globals.
function class:add(globals)
  for global, value in next, globals do rawset(self.environment, global, value) end
end

--- Tells what went wrong. The lines of a traceback say nothing new where there is but one.
local function tell(self, met)
  if problem.kind(met) == "interrupted" or host.interrupted() then
    return self.tell "\ninterrupted" -- behind the ^C that the terminal has echoed
  end
  local message, lines = met, nil
  if type(met) == "table" then message, lines = met.message, met.lines end
  local several = lines and select(2, lines:gsub("\n\t", "")) > 1
  self.tell(tostring(message) .. (several and "\n" .. lines or ""))
end

--- The handler for xpcall, which lets an interruption be known by its kind.
local function handle(value)
  if problem.kind(value) == "interrupted" then return value end
  return traceback.handler(value)
end

--- Runs something of the person's, which Ctrl-C stops.
--- @return boolean whether it came to its end
function class:run(f, ...)
  local ok, met = host.line(f, handle, ...)
  host.graceful(false)
  if not ok then
    self.failed = true
    tell(self, met)
  end
  return ok
end

local function explain(self, asked)
  asked = asked:match "^%s*(.-)[%s?]*$":gsub("^x%.", "x:")
  self:run(function()
    local global = asked:find "^[%a_][%w_]*$" and rawget(self.environment, asked)
    if global then
      self.out(("%s: %s\n"):format(asked, require "sm.terminal.values".show(global)))
    else
      self.out(text.visible(require "sm.reference.words".text(asked, text.columns()), "\n") .. "\n")
    end
  end)
end

--- Takes a line.
--- @return boolean whether what was typed is not whole yet
--- @return string|nil what was typed, once it is
function class:feed(line)
  local pending = self.pending
  if #pending == 0 and line:find "^%s*%?" then
    explain(self, line:match "^%s*%?(.*)$")
    self.lines = self.lines + 1
    return false, line
  end
  pending[#pending + 1] = line
  local source = table.concat(pending, "\n")
  local chunk, found, incomplete, was_local = compile(self, source)
  if not chunk and incomplete and not (#pending == 1 and line:find "^%s*$") then return true end
  self.pending = {}
  if not chunk then
    self.failed = true
    self.tell(text.visible(found, "\n"))
  else
    if was_local and not self.told_locals then
      self.told_locals = true
      self.tell "note: a local ends with the line that it is typed in, so what is declared here is global"
    end
    self:run(function()
      local values = chunk()
      if values.n == 0 then return end
      if values[1] ~= nil then rawset(self.environment, "_", values[1]) end
      print_values(self, values)
    end)
  end
  self.lines = self.lines + select(2, source:gsub("\n", "")) + 1
  return false, source
end

--- Forgets what is not whole yet.
--- @return boolean whether there was anything
function class:forget()
  local some = #self.pending > 0
  self.pending = {}
  return some
end

--- What stands before a line: the number that errors call it by.
function class:prompt()
  local number = self.lines + #self.pending + 1
  return ("%d%s "):format(number, #self.pending > 0 and ">>" or ">")
end

return M
