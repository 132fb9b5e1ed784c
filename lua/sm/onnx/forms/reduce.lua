--- Sums and the like along axes, products of matrices, normalisation.
-- @module sm.onnx.forms.reduce
local arguments = require "sm.ops.arguments"
local runtime = require "sm.runtime"
local sizes = require "sm.onnx.sizes"

local REAL <const> = runtime.real
local forms = {}

--- Axes counted from 0; all of them where nothing is said.
local function axes_of(name, axis, x)
  local list = {}
  if axis == nil then
    for i = 1, #x.shape do list[i] = i - 1 end
  else
    for i, a in ipairs(arguments.axes(name, axis, x.shape)) do list[i] = a - 1 end
  end
  return list
end

local function kept(options) return options and options.keepdim and 1 or 0 end

--- x reduced along axes counted from 0.
local function reduced(g, op, x, axes, keep)
  if #axes == 0 then return op == "ReduceL2" and g:node("Abs", { x }) or g:name(x) end
  if op == "ReduceSum" then return g:node(op, { x, g:integers(axes) }, { keepdims = keep }) end
  return g:node(op, { x }, { axes = axes, keepdims = keep })
end

local REDUCTIONS <const> = { sum = "ReduceSum", mean = "ReduceMean", prod = "ReduceProd", max = "ReduceMax",
  min = "ReduceMin", norm = "ReduceL2", logsumexp = "ReduceLogSumExp" }
for name, op in pairs(REDUCTIONS) do
  forms[name] = function(g, _, x, axis, options)
    return reduced(g, op, x, axes_of(name, axis, x), kept(options))
  end
end

for name, op in pairs { global_maxpool = "ReduceMax", global_avgpool = "ReduceMean" } do
  forms[name] = function(g, _, x, options)
    local axes = {}
    for axis = 2, #x.shape - 1 do axes[#axes + 1] = axis - 1 end
    return reduced(g, op, x, axes, kept(options))
  end
end

for name, op in pairs { any = "ReduceMax", all = "ReduceMin" } do
  forms[name] = function(g, _, x, axis)
    local is = g:cast(g:cast(x, "bool"), "int32")
    return g:cast(reduced(g, op, is, axes_of(name, axis, x), 0), "uint8")
  end
end

function forms.cumsum(g, _, x, axis)
  return g:node("CumSum", { x, g:number(arguments.axis("cumsum", axis, x.shape) - 1, "int64") })
end

--- The mean of squared distances from the mean, along axes counted from 0, which stay.
local function spread(g, x, axes)
  local distance = g:node("Sub", { x, reduced(g, "ReduceMean", x, axes, 1) })
  return reduced(g, "ReduceMean", g:node("Mul", { distance, distance }), axes, 1), distance
end

local function variance(g, call, name, x, axis, options)
  local axes, count = axes_of(name, axis, x), 1
  for _, a in ipairs(axes) do
    if sizes.varies(x.shape[a + 1]) then call:refuse(name .. " over the batch") end
    count = count * x.shape[a + 1]
  end
  local y = spread(g, x, axes)
  if not options or options.unbiased ~= false then y = g:node("Mul", { y, g:number(count / (count - 1)) }) end
  return g:reshape(y, call.gave[1].shape)
end

function forms.var(g, call, ...) return variance(g, call, "var", ...) end
function forms.std(g, call, ...) return g:node("Sqrt", { variance(g, call, "std", ...) }) end

-- Products ------------------------------------------------------------------------------------------------

function forms.matmul(g, _, a, b) return g:node("MatMul", { a, b }) end

function forms.linear(g, _, x, w, b, relu)
  local y = g:node("MatMul", { x, w })
  if b then y = g:node("Add", { y, b }) end
  return relu and g:node("Relu", { y }) or y
end

function forms.einsum(g, call, equation, ...)
  if equation:find("...", 1, true) then call:refuse "any axes, \"...\"," end
  return g:node("Einsum", { ... }, { equation = equation })
end

-- Normalisation -------------------------------------------------------------------------------------------

local function affine(g, y, o)
  if o.weight then y = g:node("Mul", { y, o.weight }) end
  return o.bias and g:node("Add", { y, o.bias }) or y
end

--- distance / √(variance + epsilon)
local function normalised(g, distance, spread_, epsilon)
  return g:node("Div", { distance, g:node("Sqrt", { g:node("Add", { spread_, g:number(epsilon) }) }) })
end

local EPSILON <const> = 1e-5

function forms.layer_norm(g, _, x, o)
  o = o or {}
  local mean_square, distance = spread(g, x, axes_of("layer_norm", o.axis or -1, x))
  return affine(g, normalised(g, distance, mean_square, o.epsilon or EPSILON), o)
end

function forms.group_norm(g, _, x, o)
  local shape, axes, rank = table.move(x.shape, 1, #x.shape, 1, {}), {}, #x.shape
  shape[rank], shape[rank + 1] = o.groups, x.shape[rank] // o.groups
  for axis = 2, rank + 1 do axes[#axes + 1] = axis ~= rank and axis - 1 or nil end
  local mean_square, distance = spread(g, g:reshape(x, shape), axes)
  return affine(g, g:reshape(normalised(g, distance, mean_square, o.epsilon or EPSILON), x.shape), o)
end

function forms.batch_norm(g, call, x, o)
  if not (o and o.mean) then
    call:refuse "it normalises by the batch's own statistics: an example would depend on the others"
  end
  local distance = g:node("Sub", { x, o.mean })
  return affine(g, normalised(g, distance, o.variance, o.epsilon or EPSILON), o)
end

-- Losses and the like are composed; a number beside tensors is one of the real type.
function forms.straight_through(g, _, hard)
  return g:name(hard.dtype == REAL and hard or g:cast(hard, REAL))
end

return forms
