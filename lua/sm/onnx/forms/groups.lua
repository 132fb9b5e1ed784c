--- Options in groups: softmax and its like. Equal groups of channels become an axis of their own, uneven ones are cut
-- apart.
-- @module sm.onnx.forms.groups
local arguments = require "sm.ops.arguments"
local runtime = require "sm.runtime"
local sizes = require "sm.onnx.sizes"

local REAL <const> = runtime.real
local forms = {}

local function copy(list) return table.move(list, 1, #list, 1, {}) end

--- f(name, axis, size, group) of the elements of every group: along that axis, counted from 0, lie `size` of them.
-- @param group number of it among uneven ones; nil where all are done at once, groups along the axis before
local function each(g, call, x, o, f)
  local shape, rank = copy(x.shape), #x.shape
  if o.sizes then
    local parts = { x }
    if #o.sizes > 1 then parts = { g:node("Split", { x, g:integers(o.sizes) }, { axis = rank - 1 }, #o.sizes) } end
    for group, part in ipairs(parts) do parts[group] = f(part, rank - 1, o.sizes[group], group) end
    return g:node("Concat", parts, { axis = rank - 1 })
  elseif o.groups and o.groups > 1 then
    local size = shape[rank] // o.groups
    shape[rank], shape[rank + 1] = o.groups, size
    return g:reshape(f(g:reshape(x, shape), rank, size), x.shape)
  end
  local axes = arguments.axes(call.name, o.groups and -1 or o.axis or -1, shape)
  if #axes == 1 then return f(g:name(x), axes[1] - 1, shape[axes[1]]) end
  local moved, order, kept, inverse, size = {}, {}, {}, {}, 1
  for _, axis in ipairs(axes) do
    moved[axis] = true
    if sizes.varies(shape[axis]) then call:refuse "a group that the batch is part of" end
    size = size * shape[axis]
  end
  table.sort(axes)
  for axis = 1, rank do order[#order + 1] = not moved[axis] and axis or nil end
  for i, axis in ipairs(order) do kept[i] = shape[axis] end
  table.move(axes, 1, #axes, #order + 1, order)
  kept[#kept + 1] = size
  local turned = {}
  for i, axis in ipairs(order) do inverse[axis], turned[i] = i, shape[axis] end
  local y = f(g:reshape(g:transpose(x, order), kept), #kept - 1, size)
  return g:transpose(g:reshape(y, turned), inverse)
end

--- Logits over their temperature: a number, or a value of one number or of one for each group.
local function cooled(g, name, t, group)
  if t == nil or t == 1 then return name end
  if type(t) == "number" then return g:node("Div", { name, g:number(t) }) end
  local count = 1
  for _, size in ipairs(t.shape) do count = count * size end
  if count == 1 then return g:node("Div", { name, g:reshape(t, {}) }) end
  if group then return g:node("Div", { name, g:node("Gather", { t, g:number(group - 1, "int64") }, { axis = 0 }) }) end
  return g:node("Div", { name, g:reshape(t, { count, 1 }) })
end

--- f(name) with one more element, 0, at the end of an axis for that time: none of the others.
local function with_off(g, name, axis, size, rank, f)
  local pads = {}
  for i = 1, 2 * rank do pads[i] = i == rank + axis + 1 and 1 or 0 end
  local y = f(g:node("Pad", { name, g:integers(pads), g:number(0) }, { mode = "constant" }))
  return g:slice(y, axis + 1, 0, size)
end

--- 1 for the largest of a group, 0 for the others.
local function winners(g, name, axis, size, o)
  local values = g:initializer("zero and one", "[0,1]", REAL, { 2 }, runtime.tensor.tensor { 0, 1 })
  local place = g:node("ArgMax", { name }, { axis = axis, keepdims = 0 })
  local one = g:node("OneHot", { place, g:number(size, "int64"), values }, { axis = axis })
  if not o.off then return one end
  local largest = g:node("ReduceMax", { name }, { axes = { axis }, keepdims = 1 })
  return g:node("Where", { g:node("GreaterOrEqual", { largest, g:number(0) }), one, g:number(0) })
end

local function softmax(op)
  return function(g, call, x, o)
    o = o or {}
    return each(g, call, x, o, function(name, axis, size, group)
      local rank = o.groups and o.groups > 1 and #x.shape + 1 or type(o.axis) == "table" and #o.axis > 1
        and #x.shape - #o.axis + 1 or #x.shape
      local function soft(logits) return g:node(op, { logits }, { axis = axis }) end
      name = cooled(g, name, o.temperature, group)
      local y
      if o.hard then y = winners(g, name, axis, size, o)
      elseif o.off then y = with_off(g, name, axis, size, rank, soft)
      else y = soft(name) end
      return o.scale and g:node("Mul", { y, g:number(size) }) or y
    end)
  end
end

forms.softmax, forms.log_softmax = softmax "Softmax", softmax "LogSoftmax"

function forms.maxout(g, call, x, o)
  local shape, rank = copy(x.shape), #x.shape
  shape[rank], shape[rank + 1] = call.gave[1].shape[rank], o.pieces
  return g:node("ReduceMax", { g:reshape(x, shape) }, { axes = { rank }, keepdims = 0 })
end

--- All elements of a group in order, the largest first, and how many they are.
local function in_order(g, name, axis, size)
  return (g:node("TopK", { name, g:integers { size } }, { axis = axis }, 2))
end

--- Martins and Astudillo 2016, algorithm 1: the k largest are left, and less than them is what is subtracted.
function forms.sparsemax(g, call, x, o)
  return each(g, call, x, o or {}, function(name, axis, size)
    local rank, shape = x.shape and #x.shape or 0, {}
    if o and o.groups and o.groups > 1 then rank = rank + 1 end
    if o and type(o.axis) == "table" and #o.axis > 1 then rank = rank - #o.axis + 1 end
    for i = 1, rank do shape[i] = i == axis + 1 and size or 1 end
    local sorted = in_order(g, name, axis, size)
    local count = g:initializer(("count %s"):format(table.concat(shape, " ")), "1…" .. size, REAL, shape,
      runtime.tensor.range(1, 1, size, REAL):reshape(shape))
    local sums = g:node("CumSum", { sorted, g:number(axis, "int64") })
    local left = g:node("Add", { g:node("Mul", { count, sorted }), g:number(1) })
    local is = g:cast(g:node("Greater", { left, sums }), REAL)
    local function sum(list) return g:node("ReduceSum", { list, g:integers { axis } }, { keepdims = 1 }) end
    local over = g:node("Sub", { sum(g:node("Mul", { sorted, is })), g:number(1) })
    return g:node("Relu", { g:node("Sub", { name, g:node("Div", { over, sum(is) }) }) })
  end)
end

--- The k largest of a group: at their places ones, which the elements are multiplied by.
function forms.kwta(g, call, x, o)
  return each(g, call, x, o, function(name, axis, size)
    local k = math.min(o.k, size)
    local values, places = g:node("TopK", { name, g:integers { k } }, { axis = axis }, 2)
    local nothing = g:node("Expand", { g:number(0), g:node("Shape", { name }) })
    return g:node("ScatterElements", { nothing, places, values }, { axis = axis })
  end)
end

return forms
