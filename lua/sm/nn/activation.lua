--- Activations: functions of one element.
local check = require "sm.check"
local layer = require "sm.nn.layer"
local runtime = require "sm.runtime"

local M = {}

--- nn.relu(), nn.gelu { approximate = "tanh" }, nn.leaky_relu { 0.1 }, …: functions of one element. A record of
-- sm.ops.pointwise that says `layer` is one; its numbers come in their order.
for _, operation in ipairs(require "sm.ops.pointwise") do
  if operation.layer then
    local call = operation.layer.call
    M[operation.name] = layer.define(operation.name, {
      role = "activation",
      options = check.with(operation.layer.options),
      forward = function(self, x) return call(x, self.options) end,
      describe = function(self) return operation.layer.describe(self.options) end,
    })
  end
end

--- nn.prelu { channels = 32 }: a leaky_relu whose slopes are trained, one for each channel; without `channels` one for
-- all.
M.prelu = layer.define("prelu", {
  role = "activation",
  options = {
    channels = { type = "integer", min = 1, default = 1, doc = "how many slopes there are" },
    init = { type = "real", default = 0.25, doc = "what they begin with" },
  },
  build_values = function(self)
    local function constant(shape) return runtime.tensor.full(shape, self.options.init) end
    self:make_parameter("slope", { self.options.channels }, constant, 1, 1)
  end,
  forward = function(self, x) return x:prelu(self.slope) end,
})

return M
