--- What disk_calls.lua and disk_power.lua share: a short run that has all that runs write, the program with disk.c
--- before it, and what a run directory must have.
local lfs = require "lfs"
local sm = require "sm"
local support = dofile "tests/fault/support.lua"

io.stdout:setvbuf "line" -- hours pass until a whole run of these is over

local M = { every = 2 } -- steps from one checkpoint to the next

local TEXT <const> = [[
local sm = require "sm"
local nn, optim, view = sm.nn, sm.optim, sm.view
local labels = {}
for i = 1, 24 do labels[i] = i % 3 end
local inputs, targets = sm.randn(24, 4), sm.tensor(labels, "int32")
return sm.experiment {
  data = sm.data.tensors { inputs = inputs, targets = targets, validation = 6, test_inputs = inputs,
    test_targets = targets },
  model = nn.sequential { nn.linear { 5 }, nn.batchnorm(), nn.relu(), nn.dropout { 0.3 }, nn.linear { 3 } },
  metrics = { "accuracy" },
  best = "validation_loss",
  optimizer = require "rule",
  schedule = { steps = 4, batch = 4, log = 1, evaluate = 3, checkpoint = 2 },
  views = {
    view.images(function(at) return at.model(inputs):reshape(24, 3, 1, 1) end, { name = "scores" }),
  },
}
]]

local HEADER <const> = "<I8I8I8I8z"

--- A directory of its own with the experiment and a module beside it.
function M.workspace()
  local home = support.workspace()
  support.write(home .. "/small.lua", TEXT)
  support.write(home .. "/rule.lua", 'return require "sm".optim.adam { lr = 0.01 }\n')
  M.home, M.disk, M.run = home, home .. "/disk", home .. "/disk/all/runs/small/default"
  M.clear()
  return home
end

--- Makes what the program writes to empty.
function M.clear()
  support.remove(M.disk)
  assert(lfs.mkdir(M.disk))
end

--- Makes it what another directory is.
function M.copy(from)
  support.remove(M.disk)
  assert(os.execute(("cp -r '%s' '%s'"):format(from, M.disk)))
end

function M.train()
  return ("--runs '%s/all/runs' '%s/small.lua'"):format(M.disk, M.home)
end

--- A copy of what is there when the run has stopped two steps after its first checkpoint: the disk is full.
--- @param expected table as outcome gives it
function M.stopped(expected, process)
  local full <const>, place <const> = " 1000000 ENOSPC", M.home .. "/stopped"
  M.clear()
  local _, _, whole = M.start(M.train(), { fail = "0 1 ENOSPC", process = process })
  local low, high = 1, whole.made -- the first call whose failure leaves so many rows is between these
  while low < high do
    local n = (low + high) // 2
    M.clear()
    M.start(M.train(), { fail = n .. full, process = process })
    if M.rows(M.run, expected["metrics.csv"]) >= 3 then high = n else low = n + 1 end
  end
  M.clear()
  M.start(M.train(), { fail = low .. full, process = process })
  local steps = M.checkpoints(M.run)
  assert(steps[2] and not steps[4], "the run was not stopped between two checkpoints")
  assert(os.rename(M.disk, place))
  return place
end

--- Runs the program. @param given table {fail="N LENGTH WAY", process=, record=}
--- @return integer|string code its exit code, or "signal N"
--- @return string output what it printed, errors too
--- @return table {made=, failed=, open=, where=, records=(a string)}
function M.start(words, given)
  given = given or {}
  local file = M.home .. "/shared"
  os.remove(file)
  local environment = ("LD_PRELOAD='%s' SM_DISK_FILE='%s' SM_DISK_BENEATH='%s' SM_DISK_FAIL='%s' "
    .. "SM_DISK_PROCESS='%s' SM_DISK_RECORD=%d"):format(os.getenv "DISK", file, M.disk,
    given.fail or "0 0 EIO", given.process or "supervisor", given.record and 1 or 0)
  local pipe = io.popen(("timeout 60 env %s '%s' %s --threads 1 %s 2>&1 </dev/null"):format(environment,
    os.getenv "SMRUN", os.getenv "SMRUN_OPTIONS" or "", words))
  local output = pipe:read "a"
  local _, how, code = pipe:close()
  local result, shared <close> = {}, assert(io.open(file, "rb"))
  local used
  used, result.made, result.failed, result.open, result.where = HEADER:unpack(shared:read(128))
  result.records = given.record and shared:read(used)
  return how == "exit" and code < 128 and code or "signal " .. (how == "exit" and code - 128 or code), output, result
