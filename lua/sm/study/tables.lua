--- A comparison as tables: for people, and for other programs.
local numbers = require "sm.numbers"
local columns_of = require "sm.study.columns"
local milestones = require "sm.study.milestones"
local text = require "sm.text"

local M = {}

local absent <const> = "–"

local function is_accuracy(key)
  return key:find "accuracy$" ~= nil
end

local function in_words(key)
  return (key:gsub("_", " "))
end

--- 99.12 ± 0.05 %
--- @param figure table|nil {mean=, deviation=(or nil)}
--- @param key string what it is a figure of
function M.spread(figure, key)
  if not figure then return absent end
  local deviation = figure.deviation
  if is_accuracy(key) then
    return deviation and ("%.2f ± %.2f %%"):format(100 * figure.mean, 100 * deviation)
      or numbers.percent(figure.mean)
  end
  return deviation and ("%.4g ± %.2g"):format(figure.mean, deviation) or ("%.4g"):format(figure.mean)
end

local function heading_of(comparison)
  if #comparison.columns == 0 then return { "experiment" } end
  local heading = {}
  for i, name in ipairs(comparison.columns) do heading[i] = name:gsub("^=", "") end
  return heading
end

local function names_of(comparison, setting)
  if #comparison.columns == 0 then return { setting.traits.experiment } end
  local cells = {}
  for i, name in ipairs(comparison.columns) do cells[i] = setting.traits[name] or absent end
  return cells
end

local function any(comparison, key)
  for _, setting in ipairs(comparison.settings) do
    if setting.figures[key] then return true end
  end
  return false
end

