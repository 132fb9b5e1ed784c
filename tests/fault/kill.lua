--- Kills a training run with SIGKILL at random moments: the first time at its beginning, other times while a checkpoint
-- is written. After each kill every checkpoint that lies there must be readable, and the resumed run must end with the
-- very bytes of weights and optimizer memory of a run that was never interrupted.
-- Usage: lua5.4 tests/fault/kill.lua [kills] [seed]      environment: SMRUN, LUA_PATH, LUA_CPATH as for the specs
local lfs = require "lfs"
local sm = require "sm"

local kills, seed = tonumber(arg[1] or 20), tonumber(arg[2] or os.time())
local smrun = os.getenv "SMRUN" or "build/smrun"
math.randomseed(seed)

local STEPS <const>, EVERY <const> = 150, 3 -- steps, and from one checkpoint to the next
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

local home = os.tmpname()
os.remove(home)
assert(lfs.mkdir(home))
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
assert(shell("'%s' --quiet --runs '%s' '%s' >/dev/null", smrun, whole, script) == 0, "the whole run failed")
local reference, reference_metrics = last(whole .. "/killed/default"), metrics(whole .. "/killed/default")

local failed, alive, moments = 0, 0, {}
for i = 1, kills do
  local runs = ("%s/%d"):format(home, i)
  local run = runs .. "/killed/default"
  local step = i == 1 and 0 or EVERY * math.random(0, STEPS // EVERY - 1)
  local mark = step == 0 and "metrics.csv" or ("checkpoints/step-%06d.safetensors"):format(step) -- there it is killed
  shell([['%s' --quiet --runs '%s' '%s' >/dev/null 2>&1 & pid=$!
    while [ ! -e '%s/%s' ] && kill -0 $pid 2>/dev/null; do sleep 0.005; done
    sleep %.3f; kill -9 $pid 2>/dev/null; wait $pid 2>/dev/null]],
    smrun, runs, script, run, mark, step == 0 and 0 or math.random() * 0.08)
  local readable, _, count = pcall(checkpoints, run)
  local finished = lfs.attributes(run .. "/summary.json", "mode") == "file"
  alive = alive + (finished and 0 or 1)
  moments[i] = finished and "finished" or newest_step(run)
  local command = count == 0 and ("'%s' --quiet --runs '%s' '%s' >/dev/null"):format(smrun, runs, script)
    or ("'%s' --quiet resume '%s' >/dev/null"):format(smrun, run)
  local resumed = readable and shell("%s", command) == 0
  local equal, which = false, nil
  if resumed then
    equal, which = same(reference, last(run))
    if equal and metrics(run) ~= reference_metrics then equal, which = false, "metrics.csv" end
  end
  if not (readable and resumed and equal) then
    failed = failed + 1
    print(("kill %d at %s, resumed: %s, same: %s %s"):format(i, moments[i], resumed, equal, which or ""))
  end
end
shell("rm -r '%s'", home)
print(("%d kills (seed %d), %d of them before the end of a run of %d steps, after: %s"):format(kills, seed, alive,
  STEPS, table.concat(moments, ", ")))
print(("%d passed, %d failed"):format(kills - failed, failed))
os.exit(failed == 0)
