--- What a reader came for first: how good, after how many steps, in what time, how large, and how to make it again.
local html = require "sm.report.html"
local lfs = require "lfs"
local numbers = require "sm.numbers"
local sorted_keys = require "sm.ordered".sorted_keys
local statistics = require "sm.study.statistics"
local tables = require "sm.report.tables"
local tabulate = require "sm.study.tables"
local usage = require "sm.usage"
local visible = require "sm.text".visible

local M = {}

local h <const> = html.element

local most_commands <const> = 50
local most_scores <const> = 3

--- @param list table array of {name, value, note=(nil or a text), first=(whether it is how good the run is)}
local function cards(list)
  local nodes = {}
  for i, card in ipairs(list) do
    nodes[i] = h("div", { class = card.first and "first" }, h("dt", {}, visible(card[1])), h("dd", {}, card[2]),
      card.note and h("dd", { class = "note" }, card.note))
  end
  return h("dl", { class = "result" }, nodes)
end

--- How good a run is that nothing but training data tell of.
local function trained(run)
  local note <const> = "in the last steps; no data were set aside to tell how good it is on others"
  local accuracy, loss = run.progress.last.train_accuracy, run.progress.last.train_loss
  if accuracy then return { "train accuracy", numbers.percent(accuracy), first = true, note = note } end
  return loss and { "train loss", ("%.4g"):format(loss), first = true, note = note } or nil
end

--- How good a run is: on test data by some figures, else by one on validation data, else on what it was trained on.
local function goodness(run)
  local scores, list = tables.scores(run.summary), {}
  for _, row in ipairs(scores) do
    if row[1]:find "^test " and #list < most_scores then list[#list + 1] = { row[1], row[2] } end
  end
  if #list == 0 then list[1] = scores[1] and { scores[1][1], scores[1][2] } or trained(run) end
  if list[1] then
    list[1].first = true
    list[1].note = list[1].note or run.summary.tested_weights == "best" and "with the best weights" or "of one seed"
  end
  return list
end

