-- A very small experiment for the specs: its file, and what it takes to run it and to look at what it left.
local lfs = require "lfs"
local load = require "sm.cli.load"

local M = {}

-- The loss may stop the process at its n-th call (SM_TEST_STOP="loss 7"), and so may the n-th picture; the
-- text of the experiment stays the same.
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

local place, number = (os.getenv "SM_TEST_STOP" or "never 0"):match "(%a+) (%d+)"
local calls = { loss = 0, picture = 0 }
local function may_stop(here)
  calls[here] = calls[here] + 1
  if here == place and calls[here] == tonumber(number) then
    os.execute((os.getenv "SM_TEST_SIGNAL" or "kill -9") .. " $PPID")
  end
end

local picture = { name = "picture" }
function picture:check() end
function picture:draw(model, path, moment)
  local file = assert(io.open(path, "wb"))
  file:write(moment.title, " ", moment.step)
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
  optimizer = optim.smorms3 { lr = p.lr, ease_in = 4 },
  schedule = {
    steps = p.steps, batch = p.batch, log = p.log, evaluate = p.evaluate, checkpoint = p.checkpoint,
  },
  views = { picture },
  seed = p.seed,
}
]]

function M.read(path)
  local file = assert(io.open(path, "rb"))
  local content = file:read "a"
  file:close()
  return content
end

function M.write(path, content)
  local file = assert(io.open(path, "wb"))
  file:write(content)
  file:close()
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
  local program = os.getenv "SMRUN" or "build/smrun"
  local pipe = io.popen(("%s %s %s 2>&1"):format(environment or "", program, arguments))
  local output = pipe:read "a"
  local _, _, code = pipe:close()
  return output, code
end

--- metrics.csv without its last column, the only one that may differ between equal runs.
function M.metrics(directory)
  return (M.read(directory .. "/metrics.csv"):gsub(",[^,\n]*\n", "\n"))
end

return M
