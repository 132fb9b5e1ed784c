--- What specs of the supervisor share: a stand-in for its worker that has every right, and runs what it is told. It is
-- what an experiment would be that has taken over its process, and more.
local lfs = require "lfs"
local helpers = dofile "tests/lua/helpers.lua"

local M = { read = helpers.read, write = helpers.write }

--- The text that it runs is that of the file, with `call(name, fields)`, `send(bytes)`, `identity(changes)`,
--- `place(changes)`, `train(changes)`, which also opens the run, and `work`, what it is to do.
local STANDIN <const> = [[
local host = require "sm.host"
local lfs = require "lfs"
local message = require "sm.cli.message"
local calls = require "sm.cli.calls"
local work
local tools = setmetatable({ lfs = lfs, message = message, host = host, send = host.channel.send }, { __index = _G })

local function with(given, changes)
  for key, value in pairs(changes or {}) do given[key] = value end
  return given
end

--- What the supervisor answers, or nil and why not; false where it says nothing any more.
function tools.call(name, fields)
  host.channel.send(calls.encode(name, fields))
  if not (calls.calls[name] or {}).answered then return true end
  local bytes = host.channel.receive()
  if not bytes then return false end
  local answer = message.decode(bytes)
  if answer.problem then return nil, answer.problem end
  return answer.result or true
end
local call = tools.call

function tools.identity(changes)
  return with({ source = work.source, params = "{}", modules = {}, declaration = {}, data = {}, loaded = {},
    drew = false, from_file = true }, changes)
end

function tools.place(changes)
  call("screen", { quiet = false })
  return call("place", with({ name = "x", variant = "default", identity = tools.identity() }, changes))
end

function tools.train(changes)
  local placed, problem = tools.place(changes)
  if not placed then return placed, problem end
  local opened, reason = call("open", { path = placed.path })
  return opened and placed, reason
end

return { main = function()
  work = message.decode(host.channel.receive())
  tools.work = work
  local code = assert(load(work.source, "=standin", "t", tools))()
  if code == "done" then call("ended", { code = 0 }) end
  return math.type(code) and code or 0
end }
]]

--- @return string a directory with the stand-in
function M.workspace()
  local path = os.tmpname()
  os.remove(path)
  assert(lfs.mkdir(path))
  M.write(path .. "/standin.lua", STANDIN)
  return path
end

--- Runs what a worker does under a supervisor, in the workspace.
--- @param code string of the worker
--- @param given table|nil {what=, options=, run=, kind="script", more=(fields of the work, in Lua), before=(a command),
---   around=(a command of bash in which the supervisor is `$!` for what follows), seconds=(until it is given up)}
--- @return string what it said
--- @return integer its exit status, 124 where it had to be given up
function M.attack(workspace, code, given)
  given = given or {}
  local source = code .. (given.kind == "script" and "\n" or "\n--[[\nreturn experiment]]\n")
  M.write(workspace .. "/x.lua", source)
  M.write(workspace .. "/supervise.lua", ([[
    local file <close> = io.open "x.lua"
    os.exit(require "sm.cli.supervisor".run {
      what = %q, options = { words = { "x.lua" }, %s }, overrides = {}, source = file:read "a", %s,
      words = { "--worker", "standin" }, %s
    }, true)]]):format(given.what or "train", given.options or "", given.run and ("run = %q"):format(given.run)
      or 'file = "x.lua"', given.more or ""))
  M.write(workspace .. "/command.sh", ([[
    cd '%s'
    export LUA_PATH="$PWD/?.lua;;"
    %s
    env --default-signal timeout -s KILL %d '%s' -e "$(cat supervise.lua)" </dev/null &
    %s
    wait $!]]):format(workspace, given.before or "", given.seconds or 20, helpers.smrun, given.around or ""))
  local pipe <close> = io.popen(("env -u LD_PRELOAD bash '%s/command.sh' 2>&1"):format(workspace))
  local output = pipe:read "a"
  local _, _, status = pipe:close()
  return output, status
end

return M
