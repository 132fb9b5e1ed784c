--- smrun FILE.lua key=1,2 --slurm "OPTIONS": the runs of a sweep as one job array of Slurm, and behind it a job that
--- compares them. Slurm decides where and when; a run that it ends early has saved, and goes on when it is run again.
-- @module sm.cli.slurm
local command = require "sm.cli.command"
local complain = require "sm.cli.complain"
local directory = require "sm.experiment.directory"
local line = require "sm.cli.line"
local program = require "sm.host"
local runtime = require "sm.runtime"
local shell = require "sm.data.shell"
local text = require "sm.text"
local usage = require "sm.usage"

local M = {}

--- What each element of the array runs: its line of the file beside it. The run itself takes the place of the shell, so
--- that signals reach it.
local ELEMENT <const> = [[
#!/bin/sh
command=$(sed -n "${SLURM_ARRAY_TASK_ID}p" %s)
printf '%%s\n' "$command"
eval "exec $command"
]]

local COMPARISON <const> = [[
#!/bin/sh
exec %s
]]

--- Options of sbatch that are smrun's here, as they may be written.
local own <const> = { "^%-a", "^%-%-arr", "^%-o", "^%-%-o[up]", "^%-%-pars", "^%-%-wr" }

--- The words of the option. Raises where smrun says itself what one of them says.
--- @return table array
function M.options(given)
  local words, open = line.read("bash", given .. " ")
  if open then usage.fail("option '--slurm': the quote %s is not closed in '%s'", open, given) end
  words[#words] = nil -- what follows the last space
  for _, word in ipairs(words) do
    for _, pattern in ipairs(own) do
      if word:find(pattern) then
        usage.fail("option '--slurm': '%s' is what smrun gives sbatch itself%s", word,
          word:find "^%-%-?a" and "; --jobs N says how many elements run at once" or "")
      end
    end
  end
  return words
end

--- The positions of runs that are to be done, as --array takes them: "1-4,7".
local function positions(runs)
  local parts, first = {}, nil
  for i = 1, #runs + 1 do
    local waiting = runs[i] and runs[i].state == "waiting"
    if waiting and not first then
      first = i
    elseif first and not waiting then
      parts[#parts + 1] = first == i - 1 and ("%d"):format(first) or ("%d-%d"):format(first, i - 1)
      first = nil
    end
  end
  return table.concat(parts, ",")
end

--- A path from the root, in which sbatch is to see no pattern.
local function log(path, name)
  return "--output=" .. path:gsub("%%", "%%%%") .. "/" .. name
end

--- The words of both commands; the second without the job that it waits for.
local function commands(given, words, path, array)
  local name = given.path:match "[^/]*$":gsub("%.lua$", "")
  local function all(job, ...)
    local list = { "sbatch", "--parsable", "--job-name=" .. job, "--open-mode=append" }
    for _, some in ipairs { { select(2, ...) }, words, { (...) } } do table.move(some, 1, #some, #list + 1, list) end
    return list
  end
  local limit = given.jobs and ("%%%d"):format(given.jobs) or ""
  return all(name, "--array=" .. array .. limit, "--requeue", log(path, "%a.log")),
    all(name .. "-compare", log(path, "compare.log"))
end

--- Runs sbatch, whose job gets this environment: without the number of threads that this machine has.
--- @return string|nil the number of the job
--- @return string|nil the cluster that has it, where sbatch names one
local function submit(words)
  local before = program.threads_by_default and "env -u OMP_NUM_THREADS " or ""
  local done, output = shell.run(0, before .. ("%s "):rep(#words), table.unpack(words))
  if not done then return nil end
  local job, cluster = output:match "^(%d+);?([^\n]*)$"
  if not job then
    complain { message = ("sbatch said no number of a job, but '%s'"):format(text.brief(output, 200)) }
  end
  return job, cluster ~= "" and cluster or nil
end

local function cancel(job, cluster)
  if not job then return end
  local where = cluster and "--clusters=" .. cluster or nil
  shell.run(0, ("%s "):rep(where and 3 or 2), "scancel", job, where)
end

--- A directory for one submission beneath that of the texts: what is run, and what it says.
local function open_place(place)
  local number = 0
  local path, made, problem
  repeat
    number = number + 1
    path = ("%s/slurm-%d"):format(place, number)
    made, problem = runtime.io.make_directory(path)
    if problem then error(problem, 0) end
  until made
  return path
end

local function write(path, given)
  local lines = {}
  for i, run in ipairs(given.runs) do lines[i] = command.line(run.words) end
  directory.write_in(path, "commands", table.concat(lines, "\n") .. "\n")
  directory.write_in(path, "element.sh", ELEMENT:format(usage.quoted(directory.absolute(path) .. "/commands")))
  local words = given.compare(given.place .. "/experiment.lua")
  words[#words + 1] = "--compare"
  directory.write_in(path, "compare.sh", COMPARISON:format(command.line(words)))
end

--- What can be typed next.
local function advise(given, path, array, comparison, waiting)
  local words = given.compare()
  words[#words + 1] = "--compare"
  table.remove(words, 1)
  local compare = usage.program() .. " " .. command.joined(words)
  text.print(("%s: %d runs, %d to do: job array %s, and job %s compares them at the end"):format(given.path,
    #given.runs, waiting, array, comparison))
  if given.quiet then return end
  for _, row in ipairs {
    { ("squeue --job %s,%s"):format(array, comparison), "how far they are" },
    { compare, "what is finished until now, and what is missing" },
    { ("tail -n 2 %s/*.log"):format(usage.quoted(path)), "what each has said, by its number in the sweep" },
    { ("cat %s/compare.log"):format(usage.quoted(path)), "the comparison, at the end" },
    { ("scancel %s"):format(array), "ends them: they save, and the same command submits what is missing" },
  } do
    text.print(("  %s\n      %s"):format(row[1], row[2]))
  end
end

--- What would be done, for --dry-run.
local function show(given, words, array)
  local first, second = commands(given, words, directory.absolute(given.place) .. "/slurm-1", array)
  for i, run in ipairs(given.runs) do
    if run.state == "waiting" then text.print(("%4d  %s"):format(i, command.line(run.words))) end
  end
  first[#first + 1], second[#second + 1] = "element.sh", "compare.sh"
  table.insert(second, #second, "--dependency=afterany:JOB")
  text.print(command.joined(first))
  text.print(command.joined(second))
end

--- Submits what is not done.
--- @param given table {runs=(as sweep.commands gives them), place=(the directory of their texts), made=(whether it was
---   made for this), path=(of the experiment's file), options=(words for sbatch), jobs=(how many at once, or nil),
---   compare=function(text_path), which gives the words of the sweep as it was typed; quiet=, dry_run=}
--- @return boolean whether all was submitted
--- @return boolean whether a signal stopped it
function M.submit(given)
  local words <const>, array <const> = given.options, positions(given.runs)
  if array == "" then
    text.print(("%s: all %d runs are done before"):format(given.path, #given.runs))
    return true, false
  elseif given.dry_run then
    show(given, words, array)
    return true, false
  end
  local state <close> = setmetatable({}, { __close = function(state)
    if state.done then return end
    cancel(state.job, state.cluster)
    if state.path then pcall(directory.remove, state.path) end
    if given.made then pcall(directory.remove, given.place) end
    program.graceful(false)
  end })
  program.graceful(true)
  if not shell.run(0, "command -v sbatch") then
    complain { message = "there is no sbatch in PATH; --slurm needs Slurm's own commands, and --plan does without" }
    return false, false
  end
  state.path = open_place(given.place)
  write(state.path, given)
  local absolute = directory.absolute(state.path)
  local first, second = commands(given, words, absolute, array)
  first[#first + 1] = absolute .. "/element.sh"
  state.job, state.cluster = submit(first)
  if not state.job then
    complain { message = "sbatch has not taken the job array; nothing was submitted" }
    return false, program.interrupted()
  end
  second[#second + 1] = "--dependency=afterany:" .. state.job
  second[#second + 1] = absolute .. "/compare.sh"
  local comparison = not program.interrupted() and submit(second)
  if not comparison then
    complain { message = ("sbatch has not taken the job that compares; the array %s is cancelled"):format(state.job) }
    return false, program.interrupted()
  end
  state.done = true
  program.graceful(false)
  local waiting = 0
  for _, run in ipairs(given.runs) do waiting = waiting + (run.state == "waiting" and 1 or 0) end
  advise(given, state.path, state.job, comparison, waiting)
  return true, false
end

return M
