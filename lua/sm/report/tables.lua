--- The tables of a report: parameters and settings, what came out, on what it ran, and the experiment's text.
local sorted_keys = require "sm.ordered".sorted_keys
local html = require "sm.report.html"
local numbers = require "sm.numbers"
local packed = require "sm.study.packed"
local records = require "sm.study.records"
local outcome = require "sm.experiment.outcome"
local tabulate = require "sm.study.tables"
local visible = require "sm.text".visible

local M = {}

local h <const> = html.element

local most_rows <const> = 24 -- of a table that does not scroll within itself: what follows is to be found

--- The first cell of a row that has curves: what shows them alone.
--- @param curve string of report.js: "2" for a setting, "2 0" for a run of it
local function pick(curve, cell)
  return h("button", { type = "button", class = "pick", ["data-curve"] = curve, ["aria-pressed"] = "false",
    title = "shows its curves alone, or all again" }, h("span", { class = "swatch" }), cell)
end

--- A cell that tells of a step: what shows it in the curves.
local function goto_step(step, cell)
  return h("button", {
    type = "button", class = "to-step", ["data-step"] = step, title = "shows this step in the curves",
  }, cell)
end

--- @param rows table arrays of texts; the first row is the heading where `heading` is true; `curve` as pick has it;
---   `steps` are those that cells tell of; `words` explain a row, behind its cells
--- @param left integer how many columns are set to the left
local function table_node(rows, heading, left)
  local lines = {}
  for number, row in ipairs(rows) do
    local cells = {}
    for i, cell in ipairs(row) do
      local is_heading = heading and number == 1
      local text = visible(cell)
      cells[i] = h(is_heading and "th" or "td", { class = i > left and "figure", scope = is_heading and "col" },
        i == 1 and row.curve and pick(row.curve, text) or row.steps and row.steps[i] and goto_step(row.steps[i], text)
          or text)
    end
    if row.words then cells[#cells + 1] = h("td", { class = "note words" }, row.words) end
    lines[number] = h("tr", {}, cells)
  end
  return h("div", { class = #rows > most_rows and "table long" or "table" }, h("table", {},
    heading and h("thead", {}, lines[1]),
    h("tbody", {}, heading and table.move(lines, 2, #lines, 1, {}) or lines)))
end

local function titled(one)
  return { h("h3", {}, one.title), one.note and h("p", { class = "note" }, one.note) or false,
    one.words and h("p", { class = "note" }, one.words) or false, table_node(one.rows, one.heading, one.left) }
end

local function text(value)
  return value == nil and "" or records.value_text(value)
end

--- The parameters of one run that are not the file's defaults, then all of them.
local function parameters(run)
  local differing, all = { { "parameter", "value", "default" } }, { { "parameter", "value", "default" } }
  for _, name in ipairs(sorted_keys(run.values)) do
    local row = { name, text(run.values[name]), text(run.defaults[name]) }
    all[#all + 1] = row
    if row[2] ~= row[3] then differing[#differing + 1] = row end
  end
  if #all == 1 then return h("p", {}, "The experiment declares no parameters.") end
  return {
    #differing > 1 and table_node(differing, true, 3) or h("p", {}, "Every parameter has its default."),
    h("details", { ["data-key"] = "all parameters" }, h("summary", {}, ("All %d parameters"):format(#all - 1)),
      table_node(all, true, 3)),
  }
end

local function state(run)
  return run.summary and "finished" or "unfinished, at step " .. numbers.thousands(run.step)
end

--- The settings: what differs between them, their seeds, how far their runs are.
local function settings_table(settings, columns)
  local heading = {}
  for i, name in ipairs(columns) do heading[i] = name:gsub("^=", "") end
  table.move({ "seeds", "state" }, 1, 2, #heading + 1, heading)
  local rows = { heading }
  for number, setting in ipairs(settings) do
    local row, seeds, unfinished = {}, {}, {}
    for i, name in ipairs(columns) do row[i] = setting.traits[name] or "–" end
    for i, run in ipairs(setting.runs) do
      seeds[i] = run.seed_text
      if not run.summary then unfinished[#unfinished + 1] = ("seed %s is %s"):format(run.seed_text, state(run)) end
    end
    table.move({ table.concat(seeds, ", "), #unfinished == 0 and "finished" or table.concat(unfinished, "; ") },
      1, 2, #row + 1, row)
    row.curve = #settings > 1 and ("%d"):format(number - 1) or nil
    rows[#rows + 1] = row
  end
  return table_node(rows, true, #heading)
end

--- The runs one by one, with what each came to.
local function runs_table(settings)
  local rows = { { "run", "seed", "state", "figure" } }
  for number, setting in ipairs(settings) do
    for position, run in ipairs(setting.runs) do
      rows[#rows + 1] = { run.place, run.seed_text, state(run), run.summary and outcome.figure(run.summary) or "",
        curve = ("%d %d"):format(number - 1, position - 1) }
    end
  end
  return h("details", { ["data-key"] = "runs" }, h("summary", {}, ("All %d runs"):format(#rows - 1)),
    h("p", { class = "note" }, "A run that is picked here is drawn as a line of its own, beside the means of the "
      .. "settings."), table_node(rows, true, 3))
end

--- The parameters that are the same everywhere.
local function common_parameters(settings, columns)
  local differs, rows = { ["=seed"] = true }, { { "parameter", "value" } }
  for _, name in ipairs(columns) do differs[name] = true end
  for _, name in ipairs(sorted_keys(settings[1].traits)) do
    if name:sub(1, 1) == "=" and not differs[name] then
      rows[#rows + 1] = { name:sub(2), settings[1].traits[name] }
    end
  end
  if #rows == 1 then return nil end
  return h("details", { ["data-key"] = "common parameters" },
    h("summary", {}, #rows == 2 and "1 parameter is the same in all"
      or ("%d parameters are the same in all"):format(#rows - 1)), table_node(rows, true, 2))
end

--- What differs.
--- @param settings table array of {traits=, runs=}
--- @param columns table names of the traits that differ
function M.settings(settings, columns)
  if #settings == 1 and #settings[1].runs == 1 then return parameters(settings[1].runs[1]) end
  return { settings_table(settings, columns), runs_table(settings), common_parameters(settings, columns) or nil }
end

local function four_digits(number)
  return ("%.4g"):format(number)
end

local right <const>, small <const> = "the share of the examples that are right",
  "what training makes small, a mean over the examples"

-- Keys of summary.json: what they are called, how they are written, what they are, whether they are steps.
local scores <const> = {
  { "test_accuracy", "test accuracy", numbers.percent, right .. ", on data that chose nothing" },
  { "test_loss", "test loss", four_digits, small .. ", on data that chose nothing" },
  { "validation_accuracy", "validation accuracy, last", numbers.percent, right .. ", on data to make choices on" },
  { "validation_loss", "validation loss, last", four_digits, small .. ", on data to make choices on" },
  { "best_validation_accuracy", "validation accuracy, best", numbers.percent, "of all evaluations" },
  { "best_validation_loss", "validation loss, best", four_digits, "of all evaluations" },
}
local circumstances <const> = {
  { "best_validation_step", "best at step", numbers.thousands, "where the evaluation was best", step = true },
  { "tested_step", "tested at step", numbers.thousands, "whose weights the test figures are of", step = true },
  { "steps", "steps", numbers.thousands, "changes of the weights, one for each batch" },
  { "parameters", "parameters of the model", numbers.thousands, "the numbers that it consists of" },
  { "training_seconds", "time of training", numbers.duration, "the steps alone" },
  { "wall_seconds", "time in all", numbers.duration, "with evaluations, pictures and files" },
  { "median_step_ms", "median step", numbers.milliseconds, "half of the steps took less" },
}

--- The figures of a person's own metrics: test_f1, validation_f1, best_validation_f1.
local function own_rows(summary)
  local known, rows = {}, {}
  for _, list in ipairs { scores, circumstances } do
    for _, row in ipairs(list) do known[row[1]] = true end
  end
  for _, split in ipairs { { "^test_(.+)", "test %s" }, { "^validation_(.+)", "validation %s, last" },
    { "^best_validation_(.+)", "validation %s, best" } } do
    for _, key in ipairs(sorted_keys(summary)) do
      local name, figure = key:match(split[1]), tonumber(summary[key])
      if name and figure and not known[key] then
        rows[#rows + 1] = { split[2]:format(visible(name)), four_digits(figure) }
      end
    end
  end
  return rows
end

local function add(rows, summary, list)
  for _, row in ipairs(list) do
    local figure = tonumber(summary[row[1]])
    if figure then
      local steps = row.step and { [2] = math.tointeger(figure) } or nil
      rows[#rows + 1] = { row[2], row[3](figure), words = row[4], steps = steps }
    end
  end
end

--- How good a finished run is.
--- @return table array of {name, figure}
function M.scores(summary)
  local rows, own = {}, own_rows(summary)
  add(rows, summary, scores)
  return table.move(own, 1, #own, #rows + 1, rows)
end

--- What came out of one run.
local function outcome_of_run(run, ended)
  if not run.summary then
    return { h("p", {}, "The run is ", state(run), ended and "; it was " .. ended.how, "."),
      ended and ended.problem and h("pre", { class = "source", tabindex = 0 }, "\n", ended.problem) }
  end
  local rows = M.scores(run.summary)
  add(rows, run.summary, circumstances)
  if run.summary.stopped then rows[#rows + 1] = { "stopped early by", visible(run.summary.stopped) } end
  return h("details", { ["data-key"] = "all figures" }, h("summary", {}, ("All %d figures"):format(#rows)),
    table_node(rows, false, 1))
end

--- Gives rows about a setting the curves that they belong to.
local function link(one, settings)
  local number_of = {}
  for number, setting in ipairs(settings) do
    for _, run in ipairs(setting.runs) do number_of[run] = number end
  end
  for _, row in ipairs(#settings > 1 and one.rows or {}) do
    local _, run = next(row.setting and row.setting.runs or {})
    row.curve = run and ("%d"):format(number_of[run] - 1)
  end
  return one
end

--- What came out.
--- @param comparison table|nil as compare.runs gives it; nil where no run is finished
--- @param left_out table array of {path=, reason=}, for where there is no comparison
--- @param ended table|nil as M.headline has it
function M.outcome(settings, comparison, left_out, ended)
  if #settings == 1 and #settings[1].runs == 1 and #left_out == 0 then
    return outcome_of_run(settings[1].runs[1], ended)
  end
  local nodes = {}
  if not comparison then nodes[1] = h("p", {}, "No run is finished yet.") end
  local tables = comparison and tabulate.tables(comparison) or { #left_out > 0 and tabulate.left_out(left_out) or nil }
  for _, one in ipairs(tables) do nodes[#nodes + 1] = titled(link(one, settings)) end
  return nodes
end

--- The texts of the experiments, each once, by the number that the settings have for it where there are several.
function M.sources(settings)
  local nodes, seen = {}, {}
  for _, setting in ipairs(settings) do
    local run, text_number = setting.runs[1], setting.traits.text
    local title = run.name .. ".lua" .. (text_number == "1" and "" or ", text " .. text_number)
    if not seen[title] then
      seen[title] = true
      nodes[#nodes + 1] = h("details", { ["data-key"] = "source " .. title, open = #nodes == 0 },
        h("summary", {}, title),
        h("pre", { class = "source", tabindex = 0 }, "\n", h("code", {}, run.source)))
    end
  end
  return nodes
end

--- The record of an environment as rows of a table, without what is of one run alone.
local function environment_rows(environment)
  local rows = {}
  for _, key in ipairs(packed.names(environment)) do
    local value = environment[key]
    if key == "git" and value.revision then
      local changes = value.dirty == nil and ", perhaps with changes" or value.dirty and ", with changes" or ""
      rows[#rows + 1] = { "git revision", value.revision .. changes }
    elseif not packed.OWN[key] and (type(value) == "string" or type(value) == "number") then
      rows[#rows + 1] = { (key:gsub("_", " ")), text(value) }
    end
  end
  return rows
end

--- On what the runs ran: each environment once, with the runs that it served.
function M.environments(runs)
  local list, by_key = {}, {}
  for _, run in ipairs(runs) do
    local rows, parts = environment_rows(run.environment), {}
    for i, row in ipairs(rows) do parts[i] = table.concat(row, "\0") end
    local key = table.concat(parts, "\0\0")
    if not by_key[key] then
      by_key[key] = { rows = rows, runs = { { "run", "started" } } }
      list[#list + 1] = by_key[key]
    end
    table.insert(by_key[key].runs, { run.place, text(run.environment.started or "?") })
  end
  local nodes = {}
  for i, one in ipairs(list) do
    nodes[i] = { table_node(one.rows, false, 2), table_node(one.runs, true, 2) }
  end
  return nodes
end

--- One line: how good.
--- @param comparison table|nil
--- @param steps integer|nil how many there will be, of a single run that is unfinished
--- @param ended table|nil {how="interrupted" or "stopped by an error", problem=(nil or a text)} of such a run
function M.headline(settings, comparison, steps, ended)
  local run = settings[1].runs[1]
  if #settings == 1 and #settings[1].runs == 1 then
    local summary = run.summary
    if summary then return outcome.verdict(summary) end
    local figures = run.validation and (run.validation.validation_accuracy
      and "validation accuracy " .. numbers.percent(run.validation.validation_accuracy)
      or ("validation loss %.4g"):format(run.validation.validation_loss)) or "nothing validated yet"
    return ("%s, at step %s%s%s"):format(figures, numbers.thousands(run.step),
      steps and " of " .. numbers.thousands(steps) or "", ended and "; " .. ended.how or "")
  end
  if not comparison then return "no run is finished yet" end
  local so_far = #comparison.settings < #settings
    and ("so far %d of %d settings: "):format(#comparison.settings, #settings) or ""
  return so_far .. tabulate.headline(comparison)
end

return M
