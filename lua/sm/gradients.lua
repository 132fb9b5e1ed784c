--- The walk back over the tape: reverse-mode differentiation.
-- @module sm.gradients
local runtime = require "sm.runtime"
local autograd = require "sm.autograd"
local check = require "sm.check"
local fail = require "sm.fail"
local shape_text = require "sm.text".shape

local M = {}

local get_node, is_tensor = runtime.tape.node, runtime.tensor.is_tensor
local changed, is_shared, table_for = runtime.tape.changed, runtime.tape.is_shared, runtime.tape.table_for
local same_shape, add, record_twice = runtime.tensor.same_shape, runtime.pointwise.add, autograd.record_twice
local get_gradient, set_gradient = runtime.tensor.gradient, runtime.tensor.set_gradient
-- Gives memory back at once; nobody else gets it in hand. A library that is loaded again leaves that to the collector.
local release = runtime.tensor.release or function() end
runtime.tensor.release = nil

--- Raises when a tensor that a node's gradient needs was changed in place since the node was recorded.
local function check_saved(node)
  local x = changed(node.saved)
  if x then
    fail("backward: the gradient of '%s' needs a tensor of shape %s as it was, but copy_ or an optimizer's step has "
      .. "changed it since; call backward() before, or give '%s' a copy of its own, x:clone()", node.name,
      shape_text(x.shape), node.name)
  end
end

-- Says that a node was walked already, so that what its gradient needs is gone.
local function refuse_walked(node)
  fail("backward: the graph of this '%s' was already walked by an earlier backward() and its intermediate "
    .. "results are freed; compute the loss again", node.name)
end

local walks = 0 -- so far; a node has the number of the last that has met it

local function is_later(a, b) return a.number > b.number end

--- Every node that `root` depends on, latest first.
local function nodes_before(root)
  local nodes, count, stack, height = {}, 0, { root }, 1
  local sorted, number = true, math.huge -- so far, as they are in a row of layers; of the node before
  walks = walks + 1
  local walk <const> = walks
  root.walk = walk
  while height > 0 do
    local node = stack[height]
    height = height - 1
    if not node.backward then refuse_walked(node) end
    count = count + 1
    nodes[count] = node
    sorted, number = sorted and node.number < number, node.number
    for i = 1, node.n do
      local input = get_node(node[i])
      if input and input ~= true and input.walk ~= walk then
        input.walk = walk
        height = height + 1
        stack[height] = input
      end
    end
  end
  if not sorted then table.sort(nodes, is_later) end
  return nodes
end

--- The sum of two gradients of one shape, recorded.
local function sum_of(a, b)
  return record_twice(add(a, b), "add", function(gy) return gy, gy end, nil, a, b)
end

--- A gradient with memory of its own.
local function copy_of(g)
  return record_twice(runtime.tensor.to(g), "clone", function(gy) return gy end, nil, g)
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
    for k = 1, node.n do
      local input = node[k]
      local before = get_node(input)
      if before == true and wanted[input] or leads[before] then leads[node] = true end
    end
  end
  return leads
end

--- How many results there are, and a list of them.
local function counted(...) return select("#", ...), { ... } end

