--- A data set of numbers, and words that name classes, in a table of text.
-- @module sm.data.csv
local runtime = require "sm.runtime"
local check = require "sm.check"
local fail = require "sm.fail"
local files = require "sm.data.files"
local lines = require "sm.data.lines"
local reading = require "sm.data.reading"
local sorted_keys = require "sm.ordered".sorted_keys
local tensor = require "sm.tensor"
local transform = require "sm.data.transform"
local brief = require "sm.text".brief

local M = {}

local COLUMN <const> = { "string", "integer", "table" }
local OPTIONS <const> = check.spec("data.csv", {
  file = { type = "string", required = true, doc = "the table of training examples, a row each" },
  test_file = { type = "string", doc = "the table of test examples, with the same columns" },
  target = { type = COLUMN, required = true,
    doc = "the column of the target, or a list of columns; by name, or by position from 1" },
  inputs = { type = "table", doc = "the columns of the inputs; by default all others" },
  header = { type = "boolean", default = true, doc = "whether the first line names the columns" },
  separator = { type = "string", default = ",", doc = "what stands between cells: one character" },
  standardise = { type = "boolean", default = false,
    doc = "whether inputs get mean 0 and deviation 1, measured on the training examples" },
  validation = files.VALIDATION, transform = transform.option "data.csv",
  classes = { type = "integer", min = 1, doc = "says that the target is labels, also where it is numbers: so many" },
  name = { type = "string", default = "csv", doc = "what the data set is called" },
})

