--- One run of several processes, the ranks: each makes its own rows of every batch, and rank 0 keeps the run. What they
--- compute together is sm.ranks.
local runtime = require "sm.runtime"
local autograd = require "sm.autograd"
local checkpoint = require "sm.experiment.checkpoint"
local fail = require "sm.fail"
local json = require "sm.json"
local ranks = require "sm.ranks"
local random = require "sm.random"
local shapes = require "sm.shapes"
local sorted_keys = require "sm.ordered".sorted_keys

local M = {}

local tolerance <const> = 1e-5 -- of a loss, relative

local T <const> = runtime.tensor

-- The program around a run --------------------------------------------------------------------------------------

--- What rank 0 gives for f(), on every rank.
local function first(collective, f)
  local value = collective.rank == 0 and json.encode { value = f() } or nil
  return json.decode(collective.broadcast(value)).value
end

local function nothing() end

-- What a rank that keeps no run has in the place of its directory and of its metrics.csv.
local unkept <const> = { __index = function() return nothing end }

local silent <const> = setmetatable({}, unkept)

--- The host of a rank. The one of the program has all ranks take the directory that rank 0 takes; what is told and
--- written there is rank 0's alone.
--- @param host table as sm.cli.host; with `collective` where there are several ranks
function M.around(host)
  local collective <const> = host.collective
  if not collective or collective.rank == 0 then return host end
  return setmetatable({
    screen = function() return silent end,
    open = function(_, path) return setmetatable({ path = path, unlocked = false }, unkept) end,
  }, { __index = host })
end

--- f() of rank 0 on every rank of a run; of a run that one process makes, f().
function M.first(run, f)
  local collective <const> = run.host.collective
  if not collective or collective.ranks == 1 then return f() end
  return first(collective, f)
end

--- Whether this process keeps no run, but takes part in one.
function M.follows(run)
  local collective <const> = run.host.collective
  return collective ~= nil and collective.rank > 0
end

--- Whether somebody wants the run to stop before its next step: on all ranks, since the last one.
function M.interrupted(run)
  if run.ranks then return run.ranks.stopping end
  return run.interrupted()
end

--- What stands for metrics.csv where no run is kept.
function M.no_metrics() return silent end

--- Puts the newest checkpoint that rank 0 can read back into a run, on every rank. As checkpoint.restore.
function M.restore(run, path, say)
  local follows <const> = M.follows(run)
  local restored = not follows and checkpoint.restore(run, path, say)
  local step = M.first(run, function() return restored and run.saved or nil end)
  if follows and step then checkpoint.restore(run, path, say, false, step) end
  return step ~= nil
end

-- What several ranks can make together --------------------------------------------------------------------------

local function is_power_of_two(n) return n & n - 1 == 0 end

local function refuse(run, format, ...)
  error(("%s: experiment: with --mpi, "):format(run.where) .. format:format(...), 0)
end

--- Raises unless the batches can be divided.
local function check_declared(run, parts, count)
  if run.own_step then
    refuse(run, "the steps must be those down the gradient of a loss: `train` makes steps of its own, whose numbers "
      .. "nobody can add up over the %d ranks", count)
  elseif not is_power_of_two(count) then
    refuse(run, "the number of ranks must be a power of two, since sums over a batch are a tree of its parts; there "
      .. "are %d", count)
  elseif count > parts then
    refuse(run, "a batch has %d parts (schedule.parts), and there are %d ranks; schedule = { parts = %d } serves them, "
      .. "and changes the last digits of what a run gives", parts, count, count)
  elseif run.schedule.batch % count ~= 0 then
    refuse(run, "the batch must be divisible by the number of ranks: schedule.batch is %d, and there are %d",
      run.schedule.batch, count)
  end
end

--- The first rank whose text is not that of rank 0; nil where all are the same. Every rank gets to know.
local function differing_rank(collective, text)
  local differs = {}
  for rank = 1, collective.ranks do differs[rank] = 0 end
  if collective.broadcast(text) ~= text then differs[collective.rank + 1] = 1 end
  for rank, is_one in ipairs(collective.sum_doubles(differs)) do
    if is_one > 0 then return rank - 1 end
  end
end

--- Raises where a rank has something else than rank 0.
local function check_same(run, collective)
  local system <const> = runtime.system
  for _, place in ipairs {
    { "the text of the experiment", run.source }, { "its parameters", run.params },
    { "its declaration", json.encode(run.identity.declaration) }, { "its data", json.encode(run.identity.data) },
    { "smrun's version", runtime.version .. " " .. runtime.real },
    { "the instruction set, on which bits depend,", system.instruction_set },
    { "the BLAS kernels, on which bits depend,", json.encode(system.blas()) },
  } do
    local rank = differing_rank(collective, place[2])
    if rank then
      fail("with --mpi, %s must be the same on all ranks; rank %d of %d has other than rank 0", place[1], rank,
        collective.ranks)
    end
  end
end

local Ranks <const> = {}
Ranks.__index = Ranks

--- What a run, which is built, has of its ranks; nil where it is one process's. Has the kernels sum by its parts.
function M.of(run)
  local parts, collective = run.schedule.parts or runtime.parts.first, run.host.collective
  runtime.parts.set(parts, 1)
  if not collective then return nil end
  check_declared(run, parts, collective.ranks)
  if collective.ranks == 1 then return nil end
  check_same(run, collective)
  local examples = run.schedule.batch // collective.ranks
  return setmetatable({
    collective = collective, count = collective.ranks, own = examples, stopping = false, compared = false,
    step = ranks.new(collective, parts, examples),
  }, Ranks)
