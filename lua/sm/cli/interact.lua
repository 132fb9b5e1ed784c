--- smrun -i: a file is run, or a run is loaded, and then a person types. What they type is run where the file was: in a
--- confined worker, or with --trust in the program itself.
-- @module sm.cli.interact
local host = require "sm.host"
local prompt = require "sm.cli.prompt"
local session = require "sm.cli.session"
local text = require "sm.text"

local M = {}

local done <const>, interrupted <const> = 0, 130
local most_shown <const> = 1 << 15 -- bytes of names below a line

--- Runs the file, or loads the run, and gives the session what came of it: the file's local variables, `experiment`,
--- `result` and `run`.
local function begin(self, options, overrides, source, is_run)
  local directory, locals = is_run and options.words[1] or nil, {}
  if not is_run then
    self:run(function()
      local _, experiment, result = require "sm.cli.run".train(options, overrides, source, { locals = locals })
      directory = result and not options.dry_run and result.directory or nil
      self:add { experiment = experiment, result = result }
    end)
    self:add(locals)
  end
  if not directory then return end
  if is_run then
    self:run(function()
      local run = require "sm".load_run(directory)
      self:add { run = run, model = run.model }
    end)
  else
    self.offered.run = function()
      local run = require "sm".load_run(directory)
      self:add { run = run }
      return run
    end
  end
end

--- smrun --trust -i
--- @return integer exit code
function M.trusted(options, overrides, is_run)
  return prompt.prompt { trust = true, begin = function(self)
    begin(self, options, overrides, nil, is_run)
  end }
end

local function tell(words)
  io.stdout:flush()
  io.stderr:write(text.visible(words, "\n\t"), "\n")
  io.stderr:flush()
end

--- In a worker, for a session: draws a picture, and has the supervisor show it.
local function draws(call)
  return function(value)
    if not prompt.is_picture(value) then return false end
    local name <const> = ".prompt.png"
    value:save(name)
    local path = require "sm.reach".to_read(name)
    local file <close> = assert(io.open(path, "rb"))
    local png = file:read "a"
    os.remove(path)
    call("picture", { png = png })
    return true
  end
end

--- smrun -i, in a worker.
--- @param work table as the supervisor has sent it
--- @param call function(name, fields) → what the supervisor answers
--- @return integer exit code
function M.confined(work, call)
  local self = session.new { out = prompt.out, tell = tell, show = draws(call) }
  host.at_prompt(true)
  begin(self, work.options, work.overrides, work.source, work.run)
  local added = {}
  while not host.interrupted() do
    local answer = call("line", { prompt = self:prompt(), inserted = added.inserted, shown = added.shown })
    added = {}
    if answer.complete then
      local found, inserted, shown = host.line(require "sm.terminal.completion".complete, tostring, answer.complete,
        self.scope, text.columns())
      if found then added = { inserted = inserted, shown = shown and shown:sub(1, most_shown) } end
    elseif answer.line then
      self:feed(answer.line)
    elseif not answer.stopped and not self:forget() then
      return done
    else
      self:forget()
    end
  end
  return interrupted
end

return M
