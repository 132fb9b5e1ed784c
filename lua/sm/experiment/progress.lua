--- What a person sees while an experiment runs, and what log.txt keeps of it.
-- On a terminal one live line is rewritten in place, and evaluations stay above it. Elsewhere every row of
-- metrics.csv is one plain line, without control codes.
local runtime = require "sm.runtime"
local present = require "sm.experiment.present"

local M = {}
M.__index = M

local refresh <const> = 0.1   -- seconds between two rewritings of the live line
local memory <const> = 50     -- steps over which the live figures are smoothed
local bar_width <const> = 16
local usual_columns <const> = 80

local function coloured()
  local no_color = os.getenv "NO_COLOR"
  return (no_color == nil or no_color == "") and os.getenv "TERM" ~= "dumb"
end

local function speaks_utf8()
  local locale = os.getenv "LC_ALL" or os.getenv "LC_CTYPE" or os.getenv "LANG" or ""
  return locale:lower():find "utf%-?8" ~= nil
end

--- @param options table {quiet=}
--- @return table with a field `log`: a file that hears every lasting line, once it is there
function M.new(options)
  local terminal = not options.quiet and runtime.system.is_terminal(1) and os.getenv "TERM" ~= "dumb"
  return setmetatable({
    quiet = options.quiet, log = nil, terminal = terminal, colour = terminal and coloured(),
    bar = speaks_utf8() and { "━", "─" } or { "=", "-" },
    live = false, drawn = 0, seen = 0,
  }, M)
end

--- Text with a colour or weight of ECMA-48, where the terminal and the user want it.
function M:paint(code, text)
  return self.colour and "\27[" .. code .. "m" .. text .. "\27[0m" or text
end

--- Takes the live line away.
function M:clear()
  if self.live then io.stdout:write "\r\27[K" end
  self.live = false
end

--- A text for the log alone.
function M:note(text)
  if not self.log then return end
  local stamp = os.date "%Y-%m-%d %H:%M:%S  "
  for line in (text .. "\n"):gmatch "([^\n]*)\n" do
    self.log:write((stamp .. line):match "^(.-)%s*$", "\n")
  end
end

local function print_line(self, text)
  self:clear()
  io.stdout:write(text, "\n")
  io.stdout:flush()
end

--- A text that stays, on the screen and in the log; several lines are welcome.
--- @param painted string|nil the same with colours
function M:say(text, painted)
  self:note(text)
  if not self.quiet then print_line(self, painted or text) end
end

--- The line that even a quiet run prints.
function M:conclude(text, painted)
  self:note(text)
  print_line(self, painted or text)
end

--- A row of metrics.csv has been written.
function M:row(row, steps)
  local place = ("step %6d/%d"):format(row.step, steps)
  local parts = {}
  if row.train_loss then parts[1] = "train " .. present.figures(row.train_loss, row.train_accuracy) end
  if row.step_ms then parts[#parts + 1] = present.milliseconds(row.step_ms) .. "/step" end
  local validation = row.validation_loss
    and "validation " .. present.figures(row.validation_loss, row.validation_accuracy)
  parts[#parts + 1] = validation or nil
  if #parts == 0 then return end
  local rest = table.concat(parts, "   ")
  if self.terminal and not validation then
    self:note(place .. "   " .. rest) -- the screen has the live line
    return
  end
  local painted = rest
  if validation then
    local from, to = rest:find(validation, 1, true)
    painted = rest:sub(1, from - 1) .. self:paint("1", validation) .. rest:sub(to + 1)
  end
  self:say(place .. "   " .. rest, self:paint("2", place) .. "   " .. painted)
end

local function smooth(old, new, weight)
  return old and new and old + (new - old) * weight or new
end

--- The live line; nothing unless the output is a terminal. Called after every step.
--- @param at number the time, as runtime.system.now gives it
--- @param seconds number what the step took
function M:step(step, steps, loss, accuracy, seconds, at)
  if not self.terminal then return end
  self.seen = self.seen + 1
  local weight = 1 / math.min(self.seen, memory)
  self.loss = smooth(self.loss, loss, weight)
  self.accuracy = smooth(self.accuracy, accuracy, weight)
  self.seconds = smooth(self.seconds, seconds, weight)
  if at - self.drawn < refresh then return end
  self.drawn = at
  local place = ("step %6d/%d "):format(step, steps)
  local rest = ("  %s   %s/step   %s left"):format(present.figures(self.loss, self.accuracy),
    present.milliseconds(1000 * self.seconds), present.duration((steps - step) * self.seconds))
  local columns = (runtime.system.columns() or usual_columns) - 1
  local done = bar_width * step // steps
  local bar = ""
  if #place + bar_width + #rest <= columns then
    bar = self:paint("36", self.bar[1]:rep(done)) .. self:paint("2", self.bar[2]:rep(bar_width - done))
  end
  io.stdout:write("\r", place:sub(1, columns), bar, rest:sub(1, math.max(0, columns - #place)), "\27[K")
  io.stdout:flush()
  self.live = true
end

return M
