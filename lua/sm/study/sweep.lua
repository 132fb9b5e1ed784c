--- A sweep: every combination of settings, each an ordinary run in a process of its own.
local runtime = require "sm.runtime"
local numbers = require "sm.numbers"
local outcome = require "sm.experiment.outcome"
local text = require "sm.text"
local usage = require "sm.usage"
local columns = require "sm.study.columns"
local compare = require "sm.study.compare"
local directory = require "sm.experiment.directory"
local jobs = require "sm.study.jobs"
local tables = require "sm.study.tables"
local texts_of = require "sm.study.texts"

local M = {}

--- The parameters that are swept, as they are given: groups=4,seed=2.
local function given_label(setting, swept)
  local parts = {}
  for i, name in ipairs(swept) do parts[i] = name .. "=" .. text.visible(setting[name]) end
  return #parts > 0 and table.concat(parts, ",") or "default"
end

--- What one combination would do: a run for jobs.pursue, its state "waiting", "done" or "failed".
--- @param result table|nil as experiment:plan gives it
--- @param problem table|nil {message=, lines=, usage=}
local function planned(given, host, setting, result, problem)
  local run = { label = given_label(setting, given.swept), setting = setting, saved = 0, steps = 0 }
  if result then
    run.directory, run.steps, run.saved = result.directory, result.steps, result.saved
    run.plan, run.summary = result.state, result.state == "finished" and directory.summary(result.directory) or nil
    run.state = result.state == "finished" and "done" or "waiting"
  elseif problem.usage then
    usage.fail("%s", problem.message)
  elseif host.processes.interrupted() then
    error(problem.message, 0)
  else
    run.state, run.problem = "failed", problem.message .. (problem.lines and "\n" .. problem.lines or "")
  end
  return run
end

