--- The tape: which tensor was computed from which, and the walk back over it (reverse-mode differentiation).
--
-- A tensor's node is nil (no gradient wanted), true (a leaf that wants one) or a table: how it was computed.
-- A tensor that is made by an operation with no tracked input has no node, so nothing is kept for it.
-- @module sm.autograd
local runtime = require "sm.runtime"
local check = require "sm.check"
local fail = require "sm.fail"

local M = {}

local get_node, set_node, is_tensor = runtime.tensor.node, runtime.tensor.set_node, runtime.tensor.is_tensor
local release, add = runtime.tensor.release, runtime.math.add
local get_gradient, set_gradient = runtime.tensor.gradient, runtime.tensor.set_gradient
local is_shared = runtime.tensor.is_shared

local enabled = true
local count = 0 -- nodes made so far: a node's number is larger than that of all it depends on

--- True when x, a leaf or computed from one, wants a gradient.
function M.tracks(x)
  return get_node(x) ~= nil
end

--- Calls f(...) without recording and returns its results.
function M.no_grad(f, ...)
  if type(f) ~= "function" then fail("no_grad: expected a function, got %s", check.describe(f)) end
  local before = enabled
  local _ <close> = setmetatable({}, { __close = function() enabled = before end })
  enabled = false
  return f(...)
end

--- Whether `record` would record what is computed from these now.
function M.records(...)
  if not enabled then return false end
  for i = 1, select("#", ...) do
    if get_node((select(i, ...))) then return true end
  end
  return false
end

--- Records that `output` was computed from `inputs`, if any of them is tracked.
-- @param output a fresh tensor
-- @param name of the operation, for messages
-- @param backward function(gy, reuse) → one gradient (or nil) per input, in their order; gy has output's shape.
--   reuse: nobody else needs gy, so it may be overwritten and returned as a gradient
-- @param ... the inputs; what is no tensor is passed over
-- @return output
function M.record(output, name, backward, ...)
  if M.records(...) then
    count = count + 1
    set_node(output, { number = count, name = name, backward = backward, inputs = { n = select("#", ...), ... } })
  end
  return output
end

--- Marks a tensor as a leaf whose gradient is wanted. `x:requires_grad(false)` takes that back.
-- @return x
function M.requires_grad(x, wanted)
  if not is_tensor(x) then fail("requires_grad: expected a tensor, got %s", check.describe(x)) end
  if x.dtype ~= runtime.real then
    fail("requires_grad: only a %s tensor can have a gradient, this is %s", runtime.real, x.dtype)
  end
  if type(get_node(x)) == "table" then
    fail "requires_grad: this tensor was computed from others that want a gradient; mark those, or a detached copy"
  end
  set_node(x, wanted ~= false or nil)
  return x
end

