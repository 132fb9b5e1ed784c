--- The walk back over the tape: reverse-mode differentiation.
-- @module sm.gradients
local runtime = require "sm.runtime"
local autograd = require "sm.autograd"
local check = require "sm.check"
local ranks = require "sm.ranks"
local fail = require "sm.fail"
local shape_text = require "sm.text".shape

local M = {}

local get_node, is_tensor, tape = runtime.tape.node, runtime.tensor.is_tensor, runtime.tape
local nodes_before, ready, pass = tape.nodes_before, tape.ready, tape.pass
local lend, hold, settle, take, let_go = tape.lend, tape.hold, tape.settle, tape.take, tape.let_go
local add, record_twice = runtime.pointwise.add, autograd.record_twice
local get_gradient, set_gradient = runtime.tensor.gradient, runtime.tensor.set_gradient
-- Nobody gets it in hand.
runtime.tensor.release = nil

-- What is in a node, as in runtime/bind/tape.h.
local BACKWARD <const>, COUNT <const>, INPUTS <const> = 2, 7, 8

--- The sum of two gradients of one shape, recorded.
local function sum_of(a, b)
  return record_twice(add(a, b), "add", function(gy) return gy, gy end, nil, a, b)
end

--- A gradient with memory of its own.
local function copy_of(g)
  return record_twice(runtime.tensor.to(g), "clone", function(gy) return gy end, nil, g)
end

--- A gradient to keep, with memory that nobody else has.
local function own(g, graph)
  return take(g, graph) and g or copy_of(g)
end

local OPTIONS = {
  create_graph = { type = "boolean", default = false,
    doc = "whether the gradients are computed by recorded operations, so that they have gradients themselves" },
  gradient = { type = {}, doc = "the gradient of y, a tensor of its shape; 1 where it is absent" },
}
check.spec("x:backward", OPTIONS)
check.spec("sm.grad", OPTIONS)


--- The gradient of `root` with which a walk begins.
local function first_gradient(where, root, gradient)
  if gradient == nil then
    if runtime.tensor.count(root) ~= 1 then
      fail("%s: expected a loss of one element, got shape %s; reduce it, or pass its gradient", where,
        shape_text(root.shape))
    end
    return runtime.tensor.full(root.shape, 1)
  elseif not autograd.is_gradient(gradient, root) then
    fail("%s: the gradient must be a %s tensor of shape %s, got %s", where, runtime.real,
      shape_text(root.shape), check.describe(gradient))
  end
  return gradient
end

--- The nodes among these that depend on one that is wanted, or on a leaf that is.
local function leading_to(nodes, wanted)
  local leads = {}
  for i = #nodes, 1, -1 do
    local node = nodes[i]
    leads[node] = wanted[node]
    for k = INPUTS, INPUTS + node[COUNT] - 1 do
      local input = node[k]
      local before = get_node(input)
      if before == true and wanted[input] or leads[before] then leads[node] = true end
    end
  end
  return leads
end

-- Where several ranks make a step, the gradients that a node gives are held back here until it is left: those of
-- leaves, and what is one rank's contribution. `sum` may then let other ranks go on, which it cannot within tape.pass.

