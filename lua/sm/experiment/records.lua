--- What run directories say of themselves: found, and read.
local lfs = require "lfs"
local fail = require "sm.fail"
local checkpoint = require "sm.experiment.checkpoint"
local directory = require "sm.experiment.directory"
local json = require "sm.experiment.json"
local metrics = require "sm.experiment.metrics"

local M = {}

local deepest <const> = 8 -- levels of directories that are searched

--- Whether a directory is a run's.
function M.is_run(path)
  for _, name in ipairs { "experiment.lua", "params.json" } do
    if lfs.attributes(path .. "/" .. name, "mode") ~= "file" then return false end
  end
  return true
end

local function sorted_directories(path)
  local names = {}
  for name in lfs.dir(path) do
    local inner = path .. "/" .. name
    if name:sub(1, 1) ~= "." and lfs.symlinkattributes(inner, "mode") == "directory" then
      names[#names + 1] = inner
    end
  end
  table.sort(names)
  return names
end

local function search(path, level, found)
  if M.is_run(path) then
    local place = ("%d %d"):format(lfs.attributes(path, "dev"), lfs.attributes(path, "ino"))
    if not found[place] then
      found[place], found[#found + 1] = true, path
    end
    return 1
  end
  local count = 0
  for _, inner in ipairs(level < deepest and sorted_directories(path) or {}) do
    count = count + search(inner, level + 1, found)
  end
  return count
end

--- The run directories at or below a path.
--- @param found table array of paths: those found here are appended, none is there twice
--- @return integer how many there are here, counting those that were found before
function M.find(path, found)
  return search(path:gsub("(.)/+$", "%1"), 1, found)
end

local function decode(path)
  local text = directory.read(path) or fail("there is no %s", path)
  local ok, value = pcall(json.decode, text)
  if not ok or type(value) ~= "table" then
    fail("%s: expected a JSON object, %s", path, ok and "found something else" or value)
  end
  return value
end

--- Reads a run directory.
--- @return table {path=, name=(of the experiment), source=(its text), values=(of its parameters), defaults=,
---   seed=(nil while it is unknown), environment=, summary=(nil while unfinished), saved=(step of the newest
---   checkpoint, or nil), rows=, columns=(of metrics.csv)}
function M.read(path)
  local params = decode(path .. "/params.json")
  if type(params.values) ~= "table" then fail("%s/params.json: there are no values", path) end
  local summary = directory.summary(path)
  if summary and type(summary.seed) ~= "number" then fail("%s/summary.json: there is no seed", path) end
  local environment = decode(path .. "/environment.json")
  local seed = summary and summary.seed or tonumber(environment.seed or params.values.seed)
  local rows, columns = metrics.rows(path .. "/metrics.csv")
  return {
    path = path,
    name = summary and summary.experiment or (directory.names(path)),
    source = directory.read(path .. "/experiment.lua"),
    values = params.values,
    defaults = type(params.defaults) == "table" and params.defaults or {},
    seed = seed and math.tointeger(seed) or seed,
    environment = environment,
    summary = summary,
    saved = checkpoint.steps(path)[1],
    rows = rows,
    columns = columns,
  }
end

--- Reads several. @return table array of records
--- @return table array of {path=, reason=} for those that cannot be read
function M.read_all(paths)
  local found, left_out = {}, {}
  for _, path in ipairs(paths) do
    local ok, record = pcall(M.read, path)
    if ok then found[#found + 1] = record else left_out[#left_out + 1] = { path = path, reason = record } end
  end
  return found, left_out
end

--- The last figure of a column of metrics.csv. @return number|nil nil where no row has one
function M.last(rows, column)
  for i = #rows, 1, -1 do
    if rows[i][column] then return rows[i][column] end
  end
end

--- When the validation accuracy first reached each of some figures.
--- @param rows table of a record
--- @param accuracies table array of fractions
--- @return table accuracy → {steps=, seconds=(of training)}; nothing where it was not reached
function M.reached(rows, accuracies)
  local reached, last, seconds = {}, 0, 0
  for _, row in ipairs(rows) do
    seconds = seconds + (row.step_ms or 0) * (row.step - last) / 1000
    last = row.step
    for _, accuracy in ipairs(accuracies) do
      if row.validation_accuracy and row.validation_accuracy >= accuracy and not reached[accuracy] then
        reached[accuracy] = { steps = row.step, seconds = seconds }
      end
    end
  end
  return reached
end

return M
