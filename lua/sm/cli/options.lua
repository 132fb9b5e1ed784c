--- Reads the command line: which command, its words, its options.
local argparse = require "argparse"
local help = require "sm.cli.help"
local limits = require "sm.cli.limits"
local usage = require "sm.usage"

local M = {}

local most_threads <const>, most_jobs <const> = 1024, 1024
--- Options that every command may have.
M.common = { threads = true }

--- Options that go with a command that runs a file's text.
local function running(options)
  for name in pairs(limits.options) do options[name] = true end
  return options
end

--- The commands by name: how many words follow the name, what each is, and the options that go with it. A word is a
--- "run", "runs" (a run, or a directory that has some below), a "data" set, a "file", a "script" in Lua, a "directory"
--- or "text"; the last kind is that of all further words, too.
M.commands = {
  resume = {
    words = "RUN", takes = { "run", "text" }, least = 1, most = math.huge,
    options = running { quiet = true, runs = true, data = true, again = true, mpi = true },
  },
  eval = {
    words = "RUN", takes = { "run" }, least = 1, most = 1,
    options = running { quiet = true, data = true, grey = true, resize = true, invert = true },
  },
  predict = {
    words = "RUN PICTURE…", takes = { "run", "file" }, least = 2, most = math.huge,
    options = running { csv = true, top = true, data = true, grey = true, resize = true, invert = true },
  },
  export = {
    words = "RUN", takes = { "run" }, least = 1, most = 1,
    options = running { format = true, out = true, again = true },
  },
  compare = {
    words = "RUN…", takes = { "runs" }, least = 1, most = math.huge, options = { csv = true, figure = true },
  },
  report = { words = "RUN…", takes = { "runs" }, least = 1, most = math.huge, options = { out = true } },
  list = {
    words = "[DIR…]", takes = { "runs" }, least = 0, most = math.huge,
    options = { csv = true, order = true, top = true, paths = true },
  },
  query = {
    words = "TEXT [DIR…]", takes = { "text", "runs" }, least = 1, most = math.huge,
    options = { csv = true, order = true, top = true, paths = true },
  },
  data = {
    words = "NAME…", takes = { "data" }, least = 1, most = math.huge, options = { quiet = true, data = true },
  },
  repl = { words = "", takes = {}, least = 0, most = 0, options = { trust = true } },
}

--- What is no command's name, but done as one.
M.unnamed = {
  file = {
    options = running { runs = true, again = true, quiet = true, dry_run = true, jobs = true, text = true,
      data = true, plan = true, slurm = true, compare = true, mpi = true },
  },
  code = { least = 0, most = 0, options = { code = true, trust = true } },
  interactive = {
    options = running { interactive = true, runs = true, again = true, quiet = true, dry_run = true, data = true },
  },
  version = { least = 0, most = 0, options = { version = true, verbose = true } },
}

--- The options: how each is written, and what its argument is: a kind as above, a "number", or an array of the words
--- that it may be. One that takes nothing is a flag.
M.options = {
  { "-e", target = "code", takes = "text" },
  { "-i", target = "interactive" },
  { "--runs", takes = "directory" },
  { "--threads", takes = "number" },
  { "--jobs", takes = "number" },
  { "--plan" },
  { "--slurm", takes = "text" },
  { "--compare" },
  { "--figure", takes = "text" },
  { "--csv", takes = "file" },
  { "--order", takes = "text" },
  { "--paths" },
  { "--data", takes = "directory" },
  { "--top", takes = "number" },
  { "--out", takes = "file" },
  { "--format", takes = { "npz", "onnx" } },
  { "--text", takes = "file" },
  { "--read", takes = "directory", several = true },
  { "--write", takes = "directory", several = true },
  { "--max-memory", takes = "number" },
  { "--max-time", takes = "number" },
  { "--max-cpu", takes = "number" },
  { "--max-disk", takes = "number" },
  { "--max-files", takes = "number" },
  { "--grey" },
  { "--resize" },
  { "--invert" },
  { "--trust" },
  { "--again" },
  { "--quiet" },
  { "--mpi" },
  { "--dry-run" },
  { "--version" },
  { "-v --verbose", target = "verbose" },
  { "-h --help", target = "help" },
}
for _, option in ipairs(M.options) do
  option.target = option.target or option[1]:gsub("^%-+", ""):gsub("-", "_")
