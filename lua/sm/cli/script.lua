--- An experiment's file that plain Lua runs: `lua5.4 FILE.lua key=value …` does what `smrun FILE.lua key=value …` does.
--- Where it first asks for its parameters or declares an experiment, it is handed over: it begins anew, as smrun would
--- run it, and the program ends when that has ended. The experiments of other files are left to their callers, unless
--- this one returns something, and so are those of other files' functions, a test's for example.
local host = require "sm.cli.host"
local params = require "sm.experiment.params"
local place = require "sm.place"

local M = {}

local handed_over = false

--- Whether a text has a `return` that belongs to no function.
local function returns(path)
  local file <close> = io.open(path, "rb")
  return file ~= nil and ("\n" .. file:read "a"):find "\nreturn%f[^%w_]" ~= nil
end

--- The name of the file that plain Lua was started with, if it is running and is an experiment's.
local function script()
  local arguments = rawget(_G, "arg")
  local path = type(arguments) == "table" and arguments[0]
  if type(path) ~= "string" then return nil end
  local level, direct, outermost = 2, nil, nil
  local info = debug.getinfo(level, "S")
  while info do
    if place.is_users(info) then
      outermost = info.source == "@" .. path
      if info.what ~= "main" and not outermost then return nil end
      if direct == nil then direct = outermost end
    end
    level = level + 1
    info = debug.getinfo(level, "S")
  end
  return outermost and (direct or returns(path)) and path or nil
end

--- Forgets the modules that the file has loaded, which are its text as well.
local function forget_modules()
  for name in pairs(package.loaded) do
    if not name:find "^sm%f[.\0]" and package.searchpath(name, package.path) then package.loaded[name] = nil end
  end
end

--- @return integer exit code
local function run(path)
  local usage = require "sm.usage"
  local command, given = require "sm.cli.options".read { path, table.unpack(rawget(_G, "arg")) }
  if command ~= "file" then
    io.stdout:write(require "sm.text".visible(require "sm.cli.help".text(), "\n"))
    return 0
  end
  if #require "sm.cli.settings".read(given.words, 2) > 1 then
    usage.fail("more than one value is a sweep; %s runs those", usage.program())
  end
  if given.threads then require "sm.runtime".system.set_threads(given.threads) end
  host.answer_signals()
  forget_modules()
  return require "sm.cli.run".file(given)
end

--- The hook of Ctrl-C would raise an error wherever the main thread is; this is another one, so that the run can save.
--- It is none that the run could leave by a yield: nobody would come back to it, as across a function of C.
local function hand_over(path)
  handed_over = true
  coroutine.wrap(function()
    (" "):gsub(".", function()
      local ok, result = xpcall(run, require "sm.cli.traceback".handler, path)
      os.exit(ok and result or require "sm.cli.complain"(result), true)
    end)
  end)()
end

local function guarded(f)
  return function(given)
    local path = not handed_over and not params.given() and script() -- not while a run's text is loaded: sm.load_run
    if path then hand_over(path) end
    return f(given)
  end
end

--- What `sm.params` is under plain Lua.
M.params = guarded(params.declare)

--- What `sm.experiment` is under plain Lua.
M.experiment = guarded(host.experiment)

return M
