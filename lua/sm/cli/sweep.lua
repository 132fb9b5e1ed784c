--- smrun FILE.lua key=1,2,4 key=1..5: what the command line has to say to a sweep.
local sorted_keys = require "sm.ordered".sorted_keys
local program = require "sm.host"
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
local function words_of(options, setting, text_path, threads)
  local words = { program.executable, options.words[1], "--text=" .. text_path, "--quiet",
    "--threads", ("%d"):format(threads) }
  if options.runs then words[#words + 1] = "--runs=" .. options.runs end
  if options.data then words[#words + 1] = "--data=" .. options.data end
  if options.again then words[#words + 1] = "--again" end
  table.move(limits.words_of(options), 1, 100, #words + 1, words)
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

--- @param options table of the command line
--- @param combinations table array of settings
--- @param swept table array of the names of the parameters that take more than one value
--- @return integer exit code
function M.run(options, combinations, swept)
  program.unheard(true)
  local path = options.words[1]
  local source = loader.read(options.text or path)
  local done, interrupted = sweep.run({
    path = path, source = source, combinations = combinations, swept = swept, runs = options.runs or "runs",
    again = options.again, dry_run = options.dry_run, jobs = options.jobs or 1,
  }, {
    plan = function(visit) return plan(options, source, combinations, visit) == done_code end,
    words = function(setting, text_path, threads) return words_of(options, setting, text_path, threads) end,
    processes = program, complain = complain,
    screen = host.screen { quiet = options.quiet }, board = require "sm.terminal.board".new,
  })
  return done and 0 or interrupted and interrupted_code or failed_code
end

return M
