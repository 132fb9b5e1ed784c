--- What a person sees while an experiment runs, and what log.txt keeps of it.
-- On a terminal one live line is rewritten in place, and evaluations stay above it. Elsewhere every row of
-- metrics.csv is one plain line, without control codes.
local runtime = require "sm.runtime"
local text = require "sm.text"
local numbers = require "sm.numbers"
local sorted_keys = require "sm.ordered".sorted_keys

local M = {}
M.__index = M

local refresh <const> = 0.1   -- seconds between two rewritings of the live line
local memory <const> = 50     -- steps over which the live figures are smoothed
local most_figures <const> = 1000 -- that are smoothed
local least_figure <const> = 9 -- columns of one on the live line
local bar_width <const>, least_bar <const> = 16, 4

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
    live = false, drawn = 0, seen = 0, figures = {}, figure_count = 0,
  }, M)
end

--- Text with a colour or weight of ECMA-48, where the terminal and the user want it.
function M:paint(code, words)
  return self.colour and "\27[" .. code .. "m" .. words .. "\27[0m" or words
end

--- Takes the live line away.
function M:clear()
  if self.live then io.stdout:write "\r\27[K" end
  self.live = false
end

--- What was given as it is shown: plain, and with colours.
local function shown(self, given)
  local plain, painted = {}, {}
  for i, piece in ipairs(type(given) == "table" and given or { given }) do
    local code, words = nil, piece
    if type(piece) == "table" then code, words = piece[1], piece[2] end
    plain[i] = text.visible(words, "\n")
    painted[i] = code and self:paint(code, plain[i]) or plain[i]
  end
  return table.concat(plain), table.concat(painted)
end

local function print_line(self, line)
  self:clear()
  io.stdout:write(line, "\n")
  io.stdout:flush()
end

--- A text for the log alone. A run does not end for want of a line: what is wrong is said once.
function M:note(given)
  if not self.log then return end
  local stamp = os.date "%Y-%m-%d %H:%M:%S  "
  for line in ((shown(self, given)) .. "\n"):gmatch "([^\n]*)\n" do
    local written, reason = self.log:write((stamp .. line):match "^(.-)%s*$" .. "\n")
    if not written and not self.unlogged then
      self.unlogged = true
      print_line(self, "lines of log.txt are lost: " .. text.visible(reason))
    end
  end
end

--- A text that stays, on the screen and in the log; several lines are welcome. On a terminal, a line that is wider is
--- broken at spaces, unless it begins with one.
--- @param given string, or a table array of strings and of {code, string}, as for paint
--- @param indent integer|nil spaces before what a broken line goes on with (2); where given, the text is part of a
---   table, and fits 80 columns where there is no terminal
function M:say(given, indent)
  local plain, painted = shown(self, given)
  self:note(plain)
  if self.quiet then return end
  if self.terminal or indent then painted = text.wrap(painted, text.columns(), indent or 2) end
  print_line(self, painted)
end

--- The line that even a quiet run prints, and then in one piece.
function M:conclude(given)
  if not self.quiet then return self:say(given) end
  local plain, painted = shown(self, given)
  self:note(plain)
  print_line(self, painted)
end

local between <const>, narrow <const> = "   ", "  " -- figures; the second where a line would be too wide

--- A row of metrics.csv has been written: one line, or one for training and one for validation where that is too wide.
--- @param metrics table|nil name → number: what else the validation data say
function M:row(row, steps, metrics)
  local place = ("step %6d/%d"):format(row.step, steps)
  local training, validation = {}, nil
  local own = {} -- what a step of the person's own has returned
  for name, value in pairs(row) do
    local figure = name:match "^train_(.+)$"
    if figure and figure ~= "loss" and figure ~= "accuracy" then own[figure] = value end
  end
  local trained = numbers.figures(row.train_loss, row.train_accuracy, own)
  if trained ~= "" then training[1] = "train " .. trained end
  if row.step_ms then training[#training + 1] = numbers.milliseconds(row.step_ms) .. "/step" end
  training = #training > 0 and table.concat(training, between)
  local validated = numbers.figures(row.validation_loss, row.validation_accuracy, metrics)
  if validated ~= "" then validation = "validation " .. validated end
  if not training and not validation then return end
  if self.terminal and not validation then
    self:note(place .. between .. training) -- the screen has the live line
    return
  end
  local head, tail = { "2", place }, validation and { "1", validation }
  if training and tail and text.width(table.concat({ place, training, validation }, between)) <= text.columns() then
    return self:say({ head, between, training, between, tail }, #place + #between)
  end
  local function line(part, words)
    local space = between
    if #place + #between + #words > text.columns() then
      part[2], space = words:gsub("accuracy +", "accuracy "):gsub("   +", narrow), narrow
    end
    self:say({ head, space, part }, #place + #space)
  end
  if training then line({ false, training }, training) end
  if tail then line(tail, validation) end
end

local function smooth(old, new, weight)
  return old and new and old + (new - old) * weight or new
end

--- Figures and the first of some endings with which they fit a width; whole ones go where not even the last does.
local function fitting(figures, endings, width)
  local others, line = {}, nil
  for name, value in pairs(figures) do
    if name ~= "loss" and name ~= "accuracy" then others[name] = value end
  end
  local names = sorted_keys(others)
  for i = #names, width // least_figure + 1, -1 do others[names[i]], names[i] = nil, nil end
  while true do
    for _, ending in ipairs(endings) do
      line = "  " .. numbers.figures(figures.loss, figures.accuracy, others) .. ending
      if #line <= width then return line end
    end
    if #names == 0 then return line end
    others[table.remove(names)] = nil
  end
end

--- The live line; nothing unless the output is a terminal. Called after every step.
--- @param figures table name → number: loss, accuracy, what the step has returned
--- @param at number the time, as runtime.system.now gives it
--- @param seconds number what the step took
function M:step(step, steps, figures, seconds, at)
  if not self.terminal then return end
  self.seen = self.seen + 1
  local weight = 1 / math.min(self.seen, memory)
  for name, value in pairs(figures) do
    local known = self.figures[name]
    if not known then self.figure_count = self.figure_count + 1 end
    if known or self.figure_count <= most_figures then self.figures[name] = smooth(known, value, weight) end
  end
  self.seconds = smooth(self.seconds, seconds, weight)
  if at - self.drawn < refresh then return end
  self.drawn = at
  local columns = text.columns() - 1
  local place = ("step %6d/%d "):format(step, steps)
  local pace = ("%s%s/step"):format(between, numbers.milliseconds(1000 * self.seconds))
  local left = ("%s%s left"):format(between, numbers.duration((steps - step) * self.seconds))
  local rest = fitting(self.figures, { pace .. left, left, "" }, columns - #place)
  local room = math.min(bar_width, columns - #place - #rest)
  local bar, done = "", room * step // steps
  if room >= least_bar then
    bar = self:paint("36", self.bar[1]:rep(done)) .. self:paint("2", self.bar[2]:rep(room - done))
  end
  io.stdout:write("\r", place:sub(1, columns), bar, rest:sub(1, math.max(0, columns - #place)), "\27[K")
  io.stdout:flush()
  self.live = true
end

return M
