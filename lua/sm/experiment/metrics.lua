--- metrics.csv: one row every `log` steps and at every evaluation; empty cells where there is nothing.
--- Every run's file begins with the same columns; those that its optimizer and its views add come after them.
local check = require "sm.check"
local column_words = require "sm.columns"
local brief = require "sm.text".brief
local fail = require "sm.fail"
local median = require "sm.numbers".median
local directory = require "sm.experiment.directory"

local M = {}
M.__index = M

local first_columns <const> = column_words.define { exact = true,
  { "step", words = "how many steps of the optimizer were made" },
  { "epoch", words = "which pass over the training data it is" },
  { "train_loss", words = "what is made small: the mean over the steps since the point before, on the batches and with "
    .. "the noise of training" },
  { "train_accuracy", words = "the share of examples that were right in the steps since the point before, with the "
    .. "noise of training" },
  { "validation_loss", words = "the same on data that is not trained on, at each evaluation" },
  { "validation_accuracy", words = "the share that is right of data that is not trained on, at each evaluation" },
  { "lr", heading = "Optimizer", title = "learning rate", words = "how large a step is, or may be" },
  { "step_ms", heading = "Other", title = "milliseconds per step",
    words = "the time of a step: the mean since the point before, without evaluations" },
}
local most_steps <const> = 2 ^ 53 -- which every reader of the file can count
local most_line <const> = 1 << 20 -- bytes: some ten thousand columns
local first_header <const> = table.concat(first_columns, ",")

local function cell(value)
  if value == nil then return "" end
  return math.type(value) == "integer" and ("%d"):format(value) or ("%.9g"):format(value)
end

