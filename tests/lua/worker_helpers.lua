--- What the specs of workers share: a supervisor, which is `smrun -e`, and a worker that runs what it is told.
local lfs = require "lfs"
local helpers = dofile "tests/lua/helpers.lua"

local M = { read = helpers.read, write = helpers.write }

--- The worker: each message is a chunk that it runs. What a chunk returns is the exit code.
local WORKER <const> = [[
local host = require "sm.host"
return { main = function()
  for message in host.channel.receive do
    local code = assert(load(message))(host.channel, host)
    if code then return code end
  end
  return 0
end }
]]

--- In front of every supervisor. `collect` gives what came of each kind as one text, the kinds in their order with
-- those that follow each other told once, and the end: its kind, code, reason, and seconds of processors.
local SUPERVISOR <const> = [[
local host = require "sm.host"
local function start(code)
  local worker = host.worker { "--worker", "standin" }
  if code then worker:send(code) end
  return worker
end
local function collect(worker)
  local came, order = { message = {}, output = {}, errors = {}, noise = {} }, {}
  while true do
    local kind, bytes, code, why, cpu = worker:next(20)
    if kind == "ended" then
      for name, pieces in pairs(came) do came[name] = table.concat(pieces) end
      return came, table.concat(order, " "), { bytes, code, why, cpu }
    end
    if kind == nil and not host.interrupted() then error "nothing came" end
    if kind then table.insert(came[kind], bytes) end
    if kind and order[#order] ~= kind then order[#order + 1] = kind end
  end
end
local function tell(last) print(last[1], last[2], last[3]) end
]]

function M.workspace()
  local path = os.tmpname()
  os.remove(path)
  lfs.mkdir(path)
  helpers.write(path .. "/standin.lua", WORKER)
  helpers.write(path .. "/supervisor.lua", SUPERVISOR)
  return path
end

--- Runs a bash command in the workspace: $SMRUN is the program, `supervise FILE` runs a supervisor. Its output, errors
--- too, and its status.
function M.bash(workspace, command)
  helpers.write(workspace .. "/command.sh", ([[
    cd '%s'
    export LUA_PATH="$PWD/?.lua;;" SMRUN='%s'
    supervise() { exec env --default-signal "$SMRUN" -e "$(cat supervisor.lua "$1")"; }
    soon() { for _ in {1..100}; do "$@" && return; sleep 0.05; done; echo "never: $*"; return 1; }
    state() { local all; read -r all 2>/dev/null <"/proc/$1/stat" || return; all=${all##*) }; echo "${all:0:1}"; }
    gone() { [ -z "$(state "$1")" ] || [ "$(state "$1")" = Z ]; }
    %s]]):format(workspace, helpers.smrun, command))
  local pipe <close> = io.popen(("env -u LD_PRELOAD timeout 60 bash '%s/command.sh' 2>&1"):format(workspace))
  local output = pipe:read "a"
  local _, _, status = pipe:close()
  return output, status
end

--- What a supervisor with this code prints, its errors too, and its status.
function M.supervise(workspace, code)
  helpers.write(workspace .. "/code.lua", code)
  return M.bash(workspace, "supervise code.lua")
end

return M
