--- Checkpoints: everything that a run needs to go on as if it had never stopped.
-- checkpoints/step-NNNNNN.safetensors holds the parameters and buffers ("model.…"), the optimizer's memory
-- ("optimizer.…") and, where the schedule has one, the average of the former ("average.model.…"); its metadata hold the
-- experiment's text and parameters and the run's numbers. Equal runs have equal checkpoints, bit for bit: the time that
-- a run has taken lies beside them, in spent.json, until it is finished. checkpoints/best.safetensors, for an
-- experiment that says what is best, holds the model as it was evaluated.
local runtime = require "sm.runtime"
local attempt = require "sm.problem".attempt
local check = require "sm.check"
local brief = require "sm.text".brief
local fail = require "sm.fail"
local files = require "sm.files"
local random = require "sm.random"
local checkpoint_files = require "sm.experiment.checkpoint_files"
local directory_of = require "sm.experiment.directory"
local evaluate = require "sm.experiment.evaluate"
local json = require "sm.json"
local numbers_text = require "sm.experiment.numbers_text"
local schema = require "sm.experiment.schema"
local without_line = require "sm.place".without_line

local M = {}

local format <const> = "smrun checkpoint 1"
local best_name <const> = "/checkpoints/best.safetensors"

--- The tensors of a run's model, for a checkpoint; raises where one is not finite.
local function finite_tensors(run)
  for kind, map in pairs { parameter = run.model:parameters(), buffer = run.model:buffers() } do
    for name, tensor in pairs(map) do
      if not runtime.math.is_finite(tensor) then
        fail("step %d: %s '%s' is not finite; nothing was saved, %s", run.state.step, kind, name, M.last(run))
      end
    end
  end
  return M.tensors_of(run.model)
end

--- A half-sentence that says where the last good checkpoint lies.
function M.last(run)
  return run.saved and ("the last good checkpoint is " .. checkpoint_files.path(run.directory.path, run.saved))
    or "there is no checkpoint yet"
end

--- The seconds that the run has taken until now, and those of the steps since the last row of metrics.csv.
local function save_spent(run)
  local spent = run:spent_so_far()
  run.directory:write("spent.json", json.encode {
    step = run.state.step, wall_seconds = spent.wall, training_seconds = spent.training, row_seconds = spent.row,
  })
end

--- What save_spent has kept; without it, in a directory that was copied in part say, time counts from now on.
--- @param step integer of the checkpoint
--- @return table {wall=, training=, row=(nil where it is not known)}
local function read_spent(directory, step)
  local path = directory .. "/spent.json"
  local text = directory_of.read(path)
  if not text then return { wall = 0, training = 0 } end
  local kept = schema.decode(path, text, schema.spent)
  return { wall = kept.wall_seconds, training = kept.training_seconds, row = kept.step == step and kept.row_seconds
    or nil }
end

--- The tensors of a model that a checkpoint keeps.
--- @return table name → tensor
function M.tensors_of(model)
  local tensors = {}
  for _, map in ipairs { model:parameters(), model:buffers() } do
    for name, tensor in pairs(map) do tensors["model." .. name] = tensor end
  end
  return tensors
end

--- All numbers of a run that a checkpoint keeps.
--- @param held integer the tensors of the optimizer
local function numbers_of(run, held)
  local optimizer = run.optimizer
  return {
    random = random.state(), stream = run.stream:state(),
    optimizer = { steps = optimizer.steps, tensors = held, each = optimizer.optimizers and optimizer:progress() },
    tally = run.state.tally, validation = run.state.validation,
  }
end

--- The metadata of a checkpoint, but for the run's numbers.
local function metadata_of(run)
  return {
    format = format, source = run.source, params = run.params, step = ("%d"):format(run.state.step),
    about = require "sm.experiment.portable".about(run), -- which loads this room
  }
end

