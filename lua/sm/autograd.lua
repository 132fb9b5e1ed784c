--- The tape: which tensor was computed from which. sm.gradients walks back over it.
--
-- A tensor's node is nil (no gradient wanted), true (a leaf that wants one) or a list: how it was computed.
-- A tensor that is made by an operation with no tracked input has no node, so nothing is kept for it.
-- @module sm.autograd
local runtime = require "sm.runtime"
local check = require "sm.check"
local fail = require "sm.fail"

local M = {}

local get_node, set_node, is_tensor = runtime.tape.node, runtime.tape.set_node, runtime.tensor.is_tensor
local same_shape = runtime.tensor.same_shape
local is_part, set_overwritten = runtime.tape.is_part, runtime.tape.set_overwritten

-- What is in a node, as in runtime/bind/tape.h.
local NAME <const>, BACKWARD <const>, INPUTS <const> = 1, 2, 8

local status <const>, running <const> = coroutine.status, coroutine.running
-- The coroutines that are inside no_grad or enable_grad: the number of that call, which is negative for enable_grad.
-- What one of them resumes is inside as well; one that has yielded, or that an error has ended, concerns nobody.
local within, any_within, calls = setmetatable({}, { __mode = "k" }), false, 0
local observer -- see M.observe
local ranks -- see M.among

--- Whether the latest of the calls that the running code is inside of was one of no_grad.
local function is_inside()
  local latest = 0
  for thread, call in next, within do
    local is = status(thread)
    if (is == "running" or is == "normal") and math.abs(call) > math.abs(latest) then latest = call end
  end
  return latest > 0
end

-- The node of all tensors that copy_ has filled with what a gradient should pass through.
local OVERWRITTEN <const> = runtime.tape.new_overwritten("copy_", function()
  fail("backward: this gradient would have to pass through copy_, which records nothing; build the tensor with "
    .. "operations, or copy y:detach() where no gradient should pass")
end)
runtime.tape.set_overwritten_node(OVERWRITTEN)

-- Whether anything is recorded here. Of an operation, which is given, an observer hears then, and so does a step of
-- several ranks, which says whether its output varies.
local function asked(output, name, _, _, ...)
  if name and observer and observer.operation then observer.operation(output, name, ...) end
  return not (any_within and is_inside()), name and ranks and ranks:made(output, ...)
end

-- In most steps there is nothing to ask.
local records, saved, watch, record, record_twice, record_foreign = runtime.tape.recorders(asked)

local function look() watch(observer ~= nil or any_within or ranks ~= nil) end

--- True when x, a leaf or computed from one, wants a gradient.
M.tracks = runtime.tape.tracks

--- True when x wants a gradient and was computed from nothing that does: a parameter is one.
function M.is_leaf(x)
  return get_node(x) == true
end

local closing <const> = { __close = function(given) given[1]() end }

-- What follows a call that changed something for its time. The variable that Lua closes restores after an error; a call
-- that ends well restores without a call from C, which may be one too many for the C stack. A coroutine that ends with
-- an error closes no variable.
local function after(restore, ...)
  restore()
  return ...
end

local function after_protected(restore, ok, ...)
  restore()
  if not ok then error((...), 0) end
  return ...
end

--- Calls f(...), then restore() however it ends, and returns f's results. The caller has a variable that Lua closes for
-- the same: it is what restores where the coroutine is closed.
function M.restoring(restore, f, ...)
  if coroutine.isyieldable() then return after_protected(restore, pcall(f, ...)) end
  return after(restore, f(...))
end

-- Goes into one of these calls; sign: 1 where nothing is to be recorded, -1 where it is.
local function enter(thread, sign)
  calls = calls + 1
  within[thread], any_within = sign * calls, true
  look()
end

local function leave(thread, before)
  within[thread] = before
  any_within = next(within) ~= nil
  look()
end

local function inside(name, sign, f, ...)
  if not check.is_callable(f) then fail("%s: expected a function, got %s", name, check.describe(f)) end
  local thread = running()
  local before = within[thread]
  local function restore() leave(thread, before) end
  local _ <close> = setmetatable({ restore }, closing)
  enter(thread, sign)
  return M.restoring(restore, f, ...)