end

-- One step ------------------------------------------------------------------------------------------------------

--- This rank's rows of a batch, or of what a model gives for one.
function Ranks:rows(batch)
  return shapes.map(batch, function(x)
    local before = self.collective.rank * self.own
    return T.slice(x, before + 1, before + self.own)
  end)
end

local function mark(batch)
  return shapes.map(batch, function(x)
    ranks.mark(x)
    return x
  end)
end

--- What one process would compute of a batch: nothing stays of it.
local function as_one(run, inputs, targets)
  local drawn, buffers = random.state(), {}
  for name, buffer in pairs(run.model:buffers()) do buffers[name] = T.to(buffer) end
  local output = autograd.no_grad(run.model, inputs)
  local loss = T.item(run.objective(output, targets, inputs, run.at))
  for name, buffer in pairs(run.model:buffers()) do T.copy_(buffer, buffers[name]) end
  random.restore(drawn)
  return output, loss
end

--- How many tensors of a structure are not those of another, bit by bit.
local function differing(one, other)
  if T.is_tensor(one) ~= T.is_tensor(other) or type(one) ~= type(other) then return 1 end
  if T.is_tensor(one) then
    local same = T.same_shape(one, other) and runtime.io.checksum(one) == runtime.io.checksum(other)
    return same and 0 or 1
  end
  local count = 0
  for key, value in next, one do count = count + differing(value, other[key]) end
  return count
end

--- Raises unless what the ranks have computed of the first batch is what one process has.
local function compare(self, run, output, loss, whole)
  local own = self:rows(shapes.map(whole.output, function(x)
    if #x.shape > 0 and x.shape[1] == run.schedule.batch then return x end
    refuse(run, "the model must give as many rows as there are examples; for %d it gives a tensor of shape %s",
      run.schedule.batch, require "sm.text".shape(x.shape))
  end))
  local different = self.collective.sum_doubles { differing(output, own) }[1]
  if different > 0 then
    refuse(run, "what the model gives for an example must depend on no other example, but through batchnorm, and what "
      .. "it draws must be drawn example by example: here it gives other numbers for %d examples than for the first "
      .. "%d of them", run.schedule.batch, self.own)
  end
  local apart = math.abs(loss - whole.loss)
  if apart > tolerance * math.abs(whole.loss) then
    refuse(run, "the loss must be a mean over the examples of a batch: that of %d is %g, and the mean over %d ranks, "
      .. "of the losses of %d each, is %g", run.schedule.batch, whole.loss, self.count, self.own, loss)
  end
end

--- This rank's rows of the next batch, which is made whole only where its examples depend on each other.
function Ranks:next(stream)
  local rank, own = self.collective.rank, self.own
  if own > 1 then -- with one each, nothing tells what is drawn for it from what is drawn for all
    local inputs, targets = stream:some(rank * own, own, function(...) return ranks.within(self.step, ...) end)
    if inputs then return inputs, targets end
  end
  local inputs, targets = stream:next()
  return self:rows(inputs), self:rows(targets)
end

--- The part of a step that is of one batch: computes the loss of this rank's rows and goes down its gradient.
--- @param losing function(inputs, targets) → output, loss, its value
--- @param batches integer, of a step: the loss is divided by their number
--- @return number loss of the whole batch
--- @return tensor output, of this rank
--- @return tensor targets, of this rank
function Ranks:divide(run, losing, batches)
  local inputs, targets, whole
  if self.compared then
    inputs, targets = self:next(run.stream)
  else
    inputs, targets = run.stream:next()
    whole = {}
    whole.output, whole.loss = as_one(run, inputs, targets)
    inputs, targets = self:rows(inputs), self:rows(targets)
  end
  return ranks.within(self.step, function()
    local output, loss, value = losing(mark(inputs), mark(targets))
    if whole then compare(self, run, output, value, whole) end
    self.compared = true
    self.step:descend(batches > 1 and loss / batches or loss)
    return value, output, targets
  end)
end

--- The number of a loss: the whole batch's.
function Ranks:value(loss)
  local value <const> = T.item(loss)
  if not self.step:differs(loss) then return value end
  return self.collective.sum_doubles { value }[1] / self.count
end

--- After a batch: its accuracy, and whether somebody wants the run to stop, in `stopping`.
--- @param correct number|nil of the counted rows, where it is measured
--- @return number|nil accuracy of the whole batch
function Ranks:conclude(run, correct, counted)
  local sums = self.collective.sum_doubles { run.interrupted() and 1 or 0, correct or 0, counted or 0 }
  self.stopping = self.stopping or sums[1] > 0
  return correct and sums[2] / sums[3]
end

-- The run -------------------------------------------------------------------------------------------------------

--- Raises where a rank's weights are not those of rank 0.
function Ranks:check_weights(run)
  local tensors, sums = checkpoint.tensors_of(run.model), {}
  for _, name in ipairs(sorted_keys(tensors)) do sums[#sums + 1] = name .. " " .. runtime.io.checksum(tensors[name]) end
  local rank = differing_rank(self.collective, table.concat(sums, "\n"))
  if rank then
    fail("step %d: the weights of rank %d of %d are not those of rank 0; nothing was saved, %s", run.state.step, rank,
      self.count, checkpoint.last(run))
  end
end

--- After an evaluation, which rank 0 has made: what it has come to, on every rank.
function Ranks:share_validation(run)
  local follows <const> = M.follows(run)
  local kept = self.collective.broadcast(not follows and json.encode(run.state.validation) or nil)
  if follows then run.state.validation = json.decode(kept) end
end

return M