local function figures_of_run(run)
  local summary, list = run.summary, goodness(run)
  local function add(key, name, format, note)
    local value = tonumber(summary[key])
    if value then list[#list + 1] = { name, format(value), note = note } end
  end
  add("steps", "steps", numbers.thousands, summary.stopped and "stopped early")
  add("training_seconds", "time of training", numbers.duration, summary.wall_seconds
    and numbers.duration(summary.wall_seconds) .. " with evaluations and pictures")
  add("parameters", "parameters of the model", numbers.thousands)
  return list
end

--- The same figure of all runs: "3,000", or "500 to 3,000".
local function range(runs, key, format)
  local least, most
  for _, run in ipairs(runs) do
    local value = run.summary and tonumber(run.summary[key])
    if value then least, most = math.min(least or value, value), math.max(most or value, value) end
  end
  return least and (least == most and format(least) or format(least) .. " to " .. format(most))
end

--- What a mean over seeds is worth.
local function about_mean(figure, key)
  if figure.count < 2 then return "of one seed, without interval" end
  local low, high = statistics.interval(figure)
  return ("mean ± standard deviation of %d seeds; %s"):format(figure.count, low
    and ("95 %% interval of the mean %s to %s"):format(tabulate.spread({ mean = low }, key),
      tabulate.spread({ mean = high }, key))
    or "no interval, since the seeds do not differ")
end

local function figures_of_runs(comparison, runs)
  local list, key = {}, comparison.measure
  local shown = #comparison.settings == 1 and comparison.settings[1] or comparison.best
  local figure = shown and key and shown.figures[key]
  if figure then
    list[1] = { (key:gsub("_", " ")), tabulate.spread(figure, key), first = true, note = about_mean(figure, key) }
    if #comparison.settings > 1 then
      list[1].note = ("of %s, chosen by %s; "):format(tabulate.label(comparison.columns, shown),
        (comparison.chosen_by:gsub("_", " "))) .. list[1].note
    end
  end
  local seconds = 0
  for _, run in ipairs(runs) do seconds = seconds + (run.summary and tonumber(run.summary.training_seconds) or 0) end
  for _, one in ipairs { { "steps", range(runs, "steps", numbers.thousands) },
    { "time of training", seconds > 0 and numbers.duration(seconds), note = "of all runs together" },
    { "parameters of the model", range(runs, "parameters", numbers.thousands) } } do
    if one[2] then list[#list + 1] = one end
  end
  return list
end

-- The command --------------------------------------------------------------------------------------------------

--- A path from here, of what lies here.
local function from_here(path)
  local here = lfs.currentdir()
  return here and path:sub(1, #here + 1) == here .. "/" and path:sub(#here + 2) or path
end

--- A path as a word of a command. A stranger's run says what it likes of itself: no word of it becomes an option, as
--- "-e" would be, which takes code.
local function path_word(path)
  path = from_here(path)
  return usage.quoted(path:sub(1, 1) == "-" and "./" .. path or path)
end

--- Whether a run's parameters are what a command line sets.
local function can_be_set(run)
  for name, value in pairs(run.values) do
    if type(value) == "table" or not name:find "^[%a_][%w_]*$" then return false end
  end
  return true
end

--- The first words of the command that makes a run: of its file, or of the run that it has gone on from.
local function beginning_of(run)
  local origin, file = run.environment.continued, run.environment.file
  if origin then return "smrun resume " .. path_word(origin.run) end
  return "smrun " .. path_word(file or run.name .. ".lua")
end

--- The command of some runs of one file that makes all of them, and no other; nil where none does.
--- @param runs table array of records
local function command(runs)
  local names, values, seen, count = {}, {}, {}, 1
  for _, run in ipairs(runs) do
    if beginning_of(run) ~= beginning_of(runs[1]) or run.name ~= runs[1].name or not can_be_set(run)
      or run.environment.continued and #runs > 1 then return nil end
    for name, value in pairs(run.values) do
      if value ~= run.defaults[name] then names[name] = true end
    end
  end
  local words = { beginning_of(runs[1]) }
  for _, name in ipairs(sorted_keys(names)) do
    values[name] = {}
    for _, run in ipairs(runs) do
      if run.values[name] == nil then return nil end
      local word = usage.value(run.values[name])
      if not values[name][word] then values[name][word] = true; table.insert(values[name], word) end
    end
    table.sort(values[name], function(a, b)
      local x, y = tonumber(a), tonumber(b)
      if x and y and x ~= y then return x < y end
      return a < b
    end)
    count = count * #values[name]
    words[#words + 1] = usage.quoted(name .. "=" .. table.concat(values[name], ","))
  end
  for _, run in ipairs(runs) do -- each combination once
    local key = {}
    for i, name in ipairs(sorted_keys(names)) do key[i] = usage.value(run.values[name]) end
    seen[table.concat(key, "\0")] = true
  end
  local different = 0
  for _ in pairs(seen) do different = different + 1 end
  return different == count and count == #runs and table.concat(words, " ") or nil
end

local function code(text)
  return h("pre", { class = "source command", tabindex = 0 }, "\n", h("code", {}, text))
end

--- What makes the runs again.
local function commands(runs)
  local whole = command(runs)
  if whole then return { h("p", { class = "note" }, "Made again by"), code(whole) } end
  local lines = {}
  for _, run in ipairs(runs) do
    if #lines < most_commands then lines[#lines + 1] = command { run } end
  end
  if #lines == 0 then return nil end
  return h("details", { ["data-key"] = "commands" },
    h("summary", {}, #lines < #runs and ("The commands of %d of %d runs"):format(#lines, #runs) or "The commands"),
    code(table.concat(lines, "\n")))
end

--- The figures that stand first, and the command.
--- @param settings table array of {runs=}
--- @param comparison table|nil as compare.records gives it, of several runs
function M.node(settings, comparison)
  local runs = {}
  for _, setting in ipairs(settings) do table.move(setting.runs, 1, #setting.runs, #runs + 1, runs) end
  local list = comparison and figures_of_runs(comparison, runs)
    or #runs == 1 and runs[1].summary and figures_of_run(runs[1]) or {}
  return { #list > 0 and cards(list), commands(runs) }
end

return M
