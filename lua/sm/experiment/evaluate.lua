--- What the model is worth: its loss, and where there are labels, the share it gets right.
local runtime = require "sm.runtime"
local autograd = require "sm.autograd"
local fail = require "sm.fail"
local check = require "sm.check"
local random = require "sm.random"

local M = {}

local evaluation_batch <const> = 250

--- Class labels against one score per class: then an accuracy means something.
local function classifies(output, targets)
  return (targets.dtype == "int32" or targets.dtype == "uint8")
    and #targets.shape == 1 and #output.shape == 2
end

--- @return number|nil the fraction right, nil where the targets are no labels
function M.accuracy(output, targets)
  if classifies(output, targets) then return output:accuracy(targets) end
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
--- @param watch function|nil (loss, inputs) hears of every batch
--- @return number loss
--- @return number|nil accuracy
function M.split(model, objective, split, watch)
  local loss, correct, labelled, drawn = 0, 0, true, random.state()
  model:eval()
  autograd.no_grad(function()
    for inputs, targets in split:batches(evaluation_batch) do
      local output = model(inputs)
      local accuracy = M.accuracy(output, targets)
      local value = objective(output, targets, inputs):item()
      if watch then watch(value, inputs) end
      loss = loss + value * #inputs
      labelled = labelled and accuracy ~= nil
      if accuracy then correct = correct + accuracy * #inputs end
      runtime.tensor.collect()
    end
  end)
  model:train()
  random.restore(drawn)
  return loss / #split, labelled and correct / #split or nil
end

return M