--- Saves the model as it is evaluated: the best until now.
function M.save_best(run)
  files.save_checked(run.directory.path .. best_name, finite_tensors(run), metadata_of(run), #run.directory.path)
end

--- Saves the run as it stands. The rows of metrics.csv that it has come to are safe on the disk before it is, and older
--- checkpoints go after that.
function M.save(run)
  local step <const> = run.state.step
  if run.saved == step then return end
  local tensors, held = finite_tensors(run), 0
  for name, tensor in pairs(run.optimizer:state()) do
    tensors["optimizer." .. name], held = tensor, held + 1
  end
  for name, average in pairs(run.averages or {}) do tensors["average." .. name] = average end
  run.metrics:sync()
  save_spent(run)
  local metadata = metadata_of(run)
  metadata.numbers = numbers_text.encode(numbers_of(run, held))
  files.save_checked(checkpoint_files.path(run.directory.path, step), tensors, metadata, #run.directory.path)
  run.saved = step
  run.host.prune(run.directory.path, run.schedule.keep, step)
end

local function require_format(path, metadata, keys)
  if metadata.format ~= format then
    fail("%s: expected the format '%s', got '%s'", path, format, brief(metadata.format or "none"))
  end
  for _, key in ipairs(keys) do
    if not metadata[key] then fail("%s: the metadata lack '%s'", path, key) end
  end
end

--- @param root integer|nil how much of the path names a directory beneath which no link is followed
--- @return table the tensors of a file, which are finite
--- @return table its metadata
local function read_tensors(path, root)
  local tensors, metadata, unread = files.load_beneath(path, root)
  for _, reason in pairs(unread) do fail("%s", reason) end
  for name, tensor in pairs(tensors) do
    if not runtime.math.is_finite(tensor) then
      fail("%s: tensor '%s' is not finite", path, name)
    end
  end
  return tensors, metadata
end

--- Reads a checkpoint by its path, and checks that it is one.
--- @param root integer|nil how much of the path names a directory beneath which no link is followed
--- @return table name → tensor
--- @return table the metadata
function M.read_file(path, root)
  local tensors, metadata = read_tensors(path, root)
  require_format(path, metadata, { "step", "source", "params" })
  return tensors, metadata
end

--- Reads the checkpoint of a step, and checks what it says of itself.
--- @param directory string the run directory
--- @param run table with schedule
--- @return table {path=, step=, tensors=, metadata=, numbers=}
local function read(directory, step, run)
  local path = checkpoint_files.path(directory, step)
  local tensors, metadata = read_tensors(path, #directory)
  require_format(path, metadata, { "step", "numbers", "source", "params" })
  if metadata.step ~= ("%d"):format(step) then
    fail("%s: its step is '%s'", path, brief(metadata.step or "none"))
  end
  if step > run.schedule.steps then fail("%s: the run has %d steps", path, run.schedule.steps) end
  local numbers = numbers_text.decode(metadata.numbers, path)
  numbers_text.check_steps(path, step, numbers, run.own_step)
  return { path = path, step = step, tensors = tensors, metadata = metadata, numbers = numbers }
end

--- The newest checkpoint that can be read. One that cannot is passed over, and said so; an older one will do.
--- @return table|nil as read gives it; nil where there is no checkpoint at all
local function newest(run, directory, say)
  local steps = checkpoint_files.steps(directory)
  for _, step in ipairs(steps) do
    local ok, found = attempt(read, directory, step, run)
    if ok then return found end
    say(("passed over a checkpoint that cannot be read: %s"):format(without_line(found)))
  end
  if #steps > 0 then fail("%s/checkpoints: not one can be read, out of %d", directory, #steps) end
end

--- Reads the checkpoint of a step that is asked for.
local function asked(run, directory, step)
  local there, steps = directory_of.list(directory, "checkpoints"), checkpoint_files.steps(directory)
  if there[checkpoint_files.name(step):match "[^/]*$"] then return read(directory, step, run) end
  fail("there is no %s%s", checkpoint_files.path(directory, step), #steps > 0
    and (" (checkpoints of the steps %s)"):format(table.concat(steps, ", ")) or "")
end

local function require_own(path, metadata, run)
  if metadata.source ~= run.source then
    fail("%s: it was saved by a different text of the experiment than %s has", path, run.file)
  end
  if metadata.params ~= run.params then fail("%s: it was saved by a run with other parameters", path) end
end

--- Puts the tensors of the model, and their averages, back.
--- @return table the other tensors, without "optimizer."
local function restore_tensors(run, tensors, path)
  local wanted, others = M.tensors_of(run.model), {}
  for name, average in pairs(run.averages or {}) do wanted["average." .. name] = average end
  for name, place in pairs(wanted) do
    local saved = tensors[name]
    if not saved then fail("%s: there is no tensor '%s'", path, name) end
    local expected, got = check.describe(place), check.describe(saved)
    if place.dtype ~= saved.dtype then
      expected, got = ("%s of %s"):format(expected, place.dtype), ("%s of %s"):format(got, saved.dtype)
    end
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

--- Puts tensors into a model: all that it has, and no others.
--- @param tensors table "model." and a name → tensor
function M.put_tensors(model, tensors, path)
  restore_tensors({ model = model }, tensors, path)
end

--- Puts back what training needs besides the model.
local function restore_training(run, optimizer_state, numbers, path)
  local optimizer, held = numbers.optimizer, 0
  for _ in pairs(optimizer_state) do held = held + 1 end
  if held ~= (optimizer.tensors or held) then
    fail("%s: the optimizer had %d tensors, and here are %d", path, optimizer.tensors, held)
  end
  local restored, problem = attempt(function()
    run.optimizer:restore(optimizer_state, run.optimizer.optimizers and (optimizer.each or {}) or optimizer.steps)
    run.stream:restore(numbers.stream)
  end)
  if not restored then fail("%s: %s", path, without_line(problem)) end
  local step <const> = run.state.step
  local stream, size = numbers.stream, #run.data.train
  local given = step * run.schedule.batch * (run.schedule.accumulate or 1)
  if (stream.epoch - 1) * size + stream.position ~= given then
    fail("%s: after %d steps it should have given %d examples of %d, and stands at %d of epoch %d", path, step,
      given, size, stream.position, stream.epoch)
  end
end

--- Reads the best weights of a run whose state is that of a checkpoint. They may be later: a run that was killed before
--- its next checkpoint comes to them again.
--- @param step integer|nil the step that they must be of
--- @return table tensors
--- @return integer the step that they are of
--- @return string their path
local function read_best(run, directory, step)
  local path, known = directory .. best_name, run.state.validation.best
  local tensors, metadata = read_tensors(path, #directory)
  require_format(path, metadata, { "step", "source", "params" })
  require_own(path, metadata, run)
  local found = math.tointeger(tonumber(metadata.step:match "^%d+$"))
  local first, last = step or known and known.step or 0, step or run.schedule.steps
  if not found or found < first or found > last then
    fail("%s: its step is '%s', %s", path, brief(metadata.step), first == last
      and ("and the best was after step %d"):format(first) or ("expected one from %d to %d"):format(first, last))
  end
  return tensors, found, path
end

--- Puts the numbers of a checkpoint into a run, and its tensors.
--- @return table the optimizer's tensors
local function put_numbers(run, found)
  local path, numbers = found.path, found.numbers
  numbers_text.check_names(path, numbers, run)
  local optimizer_state = restore_tensors(run, found.tensors, path)
  run.state = { step = found.step, tally = numbers.tally, validation = numbers.validation }
  run.carried = require "sm.experiment.portable".modules(found) -- also those that a later session loads no more
  random.restore(numbers.random) -- also for evaluation: a loss function may draw
  return optimizer_state
end

--- Puts the newest checkpoint back into a run: the weights, and unless `only_model`, all that training needs.
--- @param run table with model, optimizer, stream, source, params
--- @param directory string the run directory
--- @param say function(text) hears of checkpoints that cannot be read
--- @param only_model boolean|nil
--- @param step integer|nil that of another than the newest, which must be there
--- @return boolean false where there is no checkpoint: nothing was changed
function M.restore(run, directory, say, only_model, step)
  local found
  if step then found = asked(run, directory, step) else found = newest(run, directory, say) end
  if not found then return false end
  local path, numbers = found.path, found.numbers
  require_own(path, found.metadata, run)
  local optimizer_state = put_numbers(run, found)
  local old = numbers.spent ~= nil
  if old then run.accuracy = evaluate.accuracy_of_0_1_0(run) end
  if only_model then return true end
  restore_training(run, optimizer_state, numbers, path)
  if run.best and numbers.validation.best then read_best(run, directory) end -- now, and not only after the last step
  run.spent = old and numbers.spent or read_spent(directory, found.step)
  run.saved = found.step
  return true
end

M.read = read

--- Begins a run with a checkpoint of another one, which had the same text. The best weights until then come with it.
--- @param found table as M.read gives it
--- @param directory string of the other run
function M.begin_with(run, found, directory)
  local optimizer_state, best = put_numbers(run, found), found.numbers.validation.best
  restore_training(run, optimizer_state, found.numbers, found.path)
  if not run.best or not best or run.host.collective and run.host.collective.rank > 0 then return end
  local path <const> = directory .. best_name
  local tensors, metadata = M.read_file(path, #directory)
  if metadata.source ~= run.source or metadata.step ~= ("%d"):format(best.step) then
    fail("%s: its step is '%s', and the best was after step %d", path, brief(metadata.step), best.step)
  end
  metadata = metadata_of(run)
  metadata.step = ("%d"):format(best.step)
  files.save_checked(run.directory.path .. best_name, tensors, metadata, #run.directory.path)
end

--- Puts the best weights back into a run's model.
--- @param step integer|nil the step that they must be of
--- @return integer the step that they are of
function M.restore_best(run, directory, step)
  local tensors, found, path = read_best(run, directory, step)
  run.averages = nil
  if next(restore_tensors(run, tensors, path)) then fail("%s: it has tensors of an optimizer", path) end
  return found
end

return M
