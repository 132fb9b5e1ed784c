--- smrun FILE.lua key=1,2,4 key=1..5: every combination, each an ordinary run.
local sorted_keys = require "sm.ordered".sorted_keys
local runtime = require "sm.runtime"
local host = require "sm.host"
local complain = require "sm.cli.complain"
local loader = require "sm.cli.load"
local modules = require "sm.modules"
local settings = require "sm.cli.settings"
local traceback = require "sm.cli.traceback"
local text = require "sm.text"
local usage = require "sm.usage"
local board = require "sm.terminal.board"
local columns = require "sm.study.columns"
local compare = require "sm.study.compare"
local directory = require "sm.experiment.directory"
local jobs = require "sm.study.jobs"
local present = require "sm.terminal.present"
local progress = require "sm.terminal.progress"
local tabulate = require "sm.study.tables"

local M = {}

local failed_code <const>, interrupted_code <const> = 1, 130

--- The parameters that are swept, as they are given: groups=4,seed=2.
local function given_label(setting, swept)
  local parts = {}
  for i, name in ipairs(swept) do parts[i] = name .. "=" .. text.visible(setting[name]) end
  return table.concat(parts, ",")
end

--- The command of a run: the same file and text, one value each.
local function words_of(options, setting, text_path, threads)
  local words = { host.executable, options.words[1], "--text=" .. text_path, "--quiet",
    "--threads", ("%d"):format(threads) }
  if options.runs then words[#words + 1] = "--runs=" .. options.runs end
  if options.again then words[#words + 1] = "--again" end
  for _, name in ipairs(sorted_keys(setting)) do words[#words + 1] = settings.word(name, setting[name]) end
  return words
end

--- What one combination would do: a run for jobs.pursue, its state "waiting", "done" or "failed".
--- @param texts table place → text of the modules that the sweep uses: those that this run loads first are added
local function plan_one(options, source, setting, swept, texts)
  local run = { label = given_label(setting, swept), setting = setting, saved = 0, steps = 0 }
  local path = options.words[1]
  local ok, result = xpcall(function()
    local loaded = loader.file(path, source, setting, { again = true })
    if not loaded.experiment then
      usage.fail("%s is a plain script; a sweep needs a file that returns an experiment", path)
    end
    return loaded.experiment:plan {
      file = path, source = loaded.source, params = loaded.params, runs = options.runs or "runs",
      again = options.again, quiet = true, dry_run = options.dry_run,
    }
  end, traceback.handler)
  for place, module_text in pairs(modules.loaded(path)) do texts[place] = module_text end
  collectgarbage()
  if ok then
    run.directory, run.steps, run.saved = result.directory, result.steps, result.saved
    run.plan, run.summary = result.state, result.summary or nil
    run.state = result.state == "finished" and "done" or "waiting"
  elseif usage.is(result) or host.interrupted() then
    error(usage.is(result) and result or result.message, 0)
  else
    run.state, run.problem = "failed", result.message .. (result.lines and "\n" .. result.lines or "")
  end
  return run
end

local function plan(options, source, combinations, swept, texts)
  local runs, places = {}, {}
  for i, setting in ipairs(combinations) do
    local run = plan_one(options, source, setting, swept, texts)
    local other = run.directory and places[run.directory]
    if other then
      usage.fail("'%s' and '%s' are the same run", given_label(other.setting, swept), given_label(setting, swept))
    end
    if run.directory then places[run.directory] = run end
    runs[i] = run
  end
  return runs
end

local function number_waiting(runs)
  local count = 0
  for _, run in ipairs(runs) do count = count + (run.state == "waiting" and 1 or 0) end
  return count
end

--- @return integer exit code
local function show_plan(runs, title)
  local rows, failures = {}, 0
  for i, run in ipairs(runs) do
    local what, place = "new", run.directory
    if run.state == "failed" then
      failures = failures + 1
      what, place = "fails", run.problem:match "^[^\n]*"
    elseif run.state == "done" then
      what = "done: " .. present.outcome(run.summary)
    elseif run.saved > 0 then
      what = ("resume after step %s"):format(present.thousands(run.saved))
    elseif run.plan == "unfinished" then
      what = "again from the first step"
    end
    rows[i] = { run.label, what, place }
  end
  text.print(title)
  text.print(columns.aligned(rows, 3, columns.terminal()))
  return failures > 0 and failed_code or 0
end

--- Whole errors, after the table that had room for one line.
local function show_failures(runs)
  for _, run in ipairs(runs) do
    if run.state == "failed" then complain { message = ("%s: %s"):format(run.label, run.problem) } end
  end
end

local function show_comparison(runs, screen)
  local paths = {}
  for _, run in ipairs(runs) do
    if run.summary then paths[#paths + 1] = run.directory end
  end
  if #paths > 0 then screen:say("\n" .. tabulate.text(compare.runs(paths), columns.terminal()) .. "\n") end
end

local function exit_code(runs, interrupted)
  if interrupted then return interrupted_code end
  for _, run in ipairs(runs) do
    if not run.summary then return failed_code end
  end
  return 0
end

--- Runs all that is not done, and compares what came out.
local function pursue(runs, options, screen, count, workplace)
  local watcher = board.new(runs, screen, count)
  for _, run in ipairs(runs) do
    if run.state == "done" then
      if not screen.terminal then screen:say(("%s   done before: %s"):format(run.label, run.directory)) end
    elseif run.state == "failed" then
      watcher:update(run)
    end
  end
  local interrupted = jobs.pursue(runs, count, workplace, function(run) watcher:update(run) end)
  show_failures(runs)
  if not interrupted then show_comparison(runs, screen) end
  local ending = interrupted and "; the same command goes on" or ""
  screen:conclude(("%s: %s%s"):format(options.words[1], watcher:totals(), ending))
  return exit_code(runs, interrupted)
end

--- A hidden directory beside the runs, for as long as the sweep goes on: the texts that all its runs use, so that an
--- edit meanwhile changes none of them, and what they write to standard error.
local function open_workplace(runs_directory, source, texts)
  local path = ("%s/.sweep-%d-%d"):format(runs_directory:gsub("(.)/+$", "%1"), runtime.system.process_id(), os.time())
  directory.make_new(path)
  local place = setmetatable({ path = path, text = path .. "/experiment.lua" }, {
    __close = function() directory.remove(path) end,
  })
  directory.write(place, "experiment.lua", source)
  for name, module_text in pairs(texts) do directory.write(place, "modules/" .. name, module_text) end
  return place
end

--- @param options table of the command line
--- @param combinations table array of settings
--- @param swept table array of the names of the parameters that take more than one value
--- @return integer exit code
function M.run(options, combinations, swept)
  local path = options.words[1]
  local source = loader.read(options.text or path)
  local texts = {}
  local runs = plan(options, source, combinations, swept, texts)
  local waiting = number_waiting(runs)
  local count = math.max(1, math.min(options.jobs or 1, waiting))
  local threads = math.max(1, runtime.system.threads() // count)
  local title = ("%s: %d runs, %d to do, %d at once with %d thread%s each"):format(path, #runs, waiting, count,
    threads, threads == 1 and "" or "s")
  if options.dry_run then return show_plan(runs, title) end
  local workplace <close> = open_workplace(options.runs or "runs", source, texts)
  for _, run in ipairs(runs) do run.words = words_of(options, run.setting, workplace.text, threads) end
  local screen = progress.new { quiet = options.quiet }
  screen:say(title)
  return pursue(runs, options, screen, count, workplace.path)
end

return M
