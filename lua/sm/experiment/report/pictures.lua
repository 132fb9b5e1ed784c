--- The pictures of runs over training time: plots/NAME-NNNNNN.png, one for each evaluation.
local lfs = require "lfs"
local runtime = require "sm.runtime"
local directory = require "sm.experiment.directory"
local html = require "sm.experiment.report.html"

local M = {}

local h <const> = html.element

local most_moments <const> = 25         -- of one picture
local most_bytes <const> = 24 * 1024 ^ 2 -- of all pictures of a page, as PNG

--- The pictures of a run.
--- @param path string the run directory
--- @param last_step integer later ones are of a run that was resumed from before them, and are left out
--- @return table name → array of {step=, path=, bytes=} in the order of training
function M.find(path, last_step)
  local found, folder = {}, path .. "/plots"
  if lfs.attributes(folder, "mode") ~= "directory" then return found end
  for file in lfs.dir(folder) do
    local name, digits = file:match "^(.+)%-(%d+)%.png$"
    local step = math.tointeger(tonumber(digits))
    if step and step <= last_step then
      local place = folder .. "/" .. file
      found[name] = found[name] or {}
      table.insert(found[name], { step = step, path = place, bytes = lfs.attributes(place, "size") or 0 })
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

--- How many moments of each picture the page has room for.
local function room(kinds)
  local moments, bytes, figures = 0, 0, 0
  for _, kind in ipairs(kinds) do
    for _, figure in ipairs(kind.figures) do
      figures = figures + 1
      moments = moments + #figure.moments
      for _, moment in ipairs(figure.moments) do bytes = bytes + moment.bytes end
    end
  end
  local usual = math.max(1, bytes / moments)
  return math.max(1, math.min(most_moments, most_bytes // (usual * figures)))
end

--- The size of a PNG, so that the page knows its layout before it has decoded it.
local function size_of(content)
  local first_fields <const> = "\x89PNG\r\n\26\n\0\0\0\13IHDR"
  if #content < #first_fields + 8 or content:sub(1, #first_fields) ~= first_fields then return false, false end
  return (">I4I4"):unpack(content, #first_fields + 1)
end

local function frame(kind, figure, moment, shown)
  local content = directory.read(moment.path) or ""
  local width, height = size_of(content)
  return h("img", {
    alt = ("%s at step %d%s"):format(kind.name, moment.step, figure.label and ", " .. figure.label or ""),
    width = width, height = height, decoding = "sync", hidden = not shown, ["data-step"] = moment.step,
    src = { "data:image/png;base64,", html.raw(runtime.io.base64(content)) },
  })
end

local function figure_node(kind, figure)
  local frames = {}
  for i, moment in ipairs(figure.moments) do frames[i] = frame(kind, figure, moment, i == #figure.moments) end
  return h("figure", {}, h("div", { class = "frames" }, frames),
    figure.label and h("figcaption", {}, figure.label))
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

local function kind_node(number, kind)
  local id, steps = ("picture-%d"):format(number), steps_of(kind.figures)
  local figures = {}
  for i, figure in ipairs(kind.figures) do figures[i] = figure_node(kind, figure) end
  return h("section", { class = "pictures", ["data-steps"] = table.concat(steps, " ") },
    h("h3", {}, kind.name),
    h("p", { class = "controls" },
      h("label", {}, "training step ", h("input", {
        type = "range", id = id, class = "moment", min = 0, max = #steps - 1, step = 1, value = #steps - 1,
        ["aria-valuetext"] = ("step %d"):format(steps[#steps]),
      })),
      h("output", { ["for"] = id }, steps[#steps]),
      h("label", {}, h("input", { type = "checkbox", id = id .. "-whole", class = "whole" }), " full size")),
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
  local most, longest, nodes = room(kinds), 0, {}
  for number, kind in ipairs(kinds) do
    for _, figure in ipairs(kind.figures) do
      longest = math.max(longest, #figure.moments)
      figure.moments = M.thin(figure.moments, most)
    end
    nodes[number] = kind_node(number, kind)
  end
  return {
    longest > most and h("p", { class = "note" }, ("Of up to %d moments of each picture, %d are kept on this page, "
      .. "evenly over training%s."):format(longest, most, most > 1 and ", the first and the last among them" or "")),
    nodes,
  }
end

return M
