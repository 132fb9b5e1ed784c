--- Lion: evolved sign momentum. Chen et al. 2023, "Symbolic Discovery of Optimization Algorithms",
--- arxiv.org/abs/2302.06675.
local optimizer = require "sm.optim.optimizer"
local runtime = require "sm.runtime"
local tensor = require "sm.tensor"

--- optim.lion { lr = 1e-4 }: every weight moves by lr or not at all, the way that a mean of gradients points.
---   w = w·(1 − lr·weight_decay) − lr·sign(beta1·m + (1 − beta1)·g);  m = beta2·m + (1 − beta2)·g
--- A good lr is three to ten times smaller than AdamW's, and a good weight_decay so many times larger.
return optimizer.define {
  name = "lion",
  options = {
    lr = { type = { "real", "function" }, default = 1e-4, min = 0, below = math.huge, doc = optimizer.LEARNING_RATE },
    beta1 = { type = "real", default = 0.9, min = 0, below = 1, doc = "the share of m in the way a weight goes" },
    beta2 = { type = "real", default = 0.99, min = 0, below = 1, doc = "what the mean m keeps at each step" },
    weight_decay = { type = "real", default = 0, min = 0, below = math.huge,
      doc = "w is multiplied by 1 − lr·weight_decay" },
  },

  state_names = { "m" },
  state = function(shape) return { m = tensor.zeros(shape) } end,

  constants = { "beta1", "beta2" },
  update = function(w, gradient, state, call)
    return runtime.optim.lion(w, gradient, state.m, call)
  end,
}
