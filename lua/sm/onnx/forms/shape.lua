--- Other shapes and orders, parts, and elements by their positions.
-- @module sm.onnx.forms.shape
local arguments = require "sm.ops.arguments"
local runtime = require "sm.runtime"
local sizes = require "sm.onnx.sizes"

local REAL <const> = runtime.real
local forms = {}

--- The axis of a value, counted from 1.
local function axis_of(name, given, x, default)
  return arguments.axis(name, given == nil and default or given, x.shape)
end

local function same_elements(g, call, x) return g:reshape(x, call.gave[1].shape) end
for _, name in ipairs { "reshape", "squeeze", "unsqueeze" } do forms[name] = same_elements end

function forms.expand(g, call, x) return g:expand(x, call.gave[1].shape) end

function forms.permute(g, _, x, ...)
  return g:transpose(x, arguments.axes("permute", arguments.many("permute", "axes", ...), x.shape))
end

function forms.transpose(g, _, x, a, b)
  local axes, one, other = {}, axis_of("transpose", a, x, 1), axis_of("transpose", b, x, 2)
  for axis = 1, #x.shape do axes[axis] = axis == one and other or axis == other and one or axis end
  return g:transpose(x, axes)
end

function forms.flip(g, _, x, given)
  local axes, starts, ends, steps = arguments.axes("flip", given, x.shape), {}, {}, {}
  for i, axis in ipairs(axes) do axes[i], starts[i], ends[i], steps[i] = axis - 1, -1, math.mininteger, -1 end
  return g:node("Slice", { x, g:integers(starts), g:integers(ends), g:integers(axes), g:integers(steps) })
end

-- Parts ---------------------------------------------------------------------------------------------------

--- Where something begins on an axis, counted from 0.
local function beginning(call, position, size)
  if sizes.varies(position) or position < 0 and sizes.varies(size) then
    call:refuse "a position that depends on the size of the batch"
  end
  return position < 0 and position + size or position - 1
end

function forms.narrow(g, call, x, axis, start, length)
  axis = axis_of("narrow", axis, x)
  return g:slice(x, axis, beginning(call, start, x.shape[axis]), length)
end

function forms.slice(g, call, x, first)
  return g:slice(x, 1, beginning(call, first, x.shape[1]), call.gave[1].shape[1])
end

function forms.select(g, call, x, position)
  local first = beginning(call, position, x.shape[1])
  return g:node("Gather", { x, g:number(first, "int64") }, { axis = 0 })
end

