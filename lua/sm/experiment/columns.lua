--- Rows of texts as columns that stand below each other, no wider than a terminal and never touching.
local runtime = require "sm.runtime"

local M = {}

local gap <const>, indent <const> = 3, 2
local narrowest <const> = 8 -- a column that is broken into lines is no narrower than this

local short <const> = { ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

--- A text on one line, with what cannot be seen written as in a Lua string.
function M.visible(text)
  if not text:find "[%c\128-\255]" then return text end
  return (text:gsub("[%z\1-\31\127-\255][\128-\191]*", function(part)
    if utf8.len(part) == 1 and (utf8.codepoint(part) >= 0xA0) then return part end
    return (part:gsub(".", function(byte) return short[byte] or ("\\%d"):format(byte:byte()) end))
  end))
end

--- @return integer|nil how wide the terminal is that standard output is; nil where it is none
function M.terminal()
  return runtime.system.is_terminal(1) and runtime.system.columns() or nil
end

local function width(text)
  return utf8.len(text) or #text
end

--- The beginning of a word that fits into so many columns, to the last comma or slash in it if there is one; the rest.
local function broken(word, columns)
  local fitting = word:sub(1, (utf8.offset(word, columns + 1) or #word + 1) - 1)
  local head = fitting:match "^.+[,/]" or fitting
  return head, word:sub(#head + 1)
end

--- A text as lines of at most so many columns, broken at spaces, or within a word that is longer than a line.
local function lines_of(text, columns)
  if width(text) <= columns then return { text } end
  local lines, line = {}, ""
  for space, word in text:gmatch "(%s*)(%S+)" do
    if line ~= "" and width(line .. space .. word) > columns then
      lines[#lines + 1], line, space = line, "", ""
    end
    line = line == "" and word or line .. space .. word
    while width(line) > columns do
      local head, rest = broken(line, columns)
      lines[#lines + 1], line = head, rest
    end
  end
  if line ~= "" then lines[#lines + 1] = line end
  return lines
end

--- A text broken at spaces into lines of at most so many columns.
--- @param columns integer|nil as wide as it is where there is no limit
function M.wrap(text, columns)
  return columns and table.concat(lines_of(text, columns), "\n") or text
end

--- The widest word of each column, which is as narrow as it can be without breaking one.
local function widest_words(rows)
  local widest = {}
  for _, row in ipairs(rows) do
    for i, cell in ipairs(row) do
      widest[i] = widest[i] or 0
      for word in cell:gmatch "%S+" do widest[i] = math.max(widest[i], width(word)) end
    end
  end
  return widest
end

--- Makes the widest column narrower, again and again, until all fit or none may be narrower.
local function shrink(widths, least, room)
  local total = 0
  for _, each in ipairs(widths) do total = total + each end
  while total > room do
    local chosen
    for i, each in ipairs(widths) do
      if each > least[i] and (not chosen or each > widths[chosen]) then chosen = i end
    end
    if not chosen then return false end
    widths[chosen], total = widths[chosen] - 1, total - 1
  end
  return true
end

--- The widths of the columns: what is in them, or less where they would be wider than a line. Words are broken only
--- where breaking lines at spaces is not enough.
local function widths_of(rows, columns)
  local widths, least = {}, {}
  for _, row in ipairs(rows) do
    for i, cell in ipairs(row) do widths[i] = math.max(widths[i] or 0, width(cell)) end
  end
  local room = (columns or math.huge) - indent - gap * (#widths - 1)
  if not shrink(widths, widest_words(rows), room) then
    for i in ipairs(widths) do least[i] = math.min(narrowest, widths[i]) end
    shrink(widths, least, room)
  end
  return widths
end

--- Columns that stand below each other; the first ones to the left, figures to the right.
--- @param rows table array of arrays of texts; the first row is the heading
--- @param left integer how many columns are set to the left
--- @param columns integer|nil of the terminal; cells that do not fit go on in further lines. nil: as wide as they are
function M.aligned(rows, left, columns)
  local seen, lines = {}, {}
  for number, row in ipairs(rows) do
    seen[number] = {}
    for i, cell in ipairs(row) do seen[number][i] = M.visible(cell) end
  end
  local widths = widths_of(seen, columns)
  for _, row in ipairs(seen) do
    local cells, height = {}, 1
    for i, cell in ipairs(row) do
      cells[i] = lines_of(cell, widths[i])
      height = math.max(height, #cells[i])
    end
    for at = 1, height do
      local parts = {}
      for i in ipairs(row) do
        local part = cells[i][at] or ""
        local space = (" "):rep(widths[i] - width(part))
        parts[i] = i <= left and part .. space or space .. part
      end
      lines[#lines + 1] = (" "):rep(indent) .. table.concat(parts, (" "):rep(gap)):match "^(.-)%s*$"
    end
  end
  return table.concat(lines, "\n")
end

return M
