--- Stops a training run at random moments, by SIGKILL and by SIGINT: the first time at its beginning, other times while
-- a checkpoint is written. After each stop every checkpoint that lies there must be readable, and the resumed run must
-- end with the very bytes of weights and optimizer memory of a run that was never stopped. After SIGINT the step that
-- the program names must have a checkpoint. SIGKILL hits the program or the worker that it has started, in turn.
-- Usage: lua5.4 tests/fault/kill.lua [kills] [interrupts] [seed]
-- Environment: SMRUN, LUA_PATH, LUA_CPATH as for the specs; SMRUN_OPTIONS, words for smrun ahead of others, as --trust;
--   TMPDIR
local lfs = require "lfs"
local sm = require "sm"

local kills, interrupts = tonumber(arg[1] or 20), tonumber(arg[2] or 10)
local seed = tonumber(arg[3] or os.time())
local smrun = ("'%s' --threads 1 %s"):format(os.getenv "SMRUN" or "build/smrun", os.getenv "SMRUN_OPTIONS" or "")
local longest_stop <const> = 5 -- seconds until a run has saved: 2 are promised, and these machines do other things too
math.randomseed(seed)
io.stdout:setvbuf "line"

local STEPS <const>, EVERY <const> = 60, 3 -- steps, and from one checkpoint to the next
local EXPERIMENT = ([[
local sm = require "sm"
local nn, optim, data = sm.nn, sm.optim, sm.data
return sm.experiment {
  data = data.mnist_mini { validation = 1200 },
  model = nn.sequential {
    nn.conv2d { 8, kernel = 5 }, nn.softmax { groups = 2 }, nn.maxpool2d { 4 }, nn.flatten(),
    nn.linear { 512 }, nn.softmax { groups = 8 }, nn.dropout { 0.5 }, nn.linear { 10 },
  },
  loss = "cross_entropy",
  optimizer = optim.smorms3 { lr = 1e-3, ease_in = 10 },
  schedule = { steps = STEPS, batch = 20, evaluate = 20, checkpoint = EVERY, log = 10, keep = 100 },
  seed = 3,
}
]]):gsub("STEPS", STEPS):gsub("EVERY", EVERY)

local function shell(format, ...)
  local command = format:format(...)
  local _, _, code = os.execute(command)
  return code
end

local home = dofile "tests/fault/support.lua".workspace()
local script = home .. "/killed.lua"
local file = assert(io.open(script, "w"))
file:write(EXPERIMENT)
file:close()

