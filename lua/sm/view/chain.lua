--- What comes before and after a layer of a model.
-- @module sm.view.chain
local M = {}

-- How many layers of a container stand in a row, each with the output of the one before; 0 where none do.
local function in_row(container)
  return container.row and container:row() or 0
end

--- The layer that is applied to the output of `layer` in its container, or nil.
-- @param passing set of roles that are passed over, or nil
function M.following(layer, passing)
  local container, found = layer.parent, false
  for position = 1, container and in_row(container) or 0 do
    local other = container.layers[position]
    if found and not (passing and passing[other.role]) then return other end
    found = found or other == layer
  end
end

local function holds(container, layer)
  local found = false
  container:walk(function(inner) found = found or inner == layer end)
  return found
end

--- The layers from the model's input to `layer`, itself included. Containers are opened; but one whose layers do not
-- stand in a row stands for them, unless `layer` is in it.
function M.up_to(layer)
  local leaves, collect = {}, nil
  -- Whether `layer` was reached.
  local function enter(node)
    if not node.layers then
      leaves[#leaves + 1] = node
    elseif collect(node) then
      return true
    end
    return node == layer
  end
  function collect(node)
    local count = in_row(node)
    for position = count + 1, #node.layers do
      local inner = node.layers[position]
      if holds(inner, layer) then
        if count == 0 and node.role ~= "branches" then leaves[#leaves + 1] = node end
        return enter(inner)
      end
    end
    for position = 1, count do
      if enter(node.layers[position]) then return true end
    end
    if count == 0 then leaves[#leaves + 1] = node end
  end
  enter(layer:whole())
  return leaves
end

local DROPPED <const> = { n = 1, true } -- what nobody will look at

-- A pass that notes, up to the first end of `layer`, what every layer gives that is not within another one which gives
-- something itself; see sm.nn.use. It keeps no more of layers in a row than the last gives.
local function noting(layer, seen, given)
  local frames = { { ended = 0, mark = 0 } } -- the layers that are being applied, innermost last
  local pass, done = {}, false
  function pass.before(inner, inputs)
    if done then return end
    if inner == layer then seen.input = inputs[1] end
    frames[#frames + 1] = { layer = inner, ended = 0, mark = #given }
  end
  function pass.after(inner, _, outputs)
    if done then return end
    local frame = table.remove(frames)
    for position = #given, frame.mark + 1, -1 do given[position] = nil end
    local around = frames[#frames]
    local count = around.layer and in_row(around.layer) or 0
    if around.ended > 0 and around.ended < count then given[#given].outputs = DROPPED end
    around.ended = around.ended + 1
    given[#given + 1] = { layer = inner, outputs = outputs }
    if inner == layer then seen.output, done = outputs[1], true end
  end
  return pass
end

--- Sends a batch through the model and keeps what is seen at one layer, the first time where it is applied more often.
-- @return {input=, output= of the layer, result= of the model, onward= function(y) → what the model gives
--   when the layer's output is y}
function M.watch(model, layer, x)
  local seen, given = {}, {}
  seen.result = model:observe(noting(layer, seen, given), x)
  function seen.onward(y)
    local position = 0
    local function instead(inner)
      local entry = given[position + 1]
      if not entry or entry.layer ~= inner then return nil end
      position = position + 1
      return position == #given and { n = 1, y } or entry.outputs
    end
    return (model:observe({ instead = instead }, x))
  end
  return seen
end

return M
