--- What a run says of itself: the plan before, the outcome after.
local runtime = require "sm.runtime"
local outcome = require "sm.experiment.outcome"
local text = require "sm.text"
local thousands = require "sm.numbers".thousands
local usage = require "sm.usage"

local M = {}

--- The model, the data and the plan, before the first step.
--- @param run table a run, built
--- @param path string where it goes
function M.plan(run, path)
  local progress, schedule, threads = run.progress, run.schedule, runtime.system.threads()
  progress:say { "\n", { "1", text.visible(run.name) }, "   ", { "36", text.visible(run.variant) }, "\n" }
  progress:say(tostring(run.model) .. "\n")
  local function line(name, words) progress:say(("%-11s%s"):format(name, text.visible(words)), 11) end
  line("data", run.data.description or run.data.name)
  local batches = schedule.accumulate and ("%d × "):format(schedule.accumulate) or ""
  line("training", ("%s steps of %s%d with %s, seed %d, %d thread%s"):format(thousands(schedule.steps),
    batches, schedule.batch, run.optimizer.name, run.seed, threads, threads == 1 and "" or "s"))
  if #run.frozen > 0 then line("frozen", text.few(run.frozen) .. ": nothing moves them") end
  line("run", path)
  progress:say ""
end

function M.finished(run, path, summary)
  local progress, verdict = run.progress, outcome.verdict(summary)
  path = text.visible(path)
  progress:clear()
  if not progress.quiet then io.stdout:write "\n" end
  progress:conclude { { "1;32", verdict }, "   " .. path }
  if #run.views > 0 then progress:say("pictures   " .. path .. "/plots") end
  if run.reported then progress:say("report     " .. path .. "/report.html") end
end

function M.finished_already(run, path, summary)
  run.progress:conclude(("%s\nfinished already: %s (run the file with --again to train another beside it)")
    :format(outcome.verdict(summary), path))
end

function M.interrupted_run(run, path)
  run.progress:conclude(("interrupted after step %s of %s; saved. To go on:\n  %s resume %s")
    :format(thousands(run.state.step), thousands(run.schedule.steps), usage.program(), usage.quoted(path, true)))
end

return M