--- The tensors of the newest checkpoint, and how many checkpoints there are; every one of them is read.
local function checkpoints(run)
  local names = {}
  if lfs.attributes(run .. "/checkpoints", "mode") == "directory" then
    for name in lfs.dir(run .. "/checkpoints") do
      if name:find "^step%-%d+%.safetensors$" then names[#names + 1] = name end
    end
  end
  table.sort(names)
  local newest
  for _, name in ipairs(names) do newest = sm.load(run .. "/checkpoints/" .. name) end -- raises if it is unreadable
  return newest, #names
end

local function newest_step(run)
  local newest = "before the first checkpoint"
  if lfs.attributes(run .. "/checkpoints", "mode") == "directory" then
    for name in lfs.dir(run .. "/checkpoints") do
      local step = name:match "^step%-(%d+)%.safetensors$"
      if step and (newest:find "^before" or "step " .. step > newest) then newest = "step " .. step end
    end
  end
  return newest
end

--- The tensors of the last checkpoint.
local function last(run)
  return (sm.load(("%s/checkpoints/step-%06d.safetensors"):format(run, STEPS)))
end

local function same(a, b)
  for name, tensor in pairs(a) do
    if not b[name] or (b[name] - tensor):abs():max():item() ~= 0 then return false, name end
  end
  for name in pairs(b) do
    if not a[name] then return false, name end
  end
  return true
end

local function metrics(run)
  local rows, before_step_ms = {}, ("[^,]*,"):rep(7)
  for line in io.lines(run .. "/metrics.csv") do
    rows[#rows + 1] = line:gsub("^(" .. before_step_ms .. ")[^,]*", "%1") -- the only column that may differ
  end
  return table.concat(rows, "\n")
end

local whole = home .. "/whole"
assert(shell("%s --quiet --runs '%s' '%s' >/dev/null", smrun, whole, script) == 0, "the whole run failed")
local reference, reference_metrics = last(whole .. "/killed/default"), metrics(whole .. "/killed/default")

--- Starts a run and stops it at a moment.
--- @param how string "KILL", "KILL the worker" or "INT"
--- @param mark string the file of the run that is waited for
--- @return integer code of its exit, from a shell; number seconds that it took to stop; string what it said
local function stop(runs, how, mark, seconds)
  local said = home .. "/said"
  local pipe = io.popen(([[env --default-signal %s --runs '%s' '%s' >'%s' 2>&1 & pid=$!
    while [ ! -e '%s' ] && kill -0 $pid 2>/dev/null; do sleep 0.005; done
    sleep %.3f; read -r worker others 2>/dev/null </proc/$pid/task/$pid/children
    begun=$(date +%%s%%3N)
    kill -%s %s 2>/dev/null; wait $pid 2>/dev/null; code=$?
    echo $code $(($(date +%%s%%3N) - begun))
    for look in $(seq 40); do [ -d /proc/${worker:-none} ] || break; sleep 0.05; done]]):format(smrun, runs, script,
    said, mark, seconds, how:match "%a+", how:find "worker" and "${worker:-$pid}"
    or "$pid"))
  local code, milliseconds = pipe:read("n", "n")
  pipe:close()
  local text <close> = assert(io.open(said))
  return code, milliseconds / 1000, text:read "a"
end

--- What is wrong with a run that was stopped; nil where nothing is.
local function problem(how, runs, run, code, seconds, said)
  local readable, _, count = pcall(checkpoints, run)
  if not readable then return "a checkpoint cannot be read" end
  local step = said:match "interrupted after step ([%d,]+)"
  if how == "INT" and (code ~= 130 and code ~= 0 or seconds > longest_stop) then
    return ("it ended with %d after %.1f s"):format(code, seconds)
  elseif step and newest_step(run) ~= ("step %06d"):format((step:gsub(",", ""))) then
    return ("it says that it has saved step %s, and %s is there"):format(step, newest_step(run))
  end
  local command = count == 0 and ("%s --quiet --runs '%s' '%s' >/dev/null"):format(smrun, runs, script)
    or ("%s --quiet resume '%s' >/dev/null"):format(smrun, run)
  if shell("%s", command) ~= 0 then return "it does not go on" end
  local equal, which = same(reference, last(run))
  if not equal then return "it ends with another " .. which end
  if metrics(run) ~= reference_metrics then return "it ends with another metrics.csv" end
end

local failed, alive, moments, slowest = 0, 0, {}, 0
for i = 1, kills + interrupts do
  local how = i > kills and "INT" or i % 2 == 0 and "KILL the worker" or "KILL"
  local runs = ("%s/%d"):format(home, i)
  local run = runs .. "/killed/default"
  local step = i == 1 and 0 or EVERY * math.random(0, STEPS // EVERY - 1)
  local mark = step == 0 and "metrics.csv" or ("checkpoints/step-%06d.safetensors"):format(step) -- there it is stopped
  local code, seconds, said = stop(runs, how, run .. "/" .. mark, step == 0 and 0 or math.random() * 0.08)
  if how == "INT" then slowest = math.max(slowest, seconds) end
  local finished = lfs.attributes(run .. "/summary.json", "mode") == "file"
  alive = alive + (finished and 0 or 1)
  moments[i] = finished and "finished" or newest_step(run)
  local wrong = problem(how, runs, run, code, seconds, said)
  if wrong then
    failed = failed + 1
    print(("%s %d at %s: %s\n%s"):format(how, i, moments[i], wrong, said))
  end
  shell("rm -rf '%s'", runs)
end
shell("rm -r '%s'", home)
print(("%d kills and %d interrupts (seed %d), %d of them before the end of a run of %d steps, after: %s"):format(kills,
  interrupts, seed, alive, STEPS, table.concat(moments, ", ")))
print(("the slowest interrupt took %.1f s; %d passed, %d failed"):format(slowest, kills + interrupts - failed, failed))
os.exit(failed == 0)
