--- Stochastic gradient descent, with momentum and Nesterov's momentum.
--- Sutskever et al. 2013, "On the importance of initialization and momentum in deep learning".
local fail = require "sm.fail"
local optimizer = require "sm.optim.optimizer"
local runtime = require "sm.runtime"
local tensor = require "sm.tensor"

--- optim.sgd { lr = 0.1, momentum = 0.9 }: stochastic gradient descent.
---   v = momentum·v + g;  w −= lr·v, or with nesterov w −= lr·(g + momentum·v)
return optimizer.define {
  name = "sgd",
  options = {
    momentum = { type = "real", default = 0, min = 0, below = 1, doc = "what the velocity v keeps at each step" },
    nesterov = { type = "boolean", default = false, doc = "looks ahead along the velocity" },
  },
  validate = function(where, options)
    if options.nesterov and options.momentum == 0 then
      fail("%s: nesterov needs a momentum above 0", where)
    end
  end,

  state_names = { "velocity" },
  state = function(shape, options)
    return { velocity = options.momentum > 0 and tensor.zeros(shape) or nil }
  end,

  constants = { "momentum", "nesterov" },
  update = function(w, gradient, state, call)
    return runtime.optim.sgd(w, gradient, state.velocity, call)
  end,
}
