--- What a page says of classes: of each setting's first run that has a classes.json.
local runtime = require "sm.runtime"
local attempt = require "sm.problem".attempt
local classes = require "sm.experiment.classes"
local classification = require "sm.view.classification"
local html = require "sm.report.html"
local numbers = require "sm.numbers"
local text = require "sm.text"

local M = {}

local h <const> = html.element
local beneath <const> = runtime.io.beneath

local most_runs <const> = 12            -- of a page
local most_pairs <const> = 15
local most_bytes <const> = 4 * 1024 ^ 2 -- of a picture
local most_pictures <const> = 8 * 1024 ^ 2 -- bytes of all
local longest_name <const> = 40         -- columns of a class's name
local shades <const> = 10               -- of a cell, in classes.css
local folded <const> = 20               -- classes from which on their table is folded

local function name_of(found, label)
  return text.clip(text.visible(found.classes[label + 1].name), longest_name)
end

local function percent(share) return ("%.1f %%"):format(100 * share) end

--- The accuracy of each class.
local function accuracies(found)
  local lines = {}
  for i, class in ipairs(found.classes) do
    local some = class.examples > 0
    lines[i] = h("tr", {}, h("th", { scope = "row" }, name_of(found, i - 1)),
      h("td", { class = "figure" }, some and percent(class.correct / class.examples) or "–"),
      h("td", { class = "figure" }, class.low and class.high
        and ("%.1f – %.1f %%"):format(100 * class.low, 100 * class.high) or "–"),
      h("td", { class = "figure" }, numbers.thousands(class.examples)),
      h("td", { class = "figure" }, numbers.thousands(class.predicted)))
  end
  local heading = {}
  for i, words in ipairs { "class", "accuracy", "95 % interval", "examples", "predicted" } do
    heading[i] = h("th", { scope = "col", class = i > 1 and "figure" }, words)
  end
  local tabled = h("div", { class = "table" }, h("table", {}, h("caption", {}, "Accuracy, with Wilson's interval"),
    h("thead", {}, h("tr", {}, heading)), h("tbody", {}, lines)))
  if #found.classes <= folded then return tabled end
  return h("details", { ["data-key"] = "classes" },
    h("summary", {}, ("The accuracy of each of %d classes"):format(#found.classes)), tabled)
end

--- The matrix as a table, whose cells are shaded by the square root of their share of the row: so a few mistakes are
--- seen beside many right answers.
local function matrix(found)
  local heading, lines = { h("th", { scope = "col" }, "true") }, {}
  for c = 1, #found.classes do heading[c + 1] = h("th", { scope = "col", class = "figure" }, name_of(found, c - 1)) end
  for r, row in ipairs(found.confusion) do
    local total = found.classes[r].examples
    local cells = { h("th", { scope = "row" }, name_of(found, r - 1)) }
    for c, count in ipairs(row) do
      local share = total > 0 and count / total or 0
      local shade = count > 0 and math.max(1, math.min(shades, math.floor(shades * math.sqrt(share) + 0.5))) or 0
      cells[c + 1] = h("td", { class = ("figure shade-%d"):format(shade) },
        count > 0 and numbers.thousands(count) or h("span", { class = "none" }, "0"))
    end
    lines[r] = h("tr", {}, cells)
  end
  return h("div", { class = "table" }, h("table", { class = "confusion" },
    h("caption", {}, "Confusion matrix: rows are true, columns predicted"),
    h("thead", {}, h("tr", {}, heading)), h("tbody", {}, lines)))
end

--- The pairs that are confused most often, as a table.
local function confused(found)
  local lines = {}
  for i = 1, math.min(most_pairs, #found.pairs) do
    local pair = found.pairs[i]
    local total = found.classes[pair.label + 1].examples
    lines[i] = h("tr", {}, h("td", {}, name_of(found, pair.label)), h("td", {}, name_of(found, pair.predicted)),
      h("td", { class = "figure" }, ("%s of %s"):format(numbers.thousands(pair.count), numbers.thousands(total))),
      h("td", { class = "figure" }, total > 0 and percent(pair.count / total) or "–"))
  end
  if #lines == 0 then return nil end
  return h("div", { class = "table" }, h("table", {}, h("caption", {}, "Most confused"),
    h("thead", {}, h("tr", {}, h("th", { scope = "col" }, "true"), h("th", { scope = "col" }, "predicted"),
      h("th", { scope = "col", class = "figure" }, "examples"), h("th", { scope = "col", class = "figure" }, "share"))),
    h("tbody", {}, lines)))
end

local function calibration(found)
  local given = found.calibration
  if not given then return nil end
  local accuracy, difference = found.correct / found.examples, given.confidence - found.correct / found.examples
  local lines = {}
  for b, bin in ipairs(given.bins) do
    if bin.examples > 0 then
      lines[#lines + 1] = h("tr", {},
        h("th", { scope = "row" }, ("%.1f – %.1f %%"):format(100 * (b - 1) / #given.bins, 100 * b / #given.bins)),
        h("td", { class = "figure" }, numbers.thousands(bin.examples)),
        h("td", { class = "figure" }, bin.confidence and percent(bin.confidence) or "–"),
        h("td", { class = "figure" }, percent(bin.correct / bin.examples)))
    end
  end
  return {
    h("p", {}, ("Mean confidence %s, accuracy %s: it is %s. Expected calibration error (ECE) %s."):format(
      numbers.percent(given.confidence), numbers.percent(accuracy),
      math.abs(difference) < 0.005 and "as sure as it is right" or difference > 0 and "surer than it is right"
        or "less sure than it is right", numbers.percent(given.error))),
    h("details", { ["data-key"] = "calibration" }, h("summary", {}, "Calibration by probability"),
      h("p", { class = "note" }, ("Examples by the probability of the class that was predicted, in %d bins. The "
        .. "calibration error is the mean distance of confidence and accuracy, each bin weighted by its examples.")
        :format(#given.bins)),
      h("div", { class = "table" }, h("table", {},
        h("thead", {}, h("tr", {}, h("th", { scope = "col" }, "probability"),
          h("th", { scope = "col", class = "figure" }, "examples"),
          h("th", { scope = "col", class = "figure" }, "mean confidence"),
          h("th", { scope = "col", class = "figure" }, "accuracy"))),
        h("tbody", {}, lines)))),
  }
end

--- A picture of a run. A run may be a stranger's: no link leads out of it into the page.
--- @param name string beneath the run directory
--- @param room table {bytes=} that are left for pictures
--- @return table|nil node; nil where there is no such picture
local function picture(run, name, alt, room)
  local first_fields <const> = "\x89PNG\r\n\26\n\0\0\0\13IHDR"
  local read, bytes = attempt(beneath.read, run.path, name, most_bytes)
  if not read or not bytes or #bytes < #first_fields + 8 or bytes:sub(1, #first_fields) ~= first_fields then
    return nil
  elseif #bytes > room.bytes then
    return h("p", { class = "note" }, ("%s is left out: this page has many pictures already."):format(name))
  end
  room.bytes = room.bytes - #bytes
  local width, height = (">I4I4"):unpack(bytes, #first_fields + 1)
  return h("div", { class = "frames" }, h("img", {
    alt = alt, width = width, height = height, loading = "lazy",
    src = { "data:image/png;base64,", html.raw(runtime.io.base64(bytes)) },
  }))
end

local function mistakes(run, found, room)
  if not found.mistakes or #found.mistakes == 0 then return nil end
  local _, name = classes.pictures(found.split)
  local worst = found.mistakes[1]
  local node = picture(run, name, ("The %d worst mistakes; the first is example %d, of class %s, taken for %s"):format(
    #found.mistakes, worst.example, name_of(found, worst.label), name_of(found, worst.predicted)), room)
  return node and { h("h3", {}, "The worst mistakes"), node }
end

--- All but the mistakes as the picture that the run has drawn, which has the reliability diagram.
local function drawn(run, found, room)
  local name = classes.pictures(found.split)
  local node = picture(run, name, "The same as a picture: confusion matrix, accuracy of each class"
    .. (found.calibration and ", reliability diagram" or ""), room)
  return node and h("details", { ["data-key"] = "classes as a picture " .. run.path:match "[^/]*/*$" },
    h("summary", {}, found.calibration and "As a picture, with the reliability diagram" or "As a picture"), node)
end

--- What is said of one run.
local function run_node(run, found, room)
  local labels = found.mistakes and "examples" or "labels"
  return {
    h("p", {}, ("%s of %s %s %s are right, with the %s weights (of step %s).%s"):format(
      numbers.thousands(found.correct), numbers.thousands(found.examples), found.split, labels,
      found.weights == "best" and "best" or "last", numbers.thousands(found.step),
      found.undecided > 0 and (" %s with a score that is no number: in no column."):format(
        numbers.thousands(found.undecided)) or "")),
    accuracies(found),
    calibration(found) or h("p", { class = "note" }, "Nothing is said of calibration: that scores are logits, whose "
      .. "softmax gives probabilities, is known of the loss \"cross_entropy\" alone; and they must be numbers."),
    found.confusion and #found.classes <= classification.figures and matrix(found) or false,
    confused(found) or false,
    drawn(run, found, room) or false,
    mistakes(run, found, room) or false,
  }
end

--- The section of a page; nil where no run has said anything of classes.
--- @param settings table array of {runs=, label=}
function M.section(settings)
  local nodes, room, several = {}, { bytes = most_pictures }, #settings > 1
  local left_out = 0
  for _, setting in ipairs(settings) do
    local run = setting.runs[1]
    if #nodes == most_runs then
      left_out = left_out + (classes.kept(run.path) and 1 or 0)
    else
      local read, found = attempt(classes.read, run.path)
      if not read or found then
        local node = read and run_node(run, found, room) or h("p", { class = "note" }, tostring(found))
        local label = several and ("%s, seed %s"):format(setting.label, run.seed_text)
        nodes[#nodes + 1] = label and h("details", { ["data-key"] = "classes of " .. label },
          h("summary", {}, label), node) or node
      end
    end
  end
  if #nodes == 0 then return nil end
  return h("section", { id = "classes" }, h("h2", {}, "Classes"), nodes, left_out > 0 and h("p", { class = "note" },
    ("%d more %s left out; a page of its own has each."):format(left_out, left_out == 1 and "setting is"
      or "settings are")))
end

return M
