--- The report: one HTML file about a run, or about several, that stands alone.
-- It asks nothing of a network, and runs no script but its own: a policy in its head forbids it, and all that it shows
-- is in it.
local runtime = require "sm.runtime"
local fail = require "sm.fail"
local assets = require "sm.report.assets"
local classes = require "sm.report.classes"
local compare = require "sm.study.compare"
local directory = require "sm.experiment.directory"
local curves = require "sm.report.curves"
local html = require "sm.report.html"
local pictures = require "sm.report.pictures"
local result = require "sm.report.result"
local records = require "sm.study.records"
local tables = require "sm.report.tables"
local tabulate = require "sm.study.tables"

local M = {}

local h <const> = html.element

local soonest_reload <const>, latest_reload <const> = 5, 60 -- seconds
local following <const> = 30 * 60 -- seconds from its writing that a page looks for news

--- The steps of a run's evaluations, as its rows tell them. @return table step → true
local function evaluations(run)
  local columns, steps = {}, {}
  for _, column in ipairs(run.columns) do
    if column:find "^validation_" then columns[#columns + 1] = column end
  end
  for _, row in ipairs(run.rows) do
    for _, column in ipairs(columns) do steps[row.step] = steps[row.step] or row[column] ~= nil or nil end
  end
  return steps
end

--- The last row of a run that has an evaluation; nil where none has.
local function last_evaluation(run)
  local at = evaluations(run)
  for i = #run.rows, 1, -1 do
    if at[run.rows[i].step] then return run.rows[i] end
  end
end

--- What a run is called on a page about runs below a directory.
local function place_in(shared, path)
  return #path > #shared and path:sub(1, #shared + 1) == shared .. "/" and path:sub(#shared + 2)
    or path:match "([^/]+)/*$" or path
end

--- The runs that can be read, those that are finished first: of two with the same seed the first one counts. Each gets
--- what the page shows besides: step (the last), seed_text.
--- @param known table|nil {array of records, array of {path=, reason=}}: what is read already
--- @return table array of records
--- @return table array of {path=, reason=} for the others
local function load(paths, known)
  local found, left_out
  if known then found, left_out = table.unpack(known) else found, left_out = records.read_all(paths, true) end
  local finished, unfinished = {}, {}
  for _, run in ipairs(found) do
    run.step, run.seed_text = run.progress.step, run.seed and tostring(run.seed) or "?"
    table.insert(run.summary and finished or unfinished, run)
  end
  table.move(unfinished, 1, #unfinished, #finished + 1, finished)
  if #finished == 0 then
    local reasons = {}
    for i, one in ipairs(left_out) do reasons[i] = ("%s: %s"):format(one.path, one.reason) end
    fail("no run can be read; %s", table.concat(reasons, "; "))
  end
  return finished, left_out
end

--- The settings with their runs in the order of the seeds, and a label each.
local function arrange(runs, left_out)
  local settings, columns = compare.settings(runs, left_out)
  for _, setting in ipairs(settings) do
    local list = {}
    for _, run in pairs(setting.runs) do list[#list + 1] = run end
    table.sort(list, function(a, b)
      if a.seed and b.seed then return a.seed < b.seed end
      if a.seed or b.seed then return a.seed ~= nil end
      return a.path < b.path
    end)
    setting.runs = list
    setting.label = #columns > 0 and tabulate.label(columns, setting) or list[1].name
  end
  return settings, columns
end

--- Of each setting the pictures of its first seed.
local function shown_pictures(settings)
  local shown = {}
  for i, setting in ipairs(settings) do
    local run = setting.runs[1]
    local several = #settings > 1 or #setting.runs > 1
    shown[i] = {
      label = several and ("%s, seed %s"):format(setting.label, run.seed_text) or nil,
      pictures = pictures.find(run.path, run.step),
    }
  end
  return shown
end

--- Seconds until a page that its run writes looks for news: about as long as one evaluation is from the next.
--- @param pause number the least time from one page to the next
local function reload_after(run, pause)
  local seconds, last, since, evaluated = 0, 0, 0, evaluations(run)
  for _, row in ipairs(run.rows) do
    since = since + (row.step_ms or 0) * (row.step - last) / 1000
    last = row.step
    if evaluated[row.step] then seconds, since = since, 0 end
  end
  return math.min(latest_reload, math.max(soonest_reload, seconds, pause) // 1)
end

--- "softmax_groups groups=4,seed=2", or the names of the experiments.
local function title_of(runs)
  if #runs == 1 then return runs[1].name, runs[1].path:match "([^/]+)/*$" end
  local names, seen, finished = {}, {}, 0
  for _, run in ipairs(runs) do
    finished = finished + (run.summary and 1 or 0)
    if not seen[run.name] then seen[run.name], names[#names + 1] = true, run.name end
  end
  return table.concat(names, ", "), finished == #runs and ("%d runs"):format(#runs)
    or ("%d of %d runs finished"):format(finished, #runs)
end

local function section(id, title, ...)
  return h("section", { id = id }, h("h2", {}, title), ...)
end

--- The page.
--- @param paths table array of run directories
--- @param options table|nil of a run that writes its own page: {steps=(how many there will be), pause=(seconds to the
---   next page at least), ended=(nil while it goes on, else {how="interrupted" or "stopped by an error",
---   problem=(nil or a text)})}
--- @param unread table|nil array of {path=, reason=} of what is left out already
--- @param known table|nil {records, array of {path=, reason=}} of these paths, where they have been read
--- @return string HTML
function M.page(paths, options, unread, known)
  local runs, left_out = load(paths, known)
  table.move(unread or {}, 1, #(unread or {}), #left_out + 1, left_out)
  local shared = M.shared_directory(paths)
  for _, run in ipairs(runs) do run.place = place_in(shared, run.path) end
  local several = #runs > 1 or #left_out > 0
  local comparison = several and runs[1].summary and compare.records(runs, left_out) or nil
  local settings, columns = arrange(runs, left_out)
  local steps, ended, first = options and options.steps, options and options.ended, settings[1].runs[1]
  if #settings == 1 and #settings[1].runs == 1 and not first.summary then first.validation = last_evaluation(first) end
  local name, variant = title_of(runs)
  local headline = tables.headline(settings, comparison, steps, ended)
  local reload = options and not ended and not runs[1].summary and reload_after(runs[1], options.pause or 0)
  local drawn, own = pictures.node(shown_pictures(settings)), assets.get()
  local main, folded = curves.node(settings)
  return html.render { html.raw "<!DOCTYPE html>\n", h("html", { lang = "en" },
    h("head", {},
      h("meta", { charset = "utf-8" }),
      h("meta", { ["http-equiv"] = "Content-Security-Policy", content = own.policy }),
      h("meta", { name = "viewport", content = "width=device-width, initial-scale=1" }),
      h("meta", { name = "color-scheme", content = "light dark" }),
      h("title", {}, ("%s · %s %s"):format(headline, name, variant)),
      h("link", { rel = "icon", href = "data:," }),
      h("style", {}, html.raw(own.style))),
    h("body", { ["data-reload"] = reload, ["data-until"] = reload and os.time() + following },
      h("header", {}, h("h1", {}, name, " ", h("span", {}, variant)), h("p", { class = "headline" }, headline),
        h("p", { class = "note" }, "This page was written ", os.date "!%Y-%m-%d %H:%M:%S", " UTC by smrun ",
          runtime.version,
          h("span", { id = "following" }, reload
            and ("; it looks for news every %d s until the run has ended, or half an hour has brought none.")
              :format(reload)
            or "."))),
      h("main", {},
        section("outcome", "Result", result.node(settings, comparison),
          tables.outcome(settings, comparison, left_out, ended)),
        section("curves", "Curves", main),
        drawn and section("pictures", "Pictures over training", #runs > #settings
          and h("p", { class = "note" }, "Of a setting with several seeds, the pictures are those of the first.")
          or nil, drawn),
        classes.section(settings) or false,
        folded and section("more", "Further curves", folded),
        section("settings", #columns > 0 and "Settings that differ" or "Settings",
          tables.settings(settings, columns)),
        section("source", "The experiment", tables.sources(settings)),
        section("environment", "Where it ran", tables.environments(runs))),
      h("script", {}, html.raw(own.script)))), "\n" }
end

--- Writes the page whole or not at all.
--- @param out string|nil path of the file; without one it is report.html in the directory that has the runs
--- @return string its path
function M.write(paths, out, options, unread, known)
  local page = M.page(paths, options, unread, known)
  if out then
    runtime.io.write_durably(out, page)
    return out
  end
  local shared = M.shared_directory(paths)
  directory.write_in(shared, "report.html", page)
  return shared .. "/report.html"
end

--- The directory that all of some paths lie in or below; a single path itself; "." where they share nothing.
function M.shared_directory(paths)
  local shared = paths[1]
  for _, path in ipairs(paths) do
    while shared ~= "" and path ~= shared and path:sub(1, #shared + 1) ~= shared .. "/" do
      shared = shared:match "^(.*)/[^/]*$" or ""
    end
  end
  return shared ~= "" and shared or "."
end

return M
