--- An experiment's file that plain Lua runs, `lua5.4 FILE.lua key=value …`: it trains as `smrun FILE.lua key=value …`
--- does. Plain Lua throws away what the file returns, so a hook looks at it at that moment.
--
-- Ctrl-C: lua5.4 answers it by a hook of its own. No hook is called while ours trains, so the run sees that one, saves
-- and stops as under smrun.
local complain = require "sm.cli.complain"
local experiments = require "sm.experiment"
local help = require "sm.cli.help"
local options = require "sm.cli.options"
local params = require "sm.experiment.params"
local place = require "sm.place"
local settings = require "sm.cli.settings"
local traceback = require "sm.cli.traceback"
local usage = require "sm.usage"

local M = {}

local interrupted_code <const> = 130

local given -- the options of the command line, once it is read

--- The name of the file that plain Lua was started with.
local function script()
  local arguments = rawget(_G, "arg")
  return type(arguments) == "table" and type(arguments[0]) == "string" and arguments[0] or nil
end

--- Whether that file is running, and what it calls: modules that it requires, but no other program's functions, such as
--- those of a test, and no loader of experiments.
local function is_running(path)
  local source, level, is_main = "@" .. path, 2, false
  local info = debug.getinfo(level, "S")
  while info do
    if info.what ~= "C" then
      is_main = info.what == "main" and info.source == source
      local foreign = place.is_users(info) and info.what ~= "main" and info.source ~= source
      if foreign or info.source:find "/sm/cli/load%.lua$" then return false end
    end
    level = level + 1
    info = debug.getinfo(level, "S")
  end
  return is_main -- of the outermost function
end

--- Calls a function; what it raises ends the program as it ends smrun.
local function guarded(f, ...)
  local ok, result = xpcall(f, traceback.handler, ...)
  if ok then return result end
  os.exit(complain(result), true)
end

--- Reads the words that follow the file's name, as smrun reads them.
local function read_words(path)
  local command
  command, given = options.read { path, table.unpack(rawget(_G, "arg")) }
  if command ~= "file" then
    io.stdout:write(help.text())
    os.exit(true, true)
  end
  local combinations = settings.read(given.words, 2)
  if #combinations > 1 then
    usage.fail("more than one value is a sweep, which %s runs", usage.program())
  end
  params.begin(combinations[1])
end

local function stopped()
  return debug.gethook() == "external hook"
end

local function train(experiment, path)
  return experiment:run {
    file = path, params = params.finish(), runs = given.runs or "runs", again = given.again, quiet = given.quiet,
    dry_run = given.dry_run, interrupted = stopped,
  }
end

--- The file has returned a value.
local function conclude(value, path)
  local forgotten = experiments.forgotten(path)
  if experiments.is(value) then
    if guarded(train, value, path).interrupted then os.exit(interrupted_code, true) end
  elseif forgotten then
    os.exit(complain { message = forgotten }, true)
  end
end

--- Waits for the file to return.
local function watch(path)
  local main <const> = debug.getregistry()[1] -- LUA_RIDX_MAINTHREAD
  if debug.gethook(main) then return end
  debug.sethook(main, function()
    local info = debug.getinfo(2, "Sr")
    if info.what ~= "main" or info.source ~= "@" .. path then return end
    debug.sethook(main)
    local _, value = debug.getlocal(2, info.ftransfer)
    conclude(info.ntransfer > 0 and value, path)
  end, "r")
end

--- `sm.params` under plain Lua.
function M.params(defaults)
  local path = script()
  if not path or not is_running(path) then return params.declare(defaults) end
  if not given then guarded(read_words, path) end
  return guarded(params.declare, defaults)
end

--- `sm.experiment` under plain Lua.
function M.experiment(declaration)
  local experiment, path = experiments.declare(declaration), script()
  if path and is_running(path) then
    if not given then guarded(read_words, path) end
    watch(path)
  end
  return experiment
end

return M
