--- What a run says of itself: numbers as people read them, the plan before, the outcome after.
local runtime = require "sm.runtime"
local numbers = require "sm.numbers"
local text = require "sm.text"
local usage = require "sm.usage"
local sorted_keys = require "sm.ordered".sorted_keys

local M = {}

M.thousands = numbers.thousands

--- 7.3 s, 42 s, 4:05, 1:02:03
function M.duration(seconds)
  if seconds >= 2 ^ 53 then return ("%.3g s"):format(seconds) end
  if seconds < 10 then return ("%.1f s"):format(seconds) end
  local whole = math.floor(seconds + 0.5)
  if whole < 60 then return ("%d s"):format(whole) end
  if whole < 3600 then return ("%d:%02d"):format(whole // 60, whole % 60) end
  return ("%d:%02d:%02d"):format(whole // 3600, whole // 60 % 60, whole % 60)
end

--- 0.05 ms, 17.3 ms
function M.milliseconds(number)
  return (number < 10 and "%.2f ms" or "%.1f ms"):format(number)
end

--- 98.76 %
function M.percent(fraction)
  return ("%.2f %%"):format(100 * fraction)
end

--- loss 0.0412  accuracy 98.76 %  f1 0.9
--- @param accuracy number|nil
--- @param metrics table|nil name → number
function M.figures(loss, accuracy, metrics)
  local parts = { ("loss %-7.4g"):format(loss), accuracy and ("accuracy %8s"):format(M.percent(accuracy)) }
  for _, name in ipairs(sorted_keys(metrics or {})) do parts[#parts + 1] = ("%s %-7.4g"):format(name, metrics[name]) end
  return table.concat(parts, "  ")
end

local most_names <const> = 4

--- conv1.weight, conv1.bias and 3 more
function M.names(names)
  local first = table.concat(names, ", ", 1, math.min(#names, most_names))
  return #names > most_names and ("%s and %d more"):format(first, #names - most_names) or first
end

--- The model, the data and the plan, before the first step.
--- @param run table a run, built
--- @param path string where it goes
function M.plan(run, path)
  local progress, schedule, threads = run.progress, run.schedule, runtime.system.threads()
  progress:say { "\n", { "1", text.visible(run.name) }, "   ", { "36", text.visible(run.variant) }, "\n" }
  progress:say(tostring(run.model) .. "\n")
  local function line(name, words) progress:say(("%-11s%s"):format(name, text.visible(words)), 11) end
  line("data", run.data.description or run.data.name)
  line("training", ("%s steps of %d with %s, seed %d, %d thread%s"):format(M.thousands(schedule.steps),
    schedule.batch, run.optimizer.name, run.seed, threads, threads == 1 and "" or "s"))
  if #run.frozen > 0 then line("frozen", M.names(run.frozen) .. ": nothing moves them") end
  line("run", path)
  progress:say ""
end

--- How good: the best thing to be said of a finished run.
function M.outcome(summary)
  if summary.test_accuracy then return "test accuracy " .. M.percent(summary.test_accuracy) end
  if summary.test_loss then return ("test loss %.4g"):format(summary.test_loss) end
  local accuracy, loss = summary.validation_accuracy, summary.validation_loss
  if accuracy then return "validation accuracy " .. M.percent(accuracy) end
  return loss and ("validation loss %.4g"):format(loss) or "done"
end

--- One line: how good, after how many steps, in what time, where that is known.
function M.verdict(summary)
  if not summary.steps or not summary.wall_seconds then return M.outcome(summary) end
  return ("%s after %s step%s in %s"):format(M.outcome(summary), M.thousands(summary.steps),
    summary.steps == 1 and "" or "s", M.duration(summary.wall_seconds))
end

function M.finished(run, path, summary)
  local progress, verdict = run.progress, M.verdict(summary)
  path = text.visible(path)
  progress:clear()
  if not progress.quiet then io.stdout:write "\n" end
  progress:conclude { { "1;32", verdict }, "   " .. path }
  if #run.views > 0 then progress:say("pictures   " .. path .. "/plots") end
  if run.reported then progress:say("report     " .. path .. "/report.html") end
end

function M.finished_already(run, path, summary)
  run.progress:conclude(("%s\nfinished already: %s (run the file with --again to train another beside it)")
    :format(M.verdict(summary), path))
end

function M.interrupted(run, path)
  run.progress:conclude(("interrupted after step %s of %s; saved. To go on:\n  %s resume %s")
    :format(M.thousands(run.step), M.thousands(run.schedule.steps), usage.program(), usage.quoted(path, true)))
end

return M
