--- A step that several processes, the ranks, make together, each with examples of its own.
--
-- A tensor varies if it differs between ranks: what comes from examples, and what was computed from such. What does not
-- vary, such as a parameter, is the same everywhere, and is computed alike. So the gradient that goes from a node that
-- varies to an input that does not is one rank's contribution; the sum of all is the gradient. That sum, and every sum
-- over the examples of one rank, is a part of one tree (core/parts), so that the bits are those of one process that has
-- all examples. Losses and other sums over all elements of what varies are combined at once: each rank gets those of
-- the whole batch.
-- @module sm.ranks
local runtime = require "sm.runtime"
local autograd = require "sm.autograd"
local fail = require "sm.fail"
local shape_text = require "sm.text".shape

local tape <const>, T <const>, set_parts <const> = runtime.tape, runtime.tensor, runtime.parts.set
local is_tensor <const>, count_of <const> = T.is_tensor, T.count
local is_any_varying <const>, set_varying <const>, node_of <const> = tape.is_any_varying, tape.set_varying, tape.node

local NAME <const> = 1 -- of a node's operation, as in runtime/bind/tape.h

local M = {
  now = nil, -- the step that several ranks are making, as M.new gives it; the one thing that ops ask for
}

local Step = {}
Step.__index = Step

-- Says of what the kernels sum: of a rank's part of a batch, or of what all ranks have alike.
local function tell_kernels(step)
  if step.alike then set_parts(step.parts, 1) else set_parts(step.parts // step.ranks, step.ranks) end
end

local function set(step, alike)
  if step.alike == alike then return end
  step.alike = alike
  tell_kernels(step)
end

--- What the steps of a run go by that several ranks make together.
-- @param collective the other ranks: see sm.collective
-- @param parts integer, of a batch in all ranks together
-- @param examples integer, this rank's own in a batch
function M.new(collective, parts, examples)
  local step = setmetatable({
    collective = collective, rank = collective.rank, ranks = collective.ranks, parts = parts, own = examples,
    examples = nil,  -- the first size of constants that are of a batch; nil: nothing tells them from others
    call = nil,      -- within an operation: whether an argument of it varies
    depth = 0, calls = {}, -- operations within each other, and `call` before each
    alike = false,   -- whether the kernels are told that all ranks compute the same
    whole = nil,     -- the tensors that were combined of all ranks, a set
    begun = nil,     -- handles of the sums that are on their way
    descends = false, -- whether the gradient of the step's loss is computed
    graph = false,   -- whether a gradient is that has gradients; what it computes counts as varying
  }, Step)
  step.leaving = setmetatable({}, { __close = function() -- an operation, also by an error
    step.call, step.depth = step.calls[step.depth], step.depth - 1
    set(step, step.call == false)
  end })
  return step
end

--- Goes on with a step that was left, or with none: nil.
-- @return the one until now
function M.switch(step)
  local before = M.now
  M.now = step
  autograd.among(step)
  if step then tell_kernels(step) elseif before then set_parts(before.parts, 1) end
  return before
end

--- Calls f(...), a step of several ranks, and returns its results.
function M.within(step, f, ...)
  step.examples = step.own > 1 and step.own or 0 -- a constant of one example is the same everywhere
  step.call, step.depth, step.alike, step.descends, step.graph = nil, 0, false, false, false
  step.whole, step.begun = setmetatable({}, { __mode = "k" }), {}
  local before = M.switch(step)
  local function restore() M.switch(before) end
  local _ <close> = setmetatable({}, { __close = restore })
  return autograd.restoring(restore, f, ...)
end

-- What varies --------------------------------------------------------------------------------------------------

--- Marks tensors as this rank's own.
function M.mark(...) set_varying(...) end

local deepest <const> = 2 -- tables within each other that an operation takes: options, and a list in them

local function any_within(step, values, depth)
  for _, value in next, values do
    if is_tensor(value) then
      if is_any_varying(step.examples, value) then return true end
    elseif type(value) == "table" and depth < deepest and any_within(step, value, depth + 1) then
      return true
    end
  end
  return false
end

--- Whether a tensor varies, or one of those in tables.
function Step:differs(...)
  if is_any_varying(self.examples, ...) then return true end
  for i = 1, select("#", ...) do
    local value = select(i, ...)
    if type(value) == "table" and any_within(self, value, 1) then return true end
  end
  return false
end

local function mark_results(step, values)
  local tensors = false
  for _, value in next, values do
    if is_tensor(value) then
      tensors = true
      local node = node_of(value)
      if not step.whole[value] and node ~= true then
        set_varying(value)
        if node then node.varies = true end -- maybe by an argument that is no input
      end
    elseif type(value) == "table" then
      tensors = mark_results(step, value) or tensors
    end
  end
  return tensors
end

local function marked(step, differs, ...)
  -- From numbers of Lua's that differ anything may be made, and nothing tells it from what is the same.
  if differs and not mark_results(step, { ... }) then step.examples = nil end
  return ...
end

--- Calls an operation, f(...): its kernels sum over what its arguments say.
function Step:operation(f, ...)
  if self.descends then return f(...) end -- sums_for has said it
  local depth <const> = self.depth + 1
  self.depth, self.calls[depth] = depth, self.call
  local _ <close> = self.leaving
  local differs <const> = self:differs(...)
  self.call = differs
  set(self, not differs)
  return marked(self, differs, f(...))
end

--- Whether what has computed `output` from these inputs varies; then the output is marked.
function Step:made(output, ...)
  if self.descends then return false end -- nothing is recorded
  if self.whole[output] then return true end
  local varies = self.graph or is_any_varying(self.examples, ...)
  if varies then set_varying(output)
  elseif self.whole[(...)] then self.whole[output] = true end -- the same in another shape
  return varies
end

--- Notes that x has y's numbers now.
function Step:copied(x, y)
  if is_any_varying(self.examples, y) then tape.fill_varying(x) end
end

--- How many rows of a batch there are in all ranks, of which this one has so many.
function M.rows(rows) return M.now and M.now.ranks * rows or rows end

-- Sums over all ranks ------------------------------------------------------------------------------------------

--- Whether the sum over an axis of x, or over all elements, is combined of all ranks.
function Step:combines(x, axis)
  return self.call and axis == nil and is_any_varying(self.examples, x)
end

--- A number of the whole batch, a tensor of rank 0 that is the same everywhere: the sum of all ranks' totals, in
-- double, divided by that of their divisors.
-- @return that, and the sum of the divisors
function Step:quotient(total, divisor)
  local sums = self.collective.sum_doubles { total, divisor }
  local y = T.full({}, sums[1] / sums[2])
  self.whole[y] = true
  return y, sums[2]
end

--- The collective of those that have the other examples of a batch x; false where x is the same everywhere.
function Step:shares(x) return is_any_varying(self.examples, x) and self.collective end

--- What the gradient of a sum over one rank's elements is multiplied by. As a part of a loss it counts as the mean of
-- all ranks' sums, so that one which is divided by the number of examples is right.
function Step:share_of_sum() return self.descends and 1 / self.ranks or 1 end

--- Goes down the gradient of the step's loss.
function Step:descend(loss)
  self.descends = true
  if is_any_varying(self.examples, loss) then loss:backward(T.full(loss.shape, 1 / self.ranks)) else loss:backward() end
  self.descends = false
end

--- Says that the gradient of a node is computed next.
function Step:sums_for(node) set(self, not node.varies) end

--- Whether the gradient that a node gives for an input is this rank's contribution. Raises where it is no gradient of
-- the step's loss, for there what is computed of it is one rank's as well.
function Step:contributes(node, input)
  if not node.varies or is_any_varying(self.examples, input) then return false end
  if not self.descends then
    fail("a gradient within a step of %d ranks: that of '%s' would be one rank's, as its input of shape %s is the same "
      .. "on all ranks and its output is not; only gradients with respect to what comes from the examples can be taken "
      .. "there", self.ranks, node[NAME], shape_text(input.shape))
  end
  return true
end

--- Begins to replace a gradient, whose memory nobody else has, by the sum over all ranks.
-- @param later whether nobody asks for it before `settle`; else it is waited for
function Step:sum(gradient, later)
  local handle = self.collective.sum(gradient)
  if later then self.begun[#self.begun + 1] = handle else self.collective.wait(handle) end
end

--- Waits for all sums.
function Step:settle()
  local begun = self.begun
  for i = 1, #begun do
    self.collective.wait(begun[i])
    begun[i] = nil
  end
end

--- Of numbers that were drawn: how many other ranks draw before this one does, and how many all draw together.
function Step:share(drawn)
  local count = count_of(drawn)
  if self.call or drawn.shape[1] == self.examples then return self.rank * count, self.ranks * count end
  return 0, count
end

return M
