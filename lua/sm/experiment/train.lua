--- Training: draw a batch, look at the loss, follow its gradient; measure, show and save at the milestones.
local runtime = require "sm.runtime"
local average = require "sm.experiment.average"
local best = require "sm.experiment.best"
local classes = require "sm.experiment.classes"
local evaluate = require "sm.experiment.evaluate"
local checkpoint = require "sm.experiment.checkpoint"
local first_steps = require "sm.experiment.first_steps"
local ranks = require "sm.experiment.ranks"
local step = require "sm.experiment.step"

local M = {}

local now = runtime.system.now

--- What has been summed up since the last row of metrics.csv; run.spent.row has the seconds.
local function new_tally()
  return { loss = 0, accuracy = 0, steps = 0, figures = {} }
end

--- What a run has come to before its first step. A checkpoint keeps it whole.
--- @return table {step=(steps done), tally=, validation={latest=, best=, each {step=, loss=, accuracy=, metrics=},
---   waited=(evaluations since the best)}}
function M.new_state()
  return { step = 0, tally = new_tally(), validation = {} }
end

--- Adds what a step of the person's own has returned: each name by itself, as not every step has each.
local function add_figures(tally, figures)
  tally.figures = tally.figures or {}
  for name, value in pairs(figures) do
    local sum = tally.figures[name] or { sum = 0, steps = 0 }
    tally.figures[name] = { sum = sum.sum + value, steps = sum.steps + 1 }
  end
end

local function take_a_step(run)
  local began = now()
  local figures = step.take(run)
  runtime.tensor.collect()
  local ended = now()
  local tally, spent = run.state.tally, run.spent
  tally.steps = tally.steps + 1
  if run.own_step then
    add_figures(tally, figures)
  else
    tally.loss = tally.loss + figures.loss
    tally.accuracy = figures.accuracy and tally.accuracy and tally.accuracy + figures.accuracy
  end
  spent.row = spent.row and spent.row + (ended - began)
  spent.training = spent.training + (ended - began)
  run.progress:step(run.state.step, run.schedule.steps, figures, ended - began, ended)
end

--- Enters into a row what the validation data say of the model. @return table what a person's own metrics say
local function validate(run, row)
  if not run.data.validation then return {} end
  local loss, accuracy, metrics = evaluate.split(run, run.data.validation, function(value, inputs)
    step.check_finite(run, "loss on the validation data", value, inputs)
  end, classes.validating(run))
  row.validation_loss, row.validation_accuracy = loss, accuracy
  for name, value in pairs(metrics) do row["validation_" .. name] = value end
  local figures = { step = run.state.step, loss = loss, accuracy = accuracy, metrics = metrics }
  if best.note(run.state.validation, run.best, figures) and run.best then checkpoint.save_best(run) end
  return metrics
end

--- A row with what the steps since the last one have come to; the tally starts anew.
local function row_of(run)
  local tally, seconds, optimizer = run.state.tally, run.spent.row, run.optimizer
  local row = { step = run.state.step, epoch = run.stream.epoch, lr = optimizer:rate() }
  for name, figure in pairs(tally.figures or {}) do row["train_" .. name] = figure.sum / figure.steps end
  if tally.steps > 0 then
    if not run.own_step then
      row.train_loss = tally.loss / tally.steps
      row.train_accuracy = tally.accuracy and tally.accuracy / tally.steps
    end
    row.step_ms = seconds and 1000 * seconds / tally.steps
    if optimizer.telemetry_names and optimizer:has_moved() then
      for name, value in pairs(optimizer:telemetry()) do row[name] = value end
    end
  end
  run.state.tally, run.spent.row = new_tally(), 0
  return row
end

--- Whether a row is due after a step, and whether it has an evaluation.
local function row_due(schedule, done)
  local evaluating = done == schedule.steps or done % schedule.evaluate == 0
  return evaluating or done % schedule.log == 0, evaluating
end

--- The columns that a row has because `train` returned what they show, in the order of the alphabet.
local function figure_columns(run, row)
  local names = {}
  for name in pairs(row) do
    if run.own_step and name:find "^train_" then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

--- Writes a row.
--- @param metrics table|nil what a person's own metrics say
local function write(run, row, metrics)
  run.metrics:add_columns(figure_columns(run, row))
  run.metrics:write(row)
  run.progress:row(row, run.schedule.steps, metrics)
end

--- Evaluates the model, and draws its pictures.
--- @param row table the row of this step
local function evaluation(run, row)
  local metrics = validate(run, row)
  run:measure(row)
  write(run, row, metrics)
  run:draw(row)
  run:follow()
  runtime.tensor.trim()
end

local function save(run)
  first_steps.check_places(run)
  if run.ranks then run.ranks:check_weights(run) end
  if ranks.follows(run) then run.saved = run.state.step else checkpoint.save(run) end
end

--- What is due at this step: a row, an evaluation with its pictures, a checkpoint. The last step has it all.
local function milestones(run)
  local done, schedule = run.state.step, run.schedule
  local due, evaluating = row_due(schedule, done)
  local row = due and row_of(run)
  run:moment(false)
  if evaluating then
    if not ranks.follows(run) then average.evaluating(run, function() evaluation(run, row) end) end
    if run.ranks then run.ranks:share_validation(run) end
  elseif due then
    write(run, row)
  end
  local last = done == schedule.steps or best.waited_enough(run)
  if last or done % schedule.checkpoint == 0 then save(run) end
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
  if not run.saved and not ranks.follows(run) then run:draw() end
  while run.state.step < run.schedule.steps and not best.waited_enough(run) do
    if ranks.interrupted(run) then
      save(run)
      return "interrupted"
    end
    if run.optimizer.telemetry_names and row_due(run.schedule, run.state.step + 1) then run.optimizer:watch() end
    take_a_step(run)
    if run.averages then average.follow(run.averages, run.model, run.schedule.ema, run.state.step) end
    milestones(run)
  end
  return "trained"
end

return M
