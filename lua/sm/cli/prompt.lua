--- smrun repl, and smrun alone at a terminal: a line, its value, the next line.
-- @module sm.cli.prompt
local host = require "sm.host"
local modules = require "sm.modules"
local runtime = require "sm.runtime"
local session = require "sm.cli.session"
local text = require "sm.text"

local M = {}

local done <const>, failed <const>, interrupted <const> = 0, 1, 130
local greeting <const> = "smrun %s, %s. ?name explains a name, Tab completes one, Ctrl-C stops what runs, "
  .. "Ctrl-D ends."

--- Prints, at once.
function M.out(words)
  io.stdout:write(words)
  io.stdout:flush()
end

local out <const> = M.out

--- What an error says, with nothing in it that a terminal would obey.
local function tell(words)
  io.stdout:flush()
  words = text.visible(words, "\n\t") .. "\n"
  local columns = text.terminal(2)
  io.stderr:write(columns and text.wrap(words, columns, 2) or words)
end

local REFUSED <const> = "sm.load_run runs the text that the run has kept, which may be a stranger's, and here it is "
  .. "not confined"

--- Asks before the text of a run is run.
local function asks_for_runs(terminal)
  local allowed = {}
  return function(run)
    if allowed[run] then return nil end
    if not terminal then return REFUSED .. "; `smrun --trust repl` runs it all the same" end
    tell(("the text that %s has kept is about to run, and may do all that you can: is it your own, or one that you "
      .. "have read?"):format(run))
    local answer = terminal.read "yes or no: "
    if answer ~= "yes" and answer ~= "y" then
      return REFUSED .. "; `smrun -i FILE` has a prompt that is"
    end
    allowed[run] = true
  end
end

--- Shows a picture where the terminal can, else says where it lies.
--- @param terminal table|nil sm.prompt
--- @return function(path) of a PNG file, which nobody else needs
function M.shower(terminal)
  local pictures = require "sm.terminal.pictures"
  local ability
  return function(path)
    if terminal and ability == nil then ability = pictures.ability(terminal.ask) or false end
    if not ability then return out(path .. "\n") end
    out(pictures.encode(ability, path))
    os.remove(path)
  end
end

--- Whether a value is a picture that needs nothing else to be drawn.
function M.is_picture(value)
  require "sm.view" -- which makes the class known
  local known = type(value) == "table" and require "sm.check".classes["a picture of one's own"]
  local meta = known and debug.getmetatable(value)
  return meta ~= nil and meta ~= false and rawget(meta, "__index") == known.class and type(value.given) ~= "function"
end

--- For a session: draws a picture, and has it shown.
local function draws(terminal)
  local show_file = M.shower(terminal)
  return function(value)
    if not M.is_picture(value) then return false end
    local path = require "sm.prompt".temporary ".png"
    value:save(path)
    show_file(path)
    return true
  end
end

--- Lines from a terminal, edited.
local function typed(self, terminal)
  local history = require "sm.cli.history".open(terminal)
  terminal.complete(function(before)
    return require "sm.terminal.completion".complete(before, self.scope, text.columns())
  end)
  while true do
    local line, why = terminal.read(self:prompt())
    if why == "broken" then return interrupted end
    if not line and why == "end" then
      if not self:forget() then return done end
    elseif not line then
      self:forget()
    else
      local more, whole = self:feed(line)
      local problem = not more and history.add(whole)
      if problem then tell(problem) end
    end
    if host.interrupted() then return interrupted end
  end
end

--- Lines from a file or a pipe, as they come.
local function piped(self)
  for line in io.stdin:lines() do
    self:feed(line)
    if host.interrupted() then return interrupted end
  end
  if #self.pending > 0 then -- which is now known to be wrong
    self.failed = true
    tell(("what begins in line %d does not end"):format(self.lines + 1))
  end
  return self.failed and failed or done
end

--- What edits lines, where a person sits there; nil elsewhere.
function M.terminal()
  return runtime.system.is_terminal(0) and runtime.system.is_terminal(1) and require "sm.prompt" or nil
end

--- Says hello.
function M.greet()
  out(text.wrap(greeting:format(runtime.version, _VERSION), text.columns()) .. "\n")
end

--- smrun repl
--- @param options table {trust=, begin=function(session) (before the first line)}
--- @return integer exit code
function M.prompt(options)
  local terminal = M.terminal()
  if not options.trust then modules.refuse_runs(asks_for_runs(terminal)) end
  local self = session.new { out = out, tell = tell, show = draws(terminal) }
  host.at_prompt(true)
  if options.begin then options.begin(self) end
  if not terminal then return piped(self) end
  M.greet()
  return typed(self, terminal)
end

return M