--- The walk: gradients of `root` for leaves and nodes.
-- @param gradient of root
-- @param wanted set of leaves and nodes, or nil for all leaves
-- @param graph whether the gradients are recorded, so that they have gradients; the graph then stays
-- @param listener the observer, or nil
-- @return gradients by leaf or node; leaves in the order in which the walk came to them; own(g), a gradient to keep,
--   with memory that nobody else has; let_go(g) of one that is not kept
local function walk(root, gradient, wanted, graph, listener)
  local node = get_node(root)
  -- Gradients on their way, by node or leaf. `holders` counts the places that hold a gradient; one that nobody
  -- holds any more goes back to the pool at once. What user code has seen is held by it for good, and is left to the
  -- collector.
  local arrived, holders, leaves, found
  local plus = graph and sum_of or add
  local function let_go(g)
    local left = holders[g] - 1
    holders[g] = left > 0 and left or nil
    if left == 0 and not graph then release(g) end
  end
  local function own(g)
    if graph or holders[g] > 1 or is_shared(g) then -- another's as well, or seen by user code
      holders[g] = holders[g] - 1
      return copy_of(g)
    end
    return g
  end
  if node == true then
    holders = { [gradient] = 2 }
    return { [root] = gradient }, { root }, own, let_go
  end

  local nodes = nodes_before(node)
  arrived, holders, leaves = table_for(3 * #nodes), table_for(4 * #nodes), {}
  arrived[node], holders[gradient] = gradient, 2
  found = wanted and {} or arrived
  local leads = wanted and leading_to(nodes, wanted)
  for at = 1, #nodes do
    local current = nodes[at]
    local gy = arrived[current]
    if gy and wanted and wanted[current] then
      found[current] = gy
      holders[gy] = holders[gy] + 1
    end
    if gy and (not leads or leads[current]) then
      if not current.backward then refuse_walked(current) end
      if current.saved then check_saved(current) end
      if graph and not current.twice and not current.overwritten then
        fail("the gradient of '%s' has no gradient itself, which create_graph asks for", current.name)
      end
      local holds = 1
      if current.foreign then
        holds, holders[gy] = 2, holders[gy] + 1
      end
      local count, gradients = counted(current.backward(gy, holders[gy] == 1 and not graph, graph))
      if not current.backward then refuse_walked(current) end -- by user code, meanwhile
      local taken = current.n
      for i = 1, taken do -- held for each of the inputs that it is the gradient of, until it has arrived there
        local g = gradients[i]
        if g then holders[g] = (holders[g] or 0) + holds end
      end
      for i = 1, taken do
        local g, input = gradients[i], current[i]
        local target = g and get_node(input)
        if target and (not leads or leads[target] or wanted[input]) then
          if not same_shape(g, input) then
            fail("backward: the gradient of '%s' for its input %d has shape %s, the input %s", current.name, i,
              shape_text(g.shape), shape_text(input.shape))
          end
          if target == true then
            target = input
            if not arrived[input] then
              leaves[#leaves + 1] = input
              if listener and listener.leaf then listener.leaf(input, current.name) end
            end
          end
          local sum = arrived[target]
          if sum then
            local total = plus(sum, g)
            holders[total] = 1
            let_go(sum)
            let_go(g)
            g = total
          end
          arrived[target] = g
        elseif g then
          let_go(g)
        end
      end
      for i = taken + 1, graph and 0 or count do
        if gradients[i] then release(gradients[i]) end
      end
    end
    if gy then
      arrived[current] = nil
      let_go(gy)
    end
    if not graph and not current.overwritten then
      current.backward, current.saved = false, nil
      for i = 1, current.n do current[i] = nil end
      current.n = 0
    end
  end
  for i = 1, wanted and #leaves or 0 do found[leaves[i]] = arrived[leaves[i]] end
  return found, leaves, own, let_go
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
    local found, leaves, own, let_go = walk(root, gradient, nil, graph, listener)
    for i = 1, #leaves do
      local leaf = leaves[i]
      local g, before = found[leaf], graph and leaf.grad or get_gradient(leaf) -- what the graph has is seen: it stays
      if before then
        local total = graph and sum_of(before, g) or add(before, g)
        let_go(g)
        set_gradient(leaf, total)
      else
        set_gradient(leaf, own(g))
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
    local found, _, own = walk(y, gradient, wanted, o.create_graph, listener)
    local result = {}
    for i, key in ipairs(keys) do
      if not found[key] then
        fail("sm.grad: y does not depend on input %d, of shape %s", i, shape_text(inputs[i].shape))
      end
      result[i] = own(found[key])
    end
    return result
  end)
end

return M

