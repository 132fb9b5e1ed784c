--- The end of a run: the test set, and summary.json.
local average = require "sm.experiment.average"
local checkpoint = require "sm.experiment.checkpoint"
local classes = require "sm.experiment.classes"
local evaluate = require "sm.experiment.evaluate"
local metrics = require "sm.experiment.metrics"
local model_summary = require "sm.nn.summary"

--- Puts into the model what is tested: with `best` the weights of the best evaluation, else the last ones; their
--- average where the schedule asks for it.
--- @return integer the step that they are of
--- @return string "best" or "last"
local function settle(run, path)
  local best = run.best and run.state.validation.best
  if best then
    checkpoint.restore_best(run, path, best.step)
    return best.step, "best"
  end
  average.settle(run)
  return run.state.step, "last"
end

--- To the digits of metrics.csv: a float32 has no more to say.
local function rounded(number)
  return number and tonumber(("%.9g"):format(number))
end

--- The test set is used here, once, and the run is finished.
--- @return table what summary.json says
return function(run, path)
  local test_loss, test_accuracy, test_metrics
  local validated = classes.validated(run)
  local tested_step, tested_weights = settle(run, path)
  run:moment(false)
  if run.data.test then
    local tally = classes.tally(run)
    test_loss, test_accuracy, test_metrics = evaluate.split(run, run.data.test, nil, tally)
    classes.keep(run, tally, { split = "test", step = tested_step, weights = tested_weights })
  else
    classes.keep(run, validated, { split = "validation", step = run.state.step, weights = "last" })
  end
  local latest, best = run.state.validation.latest or {}, run.state.validation.best or {}
  local spent = run:spent_so_far()
  local summary = {
    status = "finished",
    experiment = run.name,
    seed = run.seed,
    steps = run.state.step,
    continued_step = run.record.continued and run.record.continued.step or nil,
    parameters = model_summary.parameter_count(run.model),
    test_accuracy = rounded(test_accuracy),
    test_loss = rounded(test_loss),
    tested_step = run.data.test and tested_step or nil,
    tested_weights = run.data.test and tested_weights or nil,
    stopped = run.state.step < run.schedule.steps and "patience" or nil,
    validation_accuracy = rounded(latest.accuracy),
    validation_loss = rounded(latest.loss),
    best_validation_accuracy = rounded(best.accuracy),
    best_validation_loss = rounded(best.loss),
    best_validation_step = best.step,
    wall_seconds = rounded(spent.wall),
    training_seconds = rounded(spent.training),
    median_step_ms = rounded(metrics.median(path .. "/metrics.csv", "step_ms")),
  }
  for name, value in pairs(test_metrics or {}) do summary["test_" .. name] = rounded(value) end
  for name, value in pairs(latest.metrics or {}) do summary["validation_" .. name] = rounded(value) end
  for name, value in pairs(best.metrics or {}) do summary["best_validation_" .. name] = rounded(value) end
  run.host.conclude(path, summary)
  run:report()
  return summary
end