--- What tape.pass asks of a gradient g on its way from a node to its input x.
-- @param held list of {x, g, whether it is a contribution}, or nil where no loss is descended
-- @return function(g, x, node) → whether it goes on now; else it is held back
local function passing(step, held)
  return function(g, x, node)
    local is_contribution = step:contributes(node, x)
    local is_leaf = get_node(x) == true
    if not held or not (is_leaf or is_contribution) then return true end
    local kept = own(g)
    hold(kept)
    held[#held + 1] = { x, kept, is_contribution }
    return false
  end
end

--- The sum of two gradients of an input.
local function added(a, b)
  if not a then return b end
  local sum = add(a, b)
  hold(sum)
  let_go(a)
  let_go(b)
  return sum
end

--- Sends on what was held back. What goes to a leaf is added when the sums of all ranks are there.
-- @param later list to which leaves and their gradients are appended
local function send_on(step, held, arrived, later)
  for i = 1, #held do
    local x, g, is_contribution = table.unpack(held[i])
    local target = get_node(x)
    held[i] = nil
    if is_contribution then step:sum(g, target == true) end
    if target == true then
      later[#later + 1], later[#later + 2] = x, g
    else
      arrived[target] = added(arrived[target], g)
    end
  end
end

--- The walk: gradients of `root` for leaves and nodes. Each of them is held, see tape.take.
-- @param gradient of root
-- @param wanted set of leaves and nodes, or nil for all leaves
-- @param graph whether the gradients are recorded, so that they have gradients; the graph then stays
-- @param listener the observer, or nil
-- @return gradients by leaf or node; leaves in the order in which the walk came to them
local function walk(root, gradient, wanted, graph, listener)
  local node = get_node(root)
  lend(gradient)
  if node == true then return { [root] = gradient }, { root } end

  local step <const> = ranks.now
  local held <const> = step and step.descends and {} or nil
  local later <const> = {} -- leaves and their gradients in turn
  if step then step.graph = graph end
  local nodes, arrived, leaves = nodes_before(node)
  local leads, found = wanted and leading_to(nodes, wanted), wanted and {} or arrived
  arrived[node] = gradient
  local way <const> = { arrived, leaves, graph, graph and sum_of or add, leads, wanted, found,
    listener and listener.leaf, step and passing(step, held) } -- as in runtime/bind/walk.c
  for i = 1, #nodes do
    local current = nodes[i]
    local gy, reuse = ready(way, current)
    if gy then
      if held then step:sums_for(current) end
      pass(way, current, gy, current[BACKWARD](gy, reuse, graph))
      if held then send_on(step, held, arrived, later) end
    end
  end
  if step then step.graph = false end
  if held then
    step:settle()
    for i = 1, #later, 2 do arrived[later[i]] = added(arrived[later[i]], later[i + 1]) end
  end
  for i = 1, wanted and #leaves or 0 do found[leaves[i]] = arrived[leaves[i]] end
  return found, leaves
end

--- Computes the gradients of a scalar with respect to every leaf it depends on and adds them to the leaves' `grad`.
-- Frees the graph: a second walk over it is an error.
-- @param root tensor of one element, or any with a gradient given
-- @param given gradient of root, same shape, 1 by default; or a table of options. With create_graph the graph stays
function M.backward(root, given)
  if not get_node(root) then fail "backward: this tensor depends on no tensor that requires a gradient" end
  local graph = false
  if type(given) == "table" then
    local o = check.options("backward", given, OPTIONS)
    graph, given = o.create_graph, o.gradient
  end
  local gradient = first_gradient("backward", root, given)
  autograd.walking(graph, function(listener)
    local found, leaves = walk(root, gradient, nil, graph, listener)
    for _, leaf in ipairs(graph and leaves or settle(leaves, found)) do
      local g = found[leaf]
      local before = graph and leaf.grad or get_gradient(leaf) -- what the graph has is seen: it stays
      if before then
        local total = graph and sum_of(before, g) or add(before, g)
        let_go(g, graph)
        set_gradient(leaf, total)
      else
        set_gradient(leaf, own(g, graph))
      end
    end
  end)
end

--- The gradients of y with respect to tensors, leaves or computed from such; their `grad` stays as it is.
-- Without create_graph the graph is freed, as by backward.
-- @param y tensor of one element, or any with a gradient given
-- @param inputs list of tensors on which y depends, or one
-- @return list of gradients
function M.grad(y, inputs, options)
  if not is_tensor(y) then fail("sm.grad: expected a tensor, got %s", check.describe(y)) end
  if is_tensor(inputs) then inputs = { inputs } end
  if type(inputs) ~= "table" or rawlen(inputs) == 0 then
    fail("sm.grad: argument 2 must be a list of tensors, got %s", check.describe(inputs))
  end
  local o = check.options("sm.grad", options, OPTIONS)
  local keys, wanted = {}, {}
  for i = 1, rawlen(inputs) do
    local x = rawget(inputs, i)
    if not is_tensor(x) then fail("sm.grad: input %d must be a tensor, got %s", i, check.describe(x)) end
    local node = get_node(x)
    if not node then
      fail("sm.grad: input %d, of shape %s, wants no gradient: call requires_grad() before y is computed", i,
        shape_text(x.shape))
    end
    keys[i] = node == true and x or node
    wanted[keys[i]] = true
  end
  local gradient = first_gradient("sm.grad", y, o.gradient)
  return autograd.walking(o.create_graph, function(listener)
    if not get_node(y) then fail "sm.grad: y depends on no tensor that requires a gradient" end
    local found = walk(y, gradient, wanted, o.create_graph, listener)
    local result = {}
    for i, key in ipairs(keys) do
      if not found[key] then
        fail("sm.grad: y does not depend on input %d, of shape %s", i, shape_text(inputs[i].shape))
      end
      result[i] = own(found[key], o.create_graph)
    end
    return result
  end)
end

return M

