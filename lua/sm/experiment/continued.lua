--- A run that goes on where another one, which is finished, ended: with other parameters, in a directory of its own.
-- environment.json says from which run, at which step, and with which checksum.
local runtime = require "sm.runtime"
local attempt = require "sm.problem".attempt
local best = require "sm.experiment.best"
local checkpoint = require "sm.experiment.checkpoint"
local checkpoint_files = require "sm.experiment.checkpoint_files"
local directory = require "sm.experiment.directory"
local fail = require "sm.fail"
local json = require "sm.json"
local metrics = require "sm.experiment.metrics"
local sorted_keys = require "sm.ordered".sorted_keys
local thousands = require "sm.numbers".thousands
local without_line = require "sm.place".without_line

local M = {}

-- What must not change, as declared.lua calls it, and why.
local fixed <const> = {
  { "seed", "the seed has decided its first steps" },
  { "schedule.batch", "the place in the data counts by batches" },
  { "schedule.accumulate", "the place in the data counts by batches" },
}

--- What a run was begun with, as one text. @param continued table|nil of environment.json
function M.text(continued)
  return continued and ("step %d, checksum %s"):format(continued.step, continued.checksum) or nil
end

local function checksum_of(found)
  local parts = { found.metadata.source, found.metadata.params, found.metadata.numbers }
  for _, name in ipairs(sorted_keys(found.tensors)) do
    parts[#parts + 1] = name .. " " .. runtime.io.checksum(found.tensors[name])
  end
  return runtime.io.checksum(table.concat(parts, "\n"))
end

--- Raises where the new run is not the old one, only longer or with other settings.
local function check_same(run, origin, record)
  for _, rule in ipairs(fixed) do
    local place, why = table.unpack(rule)
    local before, now = record.declaration[place], run.identity.declaration[place]
    if before ~= now then
      fail("%s was run with %s %s, and here it is %s; a run that goes on keeps it, for %s", origin, place,
        before or "not there", now or "not there", why)
    end
  end
  for _, place in ipairs { "train inputs", "train targets" } do
    if record.real == runtime.real and record.data[place] ~= run.identity.data[place] then
      fail("%s was trained on other data: its %s are not the same; a new experiment begins with its weights by "
        .. "sm.load_run", origin, place)
    end
  end
end

--- Raises where there is nothing left to do.
local function check_steps(run, origin, step, record)
  local steps <const> = run.schedule.steps
  if steps > step then return end
  local hint = ""
  if json.object(run.params).values.steps == steps then
    hint = ("; steps=%d is an end that lies ahead"):format(2 * step)
  elseif record.declaration["schedule.steps"] == ("%d"):format(steps) then
    hint = ("; its text takes the number from a parameter where it says `sm.params { steps = %d }` and `schedule = "
      .. "{ steps = p.steps }`"):format(steps)
  end
  fail("%s has done %s steps, and the new schedule ends after %s%s", origin, thousands(step), thousands(steps), hint)
end

--- Before a run gets its directory: reads the checkpoint that it is to begin with, and notes it as part of what it is.
--- @param origin string the directory of the run that has it
function M.prepare(run, origin)
  local record = directory.record(origin, true)
  if record.script then
    fail("%s was trained by a script, which begins its runs itself; sm.load_run has its weights in a script", origin)
  elseif not record.sessions then
    fail("%s was run by an earlier version, which kept no record of what it declared", origin)
  end
  local step = checkpoint_files.steps(origin)[1] or fail("%s has no checkpoint", origin)
  check_same(run, origin, record)
  check_steps(run, origin, step, record)
  local found = checkpoint.read(origin, step, run)
  if found.metadata.source ~= run.source then
    fail("%s: it was saved by a different text of the experiment than %s has", found.path, run.file)
  end
  if best.waited_enough { schedule = run.schedule, state = { validation = found.numbers.validation } } then
    fail("%s has waited as long as its patience of %d evaluations lets it, and would stop at once", origin,
      run.schedule.patience)
  end
  run.name = directory.names(origin)
  run.origin = { directory = origin, found = found, file = record.file }
  run.continued = { run = directory.absolute(origin), step = step, checksum = checksum_of(found) }
  run.identity.continued = M.text(run.continued)
end

--- Puts the checkpoint into a run that is built, and whose directory is open.
function M.take_over(run)
  local origin = run.origin
  local ok, problem = attempt(checkpoint.begin_with, run, origin.found, origin.directory)
  if not ok then fail("%s; a run goes on with the model and the optimizer that it has", without_line(problem)) end
end

--- The curves of the run so far, where they have the columns of this one.
--- @return integer|nil the step until which the file has rows
function M.copy_metrics(run)
  local step <const> = run.continued.step
  local text = directory.read(run.origin.directory, "metrics.csv")
  local columns = table.concat(run.columns, ",")
  local header = text and text:sub(1, #columns + 1)
  if header ~= columns .. "\n" and header ~= columns .. "," then return nil end
  local path <const> = run.origin.directory .. "/metrics.csv"
  metrics.rows(path, text) -- raises where one is wrong
  run.directory:write("metrics.csv", text)
  return step
end

--- Says what is different from a run in one go.
function M.say(run)
  run.progress:say(("goes on from %s after step %s. What depends on the number of steps, as a schedule of the learning "
    .. "rate may, was that of a shorter run until then: the result may differ from that of %s steps in one run.\n")
    :format(run.origin.directory, thousands(run.continued.step), thousands(run.schedule.steps)), 2)
end

return M