--- The cells of a line, as text.
local function split(line)
  local cells = {}
  for text in (line .. ","):gmatch "([^,]*)," do cells[#cells + 1] = text end
  return cells
end

local function content(path)
  return directory.read(path) or fail("there is no %s", path)
end

--- @param text string|nil the file's content, where it is known
--- @return table the file's columns
--- @return string what follows the header
local function read(path, text)
  text = text or content(path)
  local header = text:sub(1, math.min(text:find("\n", 1, true) or 0, most_line + 1))
  if #header > most_line then fail("%s, line 1: expected a header of at most %d bytes", path, most_line) end
  if header:sub(1, -2) ~= first_header and header:sub(1, #first_header + 1) ~= first_header .. "," then
    fail("%s: expected a header that begins with '%s'", path, first_header)
  end
  return split(header:sub(1, -2)), text:sub(#header + 1)
end

--- The complete rows before the first that is later than a step, as they stand; a row that a crash cut short has no
--- line end.
local function rows_until(body, last_step)
  local kept = {}
  for line in body:gmatch "([^\n]*)\n" do
    local step = tonumber(line:match "^%d+")
    if step and step > last_step then break end
    kept[#kept + 1] = line .. "\n"
  end
  return table.concat(kept)
end

--- The columns of a new file: those that every run has, then those that are declared, each of a name of its own.
--- @param declared table array of {owner= who adds them, in words; names}
--- @return table
function M.columns(declared)
  local columns, owners = { table.unpack(first_columns) }, {}
  for _, name in ipairs(first_columns) do owners[name] = "every run" end
  for _, names in ipairs(declared) do
    for _, name in ipairs(names) do
      if type(name) ~= "string" or not name:find "^[%w_.-]+$" then
        fail("the name of a column of %s must be letters, digits, _ . and -, got %s", names.owner, check.describe(name))
      elseif owners[name] then
        fail("%s cannot have the column '%s' in metrics.csv: %s has it", names.owner, name, owners[name])
      end
      owners[name], columns[#columns + 1] = names.owner, name
    end
  end
  return columns
end

--- Opens the file for further rows. One that goes on keeps the columns that it began with.
--- @param columns table as columns() gives them
--- @param last_step integer|nil keep the rows up to this step; nil starts the file anew
function M.open(path, columns, last_step)
  local rows = ""
  if last_step then
    local kept, body = read(path)
    columns, rows = kept, rows_until(body, last_step)
    M.rows(path, table.concat(columns, ",") .. "\n" .. rows) -- raises where one is wrong
  end
  local file = directory.begin(path, table.concat(columns, ",") .. "\n" .. rows)
  return setmetatable({ path = path, file = file, columns = columns }, M)
end

--- Adds those columns that the file does not have yet, behind the others; rows that are there have nothing in them.
--- @param names table array
function M:add_columns(names)
  local known, added = {}, {}
  for _, name in ipairs(self.columns) do known[name] = true end
  for _, name in ipairs(names) do
    if not known[name] then added[#added + 1] = name end
  end
  if #added == 0 then return end
  local columns, body = read(self.path)
  table.move(added, 1, #added, #columns + 1, columns)
  local file = directory.begin(self.path,
    table.concat(columns, ",") .. "\n" .. body:gsub("\n", (","):rep(#added) .. "\n"))
  self.file:close()
  self.columns, self.file = columns, file
end

--- Appends one row; the keys of `row` are the columns' names.
function M:write(row)
  local cells = {}
  for i, column in ipairs(self.columns) do cells[i] = cell(row[column]) end
  local written, reason = self.file:write(table.concat(cells, ",") .. "\n")
  if not written then fail("%s", reason) end
end

--- Every row is on the disk when this returns: a checkpoint has its rows.
function M:sync()
  local synced, reason = self.file:sync()
  if not synced then fail("%s", reason) end
end

--- @return boolean|nil true; nil where the system refuses, and the reason
--- @return string|nil
function M:close()
  return self.file:close()
end

local no_number <const> = { inf = true, ["-inf"] = true, nan = true, ["-nan"] = true } -- as %.9g writes them

local highest <const> = { -- of what is never below 0
  epoch = math.huge, train_accuracy = 1, validation_accuracy = 1, step_ms = math.huge,
}

--- What is wrong with the figure of a column; nil where nothing is.
local function out_of_range(column, value)
  local most = highest[column]
  if not most or value >= 0 and value <= most then return nil end
  return ("'%s' must be a number %s, got '%s'"):format(column, most == 1 and "from 0 to 1" or "of at least 0",
    cell(value))
end

--- One row of a file: a table from column to number. A cell that is empty, or says that there was no finite number, has
--- no figure.
--- @return string|nil what is wrong with it
local function read_row(line, columns, row)
  local position = 0
  for text in (line .. ","):gmatch "([^,]*)," do
    position = position + 1
    if position > #columns then
      return ("expected %d cells, got %d"):format(#columns, select(2, line:gsub(",", ",")) + 1)
    end
    local value = tonumber(text)
    if value and value - value == 0 then
      local column = columns[position]
      row[column] = value
      local wrong = out_of_range(column, value)
      if wrong then return wrong end
    elseif text ~= "" and not no_number[text] then
      return ("'%s' must be a number or nothing, got '%s'"):format(brief(columns[position]), brief(text))
    end
  end
  if position < #columns then return ("expected %d cells, got %d"):format(#columns, position) end
end

local function check_names(path, columns)
  local seen = {}
  for _, name in ipairs(columns) do
    if seen[name] then fail("%s: two columns are called '%s'", path, brief(name)) end
    seen[name] = true
  end
end

--- The complete rows of a file: tables from column to number, without what has no figure. Each has a step, greater
--- than that of the row before.
--- @param text string|nil the file's content, where it is known
--- @return table
--- @return table the columns, in the file's order
function M.rows(path, text)
  local rows, last, columns, body = {}, -1, read(path, text)
  check_names(path, columns)
  for first, stop in body:gmatch "()[^\n]*()\n" do
    local line, row = body:sub(first, math.min(stop - 1, first + most_line)), {}
    local wrong = #line > most_line and ("expected at most %d bytes"):format(most_line) or read_row(line, columns, row)
    if not wrong and (math.type(row.step) ~= "integer" or row.step <= last or row.step > most_steps) then
      wrong = ("'step' must be a whole number %s and at most 2^53, got '%s'"):format(
        last < 0 and "of at least 0" or "above " .. last, brief(line:match "^[^,]*"))
    end
    if wrong then fail("%s, line %d: %s", path, #rows + 2, wrong) end
    last, rows[#rows + 1] = row.step, row
  end
  return rows, columns
end

--- The median over the rows of one column, or nil where no row has a figure.
function M.median(path, column)
  local values = {}
  for _, row in ipairs(M.rows(path)) do values[#values + 1] = row[column] end
  return median(values)
end

return M
