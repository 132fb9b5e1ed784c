--- What a person sees of a sweep: on a terminal one live line per run, elsewhere a line when something happens.
local runtime = require "sm.runtime"
local text = require "sm.text"
local numbers = require "sm.numbers"
local outcome = require "sm.experiment.outcome"

local M = {}
M.__index = M

local refresh <const> = 0.25 -- seconds between two drawings
local usual_rows <const> = 24
local least_rows <const> = 4
local reserved_rows <const> = 2 -- of the window: the line of totals, and the one where the cursor stands

local now = runtime.system.now

--- Runs that are shown first where there is not room for all.
local priority = { running = 1, failed = 2, interrupted = 3, finished = 4, waiting = 5, done = 6 }
local colour = {
  running = "36", finished = "32", done = "32", failed = "1;31", interrupted = "33", waiting = "2",
}

--- @param runs table as for jobs.pursue; each with a label
--- @param progress table of sm.terminal.progress
--- @param count integer how many run at once
function M.new(runs, progress, count)
  local width = 0
  for _, run in ipairs(runs) do width = math.max(width, text.width(text.visible(run.label))) end
  return setmetatable({ runs = runs, progress = progress, count = count, width = width, drawn = 0, lines = 0 }, M)
end

--- Seconds until a run that runs is done, or nil while nobody knows.
local function left_of(run)
  return run.pace and (run.steps - run.step) * run.pace
end

--- Seconds until all are done: those that wait are taken to be as fast as the mean of those seen.
local function left_of_all(self)
  local pace, seen, steps = 0, 0, 0
  for _, run in ipairs(self.runs) do
    if run.pace then pace, seen = pace + run.pace, seen + 1 end
  end
  if seen == 0 then return nil end
  pace = pace / seen
  local seconds, running = 0, false
  for _, run in ipairs(self.runs) do
    if run.state == "running" then
      running = true
      seconds = seconds + (run.steps - (run.step or run.saved)) * (run.pace or pace)
    elseif run.state == "waiting" then
      steps = steps + run.steps - run.saved
    end
  end
  return running and (seconds + steps * pace) / self.count or nil
end

local function first_line(message)
  return text.visible(message:match "^[^\n]*")
end

local function percent(fraction)
  return fraction and numbers.percent(fraction) or ""
end

--- Step, validation accuracy, and what else there is to say.
local function cells(run)
  if run.state == "failed" then return { "", "", first_line(run.problem) } end
  if run.summary then
    return { numbers.thousands(run.summary.steps), percent(run.summary.validation_accuracy),
      outcome.best(run.summary) }
  end
  local step = run.step or run.saved > 0 and run.saved
  local left = run.state == "running" and left_of(run)
  return {
    step and ("%s/%s"):format(numbers.thousands(step), numbers.thousands(run.steps)) or "",
    percent(run.accuracy),
    left and numbers.duration(left) .. " left" or "",
  }
end

--- Columns that a label may take: what the state, the step, the accuracy and the time left leave, but never less than
--- this.
local least_label <const>, behind_label <const> = 12, 54

local function line_of(self, run, columns)
  local step, accuracy, rest = table.unpack(cells(run))
  local width = math.min(self.width, math.max(least_label, columns - behind_label))
  local label = text.padded(text.clip(text.visible(run.label), width), width)
  local line = ("%s  %-11s  %13s  %9s"):format(label, run.state, step, accuracy)
  if run.state == "failed" then
    line = ("%s  %-11s  %s"):format(label, run.state, rest)
  elseif text.width(line) + 2 + text.width(rest) <= columns then
    line = line .. "  " .. rest
  end
  line = text.clip(line:match "^(.-)%s*$", columns)
  local from, to = line:find(run.state, #label + 1, true)
  if not from then return line end
  return line:sub(1, from - 1) .. self.progress:paint(colour[run.state], run.state) .. line:sub(to + 1)
end

--- How many are in each state: "3 finished, 2 running, 35 waiting".
local function totals(runs)
  local counts, parts = {}, {}
  for _, run in ipairs(runs) do counts[run.state] = (counts[run.state] or 0) + 1 end
  for _, state in ipairs { "done", "finished", "failed", "interrupted", "running", "waiting" } do
    local name = state == "done" and "done before" or state
    if counts[state] then parts[#parts + 1] = ("%d %s"):format(counts[state], name) end
  end
  return table.concat(parts, ", ")
end

--- As many runs as there is room for, in the order of the sweep.
local function chosen(self, room)
  if #self.runs <= room then return self.runs end
  local order, shown = {}, {}
  for position, run in ipairs(self.runs) do order[position] = { position = position, rank = priority[run.state] } end
  table.sort(order, function(a, b)
    if a.rank ~= b.rank then return a.rank < b.rank end
    if a.rank == priority.finished then return a.position > b.position end -- the latest
    return a.position < b.position
  end)
  local picked = table.move(order, 1, room, 1, {})
  table.sort(picked, function(a, b) return a.position < b.position end)
  for i, entry in ipairs(picked) do shown[i] = self.runs[entry.position] end
  return shown
end

local function draw(self)
  local columns = text.columns() - 1
  local room = math.max(least_rows, (runtime.system.rows() or usual_rows) - reserved_rows)
  local lines = {}
  for i, run in ipairs(chosen(self, room)) do lines[i] = line_of(self, run, columns) end
  local left = left_of_all(self)
  local summary = totals(self.runs) .. (left and ("   about %s left"):format(numbers.duration(left)) or "")
  lines[#lines + 1] = text.clip(summary, columns)
  local up = self.lines > 0 and ("\27[%dA"):format(self.lines) or ""
  io.stdout:write(up, table.concat(lines, "\27[K\n"), "\27[K\n\27[J")
  io.stdout:flush()
  self.lines, self.drawn = #lines, now()
end

--- What is said of a run where no table is drawn.
local function event(self, run)
  local what = run.state == "running" and (run.saved > 0
      and ("goes on after step %s"):format(numbers.thousands(run.saved)) or "begins")
    or run.state == "finished" and outcome.verdict(run.summary)
    or run.state == "failed" and "failed: " .. first_line(run.problem)
    or "interrupted"
  self.progress:say(("%s   %s"):format(text.visible(run.label), what))
end

--- Something has happened to a run, or nothing for a while.
--- @param run table|nil
function M:update(run)
  if not self.progress.terminal then
    if run then event(self, run) end
  elseif run or now() - self.drawn >= refresh then
    draw(self)
  end
end

--- Counts by state, in words.
function M:totals()
  return totals(self.runs)
end

return M
