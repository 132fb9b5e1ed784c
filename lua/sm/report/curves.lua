--- The curves of runs: which columns of metrics.csv share a chart, and which charts stand under a heading. The figures
-- themselves go into the page as the text of metrics.csv; report.js draws them.
local columns_told = require "sm.columns"
local html = require "sm.report.html"
local numbers = require "sm.numbers"

require "sm.optim" -- which tell what their columns mean
require "sm.optim.several"
require "sm.view"

local M = {}

local h <const> = html.element

local no_curve <const> = { step = true, epoch = true }
local most_settings <const> = 1000          -- that have curves
local most_bytes <const> = 100 * 1024 ^ 2   -- of figures in a page
local most_main <const> = 4                 -- charts before the pictures
local own_metrics <const>, rest <const> = "Further metrics", "Other"

--- What a column measures: the same for training and validation data, for every percentile, for every layer.
local function quantity(column)
  local name = column:gsub("^train_", ""):gsub("^validation_", "")
  return (name:gsub("_p%d+$", ""):gsub("^%a+%d+_", ""))
end

--- What is known of the columns of all runs, of which many have the same.
local function told(runs)
  local known, seen = {}, {}
  for _, run in ipairs(runs) do
    local names = table.concat(run.columns, ",")
    seen[names] = seen[names] or columns_told.explain(run.columns)
    for column, about in pairs(seen[names]) do known[column] = about end
  end
  return known
end

--- Which columns have a figure in any row. @return table name → true
local function columns_with_figures(runs)
  local found = {}
  for _, run in ipairs(runs) do
    for column in pairs(run.progress.last) do found[column] = true end
  end
  return found
end

--- What a chart stands under: nothing for a loss, an accuracy and what a person measures, which are what training is
--- about; the heading of an optimizer's columns and of a view's.
local function heading_of(column, known)
  if column:find "^train_" or column:find "^validation_" then return nil end
  return known[column] and known[column].heading or rest
end

