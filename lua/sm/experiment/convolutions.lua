--- Which method each convolution of a step goes by: `convolutions` in environment.json.
local autograd = require "sm.autograd"
local json = require "sm.json"
local runtime = require "sm.runtime"
local shape_text = require "sm.text".shape

local M = {}

local C <const> = runtime.conv

local function forward(_, x, w, _, options) return "forward", x.shape, w.shape, options, w end

--- Of each kernel, by its result and its arguments: the pass, the shapes of the convolution's images and filters, its
--- options, and the filters where they are at hand. A transposed convolution is the data gradient of one.
local kernels <const> = {
  conv2d = forward,
  conv2d_maxpool2d = forward,
  conv2d_backward_data = function(_, _, w, shape, options) return "data_gradient", shape, w.shape, options, w end,
  conv2d_backward_filter = function(_, _, x, shape, options) return "filter_gradient", x.shape, shape, options end,
  conv2d_transpose = function(x, _, w, options) return "data_gradient", x.shape, w.shape, options, w end,
}

--- A tensor, or the one that it is another shape of.
local function origin(x)
  local operation, first = autograd.made_by(x)
  return operation == "reshape" and first or x
end

--- A list as a shape is written, anything else as it is.
local function shown(value) return type(value) == "table" and shape_text(value) or tostring(value) end

--- Enters the method of a pass. `found` has an entry for all passes of convolutions that are alike, in the order of
--- the first, and by a text that tells them.
local function enter(found, names, pass, images, filters, options, weight)
  local entry = { images = shown(images), filters = shown(filters), stride = shown(options.stride),
    dilation = shown(options.dilation), padding = shown(options.padding), groups = shown(options.groups or 1) }
  local key = table.concat({ entry.images, entry.filters, entry.stride, entry.dilation, entry.padding, entry.groups })
  if not found[key] then found[key], found[#found + 1] = entry, entry end
  entry = found[key]
  entry[pass] = entry[pass] or C.methods(images, filters, options)[pass]
  local own = weight and origin(weight)
  if not own or not names[own] then return end
  entry.weights = entry.weights and entry.weights .. ", " .. names[own] or names[own]
  names[own] = nil -- once
end

--- Calls f(...), a step, hearing of its convolutions.
--- @param parameters table name → tensor, of the model
--- @param tell function(list) gets, after the step, a table of texts for each kind of convolution
--- @return any what f returns
function M.heard(parameters, tell, f, ...)
  local found, names, kept = {}, {}, {}
  for name, tensor in pairs(parameters) do names[tensor] = name end
  local function restore()
    for name, kernel in pairs(kept) do C[name] = kernel end
  end
  local _ <close> = setmetatable({}, { __close = restore })
  local function noted(of, given, ...)
    enter(found, names, of((...), table.unpack(given, 1, given.n)))
    return ...
  end
  for name, of in pairs(kernels) do
    local kernel = C[name]
    kept[name] = kernel
    C[name] = function(...) return noted(of, table.pack(...), kernel(...)) end
  end
  local function told(...)
    tell(table.move(found, 1, #found, 1, {}))
    return ...
  end
  return told(autograd.restoring(restore, f, ...))
end

--- Keeps them in a run's environment.json; of a run that goes on, only where they are others.
--- @param list table as M.heard tells it
function M.keep(run, list)
  local first = run.record.convolutions
  if #list == 0 then return end
  if not first then
    run:note { convolutions = json.array(list) }
  elseif json.encode(first) ~= json.encode(list) then
    run.record.sessions[#run.record.sessions].convolutions = json.array(list)
    run:note {}
  end
end

return M
