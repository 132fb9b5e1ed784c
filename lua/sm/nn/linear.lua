--- The fully connected layer.
local fail = require "sm.fail"
local initialise = require "sm.nn.initialise"
local layer = require "sm.nn.layer"

local M = {}

--- nn.linear { features }: y {N, …, features} = x {N, …, in} · weight {in, features} + bias {features}, along the last
--- axis.
M.linear = layer.define("linear", {
  role = "weights",
  options = {
    { type = "integer", required = true, min = 1, doc = "features" },
    bias = { type = "boolean", default = true, doc = "whether each output has a bias" },
    init = { type = "function", default = initialise.he_normal(), doc = "of the weight; he_normal by default" },
    bias_init = { type = "function", doc = "of the bias; zeros by default" },
  },

  setup = function(self, where)
    local options = self.options
    if options.bias_init and not options.bias then fail("%s: bias_init is given, but bias = false", where) end
  end,

  build_values = function(self, shape)
    local options = self.options
    local inputs, outputs = shape[#shape], options[1]
    self:make_parameter("weight", { inputs, outputs }, options.init, inputs, outputs)
    if options.bias then
      self:make_parameter("bias", { outputs }, options.bias_init or initialise.zeros(), inputs, outputs)
    end
  end,

  forward = function(self, x) return x:linear(self.weight, self.bias) end,

  -- From outputs to inputs, by the same weights.
  turned = function(self, y) return y:matmul(self.weight:transpose()) end,

  describe = function(self) return ("%d features"):format(self.options[1]) end,
})

return M
