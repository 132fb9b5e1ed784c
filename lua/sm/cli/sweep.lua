--- smrun FILE.lua key=1,2,4 key=1..5: what the command line has to say to a sweep, and to its commands for others.
local sorted_keys = require "sm.ordered".sorted_keys
local program = require "sm.host"
local command = require "sm.cli.command"
local complain = require "sm.cli.complain"
local host = require "sm.cli.host"
local limits = require "sm.cli.limits"
local loader = require "sm.experiment.load"
local settings = require "sm.cli.settings"
local sweep = require "sm.study.sweep"
local traceback = require "sm.cli.traceback"
local usage = require "sm.usage"

local M = {}

local done_code <const>, failed_code <const>, interrupted_code <const> = 0, 1, 130

--- The command of a run: the same file and text, one value each.
--- @param threads integer|nil
local function words_of(options, setting, text_path, threads)
  local words = { program.executable, options.words[1], "--text=" .. text_path, "--quiet" }
  if threads then words[#words + 1] = ("--threads=%d"):format(threads) end
  if options.runs then words[#words + 1] = "--runs=" .. options.runs end
  if options.data then words[#words + 1] = "--data=" .. options.data end
  if options.again then words[#words + 1] = "--again" end
  table.move(limits.words_of(options, options.slurm ~= nil), 1, 100, #words + 1, words)
  for _, name in ipairs(sorted_keys(setting)) do words[#words + 1] = settings.word(name, setting[name]) end
  return words
end

--- What each combination would do, one after the other: the file is executed by a worker, or where the person trusts
--- it, here.
--- @param visit function(result, problem, modules) as sm.study.sweep has it
local function plan(options, source, combinations, visit)
  if not options.trust then
    local all = {}
    local code = require "sm.cli.run".confine {
      what = "plan", options = options, combinations = combinations, source = source, file = options.words[1],
      planned = function(position, ...) all[position] = table.pack(...) end,
    }
    for _, planned in ipairs(all) do visit(table.unpack(planned, 1, 3)) end
    return code
  end
  for _, combination in ipairs(combinations) do
    local ok, result, texts = xpcall(require "sm.cli.run".plan, traceback.handler, options, combination, source)
    visit(ok and result or nil, not ok and (usage.is(result)
      and { message = result.message, usage = true } or result) or nil, ok and texts or {})
  end
  return done_code
end

--- The threads of each run where it is said: its share of this machine's where so many go on at once.
local function threads_of(options)
  if not options.jobs or options.slurm then return options.threads end
  return math.max(1, require "sm.runtime".system.threads() // options.jobs)
end

--- Prints a command for each run, and nothing else on standard output.
local function print_commands(runs, place, made, options)
  local lines, waiting = {}, 0
  for i, run in ipairs(runs) do
    lines[i] = command.line(run.words)
    if run.state == "waiting" then waiting = waiting + 1 end
  end
  io.stdout:write(table.concat(lines, "\n"), "\n")
  if options.quiet then return end
  local texts = options.dry_run and not made and "--dry-run has not written the texts that they use to %s"
    or "they use the texts in %s, which stay there"
  complain { message = ("%s: %d runs, %d to do; " .. texts):format(options.words[1], #runs, waiting, place) }
end

--- The runs as commands. What cannot be one is told before a text is written.
local function commands(given, around, options)
  for _, setting in ipairs(given.combinations) do command.line(words_of(options, setting, "", nil)) end
  return sweep.commands(given, around)
end

--- The rest of the command line of a sweep as it was typed, for the same sweep with another option.
local function again_words(options, text_path)
  local words = { program.executable, options.words[1] }
  if text_path then words[#words + 1] = "--text=" .. text_path end
  if options.runs then words[#words + 1] = "--runs=" .. options.runs end
  if options.data then words[#words + 1] = "--data=" .. options.data end
  table.move(limits.words_of(options, true), 1, 100, #words + 1, words)
  return table.move(options.words, 2, #options.words, #words + 1, words)
end

--- What is done with a sweep, by the option that asks for it: function(given, around, options) → whether all went well,
--- whether a signal stopped it.
local ways <const> = {
  run = sweep.run,
  compare = sweep.compare,
  plan = function(given, around, options)
    local runs, place, made = commands(given, around, options)
    if not runs then return false, place end
    print_commands(runs, place, made, options)
    return true, false
  end,
  slurm = function(given, around, options)
    local slurm = require "sm.cli.slurm"
    local words = slurm.options(options.slurm)
    local runs, place, made = commands(given, around, options)
    if not runs then return false, place end
    return slurm.submit {
      runs = runs, place = place, made = made, path = given.path, options = words, jobs = options.jobs,
      quiet = options.quiet, dry_run = options.dry_run, compare = function(path) return again_words(options, path) end,
    }
  end,
}

--- @param options table of the command line
--- @param combinations table array of settings
--- @param swept table array of the names of the parameters that take more than one value
--- @return integer exit code
function M.run(options, combinations, swept)
  program.unheard(true)
  local path = options.words[1]
  local source = loader.read(options.text or path)
  local way = options.plan and "plan" or options.slurm and "slurm" or options.compare and "compare" or "run"
  local done, interrupted = ways[way]({
    path = path, source = source, combinations = combinations, swept = swept, runs = options.runs or "runs",
    again = options.again, dry_run = options.dry_run, jobs = options.jobs or 1, threads = threads_of(options),
  }, {
    plan = function(visit) return plan(options, source, combinations, visit) == done_code end,
    words = function(setting, text_path, threads) return words_of(options, setting, text_path, threads) end,
    processes = program, complain = complain,
    screen = host.screen { quiet = options.quiet }, board = require "sm.terminal.board".new,
  }, options)
  return done and done_code or interrupted and interrupted_code or failed_code
end

return M
