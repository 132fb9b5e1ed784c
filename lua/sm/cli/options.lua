--- Reads the command line: which command, its words, its options.
local argparse = require "argparse"
local usage = require "sm.usage"

local M = {}

M.help = [[
smrun: train a network that one Lua file describes

Usage:
  smrun [options] FILE.lua [key=value …]   run an experiment; key=value sets one of its parameters
  smrun [options] FILE.lua key=1,2 key=1..5 a sweep: run every combination, then compare them
  smrun resume RUN                         go on with a run that was stopped
  smrun eval RUN                           evaluate the newest checkpoint of a run; writes nothing
  smrun compare RUN…                       what differs between runs (or those in a directory), what came out
  smrun report RUN…                        one HTML file about runs: curves, tables, pictures over training
  smrun data NAME…                         fetch data sets (mnist, fashion) and verify them
  smrun -e CODE                            run Lua code, with the library as `sm`; print its value
  smrun --version [--verbose]              the version, and what it computes with
  smrun --help                             this text

Options:
  --runs DIR      where run directories go (default: runs)
  --threads N     threads to compute with (default: the cores this process may use); no result depends on it
  --jobs N        runs of a sweep at once, each a process with its share of the threads (default: 1)
  --again         make a new run although the same one is there already
  --quiet         no progress: the last line and errors only
  --dry-run       check the experiment and show its model, or the runs of a sweep; train and write nothing
  --figure NAME   with compare: a column of metrics.csv to compare, instead of the test accuracy
  --csv FILE      with compare: also write the table to a file
  --out FILE      with report: where to write it (default: report.html in the directory that the runs share)
  -v, --verbose   with --version: everything that may matter in a report

Exit codes: 0 done; 1 failed; 2 wrong usage; 130 interrupted, after saving.
More in smrun(1).
]]

local most_threads <const>, most_jobs <const> = 1024, 1024
local every_command_may <const> = { words = true, threads = true }

--- The commands by name: how many words follow the name, and the options that go with it.
M.commands = {
  resume = { words = "RUN", least = 1, most = 1, options = { quiet = true } },
  eval = { words = "RUN", least = 1, most = 1, options = { quiet = true } },
  compare = { words = "RUN…", least = 1, most = math.huge, options = { csv = true, figure = true } },
  report = { words = "RUN…", least = 1, most = math.huge, options = { out = true } },
  data = { words = "NAME…", least = 1, most = math.huge, options = { quiet = true } },
}

--- What is no command's name, but done as one.
local unnamed = {
  file = { options = { runs = true, again = true, quiet = true, dry_run = true, jobs = true, text = true } },
  code = { least = 0, most = 0, options = { code = true } },
  version = { least = 0, most = 0, options = { version = true, verbose = true } },
  help = { least = 0, most = math.huge, options = { help = true } },
}

local function new_parser()
  local parser = argparse "smrun":add_help(false)
  parser:argument "words":args "*"
  parser:option "-e":target "code"
  parser:option "--runs"
  parser:option "--threads"
  parser:option "--jobs"
  parser:option "--figure"
  parser:option "--csv"
  parser:option "--out"
  parser:option "--text"
  parser:flag "--again"
  parser:flag "--quiet"
  parser:flag "--dry-run"
  parser:flag "--version"
  parser:flag "-v --verbose"
  parser:flag "-h --help"
  return parser
end

local function parse(arguments)
  local parsed, result = new_parser():pparse(arguments)
  if parsed then return result end
  usage.fail("%s", (result:gsub("\nDid you mean one of these: (.*)", "; did you mean one of %1?")
    :gsub("\nDid you mean", "; did you mean"):gsub("%?+$", "?")))
end

local function exists(path)
  local file = io.open(path, "r")
  if file then file:close() end
  return file ~= nil
end

local function command_names()
  local names = {}
  for name in pairs(M.commands) do names[#names + 1] = name end
  table.sort(names)
  return names
end

--- Which command the first word means; a word that is no command is a file.
local function command_of(given)
  if given.help then return "help" end
  if given.version then return "version" end
  if given.code then return "code" end
  local first = given.words[1]
  if not first then return "help", "wrong" end
  if M.commands[first] then return first end
  if exists(first) then return "file" end
  if first:find "^[%w_]+=" then usage.fail("expected a file or a command before '%s'", first) end
  if first:find "[./]" then return "file" end
  local suggest = require "sm.check".suggest -- brings the numeric libraries, which most commands can wait for
  usage.fail("unknown command '%s'%s", first, suggest(first, command_names()))
end

local function option_text(name)
  return name == "code" and "-e" or "--" .. name:gsub("_", "-")
end

local function check_options(given, name, command)
  local options = {}
  for option in pairs(given) do options[#options + 1] = option end
  table.sort(options)
  for _, option in ipairs(options) do
    if not command.options[option] and not every_command_may[option] then
      local place = M.commands[name] and "'" .. name .. "'"
        or ({ file = "a file to run", code = "-e", version = "--version", help = "--help" })[name]
      usage.fail("option '%s' does not go with %s", option_text(option), place)
    end
  end
end

local function check_words(words, name, command)
  if #words < command.least then usage.fail("'%s' needs %s", name, command.words) end
  if #words > command.most then
    usage.fail("unexpected argument '%s'%s", words[command.most + 1],
      M.commands[name] and (" after '%s %s'"):format(name, command.words) or "")
  end
end

local function count(name, text, most)
  local number = math.tointeger(tonumber(text))
  if not number or number < 1 or number > most then
    usage.fail("option '--%s' must be an integer from 1 to %d, got '%s'", name, most, text)
  end
  return number
end

--- @param arguments table the words of the command line
--- @return string command a name of `commands`, or "file", "code", "version", "help"
--- @return table options with `words`: what follows the command's name, or begins with the file's
--- @return boolean wrong whether help is shown because nothing was asked for
function M.read(arguments)
  local given = parse(arguments)
  local name, wrong = command_of(given)
  local command = M.commands[name] or unnamed[name]
  if not wrong then check_options(given, name, command) end
  if M.commands[name] then table.remove(given.words, 1) end
  if command.least then check_words(given.words, name, command) end
  if given.runs == "" then usage.fail("option '--runs' must be a directory, got ''") end
  if given.threads then given.threads = count("threads", given.threads, most_threads) end
  if given.jobs then given.jobs = count("jobs", given.jobs, most_jobs) end
  return name, given, wrong == "wrong"
end

return M
