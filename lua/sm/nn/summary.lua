--- The table that print(model) shows: each layer's path, what it does, its output's shape and its parameters.
local runtime = require "sm.runtime"
local numbers = require "sm.numbers"
local shapes = require "sm.shapes"
local text = require "sm.text"
local tree = require "sm.nn.tree"

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

-- How many numbers a layer learns itself, without the layers in it.
local function own_count(layer)
  local total = 0
  for _, entry in ipairs(layer.own or {}) do
    local _, map, _, value = table.unpack(entry)
    if map == "parameter_map" then total = total + runtime.tensor.count(value) end
  end
  return total
end

-- One row per layer: {path, words, output, parameters}; what a container holds stands below it, indented. A layer that
-- stood above is named, and nothing more.
-- @param seen table layer → its path above
local function add_rows(rows, layer, name, path, depth, seen)
  local words, shown = layer.kind, ("  "):rep(depth) .. name
  if seen[layer] then
    rows[#rows + 1] = { shown, ("%s, the same as %s"):format(words, seen[layer]), "", "" }
    return
  end
  seen[layer] = path
  if layer.describe then words = words .. " " .. layer:describe() end
  local count = own_count(layer)
  rows[#rows + 1] = {
    shown, words, layer.output_shape and shapes.text(layer.output_shape, "N") or "",
    count > 0 and numbers.thousands(count) or "",
  }
  for position, inner in ipairs(layer.layers or {}) do
    local own = layer.names[position]
    add_rows(rows, inner, own, tree.join(path, own), depth + 1, seen)
  end
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
  local built, seen = model.output_shape ~= nil, {}
  local rows = { { "layer", "", "output", "parameters" } }
  if built then
    local dtype = shapes.types_text(model.input_dtype or runtime.real)
    rows[2] = { "input", dtype ~= runtime.real and dtype or "", shapes.text(model.input_shape, "N"), "" }
  end
  if model.layers and own_count(model) == 0 then
    for position, layer in ipairs(model.layers) do
      add_rows(rows, layer, model.names[position], tree.join(model.path, model.names[position]), 0, seen)
    end
  else
    add_rows(rows, model, model.name, model.path, 0, seen)
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