function forms.split(g, call, x, _, axis)
  axis = axis_of("split", axis, x, 1)
  local parts, lengths = call.gave[1], {}
  for i, part in ipairs(parts) do lengths[i] = part.shape[axis] end
  if #parts == 1 then return g:node("Identity", { x }) end
  return g:node("Split", { x, g:sizes(lengths) }, { axis = axis - 1 }, #parts)
end

function forms.cat(g, _, list, axis)
  return g:node("Concat", list, { axis = axis_of("cat", axis, list[1], 1) - 1 })
end

function forms.stack(g, call, list, axis)
  local shape, parts = call.gave[1].shape, {}
  local place = arguments.axis("stack", axis or 1, shape)
  local single = table.move(shape, 1, #shape, 1, {})
  single[place] = 1
  for i, x in ipairs(list) do parts[i] = g:reshape(x, single) end
  return g:node("Concat", parts, { axis = place - 1 })
end

local MODES <const> = { constant = "constant", reflect = "reflect", replicate = "edge" }

function forms.pad(g, call, x, o)
  local mode, rank = MODES[o.mode or "constant"], #x.shape
  if not mode then call:refuse(("pad with mode = \"%s\""):format(o.mode)) end
  local pads = {}
  for i = 1, 2 * rank do pads[i] = 0 end
  for i = 1, #o, 2 do
    local axis = rank - i // 2
    pads[axis], pads[axis + rank] = o[i], o[i + 1]
  end
  for axis = 1, 2 * rank do
    if sizes.varies(pads[axis]) then call:refuse "padding that depends on the size of the batch" end
  end
  return g:node("Pad", { x, g:integers(pads), g:number(o.value or 0, x.dtype) }, { mode = mode })
end

function forms.tile(g, call, x, ...)
  local times = arguments.many("tile", "numbers", ...)
  local count = math.max(#times, #x.shape)
  local shape = table.move(x.shape, 1, #x.shape, count - #x.shape + 1, {})
  for axis = 1, count - #x.shape do shape[axis] = 1 end
  while #times < count do table.insert(times, 1, 1) end
  if sizes.any(times) then call:refuse "how often tile repeats depends on the size of the batch" end
  return g:node("Tile", { g:reshape(x, shape), g:integers(times) })
end

-- Positions -----------------------------------------------------------------------------------------------

--- Positions that count from `first` as ONNX counts, from 0.
local function from_zero(g, positions, first)
  local name = g:cast(positions, "int64")
  return first == 0 and name or g:node("Sub", { name, g:number(first, "int64") })
end

function forms.index_select(g, _, x, axis, positions)
  return g:node("Gather", { x, from_zero(g, positions, 1) }, { axis = axis_of("index_select", axis, x) - 1 })
end

function forms.embedding(g, _, x, tokens) return g:node("Gather", { x, from_zero(g, tokens, 0) }, { axis = 0 }) end

function forms.gather(g, _, x, axis, positions)
  return g:node("GatherElements", { x, from_zero(g, positions, 1) }, { axis = axis_of("gather", axis, x) - 1 })
end

function forms.pick(g, call, x, labels)
  local shape = table.move(labels.shape, 1, #labels.shape, 1, {})
  shape[#shape + 1] = 1
  local places = g:reshape(from_zero(g, labels, 0), shape)
  return g:reshape(g:node("GatherElements", { x, places }, { axis = #x.shape - 1 }), call.gave[1].shape)
end

function forms.one_hot(g, _, labels, count)
  local values = g:initializer("zero and one", "[0,1]", REAL, { 2 }, runtime.tensor.tensor { 0, 1 })
  return g:node("OneHot", { from_zero(g, labels, 0), g:number(count, "int64"), values }, { axis = -1 })
end

for name, op in pairs { argmax = "ArgMax", argmin = "ArgMin" } do
  forms[name] = function(g, _, x, axis)
    if axis == nil then x = g:reshape(x, { -1 }) end
    local place = axis == nil and 0 or axis_of(name, axis, x) - 1
    local found = g:node(op, { x }, { axis = place, keepdims = 0 })
    return g:cast(g:node("Add", { found, g:number(1, "int64") }), "int32")
  end
end

function forms.predict(g, _, x)
  return g:cast(g:node("ArgMax", { x }, { axis = -1, keepdims = 0 }), "int32")
end

--- The elements that come first, and their positions from 1.
local function first_ones(g, x, k, axis, largest)
  local values, places = g:node("TopK", { x, g:sizes { k } }, { axis = axis - 1, largest = largest and 1 or 0 }, 2)
  return values, g:cast(g:node("Add", { places, g:number(1, "int64") }), "int32")
end

local function options_of(axis, options)
  if type(axis) == "table" then return nil, axis end
  return axis, options or {}
end

function forms.topk(g, _, x, k, axis, options)
  axis, options = options_of(axis, options)
  return first_ones(g, x, k, axis_of("topk", axis, x, -1), options.largest ~= false)
end

function forms.sort(g, _, x, axis, options)
  axis, options = options_of(axis, options)
  axis = axis_of("sort", axis, x, -1)
  return first_ones(g, x, x.shape[axis], axis, options.descending)
end

function forms.argsort(g, call, x, axis, options)
  return (select(2, forms.sort(g, call, x, axis, options)))
end

return forms