end

--- Calls f(...) without recording and returns its results. f: a function, or what can be called like one, a model.
function M.no_grad(f, ...) return inside("no_grad", 1, f, ...) end

--- Calls f(...) and records what it computes, also inside sm.no_grad and in an evaluation; returns its results.
function M.enable_grad(f, ...) return inside("enable_grad", -1, f, ...) end

--- M.records(x, …): whether `record` would record what is computed from these now.
-- M.saved(x, …): the tensors whose numbers a gradient will need, with the versions that these have now, as the argument
-- `saved` of `record`. What is no tensor is passed over; nil where nothing is recorded.
M.records, M.saved = records, saved

--- Records that `output` was computed from `inputs`, if any of them is tracked.
-- @param output a fresh tensor
-- @param name of the operation, for messages
-- @param backward function(gy, reuse) → one gradient (or nil) per input, in their order; gy has output's shape. After
--   these may come tensors that it made on the way and nobody needs any more.
--   reuse: nobody else needs gy, so it may be overwritten and returned as a gradient
-- @param saved what M.saved gave for the tensors that `backward` reads; nil when it reads none
-- @param ... the inputs; what is no tensor is passed over
-- @return output
M.record = record

--- The same for an operation whose gradient has a gradient: `backward` gets a third argument, true where it is to be
-- written with recorded operations. Elsewhere nothing is recorded while it runs.
M.record_twice = record_twice

--- Calls f(...) with somebody who looks on, and returns its results. Where nobody does, that costs one comparison.
-- @param given {operation=function(output, name, ...) hears of every operation and its inputs, recorded or not,
--   leaf=function(x, name) hears of every leaf that backward gives a gradient, and of the operation that used it,
--   call=function(name, f, ...) is called in the place of what a person may call, f(...), and returns its results,
--   same=function(y, x) hears that y is another handle of x, walk=function() that gradients are computed}
function M.observe(given, f, ...)
  local before = observer
  local function restore()
    observer = before
    look()
  end
  local _ <close> = setmetatable({ restore }, closing)
  observer = given
  look()
  return M.restoring(restore, f, ...)
end

--- Says which step of several ranks hears of every operation, as sm.ranks has it; nil: none.
function M.among(step)
  ranks = step
  look()
end

--- f as what a person may call: an observer with a `call` is asked in its place.
-- @param name of the operation
function M.heard(name, f)
  return function(...)
    if ranks then return ranks:operation(f, ...) end
    if observer and observer.call then return observer.call(name, f, ...) end
    return f(...)
  end
end

--- Tells an observer that y is another handle of x. @return y
local function same(y, x)
  if observer and observer.same then observer.same(y, x) end
  return y
end

--- The same numbers, sharing storage, without history.
function M.detach(x) return same(runtime.tape.detach(x), x) end

--- Marks a tensor as a leaf whose gradient is wanted. `x:requires_grad(false)` takes that back.
-- @return x
function M.requires_grad(x, wanted)
  if not is_tensor(x) then fail("requires_grad: expected a tensor, got %s", check.describe(x)) end
  if wanted ~= nil and type(wanted) ~= "boolean" then
    fail("requires_grad: expected true or false, got %s", check.describe(wanted))
  end
  if x.dtype ~= runtime.real then
    fail("requires_grad: only a %s tensor can have a gradient, this is %s", runtime.real, x.dtype)
  end
  local node = get_node(x)
  if type(node) == "table" and node ~= OVERWRITTEN then
    fail "requires_grad: this tensor was computed from others that want a gradient; mark those, or a detached copy"
  end
  if node ~= true then set_overwritten(x, false) end
  set_node(x, wanted ~= false or nil)
  return x
end

--- The name of the operation that x was computed by, and its first input; nil where nothing was recorded.
function M.made_by(x)
  local node = get_node(x)
  if type(node) == "table" then return node[NAME], node[INPUTS] end
end

local VIEWS = { reshape = true, select = true, slice = true }

--- The node of a tensor, or of the one that it is a view of.
local function origin(x)
  local node = get_node(x)
  while type(node) == "table" and VIEWS[node[NAME]] and node[BACKWARD] do node = get_node(node[INPUTS]) end
  return node