end

local function new_parser()
  local parser = argparse "smrun":add_help(false)
  parser:argument "words":args "*"
  for _, option in ipairs(M.options) do
    if not option.takes then
      parser:flag(option[1]):target(option.target)
    else
      local made = parser:option(option[1]):target(option.target)
      if option.several then made:count "*" end
    end
  end
  return parser
end

--- How a parameter is given that came in the form of an option: "steps=10" for --steps 10, -steps 10, --steps=10.
--- @return string|nil the word that was wrong, string how to write it
local function as_parameter(arguments)
  for position, word in ipairs(arguments) do
    local name, joint, value = word:match "^%-%-?([%a_][%w_-]*)(=?)(.*)$"
    if name and not help.has_option(name) then
      local after = arguments[position + 1]
      local follows = after and (after:find "^%-[%d.]" or not after:find "^%-") and not after:find "[=]"
      if joint == "" then value = follows and after or "" end
      if value ~= "" and not value:find "%.lua$" then
        return word:match "^[^=]*", ("%s=%s"):format(name:gsub("-", "_"), value)
      end
    end
  end
end

--- What begins with a dash behind an option whose argument may, as one word with it: --slurm "--mem=2G".
local function with_dashes(arguments)
  local words = { [0] = arguments[0] }
  for _, word in ipairs(arguments) do
    if words[#words] == "--slurm" then words[#words] = "--slurm=" .. word else words[#words + 1] = word end
  end
  return words
end

local function parse(arguments)
  arguments = with_dashes(arguments)
  local parsed, result = new_parser():pparse(arguments)
  if parsed then
    for _, name in ipairs { "read", "write" } do
      if #result[name] == 0 then result[name] = nil end
    end
    return result
  end
  local problem = result:gsub("\nDid you mean one of these: (.*)", "; did you mean one of %1?")
    :gsub("\nDid you mean", "; did you mean"):gsub("%?+$", "?")
  problem = problem:gsub("^(unknown option '%-o').*", "%1; did you mean '--out'?")
  for _, argument in ipairs(arguments) do
    local name = argument:match "^%-(%a[%w-]+)"
    if name and help.has_option(name) and problem:find("unknown option '-" .. name:sub(1, 1), 1, true) then
      usage.fail("unknown option '-%s'; did you mean '--%s'?", name, name)
    end
  end
  local word, parameter = as_parameter(arguments)
  if word and problem:find "^unknown option" and not problem:find "did you mean '%-%-" then
    usage.fail("unknown option '%s'; parameters are given as %s", word, parameter)
  end
  usage.fail("%s", problem)
end

--- Without opening it: a pipe is read once.
local function exists(path)
  return require "lfs".attributes(path, "mode") ~= nil
end

local function command_names()
  local names = { "help" }
  for name in pairs(M.commands) do names[#names + 1] = name end
  table.sort(names)
  return names
end

--- @param second string|nil the word after it
local function unknown_command(name, second)
  local suggest = require "sm.check".suggest -- brings the numeric libraries, which most commands can wait for
  local suggestion = suggest(name, command_names())
  if suggestion == "" then suggestion = require "sm.cli.paths".suggestion(name, ".lua") end
  if suggestion == "" and second and exists(second) then
    suggestion = ("; a file needs none: %s %s"):format(usage.program(), usage.quoted(second))
  end
  usage.fail("unknown command '%s'%s", name, suggestion)
end

--- Whether a person sits there: both ends are a terminal.
local function is_terminal()
  local loaded, runtime = pcall(require, "sm.runtime")
  return loaded and runtime.system.is_terminal(0) and runtime.system.is_terminal(1)
end

--- Which command the first word means; a word that is no command is a file.
local function command_of(given)
  if given.help then return "help" end
  if given.version then return "version" end
  if given.code then return "code" end
  if given.interactive then
    if not given.words[1] then usage.fail "option '-i' needs a file or the directory of a run" end
    return "interactive"
  end
  local first = given.words[1]
  if not first then
    if is_terminal() then return "repl" end
    return "help", "wrong"
  end
  if M.commands[first] then return first end
  if exists(first) then return "file" end
  if first:find "^[%w_]+=" then usage.fail("expected a file or a command before '%s'", first) end
  if first == "help" then
    table.remove(given.words, 1)
    return "help"
  end
  if first:find "[./]" then return "file" end
  if exists(first .. ".lua") then usage.fail("no such file '%s'; did you mean '%s.lua'?", first, first) end
  unknown_command(first, given.words[2])
end

local function option_text(name)
  return ({ code = "-e", interactive = "-i" })[name] or "--" .. name:gsub("_", "-")
end

local function check_options(given, name, command)
  local options = {}
  for option in pairs(given) do options[#options + 1] = option end
  table.sort(options)
  for _, option in ipairs(options) do
    if option ~= "words" and not command.options[option] and not M.common[option] then
      local place = M.commands[name] and "'" .. name .. "'"
        or ({ file = "a file to run", code = "-e", interactive = "-i", version = "--version" })[name]
      local why = name == "code" and limits.options[option] and ": the code is your own, and not confined" or ""
      usage.fail("option '%s' does not go with %s%s", option_text(option), place, why)
    end
  end
end

local function check_words(words, name, command)
  if #words < command.least then usage.fail("'%s' needs %s", name, command.words) end
  if #words > command.most then
    usage.fail("unexpected argument '%s'%s", words[command.most + 1],
      M.commands[name] and (" after '%s'"):format(name .. (command.words ~= "" and " " .. command.words or "")) or "")
  end
end

--- What a confined experiment may do: directories that are there, and numbers.
local function read_grants(given)
  limits.read(given)
  for _, name in ipairs { "read", "write" } do
    given[name] = given[name] or {}
    for _, directory in ipairs(given[name]) do
      if given.trust then usage.fail("option '--%s' does not go with --trust, which confines nothing", name) end
      require "sm.cli.paths".check_directory(directory, name)
    end
  end
end

local function count(name, text, most)
  local number = math.tointeger(tonumber(text))
  if not number or number < 1 or number > most then
    usage.fail("option '--%s' must be an integer from 1 to %d, got '%s'", name, most, text)
  end
  return number
end

-- Options that exclude each other, and why where that is not plain.
local apart <const> = {
  { "plan", "slurm" }, { "plan", "compare" }, { "slurm", "compare" }, { "compare", "jobs" }, { "compare", "again" },
  { "compare", "dry_run" },
  { "plan", "again", "its commands would not go on with what was interrupted" },
  { "slurm", "again", "an element would not go on with what was interrupted" },
}

local function check_apart(given)
  for _, pair in ipairs(apart) do
    if given[pair[1]] and given[pair[2]] then
      usage.fail("option '%s' does not go with '%s'%s", option_text(pair[2]), option_text(pair[1]),
        pair[3] and ": " .. pair[3] or "")
    end
  end
end

--- @param arguments table the words of the command line
--- @return string command a name of `commands`, or "file", "code", "version", "help"
--- @return table options with `words`: what follows the command's name, or begins with the file's; `about`: the
---   command that help is asked for, if any. What runs a file's text has `read` and `write`, arrays of directories
---   that are there, and the limits that are given as numbers (sm.cli.limits)
--- @return boolean wrong whether help is shown because nothing was asked for
function M.read(arguments)
  local given = parse(arguments)
  local name, wrong = command_of(given)
  local command = M.commands[name] or M.unnamed[name]
  if name == "help" then
    local about = given.words[1]
    if about and not M.commands[about] and about ~= "help" and not about:find "[./=]" and not exists(about) then
      unknown_command(about)
    end
    given.about = about
    return name, given, wrong == "wrong"
  end
  check_options(given, name, command)
  check_apart(given)
  if M.commands[name] and given.words[1] then table.remove(given.words, 1) end
  if command.least then check_words(given.words, name, command) end
  if given.runs == "" then usage.fail("option '--runs' must be a directory, got ''") end
  if given.data then
    require "sm.cli.paths".check_directory(given.data, name == "data" and "write" or "data")
    require "sm.data.search".put(given.data, name == "eval")
  end
  if given.threads then given.threads = count("threads", given.threads, most_threads) end
  if given.top and command.options.order then given.top = count("top", given.top, math.maxinteger) end
  if given.jobs then given.jobs = count("jobs", given.jobs, most_jobs) end
  if command.options.read then read_grants(given) end
  return name, given, false
end

return M
