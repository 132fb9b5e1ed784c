--- The supervisor's part of `smrun -i`: it reads what a person types, which the worker runs.
-- @module sm.cli.typing
local prompt = require "sm.cli.prompt"
local runtime = require "sm.runtime"
local text = require "sm.text"

local M = {}

local most_pixels <const> = 1 << 23 -- of a picture

local class <const> = {}
class.__index = class

--- Raises unless a picture's header says that this process has room for it: of few bytes may come many pixels.
local function check_size(png)
  if #png < 24 then error("the picture is no PNG", 0) end
  local width, height = (">I4I4"):unpack(png, 17)
  if width > 0 and height > most_pixels // width then
    error(("the picture has %d × %d pixels, and the prompt shows at most %d"):format(width, height, most_pixels), 0)
  end
end

function M.new()
  local terminal = prompt.terminal()
  local self = setmetatable({ terminal = terminal, begun = false }, class)
  local show_file = prompt.shower(terminal)

  --- Shows a picture of the worker's, of which nothing but its pixels is believed. One for each line: where the
  --- terminal shows none, its file stays.
  function self.picture(png)
    if self.shown then error("there is one picture for each line", 0) end
    check_size(png)
    self.shown = true
    local path = require "sm.prompt".temporary ".png"
    local shown, problem = pcall(function()
      local file <close> = assert(io.open(path, "wb"))
      assert(file:write(png))
      file:close()
      runtime.io.write_png(path, runtime.io.read_png(path))
      show_file(path)
    end)
    if not shown then
      os.remove(path)
      error(problem, 0)
    end
  end

  return self
end

--- The next line for the worker.
--- @param supervisor table with complete(before)
--- @return table {line=}, {stopped=true} or {over=true}
function class:line(supervisor, call)
  local terminal = self.terminal
  self.shown = false
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
    if not answer then return nil, nil, true end
    return answer.inserted, answer.shown and text.visible(answer.shown, "\n")
  end)
  local line, why = terminal.read(call.prompt)
  if not line then return why == "stopped" and { stopped = true } or { over = true } end
  local problem = self.history.add(line)
  if problem then io.stderr:write(text.visible(problem), "\n") end
  return { line = line }
end

return M
