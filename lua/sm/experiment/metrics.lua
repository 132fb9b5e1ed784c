--- metrics.csv: one row every `log` steps and at every evaluation; empty cells where there is nothing.
local runtime = require "sm.runtime"
local fail = require "sm.fail"
local statistics = require "sm.experiment.statistics"

local M = {}
M.__index = M

M.columns = {
  "step", "epoch", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "lr", "step_ms",
}
local header = table.concat(M.columns, ",") .. "\n"

local function cell(value)
  if value == nil then return "" end
  return math.type(value) == "integer" and ("%d"):format(value) or ("%.9g"):format(value)
end

--- The complete rows of the text up to a step, as they stand; a row that a crash cut short has no line end.
local function rows_until(text, last_step)
  local kept = {}
  for line in text:sub(#header + 1):gmatch "([^\n]*)\n" do
    local step = tonumber(line:match "^%d+")
    if step and step <= last_step then kept[#kept + 1] = line .. "\n" end
  end
  return table.concat(kept)
end

local function read(path)
  local file, reason = io.open(path, "rb")
  if not file then fail("%s", reason) end
  local text <const> = file:read "a"
  file:close()
  if text:sub(1, #header) ~= header then
    fail("%s: expected the header '%s'", path, header:sub(1, -2))
  end
  return text
end

--- Opens the file for further rows.
--- @param last_step integer|nil keep the rows up to this step; nil starts the file anew
function M.open(path, last_step)
  local text = header
  if last_step then text = header .. rows_until(read(path), last_step) end
  runtime.io.write_durably(path, text)
  local file, reason = io.open(path, "ab")
  if not file then fail("%s", reason) end
  return setmetatable({ path = path, file = file }, M)
end

--- Appends one row; the keys of `row` are the columns' names.
function M:write(row)
  local cells = {}
  for i, column in ipairs(M.columns) do cells[i] = cell(row[column]) end
  local written, reason = self.file:write(table.concat(cells, ","), "\n")
  if written then written, reason = self.file:flush() end
  if not written then fail("%s: %s", self.path, reason) end
end

function M:close()
  self.file:close()
end

--- The complete rows of a file: tables from column to number, without what has no figure.
function M.rows(path)
  local rows = {}
  for line in read(path):sub(#header + 1):gmatch "([^\n]*)\n" do
    local row, position = {}, 0
    for text in (line .. ","):gmatch "([^,]*)," do
      position = position + 1
      row[M.columns[position] or position] = tonumber(text)
    end
    rows[#rows + 1] = row
  end
  return rows
end

--- The median over the rows of one column, or nil where no row has a figure.
function M.median(path, column)
  local values = {}
  for _, row in ipairs(M.rows(path)) do values[#values + 1] = row[column] end
  return statistics.median(values)
end

return M
