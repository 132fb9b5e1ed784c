--- The curves of runs: which columns of metrics.csv share a chart. The figures themselves go into the page as the
-- text of metrics.csv; report.js draws them.
local html = require "sm.report.html"
local numbers = require "sm.numbers"

local M = {}

local h <const> = html.element

local no_curve <const> = { step = true, epoch = true }
local most_settings <const> = 1000          -- that have curves
local most_bytes <const> = 100 * 1024 ^ 2   -- of figures in a page
local titles <const> = { lr = "learning rate", step_ms = "milliseconds per step" }

--- What a column measures: the same for training and validation data, for every percentile, for every layer.
local function quantity(column)
  local name = column:gsub("^train_", ""):gsub("^validation_", "")
  return (name:gsub("_p%d+$", ""):gsub("^%a+%d+_", ""))
end

--- The charts, in the order of their first columns; a column without a figure has none.
--- @param runs table array of {columns=(names, in order), rows=(as metrics.rows gives them)}
--- @return table array of {title=, columns=}
function M.charts(runs)
  local has_figures, charts, by_quantity, placed = {}, {}, {}, {}
  for _, run in ipairs(runs) do
    for _, row in ipairs(run.rows) do
      for column in pairs(row) do has_figures[column] = true end
    end
  end
  for _, run in ipairs(runs) do
    for _, column in ipairs(run.columns) do
      if has_figures[column] and not no_curve[column] and not placed[column] then
        local name = quantity(column)
        if not by_quantity[name] then
          by_quantity[name] = { title = name, columns = {} }
          charts[#charts + 1] = by_quantity[name]
        end
        placed[column] = true
        table.insert(by_quantity[name].columns, column)
      end
    end
  end
  for _, chart in ipairs(charts) do
    local name = #chart.columns == 1 and chart.columns[1] or chart.title
    chart.title = titles[name] or name:gsub("_", " ")
  end
  return charts
end

local function chart_node(chart)
  return h("figure", { class = "chart", ["data-columns"] = table.concat(chart.columns, ",") },
    h("figcaption", {}, h("span", { class = "title" }, chart.title), h("span", { class = "legend" })),
    h("div", { class = "plot", role = "img",
      ["aria-label"] = chart.title .. " over the steps of training; the final figures are in the tables below" }))
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
    #settings > 1 and h("fieldset", {}, h("legend", {}, "settings"), switches))
end

local function explanation(settings)
  local several = false
  for _, setting in ipairs(settings) do several = several or #setting.runs > 1 end
  return h("p", { class = "note" },
    several and "A line is the mean over the seeds of a setting (n of them), the band around it ± one standard "
      .. "deviation of the seeds. " or nil,
    "Over the steps of training. Drag across a chart to look closer, with Shift to move along, double-click for "
      .. "all; on a touch screen, with two fingers. Smoothing takes the weighted mean of so many points of "
      .. "a curve to both sides.")
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
--- @param all table array of {label=, runs=array of {columns=, rows=, text=}}
--- @return table node
function M.node(all)
  local settings, runs, figures, nodes = that_fit(all), {}, {}, {}
  for number, setting in ipairs(settings) do
    for _, run in ipairs(setting.runs) do
      runs[#runs + 1] = run
      figures[#figures + 1] = h("pre", { class = "metrics", hidden = true, ["data-setting"] = number - 1 },
        "\n", run.text)
    end
  end
  for i, chart in ipairs(M.charts(runs)) do nodes[i] = chart_node(chart) end
  if #nodes == 0 then return h("p", {}, "There are no figures yet.") end
  return {
    #settings < #all and h("p", { class = "note" }, ("These are the curves of the first %s of %s settings: those of "
      .. "all would be more than a browser can bear. The tables below have all."):format(numbers.thousands(#settings),
      numbers.thousands(#all))) or false,
    controls(settings), h("noscript", {}, h("p", {}, "The curves are drawn by JavaScript, which is off.")),
    h("div", { class = "charts" }, nodes), explanation(settings), figures,
  }
end

return M
