--- Adam and AdamW. Kingma and Ba 2015, arxiv.org/abs/1412.6980, in TensorFlow's form (epsilon outside the
--- bias correction); AdamW: Loshchilov and Hutter 2019, arxiv.org/abs/1711.05101.
local optimizer = require "sm.optim.optimizer"
local runtime = require "sm.runtime"
local tensor = require "sm.tensor"

local adam <const> = runtime.optim.adam

-- Weight decay adds weight_decay·w to g; decoupled, it multiplies w by 1 − lr·weight_decay instead.
local function define(name, weight_decay, decoupled)
  return optimizer.define {
    name = name,
    options = {
      lr = { type = { "real", "function" }, default = 1e-3, min = 0, below = math.huge, doc = optimizer.LEARNING_RATE },
      beta1 = { type = "real", default = 0.9, min = 0, below = 1, doc = "what the mean m keeps at each step" },
      beta2 = { type = "real", default = 0.999, min = 0, below = 1, doc = "what the mean of squares v keeps" },
      epsilon = { type = "real", default = 1e-8, above = 0, below = math.huge, doc = "added to the root" },
      weight_decay = { type = "real", default = weight_decay, min = 0, below = math.huge,
        doc = decoupled and "w is multiplied by 1 − lr·weight_decay" or "weight_decay·w is added to the gradient" },
    },

    state_names = { "m", "v" },
    state = function(shape) return { m = tensor.zeros(shape), v = tensor.zeros(shape) } end,

    constants = { "beta1", "beta2", "epsilon" },
    update = function(w, gradient, state, call)
      call.decoupled = decoupled
      return adam(w, gradient, state.m, state.v, call)
    end,
  }
end

return {
  --- optim.adam { lr = 1e-3 }: Adam, with the epsilon outside the bias correction, as TensorFlow has it.
  ---   m = beta1·m + (1 − beta1)·g;  v = beta2·v + (1 − beta2)·g²
  ---   w −= lr·√(1 − beta2^t)/(1 − beta1^t) · m/(√v + epsilon),  t the optimizer's step, 1 for the first
  adam = define("adam", 0, false),
  --- optim.adamw { lr = 1e-3, weight_decay = 0.01 }: Adam whose weight decay is decoupled from the gradient.
  adamw = define("adamw", 0.01, true),
}