--- Every node that `root` depends on, latest first.
local function nodes_before(root)
  local nodes, seen, stack = {}, { [root] = true }, { root }
  while #stack > 0 do
    local node = table.remove(stack)
    if not node.backward then
      fail("backward: the graph of this '%s' was already walked by an earlier backward() and its intermediate "
        .. "results are freed; compute the loss again", node.name)
    end
    nodes[#nodes + 1] = node
    for i = 1, node.inputs.n do
      local input = get_node(node.inputs[i])
      if type(input) == "table" and not seen[input] then
        seen[input] = true
        stack[#stack + 1] = input
      end
    end
  end
  table.sort(nodes, function(a, b) return a.number > b.number end)
  return nodes
end

--- Whether a value can be the gradient of x.
local function is_gradient(value, x)
  return is_tensor(value) and value.dtype == runtime.real
    and table.concat(value.shape, ",") == table.concat(x.shape, ",")
end

--- Computes the gradients of a scalar with respect to every leaf it depends on and adds them to the leaves' `grad`.
-- Frees the graph: a second walk over it is an error.
-- @param root tensor of one element, or any with a gradient given
-- @param gradient of root, same shape; 1 by default
function M.backward(root, gradient)
  local node = get_node(root)
  if not node then fail "backward: this tensor depends on no tensor that requires a gradient" end
  if not gradient then
    if runtime.tensor.count(root) ~= 1 then
      fail("backward: expected a loss of one element, got shape {%s}; reduce it, or pass its gradient",
        table.concat(root.shape, ", "))
    end
    gradient = runtime.tensor.full(root.shape, 1)
  elseif not is_gradient(gradient, root) then
    fail("backward: the gradient must be a %s tensor of shape {%s}, got %s", runtime.real,
      table.concat(root.shape, ", "), check.describe(gradient))
  end
  if node == true then
    local before = get_gradient(root)
    set_gradient(root, before and add(before, gradient) or runtime.tensor.to(gradient))
    return
  end

  -- Gradients on their way, by node or leaf. `holders` counts the places that hold a gradient; one that nobody
  -- holds any more goes back to the pool at once. What user code has seen is left to the collector.
  local arrived, holders, foreign = { [node] = gradient }, { [gradient] = 1 }, { [gradient] = true }
  local function let_go(g)
    holders[g] = holders[g] - 1
    if holders[g] == 0 and not foreign[g] then release(g) end
  end
  local leaves = {}

  for _, current in ipairs(nodes_before(node)) do
    local gy = arrived[current]
    if gy then
      foreign[gy] = foreign[gy] or current.foreign
      local gradients = table.pack(current.backward(gy, holders[gy] == 1 and not foreign[gy]))
      for i = 1, current.inputs.n do
        local g, input = gradients[i], current.inputs[i]
        local target = get_node(input)
        if g and target then
          if target == true then
            if not arrived[input] then leaves[#leaves + 1] = input end
            target = input
          end
          foreign[g] = foreign[g] or current.foreign
          holders[g] = (holders[g] or 0) + 1
          local sum = arrived[target]
          if sum then
            local total = add(sum, g)
            holders[total] = 1
            let_go(sum)
            let_go(g)
            g = total
          end
          arrived[target] = g
        elseif g and not holders[g] and not current.foreign then
          release(g)
        end
      end
      arrived[current] = nil
      let_go(gy)
    end
    current.backward, current.inputs = false, { n = 0 }
  end
  for _, leaf in ipairs(leaves) do
    local g, before = arrived[leaf], get_gradient(leaf)
    if before then
      local total = add(before, g)
      let_go(g)
      g = total
    elseif holders[g] > 1 or foreign[g] or is_shared(g) then -- another leaf's as well, or seen by user code
      holders[g] = holders[g] - 1
      g = runtime.tensor.to(g)
    end
    set_gradient(leaf, g)
  end
end

--- A new differentiable operation written in Lua.
-- @param definition {name=, forward=function(ctx, ...) → tensor, backward=function(ctx, gy) → one gradient or nil per
--   argument of forward}. ctx is a table of its own for every call, to carry what backward needs. Neither function
--   is itself recorded.
-- @return function(...) → tensor
function M.op(definition)
  local o = check.options("sm.op", definition, {
    name = { type = "string", required = true },
    forward = { type = "function", required = true },
    backward = { type = "function", required = true },
  })
  return function(...)
    local inputs, ctx = table.pack(...), {}
    local output = M.no_grad(o.forward, ctx, ...)
    if not is_tensor(output) then
      fail("op '%s': forward must return a tensor, got %s", o.name, check.describe(output))
    end
    output = runtime.tensor.reshape(output, output.shape) -- a handle of its own, even if forward returned an input
    local function backward(gy)
      local gradients = table.pack(M.no_grad(o.backward, ctx, gy))
      for i = 1, inputs.n do
        local g = gradients[i]
        if g ~= nil and not (is_tensor(inputs[i]) and is_gradient(g, inputs[i])) then
          fail("op '%s': backward returned %s as the gradient of argument %d, which is %s", o.name, check.describe(g),
            i, check.describe(inputs[i]))
        end
      end
      return table.unpack(gradients, 1, inputs.n)
    end
    M.record(output, o.name, backward, ...)
    local node = get_node(output)
    if node then node.foreign = true end
    return output
  end
end

--- The elements of a tensor, flat, as Lua numbers.
local function elements(x)
  return runtime.tensor.totable(runtime.tensor.reshape(x, { -1 }))
end

--- "{2, 3}": the 1-based position of flat element `index` (0-based) in a shape.
local function position_text(shape, index)
  local position = {}
  for axis = #shape, 1, -1 do
    position[axis] = index % shape[axis] + 1
    index = index // shape[axis]
  end
  return "{" .. table.concat(position, ", ") .. "}"
end

--- Compares the gradients of f with central differences, for every element of every input.
-- The output is projected on fixed pseudo-random weights, so one backward pass checks all of it.
-- @param f function of tensors → tensor; it must compute the same each time it is called
-- @param inputs a tensor or an array of tensors of the real type; they are put back as they were
-- @param options {epsilon=, tolerance=}: step, and greatest relative error (1e-6 in the double build, where this is
--   meant to be used; 2e-2 in the float build)
-- @return the greatest relative error: |analytic - numeric| / max(|analytic|, |numeric|, 1e-3 of the input's largest).
--   Raises, naming the worst element, when it is above the tolerance.
function M.gradcheck(f, inputs, options)
  local exact = runtime.real == "float64"
  local o = check.options("sm.gradcheck", options, {
    epsilon = { type = "number", above = 0, default = exact and 1e-5 or 1e-2 },
    tolerance = { type = "number", above = 0, default = exact and 1e-6 or 2e-2 },
  })
  if type(f) ~= "function" then fail("gradcheck: argument 1 must be a function, got %s", check.describe(f)) end
  if is_tensor(inputs) then inputs = { inputs } end
  if type(inputs) ~= "table" or #inputs == 0 then
    fail("gradcheck: argument 2 must be a tensor or a list of tensors, got %s", check.describe(inputs))
  end
  for i, x in ipairs(inputs) do
    if not is_tensor(x) then fail("gradcheck: input %d must be a tensor, got %s", i, check.describe(x)) end
  end
  local function weight(i) return math.sin(i * 1.7) + 0.3 end
  local function project()
    local sum = 0
    for i, y in ipairs(elements(M.no_grad(f, table.unpack(inputs)))) do sum = sum + y * weight(i) end
    return sum
  end
  local kept = {}
  local _ <close> = setmetatable({}, { __close = function()
    for x, before in pairs(kept) do
      x.grad = before.gradient
      if not before.tracked then M.requires_grad(x, false) end
    end
  end })
  for _, x in ipairs(inputs) do
    local tracked = M.tracks(x)
    if not tracked then M.requires_grad(x) end
    kept[x] = { gradient = x.grad, tracked = tracked }
    x.grad = nil
  end
  local output = f(table.unpack(inputs))
  if not is_tensor(output) then fail("gradcheck: f must return a tensor, got %s", check.describe(output)) end
  local first = elements(output)
  local weights = {}
  for i = 1, #first do weights[i] = weight(i) end
  if M.tracks(output) then
    M.backward(output, runtime.tensor.reshape(runtime.tensor.tensor(weights), output.shape))
  end
  for i, y in ipairs(elements(M.no_grad(f, table.unpack(inputs)))) do
    if y ~= first[i] and (y == y or first[i] == first[i]) then
      fail("gradcheck: f is not deterministic: output element %d was %.9g, then %.9g", i, first[i], y)
    end
  end

  local worst = { error = 0 }
  for n, x in ipairs(inputs) do
    local values = elements(x)
    local analytic = x.grad and elements(x.grad) or {}
    local numeric, largest = {}, 0
    local function set(i, value)
      local before = values[i]
      values[i] = value
      runtime.tensor.copy_(x, runtime.tensor.reshape(runtime.tensor.tensor(values), x.shape))
      values[i] = before
    end
    for i = 1, #values do
      local before = values[i]
      local step = o.epsilon * math.max(1, math.abs(before))
      set(i, before + step)
      local above = project()
      set(i, before - step)
      local below = project()
      set(i, before)
      numeric[i] = (above - below) / (2 * step)
      largest = math.max(largest, math.abs(numeric[i]))
    end
    for i = 1, #values do
      local a, d = analytic[i] or 0, numeric[i]
      local scale = math.max(math.abs(a), math.abs(d), 1e-3 * largest, 1e-12)
      local relative = math.abs(a - d) / scale
      if relative > worst.error or relative ~= relative then
        worst = { error = relative ~= relative and math.huge or relative, input = n,
          position = position_text(x.shape, i - 1), analytic = a, numeric = d }
      end
    end
  end
  if worst.error > o.tolerance then
    fail("gradcheck: input %d, element %s: backward gives %.9g, central differences %.9g (relative error %.3g, "
      .. "allowed %.3g)", worst.input, worst.position, worst.analytic, worst.numeric, worst.error, o.tolerance)
  end
  return worst.error
end

return M
