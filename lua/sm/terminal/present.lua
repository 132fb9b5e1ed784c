--- What a run says of itself: the plan before, the outcome after.
local outcome = require "sm.experiment.outcome"
local text = require "sm.text"
local thousands = require "sm.numbers".thousands
local usage = require "sm.usage"

local M = {}

--- The model, the data and the plan, before the first step.
--- @param progress table of sm.terminal.progress
--- @param about table {name=, variant=, model=, data=, steps=, batch=, accumulate=, optimizer=, seed=, threads=,
---   frozen=(names)}, as sm.experiment.run says it
--- @param path string where it goes
--- @param permits string|nil what the run may do, in words
function M.plan(progress, about, path, permits)
  progress:say { "\n", { "1", text.visible(about.name) }, "   ", { "36", text.visible(about.variant) }, "\n" }
  progress:say(about.model .. "\n")
  local function line(name, words) progress:say(("%-11s%s"):format(name, text.visible(words)), 11) end
  line("data", about.data)
  local batches = about.accumulate and ("%d × "):format(about.accumulate) or ""
  line("training", ("%s steps of %s%d with %s, seed %d, %d thread%s"):format(thousands(about.steps),
    batches, about.batch, about.optimizer, about.seed, about.threads, about.threads == 1 and "" or "s"))
  if #about.frozen > 0 then line("frozen", text.few(about.frozen) .. ": nothing moves them") end
  line("run", path)
  if permits then line("confined", permits) end
  progress:say ""
end

--- What can be done now, in one line.
local function next_line(about, path)
  local words, word = {}, usage.quoted(path)
  if about.predict then words[1] = ("predict %s FILE.png"):format(word) end
  if about.longer then words[#words + 1] = ("resume %s steps=%d"):format(#words > 0 and "…" or word, about.longer) end
  if #words == 0 then words[1] = "eval " .. word end
  return ("next       %s %s"):format(usage.program(), table.concat(words, ", or "))
end

--- @param about table {summary=, pictures=(whether the run has views), next={predict=, longer=}, as run.lua has it}
function M.finished(progress, about, path)
  local verdict = outcome.verdict(about.summary)
  local directory = path
  path = text.visible(path)
  progress:clear()
  if not progress.quiet then io.stdout:write "\n" end
  progress:conclude { { "1;32", verdict }, "   " .. path }
  if about.pictures then progress:say("pictures   " .. path .. "/plots") end
  if progress.reported then progress:say("report     " .. path .. "/report.html") end
  if about.next then progress:say(next_line(about.next, directory)) end
end

function M.finished_already(progress, summary, path)
  progress:conclude(("%s\ndone before: %s (run the file with --again to train another beside it)")
    :format(outcome.verdict(summary), path))
end

--- @param about table {step=, steps=}
function M.interrupted_run(progress, about, path)
  progress:conclude(("interrupted after step %s of %s; saved. To go on:\n  %s resume %s")
    :format(thousands(about.step), thousands(about.steps), usage.program(), usage.quoted(path, true)))
end

return M
