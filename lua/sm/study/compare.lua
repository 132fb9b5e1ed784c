--- Comparison of runs: those that differ in the seed alone are one setting, and a setting's figures are those of
-- its seeds. Unfinished runs are never averaged in. What is best is chosen on validation data; test figures are only
-- told.
local sorted_keys = require "sm.ordered".sorted_keys
local fail = require "sm.fail"
local shortest = require "sm.text".shortest
local milestones = require "sm.study.milestones"
local records = require "sm.study.records"
local rung_of = require "sm.study.progress".rung
local suggest = require "sm.check".suggest
local statistics = require "sm.study.statistics"

local M = {}

local most_own_figures <const> = 3
local most_pairwise <const> = 4 -- settings that are all compared with each other; more go against the first
local absent <const> = "–"
local revision_digits <const> = 7

--- Numbers values in the order of their first appearance: the texts of an experiment.
local function numbering()
  local numbers, count = {}, {}
  --- @param group string
  --- @param value string
  --- @param rest string|nil of the value
  return function(group, value, rest)
    local of_group = numbers[group] or {}
    local of_value = of_group[value] or {}
    numbers[group], of_group[value] = of_group, of_value
    rest = rest or ""
    if not of_value[rest] then
      count[group] = (count[group] or 0) + 1
      of_value[rest] = ("%d"):format(count[group])
    end
    return of_value[rest]
  end
end

--- The revision, with a "+" where files had changed since, and a "?" where that is not known.
local function revision(environment)
  local git = environment.git
  if not git or not git.revision then return absent end
  return git.revision:sub(1, revision_digits) .. (git.dirty == nil and "?" or git.dirty and "+" or "")
end

--- What tells one setting from another, but for parameters.
local circumstances = { "experiment", "text", "data set", "revision", "smrun", "numbers" }

local flat_texts <const> = setmetatable({}, { __mode = "k" }) -- many runs of an index have the same map

