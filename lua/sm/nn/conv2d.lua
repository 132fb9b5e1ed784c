--- Convolution of images {N, height, width, channels}.
local fail = require "sm.fail"
local initialise = require "sm.nn.initialise"
local layer = require "sm.nn.layer"

--- nn.conv2d { filters, kernel = size }: y {N, height', width', filters}.
---   kernel           height and width of the window
---   stride           (1)
---   padding          "same" (height' = height/stride, rounded up), "valid" (none) or pixels on each side
---   ("same") bias             whether each filter has a bias (true)
---   init, bias_init  functions as in nn.init
return layer.define("conv2d", {
  short = "conv",
  role = "weights",
  options = {
    { type = "integer", required = true, min = 1 },
    kernel = { type = "integer", required = true, min = 1 },
    stride = { type = "integer", default = 1, min = 1 },
    padding = { type = { "integer", "string" }, min = 0, choices = { "same", "valid" }, default = "same" },
    bias = { type = "boolean", default = true },
    init = { type = "function", default = initialise.he_normal() },
    bias_init = { type = "function" },
  },

  setup = function(self, where)
    local options = self.options
    if options.bias_init and not options.bias then fail("%s: bias_init is given, but bias = false", where) end
    self.window = { stride = options.stride, padding = options.padding }
  end,

  build_values = function(self, shape)
    local options = self.options
    local filters, kernel = options[1], options.kernel
    if #shape ~= 4 then error("it takes images, {batch, height, width, channels}", 0) end
    local channels = shape[4]
    local fan_in, fan_out = kernel * kernel * channels, kernel * kernel * filters
    self:make_parameter("weight", { kernel, kernel, channels, filters }, options.init, fan_in, fan_out)
    if options.bias then
      self:make_parameter("bias", { filters }, options.bias_init or initialise.zeros(), fan_in, fan_out)
      self.window.bias = self.bias
    end
  end,

  forward = function(self, x) return x:conv2d(self.weight, self.window) end,

  -- From outputs to inputs, by the same weights.
  turned = function(self, y)
    local height, width = table.unpack(self.input_shape)
    return y:conv2d_transpose(self.weight,
      { stride = self.window.stride, padding = self.window.padding, size = { height, width } })
  end,

  describe = function(self)
    local options = self.options
    local stride = options.stride > 1 and (", stride %d"):format(options.stride) or ""
    local padding = options.padding ~= "same" and (", padding %s"):format(options.padding) or ""
    return ("%d filters %d×%d%s%s"):format(options[1], options.kernel, options.kernel, stride, padding)
  end,
})
