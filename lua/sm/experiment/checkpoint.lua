--- Checkpoints: everything that a run needs to go on as if it had never stopped.
-- checkpoints/step-NNNNNN.safetensors holds the parameters and buffers ("model.…") and the optimizer's memory
-- ("optimizer.…"); its metadata hold the experiment's text and parameters and the run's numbers. Equal runs have equal
-- checkpoints, bit for bit: the time that a run has taken lies beside them, in spent.json, until it is finished.
local lfs = require "lfs"
local runtime = require "sm.runtime"
local check = require "sm.check"
local fail = require "sm.fail"
local files = require "sm.files"
local random = require "sm.random"
local directory_of = require "sm.experiment.directory"
local evaluate = require "sm.experiment.evaluate"
local json = require "sm.json"

local M = {}

local format <const> = "smrun checkpoint 1"

--- Nested tables of numbers as lines "a.b=number", each number exact (floats in hexadecimal).
local function flatten(value, path, lines)
  if type(value) == "number" then
    lines[#lines + 1] = ("%s=%s"):format(path, ("%q"):format(value))
  else
    for key, item in pairs(value) do flatten(item, path == "" and key or path .. "." .. key, lines) end
  end
  return lines
end

local function encode(numbers)
  local lines = flatten(numbers, "", {})
  table.sort(lines)
  return table.concat(lines, "\n")
end

local function decode(text, path)
  local numbers = {}
  for line in text:gmatch "[^\n]+" do
    local place, value = line:match "^([^=]+)=(.+)$"
    if not (value and tonumber(value)) then fail("%s: the run's numbers have a line '%s'", path, line) end
    local inner, last = numbers, nil
    for key in place:gmatch "[^.]+" do
      if last then
        inner[last] = inner[last] or {}
        inner = inner[last]
      end
      last = math.tointeger(tonumber(key)) or key
    end
    inner[last] = tonumber(value)
  end
  return numbers
end

local function refuse_non_finite(run, kind, tensors)
  for name, tensor in pairs(tensors) do
    if not runtime.math.is_finite(tensor) then
      fail("step %d: %s '%s' is not finite; nothing was saved, %s", run.step, kind, name, M.last(run))
    end
  end
end

--- A half-sentence that says where the last good checkpoint lies.
function M.last(run)
  return run.saved and ("the last good checkpoint is " .. M.path(run.directory.path, run.saved))
    or "there is no checkpoint yet"
end

function M.path(directory, step)
  return ("%s/checkpoints/step-%06d.safetensors"):format(directory, step)
end

--- The steps that have a checkpoint, newest first; temporary files of a killed run do not count.
function M.steps(directory)
  local steps = {}
  local folder = directory .. "/checkpoints"
  if lfs.attributes(folder, "mode") ~= "directory" then return steps end
  for name in lfs.dir(folder) do
    local digits = name:match "^step%-(%d+)%.safetensors$"
    if digits then steps[#steps + 1] = tonumber(digits) end
  end
  table.sort(steps, function(a, b) return a > b end)
  return steps
end

--- Deletes all but the newest few, and what a killed run left half written.
local function prune(directory, keep)
  local steps = M.steps(directory)
  for i = keep + 1, #steps do os.remove(M.path(directory, steps[i])) end
  local folder = directory .. "/checkpoints"
  for name in lfs.dir(folder) do
    if name:find "^%.step%-.*%.tmp%-" then os.remove(folder .. "/" .. name) end
  end
end

--- The seconds that the run has taken until now, and those of the steps since the last row of metrics.csv.
local function save_spent(run)
  local spent = run:spent_so_far()
  run.directory:write("spent.json", json.encode {
    step = run.step, wall_seconds = spent.wall, training_seconds = spent.training, row_seconds = run.tally.seconds,
  })
end

--- What save_spent has kept; without it, in a directory that was copied in part say, time counts from now on.
--- @param step integer of the checkpoint
--- @return table {wall=, training=}
--- @return number|nil the seconds of the steps since the last row, where they are known
local function read_spent(directory, step)
  local path = directory .. "/spent.json"
  local text = directory_of.read(path)
  if not text then return { wall = 0, training = 0 } end
  local kept = json.object(text) or {}
  for _, key in ipairs { "wall_seconds", "training_seconds" } do
    if type(kept[key]) ~= "number" then
      fail("%s: there is no number of %s; without this file, time counts from now on", path, key)
    end
  end
  local of_row = kept.step == step and type(kept.row_seconds) == "number" and kept.row_seconds or nil
  return { wall = kept.wall_seconds, training = kept.training_seconds }, of_row
end

--- Forgets the time of a finished run: its summary has it.
function M.finish(directory)
  os.remove(directory .. "/spent.json")
end

--- Saves the run as it stands; older checkpoints go once this one is safe on the disk.
function M.save(run)
  if run.saved == run.step then return end
  refuse_non_finite(run, "parameter", run.model:parameters())
  refuse_non_finite(run, "buffer", run.model:buffers())
  local tensors = {}
  for name, tensor in pairs(run.model:parameters()) do tensors["model." .. name] = tensor end
  for name, tensor in pairs(run.model:buffers()) do tensors["model." .. name] = tensor end
  for name, tensor in pairs(run.optimizer:state()) do tensors["optimizer." .. name] = tensor end
  save_spent(run)
  files.save_checked(M.path(run.directory.path, run.step), tensors, {
    format = format,
    source = run.source,
    params = run.params,
    step = ("%d"):format(run.step),
    numbers = encode {
      random = random.state(), stream = run.stream:state(), optimizer = { steps = run.optimizer.steps },
      tally = { loss = run.tally.loss, accuracy = run.tally.accuracy, steps = run.tally.steps },
      validation = run.validation,
    },
  })
  run.saved = run.step
  prune(run.directory.path, run.schedule.keep)
end

--- The newest checkpoint that can be read. One that cannot is passed over, and said so; an older one will do.
--- @return string|nil path nil where there is no checkpoint at all
--- @return table|nil tensors
--- @return table|nil metadata
local function newest(directory, say)
  local steps = M.steps(directory)
  for _, step in ipairs(steps) do
    local path = M.path(directory, step)
    local ok, tensors, metadata = pcall(files.load, path)
    if ok then return path, tensors, metadata or {} end
    say(("passed over a checkpoint that cannot be read: %s"):format(tensors))
  end
  if #steps > 0 then fail("%s/checkpoints: not one can be read, out of %d", directory, #steps) end
end

local function require_own(path, metadata, run)
  if metadata.format ~= format then
    fail("%s: expected the format '%s', got '%s'", path, format, metadata.format or "none")
  end
  for _, key in ipairs { "step", "numbers" } do
    if not metadata[key] then fail("%s: the metadata lack '%s'", path, key) end
  end
  if metadata.source ~= run.source then
    fail("%s: it was saved by a different text of the experiment than %s has", path, run.file)
  end
  if metadata.params ~= run.params then fail("%s: it was saved by a run with other parameters", path) end
end

--- Puts the model's tensors back. @return table the other tensors, without "optimizer."
local function restore_model(model, tensors, path)
  local wanted, others = {}, {}
  for name, tensor in pairs(model:parameters()) do wanted["model." .. name] = tensor end
  for name, tensor in pairs(model:buffers()) do wanted["model." .. name] = tensor end
  for name, place in pairs(wanted) do
    local saved = tensors[name]
    if not saved then fail("%s: there is no tensor '%s'", path, name) end
    local expected, got = check.describe(place), check.describe(saved)
    if expected ~= got then
      fail("%s: '%s' is a %s, and the model's is a %s: it is not the model that was saved", path, name, got, expected)
    end
  end
  for name, tensor in pairs(tensors) do
    if wanted[name] then
      wanted[name]:copy_(tensor)
    elseif name:find "^optimizer%." then
      others[name:sub(#"optimizer." + 1)] = tensor
    else
      fail("%s: the model has no place for the tensor '%s'", path, name)
    end
  end
  return others
end

--- Puts the newest checkpoint back into a run: the weights, and unless `only_model`, all that training needs.
--- @param run table with model, optimizer, stream, source, params
--- @param directory string the run directory
--- @param say function(text) hears of checkpoints that cannot be read
--- @param only_model boolean|nil
--- @return boolean false where there is no checkpoint: nothing was changed
function M.restore(run, directory, say, only_model)
  local path, tensors, metadata = newest(directory, say)
  if not path then return false end
  require_own(path, metadata, run)
  local optimizer_state = restore_model(run.model, tensors, path)
  run.step = math.tointeger(tonumber(metadata.step)) or fail("%s: the step is '%s'", path, metadata.step)
  local numbers = decode(metadata.numbers, path)
  random.restore(numbers.random) -- also for evaluation: a loss function may draw
  local old = numbers.spent ~= nil -- 0.1.0 kept the time here
  if old then run.accuracy = evaluate.accuracy_of_0_1_0(run) end
  if only_model then return true end
  run.optimizer:restore(optimizer_state, numbers.optimizer.steps)
  run.stream:restore(numbers.stream)
  run.tally, run.validation = numbers.tally, numbers.validation or {}
  if old then
    run.spent = numbers.spent
  else
    run.spent, run.tally.seconds = read_spent(directory, run.step)
  end
  run.saved = run.step
  return true
end

return M
