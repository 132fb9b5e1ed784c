--- Training: draw a batch, look at the loss, follow its gradient; measure, show and save at the milestones.
local runtime = require "sm.runtime"
local autograd = require "sm.autograd"
local fail = require "sm.fail"
local problem = require "sm.problem"
local evaluate = require "sm.experiment.evaluate"
local checkpoint = require "sm.experiment.checkpoint"
local first_steps = require "sm.experiment.first_steps"

local M = {}

local now = runtime.system.now

local function finite(number)
  return number - number == 0
end

--- What has been summed up since the last row of metrics.csv; run.spent.row has the seconds.
local function new_tally()
  return { loss = 0, accuracy = 0, steps = 0 }
end

--- What a run has come to before its first step. A checkpoint keeps it whole.
--- @return table {step=(steps done), tally=, validation={latest=, best=}, each {step=, loss=, accuracy=, metrics=}}
function M.new_state()
  return { step = 0, tally = new_tally(), validation = {} }
end

local function first_not_finite(tensors)
  for name, tensor in pairs(tensors) do
    if not runtime.math.is_finite(tensor) then return name end
  end
end

--- Where a non-finite loss came from: the first parameter or layer that is not finite.
local function culprit(run, inputs)
  local numbers = inputs.dtype == runtime.real
  if numbers and not runtime.math.is_finite(inputs) then return "the batch itself is not finite" end
  local parameter = first_not_finite(run.model:parameters())
  if parameter then return ("parameter '%s' is not finite"):format(parameter) end
  local layer = first_not_finite(autograd.no_grad(function() return run.model:activations(inputs) end))
  if layer then return ("the first layer whose output is not finite is '%s'"):format(layer) end
  return "every layer's output is finite"
end

local function stop(run, what, value, inputs)
  local shown = value == value and ("%g"):format(value) or "nan"
  fail("step %d: the %s is %s; %s; %s", run.state.step, what, shown, culprit(run, inputs), checkpoint.last(run))
end

local function has_gradient(model)
  for _, parameter in pairs(model:parameters()) do
    if runtime.tensor.gradient(parameter) then return true end
  end
end

local function fail_without_parameters(run)
  fail("step %d: the loss depends on no parameter of the model", run.state.step)
end

--- One step of the optimizer; what it says of a gradient is completed with the step.
local function follow_gradient(run)
  local ok, met = problem.attempt(run.optimizer.step, run.optimizer)
  if ok then return end
  local kind = problem.kind(met)
  if kind == "unmoved" and not has_gradient(run.model) then fail_without_parameters(run) end
  if kind ~= "not finite" then error(met, 0) end
  fail("step %d: the %s; %s", run.state.step, problem.words(met), checkpoint.last(run))
end

--- @return number loss
--- @return number|nil accuracy of the same forward pass
local function learn_from_one_batch(run)
  local inputs, targets = run.stream:next()
  run.optimizer:zero_grad()
  local output = run.model(inputs)
  local loss = first_steps.loss(run, output, targets, inputs)
  local value = loss:item()
  run.state.step = run.state.step + 1
  if not finite(value) then stop(run, "loss", value, inputs) end
  if not loss:tracks() then fail_without_parameters(run) end
  first_steps.backward(run, loss)
  follow_gradient(run)
  return value, run.accuracy and output:accuracy(targets) or nil
end

local function take_a_step(run)
  local began = now()
  local loss, accuracy = learn_from_one_batch(run)
  runtime.tensor.collect()
  local ended = now()
  local tally, spent = run.state.tally, run.spent
  tally.steps = tally.steps + 1
  tally.loss = tally.loss + loss
  tally.accuracy = accuracy and tally.accuracy and tally.accuracy + accuracy
  spent.row = spent.row and spent.row + (ended - began)
  spent.training = spent.training + (ended - began)
  run.progress:step(run.state.step, run.schedule.steps, loss, accuracy, ended - began, ended)
end

local function better(new, old)
  if not old then return true end
  if new.accuracy and old.accuracy then return new.accuracy > old.accuracy end
  return new.loss < old.loss
end

local function validate(run)
  if not run.data.validation then return {} end
  local loss, accuracy, metrics = evaluate.split(run, run.data.validation, function(value, inputs)
    if not finite(value) then stop(run, "loss on the validation data", value, inputs) end
  end)
  local figures = { step = run.state.step, loss = loss, accuracy = accuracy, metrics = metrics }
  local kept = run.state.validation
  kept.latest = figures
  if better(figures, kept.best) then kept.best = figures end
  return figures
end

--- The means since the last row; the tally starts anew.
local function row_of(run, validation)
  local tally, seconds = run.state.tally, run.spent.row
  local row = {
    step = run.state.step, epoch = run.stream.epoch, lr = run.optimizer:rate(),
    validation_loss = validation.loss, validation_accuracy = validation.accuracy,
  }
  for name, value in pairs(validation.metrics or {}) do row["validation_" .. name] = value end
  if tally.steps > 0 then
    row.train_loss = tally.loss / tally.steps
    row.train_accuracy = tally.accuracy and tally.accuracy / tally.steps
    row.step_ms = seconds and 1000 * seconds / tally.steps
    if run.optimizer.telemetry_names then
      for name, value in pairs(run.optimizer:telemetry()) do row[name] = value end
    end
  end
  run.state.tally, run.spent.row = new_tally(), 0
  return row
end

--- Whether a row is due after a step, and whether it has an evaluation.
local function row_due(schedule, step)
  local evaluating = step == schedule.steps or step % schedule.evaluate == 0
  return evaluating or step % schedule.log == 0, evaluating
end

--- What is due at this step: a row, an evaluation with its pictures, a checkpoint. The last step has it all.
local function milestones(run)
  local step, schedule = run.state.step, run.schedule
  local due, evaluating = row_due(schedule, step)
  if due then
    local validation = evaluating and validate(run) or {}
    local row = row_of(run, validation)
    if evaluating then run:measure(row) end
    run.metrics:write(row)
    run.progress:row(row, schedule.steps, validation.metrics)
    if evaluating then
      run:draw(row)
      run:follow()
    end
  end
  if step == schedule.steps or step % schedule.checkpoint == 0 then checkpoint.save(run) end
end

local trained = setmetatable({}, { __mode = "k" }) -- the models that runs of this process have trained

--- Raises where a new run would begin with what another run of this process has made of its model.
function M.check_fresh(run)
  if trained[run.model] then
    error(run.where .. ": experiment: another run has trained this model already, and the new one would begin where "
      .. "that ended; declare each run with a model and an optimizer of its own", 0)
  end
end

--- Trains until the schedule is done or the user interrupts.
--- @param run table model, optimizer, stream, objective, schedule, state, …
--- @return string "trained" or "interrupted"
function M.train(run)
  run.model:train()
  trained[run.model] = true
  if not run.saved then run:draw() end
  while run.state.step < run.schedule.steps do
    if run.interrupted() then
      checkpoint.save(run)
      return "interrupted"
    end
    if run.optimizer.telemetry_names and row_due(run.schedule, run.state.step + 1) then run.optimizer:watch() end
    take_a_step(run)
    milestones(run)
  end
  return "trained"
end

return M
