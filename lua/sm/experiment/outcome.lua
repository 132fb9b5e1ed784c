--- What came out of a finished run, in words: of what its summary.json says.
local numbers = require "sm.numbers"
local sorted_keys = require "sm.ordered".sorted_keys

local figures_shown <const> = 3

local M = {}

--- Figures of the person's own, a few of them. @return string|nil
local function own_figures(summary, split)
  local words = {}
  for _, key in ipairs(sorted_keys(summary)) do
    local value = key:find("^" .. split .. "_") and math.type(summary[key]) and summary[key]
    words[#words + 1] = value and ("%s %.4g"):format(key:gsub("_", " "), value) or nil
  end
  return #words > 0 and table.concat(words, ", ", 1, math.min(#words, figures_shown)) or nil
end

--- How good: the best thing to be said of a run; figures of the person's own where there is nothing else.
--- @param summary table what summary.json says, or a row of metrics.csv
--- @return string|nil nil where nothing was measured
function M.figure(summary)
  if summary.test_accuracy then return "test accuracy " .. numbers.percent(summary.test_accuracy) end
  if summary.test_loss then return ("test loss %.4g"):format(summary.test_loss) end
  local accuracy, loss = summary.validation_accuracy, summary.validation_loss
  if accuracy then return "validation accuracy " .. numbers.percent(accuracy) end
  if loss then return ("validation loss %.4g"):format(loss) end
  return own_figures(summary, "test") or own_figures(summary, "validation")
end

--- How good, and with which weights, where these are not the last.
function M.best(summary)
  local best = summary.tested_weights == "best" and summary.tested_step
  return (M.figure(summary) or "done")
    .. (best and (" with the best weights (of step %s)"):format(numbers.thousands(best)) or "")
end

--- One line: how good, after how many steps, in what time, where that is known.
function M.verdict(summary)
  if not summary.steps or not summary.wall_seconds then return M.best(summary) end
  return ("%s after %s step%s in %s%s"):format(M.best(summary), numbers.thousands(summary.steps),
    summary.steps == 1 and "" or "s", numbers.duration(summary.wall_seconds),
    summary.stopped and ", stopped early" or "")
end

return M
