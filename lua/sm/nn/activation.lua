--- Activations: functions of one element.
local layer = require "sm.nn.layer"

local M = {}

--- nn.relu(), nn.sigmoid(), nn.tanh(), nn.softplus(): functions of one element. softplus is log(1 + exp x).
M.relu = layer.define("relu", { role = "activation", forward = function(_, x) return x:relu() end })
M.sigmoid = layer.define("sigmoid", { role = "activation", forward = function(_, x) return x:sigmoid() end })
M.tanh = layer.define("tanh", { role = "activation", forward = function(_, x) return x:tanh() end })
M.softplus = layer.define("softplus", { role = "activation", forward = function(_, x) return x:softplus() end })

return M
