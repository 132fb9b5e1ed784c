--- The pictures of runs over training time: plots/NAME-NNNNNN.png, one for each evaluation.
local runtime = require "sm.runtime"
local html = require "sm.report.html"
local numbers = require "sm.numbers"

local M = {}

local h <const> = html.element
local beneath <const> = runtime.io.beneath

local most_moments <const> = 25         -- of one picture
local most_bytes <const> = 24 * 1024 ^ 2 -- of all pictures of a page, as PNG

--- A picture; nil for what is none. A run may be a stranger's: no link leads out of it into the page. Its size is known
--- before it is decoded, so that the page has its layout.
local function picture_at(run, name, step)
  local first_fields <const> = "\x89PNG\r\n\26\n\0\0\0\13IHDR"
  local file <close> = beneath.open(run, name, "r")
  local beginning = file and file:read(#first_fields + 8) or ""
  if #beginning < #first_fields + 8 or beginning:sub(1, #first_fields) ~= first_fields then return nil end
  local width, height = (">I4I4"):unpack(beginning, #first_fields + 1)
  return { step = step, run = run, name = name, bytes = file:seek "end", width = width, height = height }
end

--- The pictures of a run.
--- @param path string the run directory
--- @param last_step integer later ones are of a run that was resumed from before them, and are left out
--- @return table name → array of {step=, run=, name=(beneath it), bytes=, width=, height=} in the order of training
function M.find(path, last_step)
  local found = {}
  for file in pairs(beneath.list(path, "plots") or {}) do
    local name, digits = file:match "^(.+)%-(%d+)%.png$"
    local step = math.tointeger(tonumber(digits))
    local picture = step and step <= last_step and picture_at(path, "plots/" .. file, step)
    if picture then
      found[name] = found[name] or {}
      table.insert(found[name], picture)
    end
  end
  for _, moments in pairs(found) do table.sort(moments, function(a, b) return a.step < b.step end) end
  return found
end

--- At most so many of a list, evenly chosen; the last one always, and with two or more the first.
function M.thin(list, most)
  if #list <= most then return list end
  if most == 1 then return { list[#list] } end
  local chosen = {}
  for i = 1, most do chosen[i] = list[math.floor((i - 1) * (#list - 1) / (most - 1) + 0.5) + 1] end
  return chosen
end

--- All steps that any of the figures was drawn at.
local function steps_of(figures)
  local steps, seen = {}, {}
  for _, figure in ipairs(figures) do
    for _, moment in ipairs(figure.moments) do
      if not seen[moment.step] then seen[moment.step], steps[#steps + 1] = true, moment.step end
    end
  end
  table.sort(steps)
  return steps
end

--- What a figure shows at some steps: the moments at them, or the last before where it has none.
local function moments_at(moments, steps)
  local kept, next_one = {}, 1
  for _, step in ipairs(steps) do
    local latest
    while moments[next_one] and moments[next_one].step <= step do
      latest, next_one = moments[next_one], next_one + 1
    end
    kept[#kept + 1] = latest
  end
  return kept
end

--- The kinds with at most so many steps, the same for all figures of a kind.
--- @return table array of {name=, steps=, figures=}
--- @return integer how many bytes the pictures have
local function thinned(kinds, most)
  local result, bytes = {}, 0
  for i, kind in ipairs(kinds) do
    local steps, figures = M.thin(steps_of(kind.figures), most), {}
    for j, figure in ipairs(kind.figures) do
      local moments = moments_at(figure.moments, steps)
      for _, moment in ipairs(moments) do bytes = bytes + moment.bytes end
      figures[j] = { label = figure.label, moments = moments }
    end
    result[i] = { name = kind.name, steps = steps, figures = figures }
  end
  return result, bytes
end

--- The kinds with the figures that there is room for, where one moment of each is too much already.
--- @return table array of kinds
--- @return integer how many figures are left out
local function those_that_fit(kinds)
  local result, left, left_out = {}, most_bytes, 0
  for _, kind in ipairs(kinds) do
    local figures = {}
    for _, figure in ipairs(kind.figures) do
      local bytes = figure.moments[1].bytes
      if bytes <= left then
        left, figures[#figures + 1] = left - bytes, figure
      else
        left_out = left_out + 1
      end
    end
    if #figures > 0 then
      result[#result + 1] = { name = kind.name, steps = M.thin(steps_of(figures), 1), figures = figures }
    end
  end
  return result, left_out
end

--- The kinds as the page has room for them.
--- @return table array of {name=, steps=, figures=}
--- @return table array of texts: what is not there
local function choose(kinds)
  local longest, left_out, notes = 0, 0, {}
  for _, kind in ipairs(kinds) do longest = math.max(longest, #steps_of(kind.figures)) end
  local most = math.min(most_moments, longest)
  local chosen, bytes = thinned(kinds, most)
  while bytes > most_bytes and most > 1 do
    most = most - 1
    chosen, bytes = thinned(kinds, most)
  end
  if bytes > most_bytes then chosen, left_out = those_that_fit(chosen) end
  if longest > most then
    notes[1] = ("Of up to %d moments of each picture, this page keeps %s."):format(longest,
      most == 1 and "the last" or most .. ", evenly over training, the first and the last among them")
  end
  if left_out > 0 then
    notes[#notes + 1] = ("%d picture%s left out: all together would be larger than %d MB."):format(left_out,
      left_out == 1 and " is" or "s are", most_bytes // 1024 ^ 2)
  end
  return chosen, notes
end

local function frame(kind, figure, moment, shown)
  return h("img", {
    alt = ("%s at step %d%s"):format(kind.name, moment.step, figure.label and ", " .. figure.label or ""),
    width = moment.width, height = moment.height, decoding = "sync", hidden = not shown, ["data-step"] = moment.step,
    src = { "data:image/png;base64,",
      html.raw(runtime.io.base64(beneath.read(moment.run, moment.name, most_bytes) or "")) },
  })
end

local function figure_node(kind, figure)
  local frames, last = {}, #figure.moments
  for i, moment in ipairs(figure.moments) do frames[i] = frame(kind, figure, moment, i == last) end
  return h("figure", {}, h("div", { class = "frames" }, frames),
    figure.label and h("figcaption", {}, figure.label, ", ",
      h("span", { class = "at" }, "step ", numbers.thousands(figure.moments[last].step))))
end

local function kind_node(number, kind)
  local id, steps, figures = ("picture-%d"):format(number), kind.steps, {}
  for i, figure in ipairs(kind.figures) do figures[i] = figure_node(kind, figure) end
  return h("section", { class = "pictures", ["data-steps"] = table.concat(steps, " ") },
    h("h3", {}, kind.name),
    h("p", { class = "controls" },
      h("label", {}, "training step ", h("input", {
        type = "range", id = id, ["data-key"] = "moment " .. kind.name, class = "moment",
        min = 0, max = #steps - 1, step = 1, value = #steps - 1,
        ["aria-valuetext"] = ("step %d"):format(steps[#steps]),
      })),
      h("output", { ["for"] = id }, numbers.thousands(steps[#steps])),
      h("label", {}, h("input", {
        type = "checkbox", ["data-key"] = "whole " .. kind.name, class = "whole",
      }), " full size")),
    h("div", { class = "figures" }, figures))
end

--- The pictures side by side: those of the same name together, moved by one slider.
--- @param shown table array of {label=(or nil), pictures=(as find gives them)}
--- @return table|nil node; nil where there is no picture
function M.node(shown)
  local kinds, by_name = {}, {}
  for _, run in ipairs(shown) do
    for name, moments in pairs(run.pictures) do
      if not by_name[name] then
        by_name[name] = { name = name, figures = {} }
        kinds[#kinds + 1] = by_name[name]
      end
      table.insert(by_name[name].figures, { label = run.label, moments = moments })
    end
  end
  if #kinds == 0 then return nil end
  table.sort(kinds, function(a, b) return a.name < b.name end)
  local chosen, notes = choose(kinds)
  local nodes = {}
  for i, note in ipairs(notes) do nodes[i] = h("p", { class = "note" }, note) end
  for number, kind in ipairs(chosen) do nodes[#nodes + 1] = kind_node(number, kind) end
  return nodes
end

return M
