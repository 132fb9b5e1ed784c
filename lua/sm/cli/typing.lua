--- The supervisor's part of `smrun -i`: it reads what a person types, which the worker runs.
-- @module sm.cli.typing
local prompt = require "sm.cli.prompt"
local runtime = require "sm.runtime"
local text = require "sm.text"

local M = {}

local class <const> = {}
class.__index = class

function M.new()
  local terminal = prompt.terminal()
  local self = setmetatable({ terminal = terminal, begun = false }, class)
  local show_file = prompt.shower(terminal)

  --- Shows a picture of the worker's, of which nothing but its pixels is believed.
  function self.picture(png)
    local path = require "sm.prompt".temporary ".png"
    local file <close> = assert(io.open(path, "wb"))
    assert(file:write(png))
    file:close()
    runtime.io.write_png(path, runtime.io.read_png(path))
    show_file(path)
  end

  return self
end

--- The next line for the worker.
--- @param supervisor table with complete(before)
--- @return table {line=}, {stopped=true} or {over=true}
function class:line(supervisor, call)
  local terminal = self.terminal
  if not self.begun then
    self.begun = true
    if terminal then
      prompt.greet()
      self.history = require "sm.cli.history".open(terminal)
    end
  end
  if not terminal then
    local line = io.stdin:read "l"
    return line and { line = line } or { over = true }
  end
  terminal.complete(function(before)
    local answer = supervisor:complete(before)
    if not answer then return nil end
    return answer.inserted, answer.shown and text.visible(answer.shown, "\n")
  end)
  local line, why = terminal.read(call.prompt)
  if not line then return why == "stopped" and { stopped = true } or { over = true } end
  local problem = self.history.add(line)
  if problem then io.stderr:write(text.visible(problem), "\n") end
  return { line = line }
end

return M
