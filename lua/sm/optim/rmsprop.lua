--- RMSprop: the gradient divided by its recent root mean square.
--- Tieleman and Hinton 2012, "Neural networks for machine learning", lecture 6.5.
local optimizer = require "sm.optim.optimizer"
local runtime = require "sm.runtime"
local tensor = require "sm.tensor"

--- optim.rmsprop { lr = 1e-3 }: the gradient divided by its recent root mean square.
---   s = decay·s + (1 − decay)·g²;  w −= lr·g/(√s + epsilon)
return optimizer.define {
  name = "rmsprop",
  options = {
    decay = { type = "real", default = 0.9, min = 0, below = 1, doc = "what the mean s keeps at each step" },
    epsilon = { type = "real", default = 1e-8, above = 0, below = math.huge, doc = "added to the root" },
  },

  state_names = { "square" },
  state = function(shape) return { square = tensor.zeros(shape) } end,

  constants = { "decay", "epsilon" },
  update = function(w, gradient, state, call)
    return runtime.optim.rmsprop(w, gradient, state.square, call)
  end,
}