--- @param texts table place → text of the modules that the sweep uses, which are added
--- @return table|nil array of runs; nil where not all could be planned, which has been said
local function plan(given, host, texts)
  local runs, places, swept = {}, {}, given.swept
  local whole = host.plan(function(result, problem, modules)
    local setting = given.combinations[#runs + 1]
    local run = planned(given, host, setting, result, problem)
    local other = run.directory and places[run.directory]
    if other then
      usage.fail("'%s' and '%s' are the same run", given_label(other.setting, swept), given_label(setting, swept))
    end
    for place, module_text in pairs(modules) do texts[place] = module_text end
    if run.directory then places[run.directory] = run end
    runs[#runs + 1] = run
  end)
  return whole and #runs == #given.combinations and runs or nil
end

--- What is to be done of a run: "new", "done: test accuracy 40.50 %".
local function prospect(run)
  if run.state == "done" then return "done: " .. outcome.best(run.summary) end
  if run.saved > 0 then return ("resume after step %s"):format(numbers.thousands(run.saved)) end
  return run.plan == "unfinished" and "again from the first step" or "new"
end

--- A table of what is to be done of runs.
local function show(runs)
  local rows = {}
  for i, run in ipairs(runs) do
    local fails = run.state == "failed"
    rows[i] = { run.label, fails and "fails" or prospect(run), fails and run.problem:match "^[^\n]*" or run.directory }
  end
  text.print(columns.aligned(rows, 3, columns.terminal()))
end

local function with_state(runs, state)
  local found = {}
  for _, run in ipairs(runs) do
    if run.state == state then found[#found + 1] = run end
  end
  return found
end

--- Whole errors, after the table that had room for one line.
local function show_failures(runs, complain)
  for _, run in ipairs(runs) do
    if run.state == "failed" then complain { message = ("%s: %s"):format(run.label, run.problem) } end
  end
end

local function show_comparison(runs, screen)
  local paths = {}
  for _, run in ipairs(runs) do
    if run.summary then paths[#paths + 1] = run.directory end
  end
  if #paths > 0 then screen:say("\n" .. tables.text(compare.runs(paths), columns.terminal()) .. "\n") end
end

local function all_done(runs)
  for _, run in ipairs(runs) do
    if not run.summary then return false end
  end
  return true
end

--- Runs all that is not done, and compares what came out.
local function pursue(runs, given, host, count, workplace)
  local screen = host.screen
  local watcher = host.board(runs, screen, count)
  for _, run in ipairs(runs) do
    if run.state == "done" then
      if not screen.terminal then screen:say(("%s   done before: %s"):format(run.label, run.directory)) end
    elseif run.state == "failed" then
      watcher:update(run)
    end
  end
  local interrupted = jobs.pursue(runs, count, workplace, host.processes, function(run) watcher:update(run) end)
  show_failures(runs, host.complain)
  if not interrupted then show_comparison(runs, screen) end
  local ending = interrupted and "; the same command goes on" or ""
  screen:conclude(("%s: %s%s"):format(given.path, watcher:totals(), ending))
  return not interrupted and all_done(runs), interrupted
end

--- A hidden directory beside the runs, for as long as the sweep goes on: the texts that all its runs use, so that an
--- edit meanwhile changes none of them, and what they write to standard error.
local function open_workplace(runs_directory, source, texts)
  local path = ("%s/.sweep-%d-%d"):format(runs_directory:gsub("(.)/+$", "%1"), runtime.system.process_id(), os.time())
  directory.make_new(path)
  local place = setmetatable({ path = path }, { __close = function() directory.remove(path) end })
  texts_of.write(path, source, texts)
  return place
end

--- Runs every combination of settings that is not done, or shows what that would be.
--- @param given table {path=(of the experiment's file), source=(its text), combinations=(array of settings),
---   swept=(array of the names of the parameters that take more than one value), runs=(a directory), again=, dry_run=,
---   jobs=(how many at once)}
--- @param host table the program around it: {plan=function(visit), which calls visit(result, problem, modules) for each
---   combination: what experiment:plan gives or else {message=, lines=, usage=}, and place → text of its modules;
---   whether all were planned; words=function(setting, text_path, threads), which gives the words of a command;
---   processes=(as sm.host: start, stop, ended, sleep, graceful, interrupted); complain=function(problem);
---   screen=(as sm.terminal.progress); board=function(runs, screen, count), which gives what hears of the runs}
--- @return boolean whether all is done, or can be
--- @return boolean whether a signal stopped it
function M.run(given, host)
  local texts = {}
  local runs = plan(given, host, texts)
  if not runs then return false, host.processes.interrupted() end
  local waiting = #with_state(runs, "waiting")
  local count = math.max(1, math.min(given.jobs, waiting))
  local threads = math.max(1, runtime.system.threads() // count)
  local title = ("%s: %d runs, %d to do, %d at once with %d thread%s each"):format(given.path, #runs, waiting, count,
    threads, threads == 1 and "" or "s")
  if given.dry_run then
    text.print(title)
    show(runs)
    return #with_state(runs, "failed") == 0, false
  end
  local workplace <close> = open_workplace(given.runs, given.source, texts)
  for _, run in ipairs(runs) do
    run.words = host.words(run.setting, ("%s/%s"):format(workplace.path, texts_of.name), threads)
  end
  host.screen:say(title)
  return pursue(runs, given, host, count, workplace.path)
end

--- The runs of a sweep as commands for other programs, each with the texts as they are now. Where one of them cannot be
--- run, that is said, and there are none.
--- @param given table as for `run`; dry_run= writes no texts
--- @param host table as for `run`
--- @return table|nil array of runs {label=, directory=, state="waiting" or "done", words=}
--- @return string|boolean the directory of the texts; without runs, whether a signal stopped it
--- @return boolean whether that was made now
function M.commands(given, host)
  local texts = {}
  local runs = plan(given, host, texts)
  if not runs then return nil, host.processes.interrupted() end
  local failed = with_state(runs, "failed")
  if #failed > 0 then
    show_failures(failed, host.complain)
    host.complain {
      message = ("%s: %d of %d runs cannot be run, so none is planned"):format(given.path, #failed, #runs),
    }
    return nil, false
  end
  local path, made = texts_of.keep(given.runs, given.source, texts, given.dry_run)
  for _, run in ipairs(runs) do
    run.words = host.words(run.setting, ("%s/%s"):format(path, texts_of.name), given.threads)
  end
  return runs, path, made
end

--- Compares the runs of a sweep that are finished, whoever has run them, and names the others.
--- @param given table as for `run`
--- @param host table as for `run`
--- @return boolean whether all are finished
--- @return boolean whether a signal stopped it
function M.compare(given, host)
  local runs = plan(given, host, {})
  if not runs then return false, host.processes.interrupted() end
  show_failures(runs, host.complain)
  show_comparison(runs, host.screen)
  local done, missing = with_state(runs, "done"), {}
  for _, run in ipairs(runs) do missing[#missing + 1] = run.state ~= "done" and run or nil end
  if #missing > 0 then
    text.print "Missing:"
    show(missing)
  end
  host.screen:conclude(("%s: %d of %d runs finished"):format(given.path, #done, #runs))
  return #missing == 0, false
end

return M
