--- Which evaluation of a run was the best, and whether waiting for a better one is over.
local check = require "sm.check"
local fail = require "sm.fail"
local sorted_keys = require "sm.ordered".sorted_keys

local M = {}

local modes <const> = { validation_accuracy = "max", validation_loss = "min" } -- of what every run may measure

local rules = check.spec("experiment: best", {
  [1] = { type = "string", required = true, doc = "a column of the validation data in metrics.csv" },
  mode = { type = "string", choices = { "max", "min" }, doc = "which is best, the largest or the smallest" },
})

--- Checks the option `best`: the name of a column, or { name, mode = "max" or "min" }. Figures of the person's own need
--- the mode: nobody else knows whether more of them is better.
--- @param given string|table
--- @param metrics table array of {name=}: the person's own
--- @return table {column=, mode=}
function M.declared(given, metrics)
  if type(given) == "string" then given = { given } end
  if type(given) ~= "table" then
    fail("experiment: option 'best' is a column such as \"validation_accuracy\", or { \"validation_f1\", "
      .. "mode = \"max\" }, got %s", check.describe(given))
  end
  local options = check.options("experiment: option 'best'", given, rules)
  local column, known = options[1], { validation_accuracy = true, validation_loss = true }
  for _, metric in ipairs(metrics) do known["validation_" .. metric.name] = true end
  if not known[column] then
    local names = sorted_keys(known)
    fail("experiment: option 'best': there is no column '%s' of the validation data%s (there are %s)",
      check.word(column), check.suggest(check.word(column), names), table.concat(names, ", "))
  end
  local mode = options.mode or modes[column]
  if not mode then
    fail("experiment: option 'best': say which '%s' is best, the largest or the smallest: best = { \"%s\", mode = "
      .. "\"max\" } or \"min\"", column, column)
  end
  return { column = column, mode = mode }
end

--- The figure of a column. @param figures table {loss=, accuracy=, metrics=}, as evaluate has them
local function figure(figures, column)
  local name = column:match "^validation_(.+)$"
  if name == "loss" or name == "accuracy" then return figures[name] end
  return figures.metrics and figures.metrics[name]
end

--- Whether new figures are better than old ones: by what was declared, else by accuracy, and by the loss where there is
--- none. What has not been measured is better than nothing, and nothing else.
local function better(rule, new, old)
  local column, mode = rule and rule.column, rule and rule.mode
  if not column then
    column = new.accuracy and "validation_accuracy" or "validation_loss"
    mode = modes[column]
  end
  local value, before = figure(new, column), old and figure(old, column)
  if not value or not before then return value ~= nil end
  if mode == "max" then return value > before end
  return value < before
end

--- Notes the figures of an evaluation.
--- @param kept table state.validation: {latest=, best=, waited=(evaluations since the best)}
--- @param rule table|nil as declared gives it
--- @return boolean whether they are the best until now
function M.note(kept, rule, figures)
  local improved = better(rule, figures, kept.best)
  kept.latest = figures
  if improved then kept.best = figures end
  kept.waited = improved and 0 or (kept.waited or 0) + 1
  return improved
end

--- Whether a run has waited as long as its schedule lets it.
function M.waited_enough(run)
  local patience = run.schedule.patience
  return patience ~= nil and (run.state.validation.waited or 0) >= patience
end

return M
