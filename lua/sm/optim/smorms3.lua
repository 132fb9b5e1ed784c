--- SMORMS3: squared mean over root mean squared cubed. Funk 2015, "RMSprop loses to SMORMS3 – Beware the
--- Epsilon!".
local columns = require "sm.columns"
local optimizer = require "sm.optim.optimizer"
local runtime = require "sm.runtime"
local tensor = require "sm.tensor"

--- optim.smorms3 { lr = 1e-3 }: RMSprop whose memory follows from the gradients, and whose steps are capped.
---   r = 1/(mem + 1);  g = (1 − r)·g + r·gradient;  g2 = (1 − r)·g2 + r·gradient²
---   x = g²/(g2 + epsilon);  w −= gradient·min(x, cap)/(√g2 + epsilon);  mem = 1 + mem·(1 − x)
--- The cap is lr, and over the first `ease_in` steps it rises to lr in a straight line: lr·min(1, t/ease_in).
return optimizer.define {
  name = "smorms3",
  options = {
    lr = { type = { "real", "function" }, default = 1e-3, min = 0, below = math.huge,
      doc = "the cap of a weight's step, or a function of the step" },
    ease_in = { type = "integer", default = 0, min = 0, doc = "steps over which the cap rises to lr" },
    epsilon = { type = "real", default = 1e-16, above = 0, below = math.huge, doc = "added to g2 and to its root" },
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

  -- The cap holds a step where x ≥ cap. The percentiles of the memory are right to within 0.4 % of it.
  telemetry_names = columns.define { heading = "Optimizer",
    { "cap_share", words = "the share of the weights whose step was held by the cap, the learning rate" },
    { "mem_p10", "mem_p50", "mem_p90", title = "memory", words = "over how many steps SMORMS3 takes the mean of a "
      .. "weight's gradients. 10, 50 and 90 % of the weights have at most so many" },
  },
  telemetry = function(moved)
    local parts, figures = {}, {}
    for i, entry in ipairs(moved) do
      parts[i] = { entry.state.mem, entry.state.g, entry.state.g2, entry.call }
    end
    figures.cap_share, figures.mem_p10, figures.mem_p50, figures.mem_p90 =
      runtime.optim.smorms3_look(parts, 0.1, 0.5, 0.9)
    return figures
  end,
}
