--- smrun FILE.lua key=1,2,4 key=1..5: what the command line has to say to a sweep.
local sorted_keys = require "sm.ordered".sorted_keys
local program = require "sm.host"
local complain = require "sm.cli.complain"
local host = require "sm.cli.host"
local loader = require "sm.experiment.load"
local settings = require "sm.cli.settings"
local sweep = require "sm.study.sweep"
local traceback = require "sm.cli.traceback"

local M = {}

local failed_code <const>, interrupted_code <const> = 1, 130

--- The command of a run: the same file and text, one value each.
local function words_of(options, setting, text_path, threads)
  local words = { program.executable, options.words[1], "--text=" .. text_path, "--quiet",
    "--threads", ("%d"):format(threads) }
  if options.runs then words[#words + 1] = "--runs=" .. options.runs end
  if options.again then words[#words + 1] = "--again" end
  for _, name in ipairs(sorted_keys(setting)) do words[#words + 1] = settings.word(name, setting[name]) end
  return words
end

--- @param options table of the command line
--- @param combinations table array of settings
--- @param swept table array of the names of the parameters that take more than one value
--- @return integer exit code
function M.run(options, combinations, swept)
  local path = options.words[1]
  local source = loader.read(options.text or path)
  local done, interrupted = sweep.run({
    path = path, source = source, combinations = combinations, swept = swept, runs = options.runs or "runs",
    again = options.again, dry_run = options.dry_run, jobs = options.jobs or 1,
  }, {
    load = function(setting)
      local _ <close> = host.refusing "a sweep needs a file that returns an experiment; this script trains it itself"
      return loader.file(path, source, setting, { again = true })
    end,
    words = function(setting, text_path, threads) return words_of(options, setting, text_path, threads) end,
    processes = program, handler = traceback.handler, complain = complain,
    screen = host.screen { quiet = options.quiet }, board = require "sm.terminal.board".new,
  })
  return done and 0 or interrupted and interrupted_code or failed_code
end

return M
