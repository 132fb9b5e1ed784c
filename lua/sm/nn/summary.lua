--- The table that print(model) shows: each layer's path, what it does, its output's shape and its parameters.
local runtime = require "sm.runtime"
local numbers = require "sm.numbers"

local M = {}

local COLUMN_GAP = "   "

local function batch_of(shape)
  return "{" .. table.concat({ "N", table.unpack(shape) }, ", ") .. "}"
end

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
    layer.output_shape and batch_of(layer.output_shape) or "",
    count > 0 and numbers.thousands(count) or "",
  }
  for _, inner in ipairs(layer.layers or {}) do add_rows(rows, inner, depth + 1) end
end

local function padded(text, width, right)
  local gap = (" "):rep(width - utf8.len(text))
  return right and gap .. text or text .. gap
end

--- The table as a string, without a newline at its end.
function M.of(model)
  local built = model.output_shape ~= nil
  local rows = { { "layer", "", "output", "parameters" } }
  if built then rows[2] = { "input", "", batch_of(model.input_shape), "" } end
  if model.layers then
    for _, layer in ipairs(model.layers) do add_rows(rows, layer, 0) end
  else
    add_rows(rows, model, 0)
  end
  rows[#rows + 1] = { "total", "", "", built and numbers.thousands(M.parameter_count(model)) or "" }

  local widths = { 0, 0, 0, 0 }
  for _, row in ipairs(rows) do
    for column, text in ipairs(row) do widths[column] = math.max(widths[column], utf8.len(text)) end
  end
  local width = #COLUMN_GAP * 3
  for _, column in ipairs(widths) do width = width + column end

  local rule, lines = ("─"):rep(width), {}
  for position, row in ipairs(rows) do
    local cells = {}
    for column, text in ipairs(row) do cells[column] = padded(text, widths[column], column == #row) end
    if position == #rows then lines[#lines + 1] = rule end
    lines[#lines + 1] = (table.concat(cells, COLUMN_GAP):gsub("%s+$", ""))
    if position == 1 then lines[#lines + 1] = rule end
  end
  if not built then
    lines[#lines + 1] = "not built yet: model:build{…} or the first batch gives shapes and parameters"
  end
  return table.concat(lines, "\n")
end

return M