--- Accuracies where there are some, else losses; after the figure that was asked for. Runs without have their own.
local function outcomes(comparison)
  local keys = { comparison.figure }
  for _, split in ipairs { "test", "validation" } do
    local accuracy, loss = split .. "_accuracy", split .. "_loss"
    local key = any(comparison, accuracy) and accuracy or any(comparison, loss) and loss or nil
    if key ~= comparison.figure then keys[#keys + 1] = key end
  end
  return table.move(comparison.own, 1, #comparison.own, #keys + 1, keys)
end

local function seeds_text(setting)
  return ("%d"):format(#setting.seeds)
end

local function what_came_out(comparison)
  local keys, heading = outcomes(comparison), heading_of(comparison)
  local left = #heading
  heading[#heading + 1] = "seeds"
  for _, key in ipairs(keys) do heading[#heading + 1] = in_words(key) end
  heading[#heading + 1] = "step"
  local rows = { heading }
  for _, setting in ipairs(comparison.settings) do
    local row = names_of(comparison, setting)
    row[#row + 1] = seeds_text(setting)
    for _, key in ipairs(keys) do row[#row + 1] = M.spread(setting.figures[key], key) end
    row[#row + 1] = setting.step_ms and numbers.milliseconds(setting.step_ms) or absent
    row.setting = setting
    rows[#rows + 1] = row
  end
  return {
    title = "Mean ± standard deviation over seeds; the median time of a step",
    heading = true, rows = rows, left = left,
  }
end

--- 1,600 steps, 41 s (4 of 5)
local function time_text(time, setting)
  local count = time.steps and time.steps.count or 0
  local seconds = count > 0 and time.seconds.mean
  local reached = count == 0 and absent or ("%s steps, %s"):format(
    numbers.thousands(math.floor(time.steps.mean + 0.5)),
    seconds < 0.1 and numbers.milliseconds(1000 * seconds) or numbers.duration(seconds))
  return ("%s (%d of %d)"):format(reached, count, #setting.seeds)
end

--- 99.2 %
local function milestone_text(accuracy)
  return ("%.4g %%"):format(100 * accuracy)
end

local function how_fast(comparison)
  local heading = heading_of(comparison)
  local left = #heading
  for _, milestone in ipairs(comparison.milestones) do heading[#heading + 1] = milestone_text(milestone) end
  local rows = { heading }
  for _, setting in ipairs(comparison.settings) do
    local row = names_of(comparison, setting)
    row.setting, row.steps = setting, {}
    for _, milestone in ipairs(comparison.milestones) do
      local time = setting.times[milestone]
      row[#row + 1] = time_text(time, setting)
      row.steps[#row] = time.steps and math.floor(time.steps.mean + 0.5)
    end
    rows[#rows + 1] = row
  end
  return {
    title = "Steps and seconds of training until the validation accuracy first reached a figure",
    note = "mean over the seeds that did, and how many did",
    heading = true, rows = rows, left = left,
  }
end

local methods = {
  paired = "paired bootstrap over seeds, 10,000 resamples, widened for few seeds",
  welch = "Welch's t over seeds, since the seeds are not the same",
}

local function signed(key, number)
  if is_accuracy(key) then return ("%+.3f"):format(100 * number) end
  return ("%+.4g"):format(number)
end

local undecided <const> = "not told apart"

--- Only an interval on one side of nothing tells two settings apart.
local function judgement(result)
  if result.reason then return undecided end
  if result.low > 0 then return "higher" end
  return result.high < 0 and "lower" or undecided
end

local function interval_text(key, result)
  if result.reason then return result.reason .. ": no claim can be made" end
  return ("[%s, %s]  %s"):format(signed(key, result.low), signed(key, result.high), judgement(result))
end

--- What tells a setting from another, or from all: groups=4,lr=0.01.
--- @param columns table names of what differs
--- @param other table|nil setting
function M.label(columns, setting, other)
  local parts = {}
  for _, name in ipairs(columns) do
    local value = setting.traits[name] or absent
    if not other or value ~= (other.traits[name] or absent) then
      parts[#parts + 1] = text.visible(name:gsub("^=", "") .. "=" .. value)
    end
  end
  return table.concat(parts, ",")
end

--- What two settings have in common of what differs elsewhere: " (both lr=0.01)".
local function common(columns, setting, other)
  local parts = {}
  for _, name in ipairs(columns) do
    local value = setting.traits[name]
    if value and value == other.traits[name] then parts[#parts + 1] = name:gsub("^=", "") .. "=" .. value end
  end
  return #parts > 0 and (" (both %s)"):format(table.concat(parts, ",")) or ""
end

--- What an interval promises.
local function promise(comparison)
  local count = #comparison.differences
  return count == 1 and "95 % interval"
    or ("95 %% intervals for %d comparisons together, by Bonferroni's rule"):format(count)
end

--- The differences found by one method, under a heading that says which; those without interval apart.
local function differences_by(comparison, method)
  local key, rows = comparison.measure, {}
  for _, result in ipairs(comparison.differences) do
    if result.method == method then
      rows[#rows + 1] = {
        M.label(comparison.columns, result.setting, result.other), "against",
        M.label(comparison.columns, result.other, result.setting)
          .. common(comparison.columns, result.setting, result.other), signed(key, result.difference),
        interval_text(key, result),
      }
    end
  end
  if #rows == 0 then return nil end
  local unit = is_accuracy(key) and ", in percentage points" or ""
  local how = method and ("%s; %s"):format(promise(comparison), methods[method]) or "without an interval"
  return { title = ("Difference in mean %s%s"):format(in_words(key), unit), note = how, rows = rows, left = 3,
    words = method and "Where 0 lies within an interval, these seeds do not tell which of the two is better." or nil }
end

--- The runs that a comparison does not speak of, and why.
--- @param runs table array of {path=, reason=}
function M.left_out(runs)
  local rows = {}
  for i, run in ipairs(runs) do rows[i] = { run.path, run.reason } end
  return { title = "Left out", rows = rows, left = 2 }
end

local function machines(comparison)
  local rows = {}
  for i, machine in ipairs(comparison.machines) do rows[i] = { machine } end
  return { title = "Times come from different machines or numbers of threads:", rows = rows, left = 1 }
end

--- The tables, for people.
--- @param comparison table as compare.runs gives it
--- @return table array of {title=, note=(or nil), words=(nil, or what a page says besides), heading=(whether the first
---   row is one), rows=(arrays of texts; `setting` is what a row is of, `steps` are those that
---   its cells tell of), left=(how many columns are set to the left)}
function M.tables(comparison)
  local tables = { what_came_out(comparison) }
  if #comparison.milestones > 0 then tables[#tables + 1] = how_fast(comparison) end
  for _, method in ipairs { "paired", "welch", false } do
    tables[#tables + 1] = differences_by(comparison, method or nil)
  end
  if #comparison.machines > 1 then tables[#tables + 1] = machines(comparison) end
  if #comparison.left_out > 0 then tables[#tables + 1] = M.left_out(comparison.left_out) end
  return tables
end

--- The tables as plain text, without a newline at the end.
--- @param columns integer|nil of the terminal; nil: as wide as they are
function M.text(comparison, columns)
  local parts = {}
  for i, one in ipairs(M.tables(comparison)) do
    local note = one.note and ("(%s)\n"):format(one.note) or ""
    local head = one.title .. "\n" .. note
    parts[i] = (columns and text.wrap(head, columns) or head)
      .. columns_of.aligned(one.rows, one.left, columns)
  end
  return table.concat(parts, "\n\n")
end

local turned <const> = { higher = "lower", lower = "higher", [undecided] = undecided }

local function clause(beginning, names)
  return #names > 0 and ("; %s %s"):format(beginning, table.concat(names, " and ")) or ""
end

--- How test data see what validation data chose: what it is worse than, and what it cannot be told apart from.
local function doubts(comparison)
  local best, worse = comparison.best, is_accuracy(comparison.measure) and "lower" or "higher"
  local ahead, unclear, compared = {}, {}, 0
  for _, result in ipairs(comparison.differences) do
    local other = result.setting == best and result.other or result.other == best and result.setting
    if other then
      local standing = judgement(result)
      if other == result.setting then standing = turned[standing] end
      local list = standing == worse and ahead or standing == undecided and unclear or {}
      list[#list + 1] = M.label(comparison.columns, other)
      compared = compared + 1
    end
  end
  local rest = #comparison.settings - 1 - compared
  return clause(worse .. " than", ahead) .. clause(undecided .. " from", unclear)
    .. (rest > 0 and ("; not compared with the other %d"):format(rest) or "")
end

--- One line: the setting that validation data choose, what it came to, and what it cannot be told apart from.
function M.headline(comparison)
  local key, count = comparison.measure, #comparison.settings
  if not key then return "finished" end
  local shown = count == 1 and comparison.settings[1] or comparison.best
  if not shown then return ("%d settings; none is chosen, since none has validation data"):format(count) end
  local figure = ("%s %s (%d seed%s)"):format(in_words(key), M.spread(shown.figures[key], key), #shown.seeds,
    #shown.seeds == 1 and "" or "s")
  if count == 1 then return figure end
  return ("best of %d settings by %s: %s, %s%s"):format(count, in_words(comparison.chosen_by),
    M.label(comparison.columns, shown), figure, doubts(comparison))
end

local function exact(number)
  return number and ("%.9g"):format(number) or ""
end

local summarised <const> = { "test_accuracy", "test_loss", "validation_accuracy", "validation_loss" }

--- The columns of the table in CSV that follow those of the settings: name, and what a setting has there.
--- @param comparison table
local function csv_columns(comparison)
  local columns, asked = {}, comparison.figure
  local function add(name, value) columns[#columns + 1] = { name = name, value = value } end
  add("seeds", function(setting) return seeds_text(setting) end)
  local function add_spread(key)
    for _, quantity in ipairs { "mean", "deviation" } do
      add(key .. "_" .. quantity, function(setting)
        local figure = setting.figures[key]
        return exact(figure and figure[quantity])
      end)
    end
  end
  local known = {}
  for _, key in ipairs(summarised) do
    add_spread(key)
    known[key] = true
  end
  for _, milestone in ipairs(milestones.timed(comparison.milestones)) do
    local to = ("_to_%.9g"):format(milestone)
    for _, quantity in ipairs { "steps", "seconds" } do
      add(quantity .. to, function(setting)
        local figure = setting.times[milestone][quantity]
        return exact(figure and figure.mean)
      end)
    end
    add(("reached_%.9g"):format(milestone), function(setting)
      local figure = setting.times[milestone].steps
      return ("%d"):format(figure and figure.count or 0)
    end)
  end
  add("step_ms_median", function(setting) return exact(setting.step_ms) end)
  if asked and not known[asked] then add_spread(asked) end
  for _, key in ipairs(comparison.own) do add_spread(key) end
  return columns
end

--- Against the first setting: the difference of the measure, its interval, the method.
local function csv_difference(comparison, setting)
  for _, result in ipairs(comparison.differences) do
    if result.setting == setting and result.other == comparison.settings[1] then
      return { comparison.measure, exact(result.difference), exact(result.low), exact(result.high),
        result.method or "" }
    end
  end
  return { "", "", "", "", "" }
end

--- One row per setting, figures as fractions; differences are against the first setting.
--- @return string
function M.csv(comparison)
  local columns, header, lines = csv_columns(comparison), heading_of(comparison), {}
  for _, column in ipairs(columns) do header[#header + 1] = column.name end
  table.move({ "compared", "difference", "difference_low", "difference_high", "method" }, 1, 5, #header + 1, header)
  local rows = { header }
  for _, setting in ipairs(comparison.settings) do
    local row = names_of(comparison, setting)
    for _, column in ipairs(columns) do row[#row + 1] = column.value(setting) end
    table.move(csv_difference(comparison, setting), 1, 5, #row + 1, row)
    rows[#rows + 1] = row
  end
  for number, row in ipairs(rows) do
    for i, cell in ipairs(row) do row[i] = text.csv(cell == absent and "" or cell) end
    lines[number] = table.concat(row, ",") .. "\n"
  end
  return table.concat(lines)
end

return M
