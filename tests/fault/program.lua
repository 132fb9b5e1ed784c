--- Fails the n-th allocation of the program itself, from its first to its last, over commands that begin, train, go on,
-- evaluate, report and compare. It must end by itself: with what it does otherwise, or with exit code 1 and a message.
-- Usage: as of tests/fault/allocations.sh, with seconds=S, seed=N
local lfs = require "lfs"
local support = dofile "tests/fault/support.lua"

local settings = { seconds = 10, seed = os.time() }
for _, word in ipairs(arg) do
  local key, value = word:match "^(%l+)=?(.*)$"
  settings[key] = tonumber(value) or value
end
math.randomseed(settings.seed)

local smrun, injector = os.getenv "SMRUN", os.getenv "INJECTOR"
local home = os.tmpname()
os.remove(home)
assert(lfs.mkdir(home))
support.write(home .. "/small.lua", [[
local sm = require "sm"
return sm.experiment {
  data = sm.data.tensors { inputs = sm.randn(12, 4), targets = sm.ones({ 12 }, "int32"), validation = 4 },
  model = sm.nn.sequential { sm.nn.linear { 3 } },
  optimizer = sm.optim.sgd { lr = 0.01 },
  schedule = { steps = 3, batch = 4, checkpoint = 2 },
}
]])

local run = home .. "/runs/small/default"
local train = ("--quiet --runs '%s/runs' '%s/small.lua'"):format(home, home)
local commands = {
  { "--version -v" }, { "--help" }, { "-e 'print(require \"sm\".ones(2))'" },
  { train, before = function() support.remove(home .. "/runs") end },
  { ("eval '%s'"):format(run), needs_run = true }, { ("report '%s'"):format(run), needs_run = true },
  { ("compare '%s'"):format(run), needs_run = true },
}

--- Its exit code and what it printed, or the signal that ended it.
local function start(command, preload)
  local pipe = io.popen(("env -u LD_PRELOAD %s '%s' --threads 1 %s 2>&1 </dev/null"):format(preload, smrun, command[1]))
  local output = pipe:read "a"
  local _, how, code = pipe:close()
  return how == "exit" and code or "signal " .. code, output
end

local tried, broken, failed, started = 0, 0, 0, os.time()
for i = 1, math.huge do
  local command = commands[(i - 1) % #commands + 1]
  if os.time() - started >= settings.seconds then break end
  if command.before then command.before() end
  if command.needs_run and not lfs.attributes(run .. "/summary.json") then
    support.remove(home .. "/runs")
    assert(start({ train }, "") == 0)
  end
  local length = ({ 1, 2, 1 << 40 })[math.random(3)]
  local n = math.floor(math.exp(math.random() * math.log(60000)))
  local code, output = start(command, ("timeout 60 env LD_PRELOAD='%s' SM_INJECT='memory %d %d'")
    :format(injector, n, length))
  tried, failed = tried + 1, failed + (code == 1 and 1 or 0)
  if code ~= 0 and (code ~= 1 or output == "") then
    broken = broken + 1
    print(("%s: memory %d, %d in a row: %s %s"):format(command[1], n, length, code, output))
  end
end
support.remove(home)
print(("%d starts of the program, seed %d: %d ended with an error, %d broken")
  :format(tried, settings.seed, failed, broken))
os.exit(broken == 0 and tried > 0)
