--- What the model is worth: its loss, and where it classifies, the share it gets right.
local runtime = require "sm.runtime"
local autograd = require "sm.autograd"
local fail = require "sm.fail"
local check = require "sm.check"
local random = require "sm.random"

local M = {}

local evaluation_batch <const> = 250

local function braces(shape)
  return "{" .. table.concat(shape, ", ") .. "}"
end

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
  local output = { "N", table.unpack(run.model.output_shape) }
  local labels = { "N", table.unpack(targets.shape, 2) }
  local fits = targets.dtype ~= runtime.real
    and table.concat(output, ",", 1, #output - 1) == table.concat(labels, ",")
  return fits, output, labels
end

--- Whether accuracy is measured: the loss classifies by name, or `metrics` asks for it.
--- @param run table a run whose model is built
function M.accuracy(run)
  local asked = false
  for _, name in ipairs(run.metrics_asked) do asked = asked or name == "accuracy" end
  if not asked and run.loss ~= "cross_entropy" then return false end
  local fits, output, labels = classifies(run)
  local classes = run.data.classes or 0
  if asked and not fits then
    refuse(run, "\"accuracy\" needs integer labels {N, …} and a row of scores {N, …, classes} for each, but the "
      .. "targets are %s of %s and the model gives %s", braces(labels), run.data.train.targets.dtype, braces(output))
  elseif asked and output[#output] < classes then
    refuse(run, "\"accuracy\" needs a score for each of the %d classes of %s, but the model gives %s", classes,
      run.data.name, braces(output))
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
--- @param declared string|function "cross_entropy" or the user's own function
function M.objective(declared)
  if declared == "cross_entropy" then
    return function(output, targets) return output:cross_entropy(targets) end
  end
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

--- Means over all examples of a split, in eval mode, without a tape. Random numbers that the loss function draws are
--- put back: training draws the same ones whether or not it is evaluated.
--- @param run table {model=, objective=, accuracy=(whether it is measured)}
--- @param watch function|nil (loss, inputs) hears of every batch
--- @return number loss
--- @return number|nil accuracy
function M.split(run, split, watch)
  local model, loss, correct, drawn = run.model, 0, 0, random.state()
  model:eval()
  autograd.no_grad(function()
    for inputs, targets in split:batches(evaluation_batch) do
      local output = model(inputs)
      local value = run.objective(output, targets, inputs):item()
      if watch then watch(value, inputs) end
      loss = loss + value * #inputs
      if run.accuracy then correct = correct + output:accuracy(targets) * #inputs end
      runtime.tensor.collect()
    end
  end)
  model:train()
  random.restore(drawn)
  return loss / #split, run.accuracy and correct / #split or nil
end

return M
