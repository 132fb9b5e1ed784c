--- Rows of texts as columns that stand below each other, no wider than a terminal and never touching.
local runtime = require "sm.runtime"
local text = require "sm.text"

local M = {}

local gap <const>, indent <const> = 3, 2
--- Between two columns.
M.gap = gap
local narrowest <const> = 8 -- a column whose words are broken is no narrower than this

--- @return integer|nil how wide the terminal is that standard output is; nil where it is none
function M.terminal()
  return runtime.system.is_terminal(1) and runtime.system.columns() or nil
end

--- Whether a line may not be broken between two words: in brackets, before %, after ±, and, if need not be, before ±.
local function belongs(before, word, need)
  local _, opened = before:gsub("[%(%[]", "")
  local _, closed = before:gsub("[%)%]]", "")
  return opened > closed or word == "%" or before:find "±$" ~= nil or word == "±" and not need
end

--- What a line may be broken between: words with the space before them, and at a comma or slash the parts of one.
--- @param need boolean|nil whether a deviation may stand below its mean
--- @return table array of {space=, word=}
local function pieces_of(cell, need)
  local pieces = {}
  for before, word in cell:gmatch "(%s*)(%S+)" do
    local space, last = before, pieces[#pieces]
    if last and belongs(last.word, word, need) then
      last.word = last.word .. space .. word
    else
      for part in word:gmatch "[^,/]*[,/]*" do
        if part ~= "" then pieces[#pieces + 1], space = { space = space, word = part }, "" end
      end
    end
  end
  return pieces
end

--- The beginning of a word that fits into so many columns, at least one character; the rest.
local function broken(word, columns)
  local taken, last = 0, 0
  for at, code in utf8.codes(word) do
    local next_one = at + #utf8.char(code)
    local wide = text.width(word:sub(at, next_one - 1))
    if taken + wide > columns and last > 0 then break end
    taken, last = taken + wide, next_one - 1
  end
  return word:sub(1, last), word:sub(last + 1)
end

--- A cell as lines of at most so many columns.
local function lines_of(cell, columns)
  if text.width(cell) <= columns then return { cell } end
  local lines, line = {}, ""
  for _, piece in ipairs(pieces_of(cell, true)) do
    if line ~= "" and text.width(line .. piece.space .. piece.word) > columns then
      lines[#lines + 1], line = line, ""
    end
    line = line == "" and piece.word or line .. piece.space .. piece.word
    while text.width(line) > columns do lines[#lines + 1], line = broken(line, columns) end
  end
  if line ~= "" then lines[#lines + 1] = line end
  return lines
end

--- The width of the widest piece of a cell.
local function widest_piece(cell, need)
  local widest = 0
  for _, piece in ipairs(pieces_of(cell, need)) do widest = math.max(widest, text.width(piece.word)) end
  return widest
end

--- The widest cell of each column.
--- @param wide table array of rows of widths
local function whole_widths(wide)
  local whole = {}
  for _, row in ipairs(wide) do
    for i, width in ipairs(row) do whole[i] = math.max(whole[i] or 0, width) end
  end
  return whole
end

--- The widest piece of a cell of each column.
local function least_widths(rows, need)
  local least, known = {}, {}
  for _, row in ipairs(rows) do
    for i, cell in ipairs(row) do
      known[cell] = known[cell] or widest_piece(cell, need)
      least[i] = math.max(least[i] or 0, known[cell])
    end
  end
  return least
end

--- The widths that fit into some room: the widest column is made narrower, again and again.
--- @param least table how narrow each may become
--- @return table|nil nil where they do not fit
local function shrunk(whole, least, room)
  local widths, total = table.move(whole, 1, #whole, 1, {}), 0
  for _, width in ipairs(widths) do total = total + width end
  while total > room do
    local widest
    for i, width in ipairs(widths) do
      if width > least[i] and (not widest or width > widths[widest]) then widest = i end
    end
    if not widest then return nil end
    widths[widest], total = widths[widest] - 1, total - 1
  end
  return widths
end

--- The widths of the columns. Words are broken only where breaking lines between them is not enough, and those on the
--- left before figures.
--- @param wide table array of rows of widths
local function widths_of(rows, wide, left, columns)
  local whole, total = whole_widths(wide), 0
  for _, width in ipairs(whole) do total = total + width end
  local room = columns and columns - indent - gap * (#whole - 1)
  if not room or total <= room then return whole end
  local least, names, narrow = least_widths(rows, false), {}, {}
  local loose = least_widths(rows, true)
  for i, width in ipairs(whole) do
    narrow[i] = math.min(narrowest, width)
    names[i] = i <= left and narrow[i] or loose[i]
  end
  return shrunk(whole, least, room) or shrunk(whole, names, room) or shrunk(whole, narrow, room) or narrow
end

--- A line of cells, with nothing at its end.
local function line_of(cells)
  local line = (" "):rep(indent) .. table.concat(cells, (" "):rep(gap))
  return line:find "%s$" and line:match "^(.-)%s*$" or line
end

--- A row whose cells all have room.
local function plain_line(row, wide, widths, left)
  local parts = {}
  for i, cell in ipairs(row) do
    local space = (" "):rep(widths[i] - wide[i])
    parts[i] = i > left and space .. cell or cell .. space
  end
  return line_of(parts)
end

--- A row that goes on in further lines.
local function add_broken(lines, row, widths, left)
  local cells, height = {}, 1
  for i, cell in ipairs(row) do
    cells[i] = lines_of(cell, widths[i])
    height = math.max(height, #cells[i])
  end
  for at = 1, height do
    local parts = {}
    for i in ipairs(row) do parts[i] = text.padded(cells[i][at] or "", widths[i], i > left) end
    lines[#lines + 1] = line_of(parts)
  end
end

--- Columns that stand below each other; the first ones to the left, figures to the right.
--- @param rows table array of arrays of texts; the first row is the heading
--- @param left integer how many columns are set to the left
--- @param columns integer|nil of the terminal; cells that do not fit go on in further lines. nil: as wide as they are
function M.aligned(rows, left, columns)
  local seen, wide, lines = {}, {}, {}
  for number, row in ipairs(rows) do
    local cells, widths = {}, {}
    for i, cell in ipairs(row) do
      cells[i] = text.visible(cell)
      widths[i] = text.width(cells[i])
    end
    seen[number], wide[number] = cells, widths
  end
  local widths = widths_of(seen, wide, left, columns)
  for number, row in ipairs(seen) do
    local fits = true
    for i, width in ipairs(wide[number]) do fits = fits and width <= widths[i] end
    if fits then
      lines[#lines + 1] = plain_line(row, wide[number], widths, left)
    else
      add_broken(lines, row, widths, left)
    end
  end
  return table.concat(lines, "\n")
end

return M
