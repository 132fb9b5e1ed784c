--- The table that print(model) shows: each layer's path, what it does, its output's shape and its parameters.
local runtime = require "sm.runtime"
local numbers = require "sm.numbers"
local text = require "sm.text"

local M = {}

local WIDE_GAP <const>, NARROW_GAP <const> = 3, 2 -- spaces between two columns
local NAMES <const>, WORDS <const> = 1, 2          -- columns that give way where the table is too wide
local LEAST <const> = 12                           -- columns of text that these keep

--- How many numbers a layer and all in it learn.
function M.parameter_count(layer)
  local total = 0
  for _, parameter in pairs(layer:parameters()) do total = total + runtime.tensor.count(parameter) end
  return total
end

-- One row per layer: {path, words, output, parameters}; what a container holds stands below it, indented.
local function add_rows(rows, layer, depth)
  local words = layer.kind
  if layer.describe then words = words .. " " .. layer:describe() end
  local count = layer.layers and 0 or M.parameter_count(layer)
  rows[#rows + 1] = {
    ("  "):rep(depth) .. layer.name, words,
    layer.output_shape and text.shape(layer.output_shape, "N") or "",
    count > 0 and numbers.thousands(count) or "",
  }
  for _, inner in ipairs(layer.layers or {}) do add_rows(rows, inner, depth + 1) end
end

local function sum(widths)
  local total = 0
  for _, width in ipairs(widths) do total = total + width end
  return total
end

--- The widths of the columns, and the gap between two, so that the table fits if it can.
local function layout(rows, columns)
  local widths, gap = { 0, 0, 0, 0 }, WIDE_GAP
  for _, row in ipairs(rows) do
    for column, cell in ipairs(row) do widths[column] = math.max(widths[column], text.width(cell)) end
  end
  if sum(widths) + gap * (#widths - 1) > columns then gap = NARROW_GAP end
  for _, column in ipairs { WORDS, NAMES } do
    local excess = sum(widths) + gap * (#widths - 1) - columns
    if excess > 0 then widths[column] = math.max(math.min(LEAST, widths[column]), widths[column] - excess) end
  end
  return widths, gap
end

--- A row as lines: words that do not fit go on in the next.
local function add_lines(lines, row, widths, gap)
  local parts = {}
  for line in (text.wrap(row[WORDS], widths[WORDS], 2) .. "\n"):gmatch "([^\n]*)\n" do parts[#parts + 1] = line end
  for number, words in ipairs(parts) do
    local cells = {}
    for column, cell in ipairs(row) do
      local shown = column == WORDS and words or number == 1 and cell or ""
      if column == NAMES then shown = text.clip(shown, widths[NAMES]) end
      cells[column] = text.padded(shown, widths[column], column == #row)
    end
    lines[#lines + 1] = (table.concat(cells, (" "):rep(gap)):gsub("%s+$", ""))
  end
end

--- The table as a string, without a newline at its end, as wide as the terminal at most.
function M.of(model)
  local built = model.output_shape ~= nil
  local rows = { { "layer", "", "output", "parameters" } }
  if built then
    local dtype = model.input_dtype or runtime.real
    rows[2] = { "input", dtype ~= runtime.real and dtype or "", text.shape(model.input_shape, "N"), "" }
  end
  if model.layers then
    for _, layer in ipairs(model.layers) do add_rows(rows, layer, 0) end
  else
    add_rows(rows, model, 0)
  end
  rows[#rows + 1] = { "total", "", "", built and numbers.thousands(M.parameter_count(model)) or "" }

  local widths, gap = layout(rows, text.columns())
  local rule, lines = ("─"):rep(sum(widths) + gap * (#widths - 1)), {}
  for position, row in ipairs(rows) do
    if position == #rows then lines[#lines + 1] = rule end
    add_lines(lines, row, widths, gap)
    if position == 1 then lines[#lines + 1] = rule end
  end
  if not built then
    lines[#lines + 1] = "not built yet: model:build{…} or the first batch gives shapes and parameters"
  end
  return table.concat(lines, "\n")
end

return M
