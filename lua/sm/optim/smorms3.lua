--- SMORMS3: squared mean over root mean squared cubed. Funk 2015, "RMSprop loses to SMORMS3 – Beware the
--- Epsilon!".
local optimizer = require "sm.optim.optimizer"
local runtime = require "sm.runtime"
local tensor = require "sm.tensor"

--- optim.smorms3 { lr = 1e-3, ease_in = 0, epsilon = 1e-16, weight_decay = 0, clip_norm, clip_value }
---   r = 1/(mem + 1);  g = (1 − r)·g + r·gradient;  g2 = (1 − r)·g2 + r·gradient²
---   x = g²/(g2 + epsilon);  w −= gradient·min(x, cap)/(√g2 + epsilon);  mem = 1 + mem·(1 − x)
--- The cap is lr, and over the first `ease_in` steps it rises to lr in a straight line: lr·min(1, t/ease_in).
return optimizer.define("smorms3", {
  options = {
    lr = { type = { "number", "function" }, default = 1e-3, min = 0, below = math.huge },
    ease_in = { type = "integer", default = 0, min = 0 },
    epsilon = { type = "number", default = 1e-16, above = 0 },
  },

  state_names = { "mem", "g", "g2" },
  state = function(shape)
    return { mem = tensor.ones(shape), g = tensor.zeros(shape), g2 = tensor.zeros(shape) }
  end,

  rate = function(options, lr, step)
    return step < options.ease_in and lr * (step / options.ease_in) or lr
  end,

  constants = { "epsilon" },
  update = function(w, gradient, state, call)
    call.cap = call.lr
    return runtime.optim.smorms3(w, gradient, state.mem, state.g, state.g2, call)
  end,
})
