--- Windows over images {N, height, width, channels} and sequences {N, time, channels}. ONNX has the channels second, so
-- that there are transpositions around; between two windows they cancel out.
-- @module sm.onnx.forms.window
local runtime = require "sm.runtime"
local sizes = require "sm.onnx.sizes"
local windows = require "sm.windows"

local one_hot
for _, operation in ipairs(require "sm.ops.index") do
  if operation.name == "one_hot" then one_hot = operation.f end
end

local forms = {}

local TO_FRONT <const> = { [3] = { 1, 3, 2 }, [4] = { 1, 4, 2, 3 } }
local TO_BACK <const> = { [3] = { 1, 3, 2 }, [4] = { 1, 3, 4, 2 } }
local FILTERS <const> = { [3] = { 3, 2, 1 }, [4] = { 4, 3, 1, 2 } } -- {…, in, out} → {out, in, …}

--- Of a list for {height, width} what an operation over `axes` axes has: of sequences the second.
local function own(list, axes)
  return axes == 1 and { list[2] } or { list[1], list[2] }
end

--- Options of a window, checked; a bias is a value here, of which the check knows nothing.
local function checked(check, o)
  if getmetatable(o) then return o, o.bias end
  local plain = {}
  for key, value in next, o or {} do plain[key] = key ~= "bias" and value or nil end
  return check(plain), o and o.bias
end

--- The padding on an axis: before and after.
-- @param size of what the window goes over, and `count`, how many positions it has
local function padding(o, axis, size, count, reach)
  local stride = o.stride[axis]
  local whole = math.max(0, (count - 1) * stride + reach - size)
  if o.padding == "same" then return whole // 2, whole - whole // 2 end
  local before = o.padding == "valid" and 0 or o.padding[axis]
  return before, math.max(0, whole - before)
end

--- The attributes of a window.
-- @param kernel {height, width} or {length}
-- @param over, steps the shapes of what it goes over and of what it gives
local function window(call, o, kernel, over, steps)
  local axes = #kernel
  local attributes = { kernel_shape = kernel, strides = own(o.stride, axes), dilations = own(o.dilation, axes),
    pads = {} }
  for axis = 1, axes do
    local of = axes == 1 and 2 or axis
    if sizes.varies(over[axis + 1]) then call:refuse "a window over sizes that depend on that of the batch" end
    attributes.pads[axis], attributes.pads[axis + axes] = padding(o, of, over[axis + 1], steps[axis + 1],
      (kernel[axis] - 1) * o.dilation[of] + 1)
  end
  return attributes
end

local function convolution(g, call, x, w, o, bias)
  local rank = #x.shape
  local kernel = table.move(w.shape, 1, rank - 2, 1, {})
  local attributes = window(call, o, kernel, x.shape, call.gave[1].shape)
  attributes.group = o.groups
  local y = g:node("Conv", { g:transpose(x, TO_FRONT[rank]), g:transpose(w, FILTERS[rank]), bias or nil }, attributes)
  return g:transpose(y, TO_BACK[rank])
end

function forms.conv2d(g, call, x, w, given)
  local o, bias = checked(windows.conv2d, given)
  return convolution(g, call, x, w, o, bias)
end

function forms.conv1d(g, call, x, w, given)
  local o, bias = checked(windows.conv1d, given)
  return convolution(g, call, x, w, o, bias)
end

function forms.conv2d_transpose(g, call, x, w, given)
  local o, bias = checked(windows.conv2d_transpose, given)
  local kernel, shape = { w.shape[1], w.shape[2] }, call.gave[1].shape
  local attributes = window(call, o, kernel, shape, x.shape)
  attributes.group, attributes.output_padding = o.groups, {}
  for axis = 1, 2 do
    local reach = (kernel[axis] - 1) * o.dilation[axis] + 1
    local pads = attributes.pads[axis] + attributes.pads[axis + 2]
    attributes.output_padding[axis] = shape[axis + 1] - (x.shape[axis + 1] - 1) * o.stride[axis] - reach + pads
  end
  local inputs = { g:transpose(x, TO_FRONT[4]), g:transpose(w, FILTERS[4]), bias or nil }
  return g:transpose(g:node("ConvTranspose", inputs, attributes), TO_BACK[4])
end

-- Pools ---------------------------------------------------------------------------------------------------

local function pool(name, op, check, axes)
  forms[name] = function(g, call, x, kernel, given)
    local size, o = check(name, name, kernel, given)
    size = own(size, axes)
    local attributes = window(call, o, size, x.shape, call.gave[1].shape)
    if op == "AveragePool" then
      for _, step in ipairs(attributes.dilations) do
        if step > 1 then call:refuse "a mean over a window with holes (dilation)" end
      end
      if o.partial and o.count_padding then call:refuse "a mean of partial windows that counts the padding" end
      attributes.dilations, attributes.count_include_pad = nil, o.count_padding and 1 or 0
    end
    return g:transpose(g:node(op, { g:transpose(x, TO_FRONT[axes + 2]) }, attributes), TO_BACK[axes + 2])
  end
end
pool("maxpool2d", "MaxPool", windows.pool, 2)
pool("avgpool2d", "AveragePool", windows.pool, 2)
pool("maxpool1d", "MaxPool", windows.pool1d, 1)
pool("avgpool1d", "AveragePool", windows.pool1d, 1)

-- Images in another size ------------------------------------------------------------------------------------

--- An image of one axis in another size, as the operation does it.
-- @param x {1, given, 1, channels}, or the axes exchanged
local function resized(x, o, axis)
  local one = { mode = o.mode, align_corners = o.align_corners, size = o.size and { 1, 1 },
    factor = o.factor and { 1, 1 } }
  local by = one.size or one.factor
  by[axis] = (o.size or o.factor)[axis]
  return x:upsample2d(one)
end

--- The nearest pixels are chosen, and a mixture of two is a product with a matrix: exact, where a Resize would round
--- its scale to 32 bits, and may choose another pixel for it.
function forms.upsample2d(g, call, x, given)
  local o, to = windows.upsample2d(given), call.gave[1].shape
  local y, shape = g:name(x), table.move(x.shape, 1, 4, 1, {})
  if sizes.varies(shape[2]) or sizes.varies(shape[3]) then
    call:refuse "images whose size depends on that of the batch"
  end
  for axis = 1, 2 do
    local count, wanted = shape[axis + 1], to[axis + 1]
    local line = { 1, 1, 1, 1 }
    line[axis + 1] = count
    if o.mode == "nearest" then
      local ramp = runtime.tensor.range(0, 1, count, runtime.real):reshape(line)
      local places = resized(ramp, o, axis):reshape(-1):totable()
      for i, place in ipairs(places) do places[i] = math.tointeger(place) end
      y = g:node("Gather", { y, g:integers(places) }, { axis = axis })
    else
      line[4] = count
      local eye = one_hot(runtime.tensor.range(0, 1, count, "int32"), count):reshape(line)
      local matrix = resized(eye, o, axis):reshape(wanted, count)
      local mix = g:initializer(matrix, g.path .. ".weights", runtime.real, { wanted, count }, matrix)
      if axis == 1 then -- of {N, height, width · channels}; then of {N, height', width, channels}
        y = g:node("MatMul", { mix, g:reshape(y, { shape[1], count, shape[3] * shape[4] }) })
        y = g:reshape(y, { shape[1], wanted, shape[3], shape[4] })
      else
        y = g:node("MatMul", { mix, y })
      end
    end
    shape[axis + 1] = wanted
  end
  return y
end

return forms
