-- A very small experiment for the specs: its file, and what it takes to run it and to look at what it left.
local lfs = require "lfs"
local load = require "sm.experiment.load"
local helpers = dofile "tests/lua/helpers.lua"

local M = {}

-- At the n-th call of the loss, or at the n-th picture, the experiment waits to be ended, where a file `stop` beside
-- it says so ("loss 7"): see M.stopped. Its text stays the same.
M.text = [[
local sm = require "sm"
local nn, optim = sm.nn, sm.optim
local p = sm.params {
  steps = 12, batch = 7, seed = 1, log = 3, evaluate = 4, checkpoint = 5, lr = 0.01, blow_up = 0,
}

sm.seed(5)
local labels = {}
for i = 1, 60 do labels[i] = i % 3 end
local inputs, targets = sm.randn(60, 4), sm.tensor(labels, "int32")

local beside = arg[0]:match "^.*/" or ""
local asked = io.open(beside .. "stop")
local place, number = (asked and asked:read "a" or "never 0"):match "(%a+) (%d+)"
if asked then asked:close() end
local calls = { loss = 0, picture = 0 }
local function may_stop(here)
  calls[here] = calls[here] + 1
  if here == place and calls[here] == tonumber(number) then
    local pipe <close> = io.open(beside .. "here")
    pipe:read "a"
  end
end

local picture = { name = "picture" }
function picture:check() end
function picture:initially(model) return model:layer "linear1".weight ~= nil end
function picture:draw(model, path, moment)
  local file = assert(io.open(path, "wb"))
  file:write("\x89PNG\r\n\26\n\0\0\0\13IHDR\0\0\0\1\0\0\0\1", moment.title, " ", moment.step)
  file:close()
  may_stop "picture"
end

return sm.experiment {
  data = sm.data.tensors {
    inputs = inputs, targets = targets, validation = 12, test_inputs = inputs, test_targets = targets,
  },
  model = nn.sequential { nn.linear { 9 }, nn.batchnorm(), nn.softmax { groups = 3 }, nn.dropout { 0.3 },
    nn.linear { 3 } },
  loss = function(output, targets)
    may_stop "loss"
    local loss = output:cross_entropy(targets)
    return p.blow_up > 0 and calls.loss >= p.blow_up and loss / 0 or loss
  end,
  metrics = { "accuracy" },
  optimizer = optim.smorms3 { lr = p.lr, ease_in = 4 },
  schedule = {
    steps = p.steps, batch = p.batch, log = p.log, evaluate = p.evaluate, checkpoint = p.checkpoint,
  },
  views = { picture },
  seed = p.seed,
}
]]

M.read, M.write = helpers.read, helpers.write

