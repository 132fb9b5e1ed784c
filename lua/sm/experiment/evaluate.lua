--- What the model is worth: its loss, and where it classifies, the share it gets right.
local runtime = require "sm.runtime"
local autograd = require "sm.autograd"
local fail = require "sm.fail"
local check = require "sm.check"
local random = require "sm.random"
local shapes = require "sm.nn.shapes"
local shape_text = require "sm.text".shape

local M = {}

local evaluation_batch <const> = 250

local function refuse(run, format, ...)
  error(("%s: experiment: option 'metrics': "):format(run.where) .. format:format(...), 0)
end

--- The shapes of a run's outputs and targets, whose model is built, and whether they can give an accuracy: integer
--- labels {N, …}, and for each of them a row of scores {N, …, classes}.
--- @return boolean
--- @return table output
--- @return table labels
local function classifies(run)
  local targets = run.data.train.targets
  local given = run.model.output_shape
  if type(select(2, next(given))) == "table" then return false, given, targets.shape end -- several tensors
  local output = { "N", table.unpack(given) }
  local labels = { "N", table.unpack(targets.shape, 2) }
  local fits = targets.dtype ~= runtime.real
    and table.concat(output, ",", 1, #output - 1) == table.concat(labels, ",")
  return fits, output, labels
end

--- Whether accuracy is measured: the loss classifies by name, or `metrics` asks for it.
--- @param run table a run whose model is built
function M.accuracy(run)
  local asked = false
  for _, name in ipairs(run.metric_names) do asked = asked or name == "accuracy" end
  if not asked and run.loss ~= "cross_entropy" then return false end
  local fits, output, labels = classifies(run)
  local classes = run.data.classes or 0
  if asked and not fits then
    refuse(run, "\"accuracy\" needs integer labels {N, …} and a row of scores {N, …, classes} for each, but the "
      .. "targets are %s of %s and the model gives %s", shape_text(labels), run.data.train.targets.dtype,
      shape_text(output))
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

--- The loss that was declared: a function of output, targets and inputs that gives a scalar tensor.
--- @param declared string|function the name of a method of the output, or the user's own function
function M.objective(declared)
  if type(declared) == "string" then return function(output, targets) return output[declared](output, targets) end end
  local info = debug.getinfo(declared, "S")
  return function(output, targets, inputs)
    local loss = declared(output, targets, inputs)
    if not runtime.tensor.is_tensor(loss) or #loss.shape > 0 then
      fail("the loss function must return a tensor with one number (of rank 0), got %s; it is defined at %s:%d",
        check.describe(loss), info.short_src, info.linedefined)
    end
    return loss
  end
end

--- Room for the outputs of so many examples, of which a batch gives these: a tensor, or a table of tensors by name.
local function room_for(output, batch, count)
  return shapes.map(output, function(x)
    if x.shape[1] ~= batch then
      fail("a function in 'metrics' gets the outputs of all examples, but for %d examples the model gives a tensor of "
        .. "shape %s", batch, shape_text(x.shape))
    end
    return runtime.tensor.full({ count, table.unpack(x.shape, 2) }, 0, x.dtype)
  end)
end

--- Puts the outputs of a batch into their room, behind so many examples.
local function keep(room, output, done)
  if runtime.tensor.is_tensor(room) then return room:slice(done + 1, done + #output):copy_(output) end
  for key, inner in next, room do keep(inner, output[key], done) end
end

--- What a function of the user's says of the outputs and targets of a whole split.
--- @return number|nil finite; nil where it has nothing to say
local function measure(metric, outputs, targets)
  local value = metric.measure(outputs, targets)
  if runtime.tensor.is_tensor(value) and runtime.tensor.count(value) == 1 then value = value:item() end
  if value ~= nil and (math.type(value) == nil or value - value ~= 0) then
    local info = debug.getinfo(metric.measure, "S")
    fail("the metric '%s' must give a finite number, or nothing, got %s; it is defined at %s:%d", metric.name,
      check.describe(value), info.short_src, info.linedefined)
  end
  return value
end

--- Means over all examples of a split, in eval mode, without a tape. Random numbers that the loss function draws are
--- put back: training draws the same ones whether or not it is evaluated.
--- @param run table {model=, objective=, accuracy=(whether it is measured), metric_functions=}
--- @param watch function|nil (loss, inputs) hears of every batch
--- @return number loss
--- @return number|nil accuracy
--- @return table name → number: what the functions of `metrics` say of all outputs of the split
function M.split(run, split, watch)
  local model, loss, correct, drawn, figures = run.model, 0, 0, random.state(), {}
  local outputs, done = nil, 0
  model:eval()
  autograd.no_grad(function()
    for inputs, targets in split:batches(evaluation_batch) do
      local output = model(inputs)
      local value = run.objective(output, targets, inputs):item()
      if watch then watch(value, inputs) end
      loss = loss + value * #inputs
      if run.accuracy then correct = correct + output:accuracy(targets) * #inputs end
      if #run.metric_functions > 0 then
        outputs = outputs or room_for(output, #inputs, #split)
        keep(outputs, output, done)
      end
      done = done + #inputs
      runtime.tensor.collect()
    end
    for _, metric in ipairs(run.metric_functions) do figures[metric.name] = measure(metric, outputs, split.targets) end
  end)
  model:train()
  random.restore(drawn)
  return loss / #split, run.accuracy and correct / #split or nil, figures
end

return M
