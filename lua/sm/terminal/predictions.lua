--- What a network makes of pictures, as a person reads it, and as a table for other programs.
local percent = require "sm.numbers".percent
local runtime = require "sm.runtime"
local text = require "sm.text"
local usage = require "sm.usage"

local M = {}
M.__index = M

local most_name <const>, most_class <const>, bar <const> = 32, 20, 30 -- columns
local most_bytes <const> = 512 << 20 -- of the table for other programs
local most_shown <const> = 5 -- classes of a picture, where nobody asks for more or fewer
local mark <const> = "×" -- before a picture that is told wrongly

--- @param pictures table array of {name=, truth=}
--- @param options table {csv=(a path, or "-": then it is all that is printed), top=(how many classes, or nil)}
function M.new(pictures, options)
  local self = setmetatable({
    pictures = pictures, csv = options.csv, top = options.top or most_shown, alone = options.csv == "-", cells = {},
    most = options.top or not options.csv and most_shown or nil, -- that are asked for; nil: all
    shown = 0, bytes = 0, right = 0, judged = 0, done = "", name_width = 0,
  }, M)
  for _, one in ipairs(pictures) do self.name_width = math.max(self.name_width, text.width(text.visible(one.name))) end
  self.name_width = math.min(self.name_width, most_name)
  return self
end

local function say(self, words)
  if self.alone then
    io.stderr:write(text.visible(words, "\n"), "\n")
  else
    text.print(words)
  end
end

--- @param about table {kind="probability", "score" or "output", classes=(how many), widest=(columns of the longest
---   name), lines=(what is said before)}
function M:begin(about)
  if self.about then usage.fail "the predictions began twice" end
  self.about, self.class_width = about, math.min(about.widest, most_class)
  self.cells[1] = ("file,%s,%s\n"):format(about.kind == "output" and "position" or "class", about.kind)
  for _, line in ipairs(about.lines) do say(self, line) end
  say(self, "")
end

local function value_text(self, value)
  return self.about.kind == "probability" and ("%9s"):format(percent(value)) or ("%11.4g"):format(value)
end

local function class_text(self, class)
  return text.padded(text.clip(text.visible(class), self.class_width), self.class_width)
end

--- One picture: a line for each class, with a bar.
local function show_one(self, name, rows)
  text.print(name)
  for i = 1, math.min(#rows, self.top) do
    local row = rows[i]
    local share = self.about.kind == "probability" and row.value >= 0 and math.min(row.value, 1) or 0
    local length = math.floor(bar * share + 0.5)
    text.print((("  %s  %s  %s"):format(class_text(self, row.class), value_text(self, row.value), ("█"):rep(length))
      :gsub(" +$", "")))
  end
end

--- One of many: a line for each, with as many classes as fit.
local function show_row(self, name, rows, wrong)
  local line = (wrong and mark or " ") .. " " .. text.padded(text.clip(name, self.name_width), self.name_width)
  for i = 1, math.min(#rows, self.top) do
    local cell = ("  %s%s"):format(class_text(self, rows[i].class), value_text(self, rows[i].value))
    if i > 1 and text.width(line) + text.width(cell) > text.columns() then break end
    line = line .. cell
  end
  text.print(line)
end

--- Shows one picture, the next.
--- @param rows table array of {class=, value=}, best first
--- @param done string what was done to the picture
function M:one(rows, done)
  self.shown = self.shown + 1
  local one = self.pictures[self.shown]
  if not one or not self.about then error("a prediction that nobody asked for", 0) end
  local name, best = text.visible(one.name), rows[1] and rows[1].class
  local wrong = one.truth and best ~= one.truth
  if one.truth then
    self.judged, self.right = self.judged + 1, self.right + (wrong and 0 or 1)
  end
  if done ~= self.done then say(self, ("  %s"):format(done ~= "" and "(" .. done .. ")" or "(as they are)")) end
  self.done = done
  for _, row in ipairs(self.csv and rows or {}) do
    local line = ("%s,%s,%.9g\n"):format(text.csv(one.name), text.csv(row.class), row.value)
    self.cells[#self.cells + 1], self.bytes = line, self.bytes + #line
    if self.bytes > most_bytes then error("the table of predictions is too large; --top N makes it smaller", 0) end
  end
  if self.alone then return end
  if #self.pictures == 1 then show_one(self, name, rows) else show_row(self, name, rows, wrong) end
end

--- After the last one.
function M:finish()
  if self.shown < #self.pictures then
    error(("only %d of %d pictures were predicted"):format(self.shown, #self.pictures), 0)
  end
  if self.judged > 0 then
    say(self, ("\naccuracy %s   %d of %d%s"):format(percent(self.right / self.judged), self.right, self.judged,
      self.right < self.judged and not self.alone and #self.pictures > 1
      and (" (%s is wrong: the directory says another class)"):format(mark) or ""))
  end
  local table_text = self.csv and table.concat(self.cells)
  if self.alone then
    io.stdout:write(text.visible(table_text, "\n\t"))
  elseif self.csv then
    runtime.io.write_durably(self.csv, table_text)
    say(self, "\ntable      " .. self.csv)
  end
  self.finished = true
end

return M
