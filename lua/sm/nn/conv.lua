--- Convolutions of images {N, height, width, channels} and of sequences {N, time, channels}.
local check = require "sm.check"
local fail = require "sm.fail"
local initialise = require "sm.nn.initialise"
local layer = require "sm.nn.layer"
local windows = require "sm.windows"

local sizes, short = require "sm.text".sizes, require "sm.text".short_sizes

-- Options of a layer: those of its operation, but for the bias, which is a parameter here, and its own.
local function options(operation)
  local all = check.with(windows.OPTIONS[operation])
  all[1] = { type = "integer", required = true, min = 1, doc = "how many filters" }
  all.kernel = { type = operation == "conv1d" and "integer" or { "integer", "table" }, required = true, min = 1,
    doc = "how large the window is" .. (operation == "conv1d" and "" or ", or {height, width}") }
  all.bias = { type = "boolean", default = true, doc = "whether each filter has a bias" }
  all.init = { type = "function", default = initialise.he_normal(), doc = "of the weight; he_normal by default" }
  all.bias_init = { type = "function", doc = "of the bias; zeros by default" }
  return all
end

local IMAGES <const> = "images, {batch, height, width, channels}"

-- Of a layer's options, those that the operation takes.
local function window_of(given, operation)
  local taken = check.taken(given, windows.OPTIONS[operation])
  taken.bias = nil
  return taken
end

local function check_filters(self, where)
  local given = self.options
  if given.bias_init and not given.bias then fail("%s: bias_init is given, but bias = false", where) end
  if given[1] % given.groups ~= 0 then
    fail("%s: %d filters cannot be divided into %d groups", where, given[1], given.groups)
  end
end

-- How many channels and how many filters there are in a group, for an input of this shape.
local function in_group(self, shape, what)
  local channels, groups = shape[#shape], self.options.groups
  if what:find "images" and #shape ~= 4 or what:find "sequences" and #shape ~= 3 then error("it takes " .. what, 0) end
  if channels % groups ~= 0 then error(("%d channels cannot be divided into %d groups"):format(channels, groups), 0) end
  return channels // groups, self.options[1] // groups
end

-- Makes the weight {…size of the kernel, from, to} and the bias.
-- @param taken the operation's options, which get the bias
-- @param channels, filters in a group
local function make(self, taken, kernel, from, to, channels, filters)
  local given, shape, elements = self.options, {}, 1
  for axis, size in ipairs(kernel) do shape[axis], elements = size, elements * size end
  shape[#shape + 1] = from
  shape[#shape + 1] = to
  local fan_in, fan_out = elements * channels, elements * filters
  self:make_parameter("weight", shape, given.init, fan_in, fan_out)
  if given.bias then
    self:make_parameter("bias", { given[1] }, given.bias_init or initialise.zeros(), fan_in, fan_out)
    taken.bias = self.bias
  end
end

local function words(self, kernel, window)
  local given = self.options
  local text = { ("%d filters %s"):format(given[1], sizes(kernel)) }
  local function add(word, value) text[#text + 1] = ("%s %s"):format(word, value) end
  local function axes(list) return short(#kernel == 1 and { list[2] } or list) end
  local stride, dilation, padding = axes(window.stride), axes(window.dilation), window.padding
  if stride ~= "1" then add("stride", stride) end
  if dilation ~= "1" then add("dilation", dilation) end
  if type(padding) == "table" then padding = short(#kernel == 1 and { padding[2], padding[4] } or padding) end
  if padding ~= "same" then add("padding", padding) end
  if given.groups > 1 then text[#text + 1] = given.groups .. " groups" end
  return table.concat(text, ", ")
end

local M = {}

--- nn.conv2d { filters, kernel = size }: y {N, height', width', filters}.
M.conv2d = layer.define("conv2d", {
  short = "conv",
  role = "weights",
  options = options "conv2d",

  setup = function(self, where)
    check_filters(self, where)
    self.kernel = windows.kernel(where, self.options.kernel)
    self.window = windows.conv2d(window_of(self.options, "conv2d"), where)
  end,

  build_values = function(self, shape)
    local channels, filters = in_group(self, shape, IMAGES)
    make(self, self.window, self.kernel, channels, self.options[1], channels, filters)
  end,

  forward = function(self, x) return x:conv2d(self.weight, self.window) end,

  -- From outputs to inputs, by the same weights.
  turned = function(self, y)
    local window, shape = self.window, self.input_shape
    return y:conv2d_transpose(self.weight, { stride = window.stride, padding = window.padding,
      dilation = window.dilation, groups = window.groups, size = { shape[1], shape[2] } })
  end,

  describe = function(self) return words(self, self.kernel, self.window) end,
})

--- nn.conv1d { filters, kernel = length }: y {N, time', filters} of sequences {N, time, channels}. Numbers
--- are of steps, and padding may be {before, after}.
M.conv1d = layer.define("conv1d", {
  role = "weights",
  options = options "conv1d",

  setup = function(self, where)
    check_filters(self, where)
    self.taken = windows.conv1d(window_of(self.options, "conv1d"), where)
  end,

  build_values = function(self, shape)
    local channels, filters = in_group(self, shape, "sequences, {batch, time, channels}")
    make(self, self.taken, { self.options.kernel }, channels, self.options[1], channels, filters)
  end,

  forward = function(self, x) return x:conv1d(self.weight, self.taken) end,
  describe = function(self) return words(self, { self.options.kernel }, self.taken) end,
})

--- nn.conv2d_transpose { filters, kernel = size }: the convolution turned around, y {N, height', width', filters}. Its
--- weight is that of a convolution from `filters` channels, {height, width, filters / groups, channels}. Where no
--- size is given, "same" makes height * stride.
M.conv2d_transpose = layer.define("conv2d_transpose", {
  short = "transpose",
  role = "weights",
  options = options "conv2d_transpose",

  setup = function(self, where)
    check_filters(self, where)
    self.kernel = windows.kernel(where, self.options.kernel)
    self.taken = windows.conv2d_transpose(window_of(self.options, "conv2d_transpose"), where)
  end,

  build_values = function(self, shape)
    local channels, filters = in_group(self, shape, IMAGES)
    make(self, self.taken, self.kernel, filters, shape[4], channels, filters)
  end,

  forward = function(self, x) return x:conv2d_transpose(self.weight, self.taken) end,
  describe = function(self) return words(self, self.kernel, self.taken) end,
})

return M
