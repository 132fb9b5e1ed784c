--- Runs one by one, as a table for people and as one for other programs.
local columns_of = require "sm.study.columns"
local numbers = require "sm.numbers"
local outcome = require "sm.experiment.outcome"
local query = require "sm.study.query"
local sorted_keys = require "sm.ordered".sorted_keys
local text = require "sm.text"

local M = {}

local absent <const> = "–"

--- A figure as it stands in a cell: 97.22 %, 0.04123.
local function figure_text(name, value)
  if type(value) ~= "number" then return text.shortest(value) end
  if name:find "accuracy$" then return numbers.percent(value) end
  return math.type(value) == "integer" and ("%d"):format(value) or ("%.4g"):format(value)
end

--- 2026-11-27 21:14, in UTC.
local function date_text(started)
  return started and started:gsub("T", " "):gsub(":%d%dZ$", "") or absent
end

--- The best that is to be said of a run; of one that goes on, what it came to last.
local function result_text(record)
  return outcome.figure(record.summary or record.progress.last) or absent
end

local function steps_text(record)
  local steps = math.tointeger(query.value(record, "steps"))
  return steps and numbers.thousands(steps) or absent
end

local function time_text(record)
  local seconds = record.summary and record.summary.training_seconds
  return seconds and numbers.duration(seconds) or absent
end

--- The columns that every table of runs has: heading, what a run has there, and the name by which it is asked for.
local usual <const> = {
  { "state", function(record) return query.value(record, "state") end, name = "state" },
  { "steps", steps_text, name = "steps" },
  { "result", result_text },
  { "time", time_text },
  { "started", function(record) return date_text(record.started) end, name = "date" },
}

local needs_no_column <const> = { run = true, experiment = true }

--- @param names table array: what is shown of each run besides
local function columns(names)
  local list, asked = {}, {}
  for _, name in ipairs(names) do
    asked[name] = true
    if not needs_no_column[name] and name ~= "date" and name ~= "state" and name ~= "steps" then
      list[#list + 1] = { (name:gsub("_", " ")), function(record)
        local value = query.value(record, name)
        if value == nil then return absent end
        return figure_text(name, value)
      end }
    end
  end
  local shows_figure = #list > 0
  for _, one in ipairs(usual) do
    local is_extra = one[1] == "result" or one[1] == "time" or one[1] == "started" and not asked.date
    if not (shows_figure and is_extra) then list[#list + 1] = one end
  end
  return list
end

--- Where the results of all runs are the same figure, its name goes into the heading: "test accuracy", "97.22 %".
local function share_name(rows, column)
  local shared
  for number = 2, #rows do
    local name = rows[number][column]:match "^(%a[%a ]*) %S+ ?%%?$"
    if rows[number][column] ~= absent then
      if not name or shared and name ~= shared then return end
      shared = name
    end
  end
  if not shared then return end
  rows[1][column] = shared
  for number = 2, #rows do
    local cell = rows[number][column]
    rows[number][column] = cell == absent and cell or cell:sub(#shared + 2)
  end
end

--- The columns that a table takes.
local function width_of(rows)
  local widest, total = {}, 0
  for _, row in ipairs(rows) do
    for i, cell in ipairs(row) do widest[i] = math.max(widest[i] or 0, text.width(cell)) end
  end
  for _, width in ipairs(widest) do total = total + width + columns_of.gap end
  return total
end

--- Takes columns off the right that a terminal has no room for: when a run was started, how long it took.
local function narrow(rows, list, width)
  while (list[#list][1] == "started" or list[#list][1] == "time") and width_of(rows) > width do
    for _, row in ipairs(rows) do row[#list + 1] = nil end
    list[#list] = nil
  end
end

--- The table, for people.
--- @param found table array of records
--- @param names table array of names that a question has: shown, too
--- @param width integer|nil of the terminal; nil: a line for each run, as wide as it is
function M.text(found, names, width)
  local list, heading = columns(names), { "run" }
  for i, column in ipairs(list) do heading[i + 1] = column[1] end
  local rows = { heading }
  for number, record in ipairs(found) do
    local row = { record.path }
    for i, column in ipairs(list) do row[i + 1] = column[2](record) end
    rows[number + 1] = row
  end
  for i, column in ipairs(list) do
    if column[1] == "result" then share_name(rows, i + 1) end
  end
  if width then narrow(rows, list, width) end
  return columns_of.aligned(rows, 1, width)
end

local first_in_csv <const> = { "run", "experiment", "seed", "state", "steps", "date" }

--- What any run has of one kind, as columns: parameters, figures of summary.json.
local function add_names(header, readers, found, of)
  local names = {}
  for _, record in ipairs(found) do
    for name, value in pairs(record[of] or {}) do
      if type(value) ~= "table" and type(value) ~= "function" then names[name] = true end
    end
  end
  for _, name in ipairs(sorted_keys(names)) do
    local taken = header[name]
    local heading = taken and (of == "values" and "param." or "summary.") .. name or name
    header[heading], header[#header + 1] = true, heading
    readers[#readers + 1] = function(record)
      local value = record[of] and record[of][name]
      if type(value) == "table" or type(value) == "function" then return nil end
      return value
    end
  end
end

--- One row per run: what it is, all its parameters, all figures of its summary.json.
--- @return string
function M.csv(found)
  local header, readers = {}, {}
  for i, name in ipairs(first_in_csv) do
    header[i], header[name] = name, true
    readers[i] = function(record) return query.value(record, name) end
  end
  add_names(header, readers, found, "values")
  for _, name in ipairs { "experiment", "seed", "steps" } do header["summary." .. name] = true end
  add_names(header, readers, found, "summary")
  local lines = { "" }
  for number, record in ipairs(found) do
    local cells = {}
    for i, reader in ipairs(readers) do
      local value = reader(record)
      cells[i] = value == nil and "" or text.csv(text.shortest(value))
    end
    lines[number + 1] = table.concat(cells, ",") .. "\n"
  end
  local names = {}
  for i, name in ipairs(header) do names[i] = text.csv(name) end
  lines[1] = table.concat(names, ",") .. "\n"
  return table.concat(lines)
end

return M