--- A map from places to texts as one text.
local function flat(map)
  if not map then return "" end
  if not flat_texts[map] then
    local parts = {}
    for _, place in ipairs(sorted_keys(map)) do parts[#parts + 1] = place .. "\0" .. map[place] end
    flat_texts[map] = table.concat(parts, "\0")
  end
  return flat_texts[map]
end

--- What a run read or was given. Where the file itself drew numbers, its data follow the seed, as all else does.
local function data_of(environment)
  return environment.drew ~= true and environment.data and flat(environment.data) or nil
end

--- What is not told by parameters: a run of a loop in Lua has none, and differs from the next by what it declares.
local function add_declaration(traits, record)
  for name in pairs(record.values) do
    if name ~= "seed" then return end
  end
  for place, text in pairs(record.environment.declaration or {}) do
    if place ~= "seed" and place ~= "arg.seed" and not place:find "^model value " then traits["=" .. place] = text end
  end
end

--- All that may differ: name → text. A parameter of a circumstance's name keeps its own column.
local function traits_of(record, number_text)
  local traits = {
    experiment = record.name,
    text = number_text("text of " .. record.name, record.source, flat(record.environment.modules)),
    revision = revision(record.environment), smrun = record.environment.smrun or absent,
    numbers = record.environment.real or absent,
  }
  for name, value in pairs(record.values) do
    if name ~= "seed" then traits["=" .. name] = records.value_text(value) end
  end
  local data = data_of(record.environment)
  if data then traits["data set"] = number_text("data", data) end
  add_declaration(traits, record)
  return traits
end

--- The names of the traits that are not the same everywhere: circumstances first, then parameters by name.
local function differing(all_traits)
  local names, differs = {}, {}
  for _, traits in ipairs(all_traits) do
    for name in pairs(traits) do names[name] = true end
  end
  for name in pairs(names) do
    for _, traits in ipairs(all_traits) do
      differs[name] = differs[name] or (traits[name] or absent) ~= (all_traits[1][name] or absent)
    end
  end
  local columns = {}
  for _, name in ipairs(circumstances) do
    if differs[name] then columns[#columns + 1] = name end
  end
  for _, name in ipairs(sorted_keys(names)) do
    if name:sub(1, 1) == "=" and differs[name] then columns[#columns + 1] = name end
  end
  return columns
end

--- A function from traits to a text that is theirs alone.
local function key_maker()
  local names, known = {}, {}
  return function(traits)
    local parts, count = {}, 0
    for name in next, traits do count = count + (known[name] and 1 or -1) end
    if count ~= #names then -- other names than those of the one before
      names, known = sorted_keys(traits), traits
    end
    for i, name in ipairs(names) do parts[i] = traits[name] end
    return table.concat(names, "\0") .. "\0\0" .. ("s"):rep(#names):pack(table.unpack(parts))
  end
end

--- The finished records; the others are appended to left_out.
local function finished_of(found, left_out)
  local finished = {}
  for _, record in ipairs(found) do
    if record.summary then
      finished[#finished + 1] = record
    else
      left_out[#left_out + 1] = { path = record.path, reason = record.saved
        and ("unfinished, saved after step %d"):format(record.saved) or "unfinished, nothing saved yet" }
    end
  end
  return finished
end

--- The runs of equal traits. A seed counts once: the same run again has the same figures.
local function gather(found, left_out)
  local number_text, key_of, settings, all_traits = numbering(), key_maker(), {}, {}
  for _, record in ipairs(found) do
    local traits = traits_of(record, number_text)
    local key, seed = key_of(traits), record.seed or record.path
    local setting = settings[key]
    if not setting then
      setting = { traits = traits, runs = {} }
      settings[key], settings[#settings + 1] = setting, setting
      all_traits[#all_traits + 1] = traits
    end
    local same = setting.runs[seed]
    if same then
      local others = flat(same.environment.data) ~= flat(record.environment.data) and ", but on other data" or ""
      left_out[#left_out + 1] = { path = record.path, reason = "the same setting and seed as " .. same.path .. others }
    else
      setting.runs[seed] = record
    end
  end
  return settings, all_traits
end

--- Numbers by size, before words by letter.
local function before(a, b)
  local x, y = tonumber(a), tonumber(b)
  if x and y then return x < y end
  if x or y then return x ~= nil end
  return a < b
end

local function sort(settings, columns)
  for position, setting in ipairs(settings) do setting.position = position end
  table.sort(settings, function(a, b)
    for _, name in ipairs(columns) do
      local x, y = a.traits[name] or absent, b.traits[name] or absent
      if x ~= y then return before(x, y) end
    end
    return a.position < b.position
  end)
end

--- Runs, finished or not, as settings: those that differ in the seed alone are one.
--- @param found table array of records
--- @param left_out table {path=, reason=} of a run whose setting and seed another has is appended
--- @return table array of {traits=, runs=(seed → record; by its path while the seed is unknown)}, in order
--- @return table the names of the traits that differ
function M.settings(found, left_out)
  local settings, all_traits = gather(found, left_out)
  local columns = differing(all_traits)
  sort(settings, columns)
  return settings, columns
end

--- One figure of the summaries, or the last one of a column of metrics.csv, seed → value; a seed without it is not
--- there. Where a run was tested with its best weights, its figures on validation data are those of these, too.
local function figures(setting, key)
  local values = {}
  for seed, record in pairs(setting.runs) do
    local summary = record.summary
    local best = summary.tested_weights == "best" and key:find "^validation_" and summary["best_" .. key]
    local told = best or summary[key]
    values[seed] = math.type(told) and told or record.progress.last[key]
  end
  return values
end

--- @param values table seed → number
--- @param seeds table array, in order: a mean has the same bits whatever the order in which runs were found
local function summarise(values, seeds)
  local array = {}
  for _, seed in ipairs(seeds) do array[#array + 1] = values[seed] end
  if #array == 0 then return nil end
  return { mean = statistics.mean(array), deviation = statistics.deviation(array), count = #array }
end

--- Steps and seconds to each milestone, over the seeds that reached it.
local function times(setting, wanted)
  local result = {}
  for _, milestone in ipairs(wanted) do
    local steps, seconds, rung = {}, {}, rung_of(milestone)
    for seed, record in pairs(setting.runs) do
      steps[seed], seconds[seed] = record.progress.steps[rung], record.progress.seconds[rung]
    end
    result[milestone] = { steps = summarise(steps, setting.seeds), seconds = summarise(seconds, setting.seeds) }
  end
  return result
end

--- Figures of the persons' own, for runs that have no others: a few of those on test data, else on validation data.
--- @return table array of names
local function own_figures(finished)
  for _, split in ipairs { "^test_", "^validation_" } do
    local names = {}
    for _, record in ipairs(finished) do
      for name, value in pairs(record.summary) do
        if name:find(split) and math.type(value) then names[name] = true end
      end
    end
    local sorted = sorted_keys(names)
    if #sorted > 0 then return table.move(sorted, 1, most_own_figures, 1, {}) end
  end
  return {}
end

local function complete(setting, figure, chosen)
  setting.seeds, setting.figures = sorted_keys(setting.runs), {}
  for _, key in ipairs { "test_accuracy", "test_loss", "validation_accuracy", "validation_loss", figure } do
    setting.figures[key] = summarise(figures(setting, key), setting.seeds)
  end
  local step_ms = {}
  for _, value in pairs(figures(setting, "median_step_ms")) do step_ms[#step_ms + 1] = value end
  setting.step_ms = statistics.median(step_ms)
  setting.times = times(setting, milestones.timed(chosen))
end

local function pairs_of(settings)
  local chosen = {}
  for i = 1, #settings <= most_pairwise and #settings or 1 do
    for j = i + 1, #settings do chosen[#chosen + 1] = { settings[j], settings[i] } end
  end
  return chosen
end

--- The first of some figures that any of the settings has.
local function first_of(keys, settings)
  for _, key in ipairs(keys) do
    for _, setting in ipairs(settings) do
      if setting.figures[key] then return key end
    end
  end
end

local function compare_pairs(settings, key)
  local chosen, differences = {}, {}
  for _, pair in ipairs(key and pairs_of(settings) or {}) do
    if pair[1].figures[key] and pair[2].figures[key] then chosen[#chosen + 1] = pair end
  end
  local known = {} -- setting → its figures: all but a few are compared with the same one
  local function figures_of(setting)
    known[setting] = known[setting] or figures(setting, key)
    return known[setting]
  end
  for i, pair in ipairs(chosen) do
    local result = statistics.compare(figures_of(pair[1]), figures_of(pair[2]), #chosen)
    result.setting, result.other = pair[1], pair[2]
    differences[i] = result
  end
  return differences
end

--- The setting whose mean on validation data is best: the highest accuracy, where there is none the lowest loss.
--- @return table|nil setting nil where no setting has validation data, and so none can be chosen
--- @return string|nil the figure it was chosen by
local function choose(settings)
  local key, best = first_of({ "validation_accuracy", "validation_loss" }, settings), nil
  local sign = key == "validation_loss" and -1 or 1
  for _, setting in ipairs(settings) do
    local mean = setting.figures[key] and sign * setting.figures[key].mean
    if mean and (not best or mean > sign * best.figures[key].mean) then best = setting end
  end
  return best, key
end

--- What the times depend on besides the settings; told when it is not the same everywhere.
local function machines(finished)
  local seen, list = {}, {}
  for _, record in ipairs(finished) do
    local environment = record.environment
    local text = ("%s, %s, %s thread%s"):format(environment.processor or "an unknown processor",
      environment.instruction_set or "?", environment.threads and shortest(environment.threads) or "?",
      environment.threads == 1 and "" or "s")
    if not seen[text] then seen[text], list[#list + 1] = true, text end
  end
  table.sort(list)
  return list
end

local function no_figure(figure, finished)
  local names = {}
  for _, record in ipairs(finished) do
    for _, column in ipairs(record.columns) do names[column] = true end
    for name, value in pairs(record.summary) do names[name] = math.type(value) and true or nil end
  end
  fail("no run has a figure '%s' in its metrics.csv or summary.json%s", figure, suggest(figure, sorted_keys(names)))
end

--- Compares runs.
--- @param found table array of records, finished or not
--- @param unread table array of {path=, reason=} of the runs that could not be read
--- @param figure string|nil what is compared instead of the test accuracy: a column of metrics.csv, its last figure, or
---   one of summary.json
--- @return table {columns=names of what differs (parameters with "=" before them), settings=array of {traits=,
---   seeds=, runs=(seed → record), figures=(test_accuracy and the like → {mean=, deviation=, count=}), step_ms=,
---   times=(milestone → {steps=, seconds=})}, milestones=(accuracies that mean something for these runs),
---   measure=(the figure compared, or nil), own=(names of figures that are shown where there is none to compare),
---   differences=(as statistics.compare gives them, with setting= and other=; their intervals hold all together),
---   best=(the setting chosen, or nil), chosen_by=(the figure it was chosen by), left_out=array of {path=, reason=},
---   machines=}
function M.records(found, unread, figure)
  local left_out = table.move(unread, 1, #unread, 1, {})
  local finished = finished_of(found, left_out)
  if #finished == 0 then
    local reasons = {}
    for i, run in ipairs(left_out) do reasons[i] = ("%s: %s"):format(run.path, run.reason) end
    fail("there is no finished run to compare; %s", table.concat(reasons, "; "))
  end
  local settings, columns = M.settings(finished, left_out)
  local chosen = milestones.chosen(settings)
  for _, setting in ipairs(settings) do complete(setting, figure, chosen) end
  if figure and not first_of({ figure }, settings) then no_figure(figure, finished) end
  local measure = figure
    or first_of({ "test_accuracy", "validation_accuracy", "test_loss", "validation_loss" }, settings)
  local own = measure and {} or own_figures(finished)
  for _, setting in ipairs(settings) do
    for _, key in ipairs(own) do setting.figures[key] = summarise(figures(setting, key), setting.seeds) end
  end
  local best, chosen_by = choose(settings)
  return {
    columns = columns, settings = settings, measure = measure, figure = figure, own = own, best = best,
    chosen_by = chosen_by,
    milestones = chosen,
    differences = compare_pairs(settings, measure), left_out = left_out, machines = machines(finished),
  }
end

--- Reads and compares runs.
--- @param paths table array of run directories
--- @param figure string|nil
--- @param unread table|nil array of {path=, reason=} of what is left out already
--- @return table as M.records gives it
function M.runs(paths, figure, unread)
  local found, left_out = records.read_all(paths)
  return M.records(found, table.move(unread or {}, 1, #(unread or {}), #left_out + 1, left_out), figure)
end

return M
