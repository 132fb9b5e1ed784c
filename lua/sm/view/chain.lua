--- What comes before and after a layer of a model.
-- @module sm.view.chain
local M = {}

--- The layer that is applied to the output of `layer` in its container, or nil.
-- @param passing set of kinds that are passed over, or nil
function M.following(layer, passing)
  local found = false
  for _, other in ipairs(layer.parent and layer.parent.layers or {}) do
    if found and not (passing and passing[other.kind]) then return other end
    found = found or other == layer
  end
end

--- The layers from the model's input to `layer`, itself included, containers opened.
function M.up_to(layer)
  local root, leaves = layer, {}
  while root.parent do root = root.parent end
  local function collect(node)
    for _, inner in ipairs(node.layers or { node }) do
      if inner.layers and collect(inner) then return true end
      if not inner.layers then leaves[#leaves + 1] = inner end
      if inner == layer then return true end
    end
  end
  collect(root)
  return leaves
end

--- Sends a batch through the model and keeps what is seen at one layer.
-- @return {input=, output= of the layer, result= of the model, onward= function(y) → what the model gives
--   when the layer's output is y}
function M.watch(model, layer, x)
  local entered, seen = {}, {} -- entered: residual block → its input
  seen.result = model:apply(x, {
    before = function(other, input)
      if other.kind == "residual" then entered[other] = input end
      if other == layer then seen.input = input end
    end,
    after = function(other, _, output)
      if other == layer then seen.output = output end
    end,
  })
  function seen.onward(y)
    local node = layer
    while node.parent do
      local after = false
      for _, other in ipairs(node.parent.layers) do
        if after then y = other:apply(y) end
        after = after or other == node
      end
      if entered[node.parent] then y = entered[node.parent] + y end
      node = node.parent
    end
    return y
  end
  return seen
end

return M