end

--- The processes that touch the files of a run: "supervisor", and before it "worker" where there is one.
function M.processes()
  M.clear()
  local _, _, counted = M.start(M.train(), { fail = "0 1 EIO", process = "worker" })
  return counted.made > 0 and { "worker", "supervisor" } or { "supervisor" }
end

--- The files beneath a directory: place → content.
function M.files(path, found, place)
  found = found or {}
  for name in lfs.dir(path) do
    local inner, at = path .. "/" .. name, place and place .. "/" .. name or name
    local mode = lfs.symlinkattributes(inner, "mode")
    if mode == "directory" and name ~= "." and name ~= ".." then M.files(inner, found, at) end
    if mode == "file" then found[at] = support.read(inner) end
  end
  return found
end

local before_step_ms <const> = "(" .. ("[^,\n]*,"):rep(7) .. ")[^,\n]*"
local unlike <const> = { ["log.txt"] = true, ["environment.json"] = true, ["report.html"] = true }

--- What must be the same of a finished run, however it came about: place → content, without times.
function M.outcome(path)
  local found = M.files(path)
  for place, content in pairs(found) do
    if unlike[place] then found[place] = "there" end
    if place == "metrics.csv" then found[place] = content:gsub(before_step_ms, "%1") end
    if place == "summary.json" then found[place] = content:gsub('"[%w_]+_seconds": ?[^,}]*', "")
      :gsub('"median_step_ms": ?[^,}]*', "") end
  end
  return found
end

--- What is wrong with a finished run; nil where nothing is.
--- @param forgiven function(place)|nil whether something more may be there
function M.difference(expected, path, forgiven)
  if not lfs.attributes(path) then return path .. " is not there" end
  local found = M.outcome(path)
  for place, content in pairs(expected) do
    if not found[place] then return place .. " is missing" end
    if found[place] ~= content then return place .. " differs: " .. support.difference(found[place], content) end
  end
  for place in pairs(found) do
    if not expected[place] and not (forgiven and forgiven(place)) then return place .. " is left over" end
  end
end

--- The greatest step that the program said it had made; 0 where it said nothing of the kind.
function M.said(output)
  local last = 0
  for step in output:gmatch "step +(%d+)/%d" do last = math.max(last, tonumber(step)) end
  return last
end

--- The steps of the checkpoints of a run, each of which is read; raises where one is damaged.
function M.checkpoints(path)
  local steps = {}
  if not lfs.attributes(path .. "/checkpoints") then return steps end
  for name in lfs.dir(path .. "/checkpoints") do
    local step = tonumber(name:match "^step%-(%d+)%.safetensors$")
    if step then
      sm.load(path .. "/checkpoints/" .. name)
      steps[step] = true
    end
  end
  return steps
end

--- The complete rows of metrics.csv, without times: those of `expected`, as far as they go.
--- @return integer|nil how many there are; nil where they are other ones
function M.rows(path, expected)
  if not lfs.attributes(path .. "/metrics.csv") then return 0 end
  local text = support.read(path .. "/metrics.csv"):gsub(before_step_ms, "%1"):gsub("[^\n]*$", "")
  if expected:sub(1, #text) ~= text then return nil end
  return math.max(0, select(2, text:gsub("\n", "\n")) - 1)
end

--- What is wrong with what a run that did not end well has left, measured by what it said; nil where nothing is.
--- @param said integer the greatest step that it said
function M.lost(path, said, expected)
  local readable, steps = pcall(M.checkpoints, path)
  if not readable then return "a checkpoint is damaged: " .. tostring(steps) end
  local due = (said - 1) // M.every * M.every -- a step was begun after it
  if due > 0 and not steps[due] then return ("the checkpoint of step %d is lost"):format(due) end
  local rows = M.rows(path, expected["metrics.csv"])
  if not rows then return "metrics.csv has other rows" end
  if rows < due then return ("metrics.csv has %d rows, and a checkpoint of step %d"):format(rows, due) end
end

M.support = support

return M
