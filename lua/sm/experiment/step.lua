--- One step of a run: down the gradient of the loss, or what the person's own `train` does.
local runtime = require "sm.runtime"
local autograd = require "sm.autograd"
local check = require "sm.check"
local fail = require "sm.fail"
local problem = require "sm.problem"
local shapes = require "sm.shapes"
local checkpoint = require "sm.experiment.checkpoint"
local convolutions = require "sm.experiment.convolutions"
local first_steps = require "sm.experiment.first_steps"

local M = {}

local function finite(number)
  return number - number == 0
end

local function first_not_finite(tensors)
  for name, tensor in pairs(tensors) do
    if not runtime.math.is_finite(tensor) then return name end
  end
end

--- Where a number that is not finite came from: the first parameter or layer that is not finite.
local function culprit(run, inputs)
  local wrong
  shapes.map(inputs, function(x, name)
    if runtime.math.is_finite(x) then return end
    wrong = name and ("'%s' of the batch"):format(name) or "the batch itself"
  end)
  if wrong then return wrong .. " is not finite" end
  local parameter = first_not_finite(run.model:parameters())
  if parameter then return ("parameter '%s' is not finite"):format(parameter) end
  local layer = first_not_finite(autograd.no_grad(function() return run.model:activations(inputs) end))
  if layer then return ("the first layer whose output is not finite is '%s'"):format(layer) end
  return "every layer's output is finite"
end

--- Ends the run unless a number of this step is finite.
--- @param what string the number, in words
function M.check_finite(run, what, value, inputs)
  if finite(value) then return end
  local shown = value == value and ("%g"):format(value) or "nan"
  fail("step %d: the %s is %s; %s; %s", run.state.step, what, shown, culprit(run, inputs), checkpoint.last(run))
end

-- Down the gradient of the loss ----------------------------------------------------------------------------

local function has_gradient(model)
  for _, parameter in pairs(model:parameters()) do
    if runtime.tensor.gradient(parameter) then return true end
  end
end

local function fail_without_parameters(run)
  fail("step %d: the loss depends on no parameter of the model", run.state.step)
end

local function follow_gradient(run)
  local ok, met = problem.attempt(run.optimizer.step, run.optimizer)
  if ok then return end
  if problem.kind(met) == "unmoved" and not has_gradient(run.model) then fail_without_parameters(run) end
  error(met, 0)
end

--- @return tensor output
--- @return tensor loss
--- @return number its value
local function losing(run, inputs, targets)
  local output = run.model(inputs)
  local loss = first_steps.loss(run, output, targets, inputs, run.at)
  local value = run.ranks and run.ranks:value(loss) or loss:item()
  M.check_finite(run, "loss", value, inputs)
  if not loss:tracks() then fail_without_parameters(run) end
  return output, loss, value
end

--- Whether there are labels to compare the outputs with; a transform may have mixed them.
local function has_labels(run, targets) return run.accuracy and targets.dtype ~= runtime.real end

--- The same as add_gradient, of several ranks.
local function add_divided(run, batches)
  local value, output, targets = run.ranks:divide(run, function(...) return losing(run, ...) end, batches)
  if not has_labels(run, targets) then return value, run.ranks:conclude(run) end
  return value, run.ranks:conclude(run, runtime.loss.correct(output, targets))
end

--- Adds the gradient of one batch's loss, divided by the number of batches of a step.
--- @param batches integer
--- @return number loss
--- @return number|nil accuracy of the same forward pass
local function add_gradient(run, batches)
  if run.ranks then return add_divided(run, batches) end
  local inputs, targets = run.stream:next()
  local output, loss, value = losing(run, inputs, targets)
  if batches > 1 then loss = loss / batches end
  loss:backward()
  return value, has_labels(run, targets) and output:accuracy(targets) or nil
end

--- @return table name → number
local function descend(run)
  local batches, loss, accuracy = run.schedule.accumulate or 1, 0, 0
  for _ = 1, batches do
    local value, share = add_gradient(run, batches)
    loss, accuracy = loss + value, accuracy and share and accuracy + share
  end
  follow_gradient(run)
  return { loss = loss / batches, accuracy = accuracy and accuracy / batches }
end

-- A step of the person's own -------------------------------------------------------------------------------

local shape_of_figures <const> = "a loss, a table of numbers by name such as { critic = loss }, or nothing; a number "
  .. "is one of Lua's, or a tensor of one"

local function number_of(value)
  if runtime.tensor.is_tensor(value) and runtime.tensor.count(value) == 1 then return value:item() end
  return math.type(value) and value + 0.0 or nil
end

local function refuse_figures(run, got)
  local info = debug.getinfo(run.own_step, "S")
  fail("step %d: train must return %s; got %s; it is defined at %s:%d", run.state.step, shape_of_figures, got,
    info.short_src, info.linedefined)
end

--- What `train` has returned; a second value would go nowhere.
local function only_value(run, ...)
  if select("#", ...) > 1 then refuse_figures(run, ("%d values"):format(select("#", ...))) end
  return ...
end

--- What `train` has returned, as numbers by name.
local function figures_of(run, returned, inputs)
  local figures = {}
  if returned == nil then return figures end
  if number_of(returned) then returned = { loss = returned } end
  if type(returned) ~= "table" or runtime.tensor.is_tensor(returned) then
    refuse_figures(run, check.describe(returned))
  end
  for name, value in next, returned do
    local number = number_of(value)
    if not number then
      refuse_figures(run, ("%s at '%s'"):format(check.describe(value), check.word(name)))
    elseif type(name) ~= "string" or not name:find "^[%a_][%w_]*$" then
      refuse_figures(run, ("one called '%s', and names are letters, digits and _"):format(check.word(name)))
    end
    M.check_finite(run, name == "loss" and "loss" or ("number '%s' of train"):format(name), number, inputs)
    if name == "accuracy" and (number < 0 or number > 1) then
      fail("step %d: the accuracy that train returns is a share, from 0 to 1, got %g", run.state.step, number)
    end
    figures[name] = number
  end
  return figures
end

local parts_of_a_batch <const> = { "input", "target" }
local batch <const> = {
  __index = function(_, key)
    local word = check.word(key)
    fail("a batch has no '%s'%s (it has input and target)", word, check.suggest(word, parts_of_a_batch))
  end,
}

--- What an earlier step has left in the model, and no checkpoint has, is forgotten: its mode, and all gradients, also
--- those of parameters that no optimizer moves.
--- @return table name → number
local function own_step(run)
  run.model:train()
  for _, parameter in pairs(run.model:parameters()) do parameter.grad = nil end
  local inputs, targets = run.stream:next()
  local given = setmetatable({ input = inputs, target = targets }, batch)
  local returned = only_value(run, run.own_step(run.at, given))
  return figures_of(run, returned, inputs)
end

--- Makes one step. @return table name → number: loss and accuracy of the batches, or what `train` has returned
function M.take(run)
  run.state.step = run.state.step + 1
  run:moment(true)
  run.optimizer:zero_grad()
  local make = run.own_step and own_step or descend
  if run.listened then return first_steps.observed(run, make, run) end
  run.listened = true -- once in a process, for what it hears stays the same
  local function tell(list) convolutions.keep(run, list) end
  return convolutions.heard(run.model:parameters(), tell, first_steps.observed, run, make, run)
end

return M