end

--- Puts y's numbers into x, in place; same shape and element type. Nothing is recorded. So outside no_grad x may not be
-- the result of an operation that is recorded, and where y is one, a gradient that reaches x raises.
-- @return x
function M.copy_(x, y)
  if ranks then ranks:copied(x, y) end
  if any_within and is_inside() then return runtime.tensor.copy_(x, y) end
  local from = origin(x)
  local free = from == nil or from == OVERWRITTEN
  if not free and from ~= true then -- a leaf or a part of one may get others
    fail("copy_: this tensor is the result of '%s', whose gradient would not know of the new numbers; copy into a "
      .. "tensor of its own, or inside sm.no_grad", get_node(x)[NAME])
  end
  local computed = type(get_node(y)) == "table"
  if free and computed and is_part(x) then
    fail("copy_: the gradient of what is copied cannot pass into a part of another tensor; build that tensor with "
      .. "operations, or copy y:detach() where no gradient should pass")
  end
  runtime.tensor.copy_(x, y)
  if free and not is_part(x) then set_overwritten(x, computed) end
  return x
end

--- Calls f(listener) as a walk back needs it: recording only where `graph` says so, and unheard by the observer, who is
-- the listener.
function M.walking(graph, f)
  if graph and any_within and is_inside() then
    fail "create_graph: nothing is recorded inside sm.no_grad, so the gradients could have none themselves"
  end
  local listener = observer
  if listener and listener.walk then listener.walk() end
  local thread = running()
  local before = within[thread]
  local function restore()
    observer = listener
    leave(thread, before) -- which looks
  end
  local _ <close> = setmetatable({ restore }, closing)
  observer = nil
  if graph then look() else enter(thread, 1) end
  return M.restoring(restore, f, listener)
end

--- Whether a value can be the gradient of x.
function M.is_gradient(value, x)
  return is_tensor(value) and value.dtype == runtime.real and same_shape(value, x)
end

-- Appends to `found` the tensors in a table and in the plain tables within it, each of which is looked at once.
local function tensors_in(values, found, seen)
  seen[values] = true
  for _, value in next, values do
    if is_tensor(value) then
      found[#found + 1] = value
    elseif type(value) == "table" and not getmetatable(value) and not seen[value] then
      tensors_in(value, found, seen)
    end
  end
  return found
end

local OPERATION = check.spec("sm.op", {
  name = { type = "string", required = true, doc = "what errors call it" },
  forward = { type = "function", required = true, doc = "function(ctx, ...) → tensor" },
  backward = { type = "function", required = true,
    doc = "function(ctx, gy) → one gradient or nil for each argument of forward" },
})

--- A new differentiable operation written in Lua.
-- @param definition a table of options. ctx is a table of its own for every call, to carry what backward needs. Neither
--   function is itself recorded. The inputs, the output and the tensors in ctx, in tables too, may not be changed in
--   place before backward.
-- @return function(...) → tensor
function M.op(definition)
  local o = check.options("sm.op", definition, OPERATION)
  return function(...)
    local inputs, ctx = table.pack(...), {}
    local output = M.no_grad(o.forward, ctx, ...)
    if not is_tensor(output) then
      fail("op '%s': forward must return a tensor, got %s", o.name, check.describe(output))
    end
    output = same(runtime.tensor.reshape(output, output.shape), output) -- a handle of its own, even of an input
    local function backward(gy)
      local gradients = table.pack(M.no_grad(o.backward, ctx, gy))
      for i = 1, inputs.n do
        local g = gradients[i]
        if g ~= nil and not (is_tensor(inputs[i]) and M.is_gradient(g, inputs[i])) then
          fail("op '%s': backward returned %s as the gradient of argument %d, which is %s", o.name, check.describe(g),
            i, check.describe(inputs[i]))
        end
      end
      return table.unpack(gradients, 1, inputs.n)
    end
    local kept = tensors_in({ output, inputs, ctx }, {}, {}) -- what backward may read
    return record_foreign(output, o.name, backward, M.saved(table.unpack(kept)), ...)
  end
end

return M
