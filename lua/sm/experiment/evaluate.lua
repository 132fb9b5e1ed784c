--- What the model is worth: its loss, and where it classifies, the share it gets right.
local runtime = require "sm.runtime"
local autograd = require "sm.autograd"
local fail = require "sm.fail"
local check = require "sm.check"
local random = require "sm.random"
local shapes = require "sm.shapes"
local shape_text = require "sm.text".shape

local M = {}

local evaluation_batch <const> = 250

local function refuse(run, format, ...)
  error(("%s: experiment: option 'metrics': "):format(run.where) .. format:format(...), 0)
end

--- The shapes of a run's outputs and targets, whose model is built, and whether they can give an accuracy: integer
--- labels {N, …}, and for each of them a row of scores {N, …, classes}.
--- @return boolean false also where outputs or targets are several tensors
--- @return table output
--- @return table labels
local function classifies(run)
  local targets = run.data.train.targets
  local given = run.model.output_shape
  if not shapes.is_shape(given) or not runtime.tensor.is_tensor(targets) then
    return false, given, shapes.map(targets, function(x) return x.shape end)
  end
  local output = { "N", table.unpack(given) }
  local labels = { "N", table.unpack(targets.shape, 2) }
  local fits = targets.dtype ~= runtime.real
    and table.concat(output, ",", 1, #output - 1) == table.concat(labels, ",")
  return fits, output, labels
end

--- Whether accuracy is a function of the user's, `metrics = { accuracy = function … }`.
function M.own_accuracy(run)
  for _, metric in ipairs(run.metric_functions) do
    if metric.name == "accuracy" then return true end
  end
  return false
end

--- Whether the accuracy of outputs and targets is measured: the loss classifies by name, or `metrics` asks for it.
--- @param run table a run whose model is built
function M.accuracy(run)
  local asked = false
  for _, name in ipairs(run.metric_names) do asked = asked or name == "accuracy" end
  if M.own_accuracy(run) then
    if asked then refuse(run, "has \"accuracy\" and a function of that name") end
    return false
  end
  if not asked and run.loss ~= "cross_entropy" then return false end
  local fits, output, labels = classifies(run)
  local classes = run.data.classes or 0
  if asked and not fits then
    refuse(run, "\"accuracy\" needs integer labels {N, …} and a row of scores {N, …, classes} for each, but the "
      .. "targets are %s of %s and the model gives %s", shapes.text(labels),
      shapes.types_text(shapes.map(run.data.train.targets, function(x) return x.dtype end)), shapes.text(output))
  elseif asked and output[#output] < classes then
    refuse(run, "\"accuracy\" needs a score for each of the %d classes of %s, but the model gives %s", classes,
      run.data.name, shape_text(output))
  end
  return fits
end

--- The same for a run that version 0.1.0 began: it measured accuracy wherever there were labels {N} and scores
--- {N, classes}, whatever the loss was, and such a run goes on as it began.
function M.accuracy_of_0_1_0(run)
  local fits, output = classifies(run)
  return fits and #output == 2 and output[2] >= (run.data.classes or 0)
end

--- The loss that was declared: a function of output, targets, inputs and `at` that gives a scalar tensor.
--- @param declared string|function|nil the name of a method of the output, or the user's own function
--- @return function|nil nil where none was declared
function M.objective(declared)
  if declared == nil then return nil end
  if type(declared) == "string" then return function(output, targets) return output[declared](output, targets) end end
  local info = debug.getinfo(declared, "S")
  return function(output, targets, inputs, at)
    local loss = declared(output, targets, inputs, at)
    if not runtime.tensor.is_tensor(loss) or #loss.shape > 0 then
      fail("the loss function must return a tensor with one number (of rank 0), got %s; it is defined at %s:%d",
        check.describe(loss), info.short_src, info.linedefined)
    end
    return loss
  end
end

-- Metrics of the person's own ------------------------------------------------------------------------------

--- Room for what a batch gives of all examples: a tensor, or a table of tensors by name.
local function room_for(what, given, batch, count)
  return shapes.map(given, function(x)
    if x.shape[1] ~= batch then
      fail("a function in 'metrics' gets the %s of all examples, but for %d examples %s a tensor of shape %s%s", what,
        batch, what == "outputs" and "the model gives" or "there is", shape_text(x.shape),
        what == "outputs" and "; one that is to see batches is { mean = function(output, target) … end }" or "")
    end
    return runtime.tensor.full({ count, table.unpack(x.shape, 2) }, 0, x.dtype)
  end)
end

--- Puts the part of a batch into its room, behind so many examples.
local function keep(room, given, done)
  if runtime.tensor.is_tensor(room) then return room:slice(done + 1, done + #given):copy_(given) end
  for key, inner in next, room do keep(inner, given[key], done) end
end

--- What a function of the user's gives, as a number.
--- @return number|nil finite; nil where it has nothing to say
local function number_of(metric, f, value)
  if runtime.tensor.is_tensor(value) and runtime.tensor.count(value) == 1 then value = value:item() end
  if value ~= nil and (math.type(value) == nil or value - value ~= 0) then
    local info = debug.getinfo(f, "S")
    fail("the metric '%s' must give a finite number, or nothing, got %s; it is defined at %s:%d", metric.name,
      check.describe(value), info.short_src, info.linedefined)
  elseif value and metric.name == "accuracy" and (value < 0 or value > 1) then
    fail("the metric 'accuracy' is a share, from 0 to 1, got %g", value)
  end
  return value
end

--- Whether a function takes a third argument, the inputs.
local function takes_inputs(f)
  local info = debug.getinfo(f, "u")
  return info.isvararg or info.nparams > 2
end

--- What the user's metrics say of a split: those of all examples at once, and means of those of batches.
local function gathering(run, split)
  local rooms, sums, done, wanted = {}, {}, 0, {}
  for _, metric in ipairs(run.metric_functions) do
    if metric.measure then
      wanted.outputs = true
      wanted.inputs = wanted.inputs or takes_inputs(metric.measure)
    end
  end
  local gather = {}

  --- Takes a batch in.
  function gather.add(output, targets, inputs)
    local batch, count = { outputs = output, inputs = inputs }, shapes.count(inputs)
    for what in pairs(wanted) do
      rooms[what] = rooms[what] or room_for(what, batch[what], count, #split)
      keep(rooms[what], batch[what], done)
    end
    for _, metric in ipairs(run.metric_functions) do
      local value = metric.mean and number_of(metric, metric.mean, metric.mean(output, targets, inputs, run.at))
      local sum = sums[metric.name] or { value = 0, examples = 0 }
      if value then sums[metric.name] = { value = sum.value + value * count, examples = sum.examples + count } end
    end
    done = done + count
  end

  --- @return table name → number
  function gather.figures()
    local figures = {}
    for _, metric in ipairs(run.metric_functions) do
      local f, sum = metric.measure, sums[metric.name]
      if f then
        figures[metric.name] = number_of(metric, f, f(rooms.outputs, split.targets, rooms.inputs, run.at))
      elseif sum then
        figures[metric.name] = number_of(metric, metric.mean, sum.value / sum.examples)
      end
    end
    return figures
  end

  return gather
end

--- Means over all examples of a split, in eval mode. The model's outputs are without a tape; the user's functions may
--- take gradients, as a penalty on them does. Random numbers that these draw are put back: training draws the same ones
--- whether or not it is evaluated.
--- @param run table {model=, objective=, accuracy=(whether it is measured), metric_functions=, at=}
--- @param watch function|nil (loss, inputs) hears of every batch
--- @param tally table|nil of sm.view.classification, which takes in every batch, too
--- @return number|nil loss nil where there is no objective
--- @return number|nil accuracy
--- @return table name → number: what the user's other metrics say
function M.split(run, split, watch, tally)
  if not run.objective and not run.accuracy and #run.metric_functions == 0 then return nil, nil, {} end
  local model, loss, correct, drawn = run.model, 0, 0, random.state()
  local gather = gathering(run, split)
  runtime.tensor.trim() -- its batches have sizes of their own, beside which those of training would lie idle
  model:eval()
  for inputs, targets in split:batches(evaluation_batch) do
    local output = autograd.no_grad(model, inputs)
    if run.objective then
      local value = run.objective(output, targets, inputs, run.at):item()
      if watch then watch(value, inputs) end
      loss = loss + value * shapes.count(inputs)
    end
    if run.accuracy then correct = correct + output:accuracy(targets) * shapes.count(inputs) end
    if tally then tally:add(output, targets) end
    gather.add(output, targets, inputs)
    runtime.tensor.collect()
  end
  local figures = gather.figures()
  runtime.tensor.trim()
  model:train()
  random.restore(drawn)
  local accuracy = figures.accuracy
  if run.accuracy then accuracy = correct / #split end
  figures.accuracy = nil
  return run.objective and loss / #split or nil, accuracy, figures
end

return M
