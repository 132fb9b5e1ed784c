--- Layers without arithmetic of their own: flatten, dropout, and any function of the user's.
local check = require "sm.check"
local layer = require "sm.nn.layer"
local runtime = require "sm.runtime"

local M = {}

--- nn.flatten(): {N, …} becomes {N, features}; shares the storage.
M.flatten = layer.define("flatten", {
  forward = function(_, x)
    local shape, features = x.shape, 1
    for axis = 2, #shape do features = features * shape[axis] end
    return x:reshape(shape[1], features)
  end,
})

--- nn.dropout { 0.5 }: in training each value is 0 with this probability, else divided by what is kept.
M.dropout = layer.define("dropout", {
  options = { { type = "real", required = true, min = 0, below = 1 } },
  forward = function(self, x)
    if not self.training then return x end
    return x:dropout(self.options[1])
  end,
  describe = function(self) return ("drops %g%%"):format(100 * self.options[1]) end,
})

--- nn.fn(f): any differentiable function of tensors as a layer, y = f(x, training). nn.fn { f, name = "swish"
--- }.
M.fn = layer.define("fn", {
  own_line = true,
  options = { { type = "function", required = true } },
  forward = function(self, x)
    local y = self.options[1](x, self.training)
    if not runtime.tensor.is_tensor(y) then
      error("the function must return a tensor, got " .. check.describe(y), 0)
    end
    return y
  end,
})

return M
