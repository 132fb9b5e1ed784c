--- What came out of a finished run, in words: of what its summary.json says.
local numbers = require "sm.numbers"

local M = {}

--- How good: the best thing to be said of a finished run.
function M.best(summary)
  if summary.test_accuracy then return "test accuracy " .. numbers.percent(summary.test_accuracy) end
  if summary.test_loss then return ("test loss %.4g"):format(summary.test_loss) end
  local accuracy, loss = summary.validation_accuracy, summary.validation_loss
  if accuracy then return "validation accuracy " .. numbers.percent(accuracy) end
  return loss and ("validation loss %.4g"):format(loss) or "done"
end

--- One line: how good, after how many steps, in what time, where that is known.
function M.verdict(summary)
  if not summary.steps or not summary.wall_seconds then return M.best(summary) end
  return ("%s after %s step%s in %s"):format(M.best(summary), numbers.thousands(summary.steps),
    summary.steps == 1 and "" or "s", numbers.duration(summary.wall_seconds))
end

return M
