--- What a trained network makes of pictures.
local runtime = require "sm.runtime"
local autograd = require "sm.autograd"
local check = require "sm.check"
local evaluate = require "sm.experiment.evaluate"
local fail = require "sm.fail"
local picture = require "sm.data.picture"
local shapes = require "sm.shapes"
local split = require "sm.data.split"
local stand_in = require "sm.data.stand_in"
local tensor = require "sm.tensor"
local text = require "sm.text"

local M = {}

local batch_size <const> = 64
local most_outputs <const> = 10000 -- of a picture

--- The names of the classes, as many as the model tells apart: those of the data set, else their labels.
local function class_names(described, count)
  local known, names = stand_in.class_names(described) or {}, {}
  for i = 1, count do names[i] = known[i] or ("%d"):format(i - 1) end
  return names
end

--- Whether a model gives a row of numbers for each example, which can be shown.
--- @param output table|nil its output shape
function M.is_row(output)
  return shapes.is_shape(output) and #output == 1 and math.type(output[1]) == "integer" and output[1] <= most_outputs
end

--- What the outputs of a run's model are.
--- @param run table whose model is built, with `described`
--- @return table {kind="probability", "score" or "output", classes=(names), why=(it is no probability)}
function M.reading(run)
  local output, described = run.model.output_shape, run.described
  if not M.is_row(output) then
    fail("%s gives %s for each picture; `predict` shows a row of numbers, and sm.load_run has the network in a script",
      run.name, shapes.text(output))
  end
  local target = described.targets[1]
  local labels = #described.targets == 1 and not target.name and target.dtype ~= "real" and #target.shape == 0
  if not labels or not described.classes or output[1] < described.classes then
    return { kind = "output", classes = class_names({}, output[1]), why = "it does not classify: its outputs, from 0" }
  end
  local reading = { kind = "probability", classes = class_names(described, output[1]) }
  if run.loss ~= "cross_entropy" then
    reading.kind, reading.why = "score", ("its loss is %s, so these are its outputs and no probabilities"):format(
      type(run.loss) == "string" and '"' .. run.loss .. '"' or run.loss and "a function" or "its own step's")
  end
  return reading
end

--- The classes of one picture with their values, best first; outputs in their order.
local function ranked(reading, values, most)
  local order = {}
  for i = 1, #values do order[i] = i end
  if reading.kind ~= "output" then
    table.sort(order, function(a, b)
      if values[a] ~= values[b] then return values[a] > values[b] end
      return a < b
    end)
  end
  local rows = {}
  for i = 1, math.min(most, #order) do rows[i] = { class = reading.classes[order[i]], value = values[order[i]] } end
  return rows
end

--- The pictures that are wanted, or an error in words.
function M.wanted(run)
  local wanted, why = picture.wanted(run.described)
  return wanted or fail("%s was not trained on pictures: %s", run.name, why)
end

--- What the network says of a batch of pictures, a row for each.
--- @param list table array of tensors of one shape
local function values_of(run, reading, list)
  local batch = runtime.tensor.full({ #list, table.unpack(list[1].shape) }, 0, runtime.real)
  for i, one in ipairs(list) do runtime.tensor.slice(batch, i, i):copy_(one:unsqueeze(1)) end
  local rows = autograd.no_grad(function()
    local outputs = run.model(batch)
    return reading.kind == "probability" and outputs:softmax() or outputs
  end):totable()
  for _, row in ipairs(rows) do
    for _, value in ipairs(row) do
      if value - value ~= 0 then fail("%s gives numbers that are not finite", run.name) end
    end
  end
  return rows
end

--- Raises unless every class that a directory names is one of the model's.
--- @return table name → its position
local function check_truths(run, reading, pictures)
  local known = {}
  for i, name in ipairs(reading.classes) do known[name] = reading.kind ~= "output" and i or nil end
  for _, one in ipairs(pictures) do
    if one.truth and not known[one.truth] then
      fail("%s: '%s' is no class that %s knows%s", one.path, one.truth, run.name,
        check.suggest(one.truth, reading.classes))
    end
  end
  return known
end

--- What a run is worth on pictures whose classes are known.
--- @param pictures table array of {path=, truth=}
--- @param options table {grey=, resize=, invert=}
--- @return table {loss=, accuracy=, metrics=, classes=(how many there are), done=(what was done to pictures)}
function M.evaluate(run, pictures, options)
  local reading, wanted = M.reading(run), M.wanted(run)
  local known, labels, seen, classes = check_truths(run, reading, pictures), {}, {}, 0
  local inputs, said, done = runtime.tensor.full({ #pictures, table.unpack(wanted.shape) }, 0, runtime.real), {}, {}
  for i, one in ipairs(pictures) do
    local x, words = picture.read(one.path, wanted, options)
    runtime.tensor.slice(inputs, i, i):copy_(x:unsqueeze(1))
    labels[i] = known[one.truth] - 1
    if words ~= "" and not said[words] then said[words], done[#done + 1] = true, words end
    if not seen[one.truth] then seen[one.truth], classes = true, classes + 1 end
  end
  run.accuracy = reading.kind == "probability"
  for _, name in ipairs(run.metric_names) do run.accuracy = run.accuracy or name == "accuracy" end
  run.accuracy = run.accuracy and not evaluate.own_accuracy(run)
  local loss, accuracy, metrics = evaluate.split(run, split.new(inputs, tensor.tensor(labels, "int32"), "numbers"))
  return { loss = loss, accuracy = accuracy, metrics = metrics, classes = classes, done = text.few(done) }
end

--- Predicts pictures in their order.
--- @param run table as for reading, in eval mode
--- @param pictures table array of {path=, truth=(the name of its class, or nil)}
--- @param options table {grey=, resize=, invert=, most=(classes of each)}
--- @param tell function(position, rows, done) hears of each: rows {class=, value=}, and what was done to it
function M.pictures(run, reading, pictures, options, tell)
  local wanted = M.wanted(run)
  check_truths(run, reading, pictures)
  for first = 1, #pictures, batch_size do
    local batch, done = {}, {}
    for i = first, math.min(first + batch_size - 1, #pictures) do
      batch[#batch + 1], done[#done + 1] = picture.read(pictures[i].path, wanted, options)
    end
    for i, values in ipairs(values_of(run, reading, batch)) do
      tell(first + i - 1, ranked(reading, values, options.most), done[i])
    end
    runtime.tensor.collect()
  end
end

return M