--- What a chart is called, and what its lines are.
local function describe(chart, known)
  local first, words, said = known[chart.columns[1]], {}, {}
  local name = #chart.columns == 1 and chart.columns[1] or chart.title
  chart.title = first and first.title or (name:gsub("_", " "))
  for _, column in ipairs(chart.columns) do
    local about = known[column] and known[column].words
    if about and not said[about] then
      said[about] = true
      words[#words + 1] = { column = column, words = about }
    end
  end
  chart.words = words
end

--- The charts, in the order of their first columns; a column without a figure has none.
--- @param runs table array of {columns=(names, in order), progress=}
--- @return table array of {title=, columns=, heading=(nil for those that stand first), words=(array of {column=,
---   words=})}
function M.charts(runs)
  local has_figures, charts, by_quantity, placed, known = columns_with_figures(runs), {}, {}, {}, told(runs)
  for _, run in ipairs(runs) do
    for _, column in ipairs(run.columns) do
      if has_figures[column] and not no_curve[column] and not placed[column] then
        local name, heading = quantity(column), heading_of(column, known)
        local key = (heading or "") .. "\0" .. name
        if not by_quantity[key] then
          by_quantity[key] = { title = name, columns = {}, heading = heading }
          charts[#charts + 1] = by_quantity[key]
        end
        placed[column] = true
        table.insert(by_quantity[key].columns, column)
      end
    end
  end
  local main = 0
  for _, chart in ipairs(charts) do
    describe(chart, known)
    if not chart.heading then
      main = main + 1
      if main > most_main then chart.heading = own_metrics end
    end
  end
  return charts
end

--- "Train loss: …" for a chart of several lines that are told apart, the sentence alone for others.
local function words_node(chart)
  local sentences = {}
  for i, one in ipairs(chart.words) do
    local sentence = (#chart.words > 1 and one.column:gsub("_", " ") .. ": " or "") .. one.words .. "."
    sentences[i] = sentence:gsub("^%l", string.upper)
  end
  return #sentences > 0 and h("p", { class = "note words" }, table.concat(sentences, " ")) or nil
end

local function chart_node(chart)
  return h("figure", { class = "chart", ["data-columns"] = table.concat(chart.columns, ",") },
    h("figcaption", {}, h("span", { class = "title" }, chart.title), h("span", { class = "legend" })),
    h("div", { class = "plot", role = "application", tabindex = 0, ["aria-roledescription"] = "chart",
      ["aria-label"] = chart.title .. " over the steps of training" }),
    words_node(chart))
end

--- Charts under a heading that folds, small, closed until somebody opens it.
local function folded_node(heading, charts)
  local titles, nodes = {}, {}
  for i, chart in ipairs(charts) do titles[i], nodes[i] = chart.title, chart_node(chart) end
  return h("details", { class = "folded", ["data-key"] = "curves " .. heading },
    h("summary", {}, h("h3", {}, heading), h("span", { class = "note" }, table.concat(titles, ", "))),
    h("div", { class = "charts small" }, nodes))
end

--- The headings in the order in which their charts come, what belongs nowhere else at the end.
local function folded_nodes(charts)
  local headings, by_heading, nodes = {}, { [rest] = {} }, {}
  for _, chart in ipairs(charts) do
    local heading = chart.heading
    if heading and not by_heading[heading] then headings[#headings + 1], by_heading[heading] = heading, {} end
    if heading then table.insert(by_heading[heading], chart) end
  end
  if #by_heading[rest] > 0 then headings[#headings + 1] = rest end
  for i, heading in ipairs(headings) do nodes[i] = folded_node(heading, by_heading[heading]) end
  return #nodes > 0 and nodes or nil
end

local function setting_switch(number, setting)
  local id = ("setting-%d"):format(number)
  return h("label", { class = "setting", ["data-label"] = setting.label },
    h("input", { type = "checkbox", id = id, ["data-key"] = "setting " .. setting.label, checked = true }),
    h("span", { class = "swatch" }), " ", setting.label,
    #setting.runs > 1 and h("span", { class = "note" }, (" (n = %d)"):format(#setting.runs)))
end

local function controls(settings)
  local switches = {}
  for number, setting in ipairs(settings) do switches[number] = setting_switch(number, setting) end
  return h("div", { class = "controls" },
    h("label", {}, "smoothing ", h("input", {
      type = "range", id = "smoothing", min = 0, max = 20, step = 1, value = 0 })),
    h("output", { ["for"] = "smoothing" }, "none"),
    h("label", {}, h("input", { type = "checkbox", id = "logarithmic" }), " logarithmic"),
    h("button", { type = "button", id = "whole-range" }, "whole range"),
    h("button", { type = "button", id = "all-curves", hidden = true }, "all curves"),
    #settings > 1 and h("fieldset", {}, h("legend", {}, "settings"), switches))
end

local function explanation(settings)
  local several = false
  for _, setting in ipairs(settings) do several = several or #setting.runs > 1 end
  return {
    several and h("p", { class = "note" }, "A line is the mean over the seeds of a setting (n of them), the band "
      .. "around it ± one standard deviation of the seeds.") or false,
    h("details", { ["data-key"] = "how to use the charts" }, h("summary", { class = "note" }, "How to use the charts"),
      h("p", { class = "note" }, "They go over the steps of training. Drag across one to look closer, with Shift to "
        .. "move along, double-click for all; on a touch screen, with two fingers. With the keyboard, in a chart: left "
        .. "and right go from step to step, up and down from line to line, + and − look closer and wider, 0 shows all",
        #settings > 1 and ", Enter shows one line alone. A click on a line does so, too, or on a setting in a table"
          or "", ". Smoothing takes the weighted mean of so many points of a curve to both sides.")),
  }
end

--- The settings, from the first one on, whose curves a browser can bear.
local function that_fit(settings)
  local fitting, bytes = {}, 0
  for number, setting in ipairs(settings) do
    for _, run in ipairs(setting.runs) do bytes = bytes + #run.text end
    if number > 1 and (number > most_settings or bytes > most_bytes) then break end
    fitting[number] = setting
  end
  return fitting
end

--- The curves, the controls above them and the figures behind them.
--- @param all table array of {label=, runs=array of {columns=, progress=, text=}}
--- @return table node of the curves that stand first
--- @return table|nil node of the others, under headings that fold
function M.node(all)
  local settings, runs, figures, main = that_fit(all), {}, {}, {}
  for number, setting in ipairs(settings) do
    for _, run in ipairs(setting.runs) do
      runs[#runs + 1] = run
      figures[#figures + 1] = h("pre", { class = "metrics", hidden = true, ["data-setting"] = number - 1 },
        "\n", run.text)
    end
  end
  local charts = M.charts(runs)
  if #charts == 0 then return h("p", {}, "There are no figures yet.") end
  for _, chart in ipairs(charts) do main[#main + 1] = not chart.heading and chart_node(chart) or nil end
  return {
    #settings < #all and h("p", { class = "note" }, ("These are the curves of the first %s of %s settings: those of "
      .. "all would be more than a browser can bear. The tables have all."):format(numbers.thousands(#settings),
      numbers.thousands(#all))) or false,
    controls(settings), h("noscript", {}, h("p", {}, "The curves are drawn by JavaScript, which is off.")),
    h("div", { class = "charts" }, main), explanation(settings), figures,
  }, folded_nodes(charts)
end

return M