--- Writes a run directory by hand. `given` may set values (of the parameters, as JSON), accuracy (on test data),
--- validation (the name and value of a figure, as JSON; "" for none), unfinished, source, revision, dirty (as JSON),
--- threads, columns (after those that every metrics.csv has), metrics (its rows).
--- @return string its path
function M.write_run(workspace, name, seed, given)
  local path = workspace .. "/" .. name
  os.execute("mkdir -p '" .. path .. "/checkpoints' '" .. path .. "/plots'")
  local values = {}
  for key, value in pairs(given.values or {}) do values[#values + 1] = ('"%s": %s'):format(key, value) end
  values[#values + 1] = ('"seed": %d'):format(seed)
  M.write(path .. "/experiment.lua", given.source or "return 1")
  M.write(path .. "/params.json", ('{"values": {%s}}'):format(table.concat(values, ", ")))
  M.write(path .. "/environment.json", ('{"smrun": "0.1", "real": "float32", "threads": %d, "git": %s}')
    :format(given.threads or 1, given.revision
      and ('{"revision": "%s", "dirty": %s}'):format(given.revision, given.dirty or "false") or "null"))
  M.write(path .. "/metrics.csv", "step,epoch,train_loss,train_accuracy,validation_loss,validation_accuracy,lr,"
    .. "step_ms" .. (given.columns or "") .. "\n" .. (given.metrics or ""))
  if given.unfinished then return path end
  M.write(path .. "/summary.json", ('{"experiment": "%s", "seed": %d, "steps": 30, "wall_seconds": 2%s'
    .. '%s, "median_step_ms": 4}'):format(name:match "^[^/]+", seed,
      given.accuracy and (', "test_accuracy": %.9g'):format(given.accuracy) or "",
      given.validation == "" and "" or ", " .. (given.validation or '"validation_accuracy": 0.99')))
  return path
end

--- An empty directory of its own, with the experiment in `tiny.lua`.
function M.workspace()
  local path = os.tmpname()
  os.remove(path)
  assert(lfs.mkdir(path))
  M.write(path .. "/tiny.lua", M.text)
  return path
end

function M.remove(path)
  os.execute("rm -rf '" .. path .. "'")
end

function M.list(path)
  local names = {}
  for name in lfs.dir(path) do
    if name ~= "." and name ~= ".." then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

--- Calls f and returns what it printed, then its results.
function M.printed(f, ...)
  local stdout, printed = io.stdout, {}
  rawset(io, "stdout", {
    write = function(_, ...) printed[#printed + 1] = table.concat { ... } end,
    flush = function() end,
  })
  local results = table.pack(pcall(f, ...))
  rawset(io, "stdout", stdout)
  if not results[1] then error(results[2], 0) end
  return table.concat(printed), table.unpack(results, 2, results.n)
end

--- Runs workspace/tiny.lua in this process.
--- @return string what it printed
--- @return table its result
function M.run(workspace, overrides, options)
  local file = workspace .. "/tiny.lua"
  local loaded = load.file(file, nil, overrides or {})
  local given = { file = file, source = loaded.source, params = loaded.params, runs = workspace .. "/runs" }
  for key, value in pairs(options or {}) do given[key] = value end
  return M.printed(loaded.experiment.run, loaded.experiment, given)
end

--- Calls a method ("resume", "evaluate") of the experiment of a run directory.
function M.call(method, directory)
  local loaded = load.run_directory(directory)
  return M.printed(loaded.experiment[method], loaded.experiment,
    { directory = directory, source = loaded.source, params = loaded.params })
end

--- Runs the program itself; everything it prints, then its exit code.
function M.smrun(arguments, environment)
  local pipe = io.popen(("%s %s %s 2>&1"):format(environment or "", helpers.quote(helpers.smrun), arguments))
  local output = pipe:read "a"
  local _, _, code = pipe:close()
  return output, code
end

-- Sends a signal when an experiment opens the pipe `here`: to the program, which may go on then, or each time to what
-- it has started.
local STOPPED <const> = [[
cd '%s' && exec 2>/dev/null || exit
%s '%s' %s 2>&1 & program=$!
{ while :; do
  exec 3>'%s'
  case %s in
    program) kill -%s $program; sleep 0.3; exit ;;
    child) kill -%s $(cat /proc/$program/task/$program/children) ;;
  esac
  sleep 0.3
  exec 3>&-
done; } >/dev/null 2>&1 & helper=$!
wait $program; status=$?
kill $helper
exit $status]]

--- Runs the program, and ends it when its experiment waits for that: where it reads the file `here`, which a
--- pipe makes a place to wait. The experiment is confined, and can end nothing itself.
--- @param given table {workspace= (the directory of the experiment's file), at="loss 7" (for the file `stop`),
---   arguments=, signal="KILL" or "TERM", whom="program" or "child" (the worker of a run, the run of a sweep),
---   environment=}
--- @return string output
--- @return integer exit code
function M.stopped(given)
  local stop, here = given.workspace .. "/stop", given.workspace .. "/here"
  M.write(stop, given.at)
  assert(os.execute(("mkfifo '%s'"):format(here)))
  local signal = given.signal or "KILL"
  local pipe = io.popen(STOPPED:format(given.workspace, given.environment or "", helpers.smrun,
    given.arguments, here, given.whom or "program", signal, signal))
  local output = pipe:read "a"
  local _, _, code = pipe:close()
  os.remove(stop)
  os.remove(here)
  return output, code
end

local before_step_ms <const> = ("[^,\n]*,"):rep(7)

--- metrics.csv without step_ms, the only column that may differ between equal runs.
function M.metrics(directory)
  return (M.read(directory .. "/metrics.csv"):gsub("(" .. before_step_ms .. ")[^,\n]*([^\n]*)", "%1%2"))
end

return M
