--- What a run looks at over its first steps: tensors that get gradients but are in no checkpoint, parameters that get
--- none, optimizers that make no step, losses that compare every example with every other by accident, and
--- probabilities where scores are wanted.
local autograd = require "sm.autograd"
local checkpoint = require "sm.experiment.checkpoint"
local fail = require "sm.fail"
local layer = require "sm.nn.layer"
local runtime = require "sm.runtime"
local user_line = require "sm.place".line
local text = require "sm.text"
local tree = require "sm.nn.tree"
local shape_text = text.shape

local M = {}

local steps <const> = 10
local deepest <const> = 4 -- how far a name is looked for: a function's variables, a table's fields

-- Products that a loss stretches ---------------------------------------------------------------------------

--- Whether two shapes of different rank, {N, 1} and {N}, are both stretched to the same N, {N, N}.
local function is_stretched(a, b)
  if #a == #b then return false end
  local rank, stretched = math.max(#a, #b), { a = {}, b = {} }
  for axis = 1, rank do
    local size_a, size_b = a[axis - rank + #a] or 1, b[axis - rank + #b] or 1
    if size_a == 1 and size_b > 1 then stretched.a[size_b] = true end
    if size_b == 1 and size_a > 1 then stretched.b[size_a] = true end
  end
  for size in pairs(stretched.a) do
    if stretched.b[size] then return true end
  end
  return false
end

local arithmetic <const> = { add = true, sub = true, mul = true, div = true, pow = true }

--- Warns, once, of a cross-entropy of what a softmax has made already: it learns, slowly and worse.
local function warn_of_probabilities(run, output)
  if run.compared or run.loss ~= "cross_entropy" or not runtime.tensor.is_tensor(output) or #output.shape < 2
    or output.shape[#output.shape] < 2 then return end
  run.compared = true
  local x = output:detach()
  if x:min():item() >= 0 and (x:sum(-1) - 1):abs():max():item() < 1e-4 then
    run.progress:say("warning: what the model gives are probabilities already; the loss \"cross_entropy\" makes them "
      .. "itself of scores: leave out the softmax at the end")
  end
end

--- run.objective(…), with a warning, once, of a stretched product in it, or of probabilities.
function M.loss(run, ...)
  if run.state.step > steps then return run.objective(...) end
  warn_of_probabilities(run, (...))
  if run.stretched then return run.objective(...) end
  return autograd.observe({
    operation = function(output, name, a, b)
      if run.stretched or not arithmetic[name] or type(a) == "number" or type(b) == "number"
        or not is_stretched(a.shape, b.shape) then
        return
      end
      run.stretched = true
      run.progress:say(("%s: warning: the loss stretches %s and %s to %s, every one with every other; reshape one to "
        .. "the axes of the other, or write both axes of both where that is meant"):format(user_line(),
        shape_text(a.shape), shape_text(b.shape), shape_text(output.shape)))
    end,
  }, run.objective, ...)
end

-- What trains and is in no checkpoint ----------------------------------------------------------------------

--- All that a checkpoint keeps of the model. @return table from tensor to true
local function kept(model)
  local tensors = {}
  for _, tensor in pairs(checkpoint.tensors_of(model)) do tensors[tensor] = true end
  return tensors
end

--- A parameter of the optimizer that is none of the model: what there is to say of it.
--- @return string|nil nil where every one is the model's
function M.unsaved(run)
  local saved, places = kept(run.model), run.optimizer:places()
  for name, tensor in pairs(run.optimizer:parameters()) do
    if not saved[tensor] then
      return ("%s: the optimizer trains '%s', a tensor %s that is no parameter of the experiment's model, so that no "
        .. "checkpoint has it; let one of the model's layers own it"):format(places[name], name,
        shape_text(tensor.shape))
    end
  end
end

--- Raises where a layer has another tensor in the place of one of its parameters or buffers, as `self.n = self.n + 1`
--- puts it there: checkpoints go on with the first.
function M.check_places(run)
  run.model:walk(function(inner, path)
    for _, entry in ipairs(inner.own or {}) do
      local _, _, name, value = table.unpack(entry)
      if not rawequal(inner[name], value) then
        fail("step %d: '%s' is another tensor than the one that the layer was built with, and no checkpoint has it; "
          .. "change the numbers of that one: self.%s:copy_(…)", run.state.step, tree.join(path, name), name)
      end
    end
  end)
end

--- The parameters of the model that nothing moves. @return table array of names
--- @return integer how many others there are
function M.frozen(run)
  local names, moved, others = {}, {}, 0
  for _, tensor in pairs(run.optimizer:parameters()) do moved[tensor] = tensor:tracks() end
  for name, tensor in pairs(run.model:parameters()) do
    if moved[tensor] then others = others + 1 else names[#names + 1] = name end
  end
  return names, others
end

--- What a value holds: a function its variables, a table its fields, a model its parameters. @return table array of
--- {name as it is written after the value's own, value}
local function contents(value)
  local parts = {}
  if type(value) == "function" then
    for i = 1, math.huge do
      local name, variable = debug.getupvalue(value, i)
      if not name then break end
      if name ~= "_ENV" then parts[#parts + 1] = { name, variable } end
    end
  elseif layer.is(value) then
    for name, tensor in pairs(value:parameters()) do parts[#parts + 1] = { ":" .. name, tensor } end
  elseif type(value) == "table" then
    for key, item in next, value do parts[#parts + 1] = { "." .. tostring(key), item } end
  end
  return parts
end

--- The name by which a function reaches a tensor: "scale", "teacher:linear1.weight"; nil where it is not found.
local function name_within(f, wanted)
  local level, seen = { { "", f } }, {}
  for _ = 1, deepest do
    local below = {}
    for _, place in ipairs(level) do
      for _, part in ipairs(contents(place[2])) do
        local name, value = place[1] .. part[1], part[2]
        if type(place[2]) == "function" then name = part[1] end
        if rawequal(value, wanted) then return (name:gsub("^%.", "")) end
        if (type(value) == "table" or type(value) == "function") and not seen[value] then
          seen[value] = true
          below[#below + 1] = { name, value }
        end
      end
    end
    level = below
  end
end

--- The functions of a run's file that take part in a step, with what they are.
local function functions_of(run)
  local found = { type(run.loss) == "function" and { run.loss, "the loss function" } or nil }
  if run.own_step then found[#found + 1] = { run.own_step, "the function 'train'" } end
  run.model:walk(function(inner, path)
    for _, option in pairs(inner.options) do
      if type(option) == "function" then found[#found + 1] = { option, ("layer '%s'"):format(path) } end
    end
    if inner.own_kind then found[#found + 1] = { inner.forward, ("layer '%s'"):format(path) } end
  end)
  return found
end

local function described(run, leaf, operation)
  for _, place in ipairs(functions_of(run)) do
    local name = name_within(place[1], leaf)
    if name then
      local info = debug.getinfo(place[1], "S")
      return ("'%s', a tensor %s in %s (%s:%d),"):format(name, shape_text(leaf.shape), place[2], info.short_src,
        info.linedefined)
    end
  end
  return ("a tensor %s, used by '%s',"):format(shape_text(leaf.shape), operation)
end

--- Which of the leaves that a step has reached got a gradient in a second step, and whether they moved meanwhile. A
--- leaf that was made within a step, for a gradient with respect to the inputs say, is seen once.
--- @return table array of {leaf, operation}: those that nothing moves
--- @return table the same: those that the file changes
local function judge(seen, reached)
  local still, moved = {}, {}
  for _, place in ipairs(reached) do
    local leaf = place[1]
    local before = seen[leaf]
    if not before then
      seen[leaf] = runtime.tensor.to(leaf)
    elseif before ~= true then
      local found = runtime.optim.squared_change(before, leaf) == 0 and still or moved
      seen[leaf], found[#found + 1] = true, place
    end
  end
  return still, moved
end

local function warn(run, found, what)
  if #found == 0 then return end
  run.progress:say(("warning: %s%s gets a gradient at every step, and %s; to train it, let one of the model's layers "
    .. "own it; otherwise use x:detach()"):format(described(run, table.unpack(found[1])),
    #found > 1 and (" like %d more,"):format(#found - 1) or "", what))
end

--- Warns of parameters that the optimizer would move and that got no gradient in any of the first steps.
local function warn_of_unreached(run, learnt)
  local names = {}
  for name, tensor in pairs(run.optimizer:parameters()) do
    if tensor:tracks() and not learnt[tensor] then names[#names + 1] = name end
  end
  if #names == 0 then return end
  run.progress:say(("warning: in %d steps no gradient has reached %s; such parameters stay as they are")
    :format(run.state.step, text.few(names)))
end

--- Warns of optimizers that a step of the person's own has left out in all of the first steps.
local function warn_of_idle(run)
  local several = run.optimizer.optimizers
  for _, name in ipairs(several and run.optimizer.names or { "" }) do
    if (several and several[name] or run.optimizer).steps == 0 then
      run.progress:say(("warning: in %d steps `train` has not called at.optimizer%s:step(), so that it moved nothing")
        :format(run.state.step, several and "." .. name or ""))
    end
  end
end

--- Calls f, which makes a step, whole; over the first steps with warnings of leaves, and of parameters that are none.
--- @return any what f returns
function M.observed(run, f, ...)
  if run.state.step > steps then return f(...) end
  run.leaves = run.leaves or { saved = kept(run.model), learnt = {}, seen = setmetatable({}, { __mode = "k" }) }
  local saved, learnt, reached, listed = run.leaves.saved, run.leaves.learnt, {}, {}
  local returned = autograd.observe({
    leaf = function(x, operation)
      if saved[x] then
        learnt[x] = true
      elseif not listed[x] then -- a step may follow several gradients to one leaf
        listed[x], reached[#reached + 1] = true, { x, operation }
      end
    end,
  }, f, ...)
  local still, moved = judge(run.leaves.seen, reached)
  M.check_places(run)
  if run.state.step == steps then
    warn_of_unreached(run, learnt)
    if run.own_step then warn_of_idle(run) end
  end
  warn(run, still, "nothing moves it")
  warn(run, moved, "the file changes it, but no checkpoint has it")
  return returned
end

return M