--- The rows of a file, {cells, line=}, and the names of its columns; names are nil without a header.
local function read(path, options)
  local rows, names = {}, nil
  lines.each(path, reading.text(path), options.separator, function(cells, line)
    if options.header and not names then
      names = cells
    else
      cells.line = line
      rows[#rows + 1] = cells
    end
  end)
  while #rows > 0 and #rows[#rows] == 1 and rows[#rows][1] == "" do rows[#rows] = nil end -- empty lines at the end
  if #rows == 0 then fail("%s: there are no rows%s", path, names and " below the header" or "") end
  local width = #(names or rows[1])
  for _, row in ipairs(rows) do
    if #row ~= width then fail("%s, line %d: expected %d cells, got %d", path, row.line, width, #row) end
  end
  local seen = {}
  for position, name in ipairs(names or {}) do
    if seen[name] then
      fail("%s: columns %d and %d are both called '%s'", path, seen[name], position, brief(name))
    end
    seen[name] = position
  end
  return rows, names, width
end

--- The position of a column that an option names.
local function position_of(path, option, column, names, width)
  if math.type(column) == "integer" then
    if column >= 1 and column <= width then return column end
    fail("data.csv: option '%s': %s has columns 1 to %d, got %d", option, path, width, column)
  elseif type(column) ~= "string" then
    fail("data.csv: option '%s' takes names or positions of columns, got %s", option, check.describe(column))
  end
  for position, name in ipairs(names or {}) do
    if name == column then return position end
  end
  fail("data.csv: option '%s': %s has no column '%s'%s", option, path, column,
    names and check.suggest(column, names) or ", for header = false; columns are positions then")
end

--- The positions of the columns that an option names: one, or a list.
local function positions_of(path, option, given, names, width)
  if type(given) ~= "table" then return { position_of(path, option, given, names, width) } end
  check.plain(("data.csv: option '%s'"):format(option), given)
  local positions = {}
  for i = 1, rawlen(given) do positions[i] = position_of(path, option, rawget(given, i), names, width) end
  if #positions == 0 then fail("data.csv: option '%s' names no columns", option) end
  return positions
end

--- Where a cell stands, for messages.
local function place(path, row, names, position)
  local column = names and ("'%s'"):format(brief(names[position])) or position
  return ("%s, line %d, column %s"):format(path, row.line, column)
end

--- The numbers of some columns, {rows, columns}.
local function numbers_of(path, rows, names, positions)
  local list = {}
  for _, row in ipairs(rows) do
    for _, position in ipairs(positions) do
      local number = tonumber(row[position])
      if not number then
        fail("%s: expected a number, got %s", place(path, row, names, position),
          row[position]:find "%S" and ("'%s'"):format(brief(row[position])) or "an empty cell")
      end
      list[#list + 1] = number + 0.0
    end
  end
  local x = tensor.tensor(list)
  if not runtime.math.is_finite(x) then
    for i, number in ipairs(list) do
      local kept = runtime.math.rounded(number)
      if kept - kept ~= 0 then
        local row, position = rows[(i - 1) // #positions + 1], positions[(i - 1) % #positions + 1]
        fail("%s: %s is too large for %s", place(path, row, names, position), brief(row[position]), runtime.real)
      end
    end
  end
  return runtime.tensor.reshape(x, { #rows, #positions })
end

--- Whether a column is one of words. Words among numbers are a mistake, unless `classes` says that they are names, too.
local function is_of_words(path, rows, names, position, classes)
  local word, number
  for _, row in ipairs(rows) do
    if tonumber(row[position]) then number = true else word = word or row[position]:find "%S" and row end
  end
  if word and number and not classes then
    fail("%s: '%s' is a word among numbers; if all of the column are names of classes, option 'classes' says how many",
      place(path, word, names, position), brief(word[position]))
  end
  return word ~= nil
end

--- The words of a column, sorted.
local function words_of(rows, position)
  local seen = {}
  for _, row in ipairs(rows) do seen[row[position]] = true end
  return sorted_keys(seen)
end

--- Labels of a column of words.
-- @param classes the words in the order of their labels
local function word_labels(path, rows, names, position, classes)
  local label, list = {}, {}
  for i, word in ipairs(classes) do label[word] = i - 1 end
  for i, row in ipairs(rows) do
    local word = row[position]
    if word == "" then fail("%s: expected a class, got an empty cell", place(path, row, names, position)) end
    list[i] = label[word] or fail("%s: '%s' is a class that the training examples have not%s",
      place(path, row, names, position), brief(word), check.suggest(word, classes))
  end
  return tensor.tensor(list, "int32")
end

--- Labels of a column of numbers.
local function number_labels(path, rows, names, position)
  local list = {}
  for i, row in ipairs(rows) do
    list[i] = math.tointeger(tonumber(row[position])) or fail("%s: expected a label, a whole number, got '%s'",
      place(path, row, names, position), brief(row[position]))
  end
  return tensor.tensor(list, "int32")
end

--- Mean and deviation of every column over some rows; a column of one value only gets the deviation 1.
local function moments(rows)
  local mean = rows:mean(1)
  local deviation = ((rows - mean) ^ 2):mean(1):sqrt()
  return mean, deviation + deviation:eq(0):to(deviation.dtype)
end

--- data.csv { file = PATH, target = "column" }: a row is an example, its inputs numbers {columns}. A target of words
-- becomes labels, and its words, sorted, class_names; one of numbers is real {columns of the target}, or labels where
-- `classes` says so. An empty cell, or a word among numbers, is an error that names line and column. set.columns names
-- the inputs; with `standardise` set.mean and set.deviation are what they were before.
function M.csv(given)
  local options = check.options("data.csv", given, OPTIONS)
  if #options.separator ~= 1 or options.separator:find '["\r\n%w]' then
    fail("data.csv: option 'separator' must be one character that is in no cell, such as \",\" or \";\", got %s",
      check.describe(options.separator))
  end
  local rows, names, width = read(options.file, options)
  local targets = positions_of(options.file, "target", options.target, names, width)
  local inputs = {}
  if options.inputs then
    inputs = positions_of(options.file, "inputs", options.inputs, names, width)
  else
    local taken = {}
    for _, position in ipairs(targets) do taken[position] = true end
    for position = 1, width do
      if not taken[position] then inputs[#inputs + 1] = position end
    end
    if #inputs == 0 then fail("data.csv: %s has no columns but the target's", options.file) end
  end
  local words = #targets == 1 and is_of_words(options.file, rows, names, targets[1], options.classes)
  local classes = words and words_of(rows, targets[1]) or nil
  if options.classes and #targets > 1 then fail "data.csv: option 'classes' goes with one column of labels" end
  if options.classes and classes and #classes ~= options.classes then
    fail("data.csv: %s has %d classes, and option 'classes' says %d", options.file, #classes, options.classes)
  end

  local function targets_of(path, own)
    if classes then return word_labels(path, own, names, targets[1], classes) end
    if options.classes then return number_labels(path, own, names, targets[1]) end
    return numbers_of(path, own, names, targets)
  end

  local parts = { name = options.name, validation = options.validation, classes = options.classes,
    class_names = classes, inputs = numbers_of(options.file, rows, names, inputs),
    targets = targets_of(options.file, rows), transform = options.transform }
  if options.test_file then
    local test, test_names, test_width = read(options.test_file, options)
    for position = 1, math.max(width, test_width) do
      if names and names[position] ~= test_names[position] or position > width or position > test_width then
        fail("%s and %s have other columns, from column %d on", options.file, options.test_file, position)
      end
    end
    parts.test_inputs = numbers_of(options.test_file, test, names, inputs)
    parts.test_targets = targets_of(options.test_file, test)
  end
  local mean, deviation
  if options.standardise then
    mean, deviation = moments(parts.inputs:slice(math.min(options.validation + 1, #rows))) -- the first are validation
    parts.inputs = (parts.inputs - mean) / deviation
    parts.test_inputs = parts.test_inputs and (parts.test_inputs - mean) / deviation
  end
  local set = files.of_tensors("data.csv", parts, function(option)
    return option:find "^test" and options.test_file or options.file
  end)
  set.columns, set.mean, set.deviation = {}, mean, deviation
  for i, position in ipairs(inputs) do set.columns[i] = names and names[position] or position end
  return set
end

return M
