-- Torch7's demonstration "train a digit classifier": a convolutional network with tanh, a perceptron with one hidden
-- layer, or logistic regression, each by plain stochastic gradient descent.
-- Source: C. Farabet (2012), github.com/torch/demos, train-a-digit-classifier/train-on-mnist.lua: 32 x 32 pixels of
-- mean 0 and variance 1, batches of 10, a rate of 0.05 that decays by 5e-7; all weights begin uniform in ±1/√inputs.
-- That one trains until it is stopped, this one for 2 epochs of MNIST; 5,000 images are set aside to look at meanwhile.
--   smrun experiments/classics/torch7_digits.lua data=mnist model=convnet,mlp,linear
local sm = require "sm"
local nn = sm.nn

local p = sm.params {
  data = "mnist_mini", model = "convnet", lr = 0.05, momentum = 0.0, l2 = 0.0, batch = 10, steps = 11000, seed = 1,
}

local function uniform(shape, inputs) return (sm.rand(shape) * 2 - 1) / inputs ^ 0.5 end
local function conv(n) return nn.conv2d { n, kernel = 5, padding = "valid", init = uniform, bias_init = uniform } end
local function linear(n) return nn.linear { n, init = uniform, bias_init = uniform } end
local function prepared(x) return (x:pad { 0, 0, 2, 2, 2, 2 } - 0.1001) / 0.2752 end -- mean and deviation of MNIST

local models = {
  convnet = function()
    return nn.sequential {
      nn.fn(prepared), conv(32), nn.tanh(), nn.maxpool2d { 3, padding = 1 }, conv(64), nn.tanh(), nn.maxpool2d { 2 },
      nn.flatten(), linear(200), nn.tanh(), linear(10),
    }
  end,
  mlp = function() return nn.sequential { nn.fn(prepared), nn.flatten(), linear(2048), nn.tanh(), linear(10) } end,
  linear = function() return nn.sequential { nn.fn(prepared), nn.flatten(), linear(10) } end,
}

return sm.experiment {
  data      = sm.data[p.data] { validation = 5000 },
  model     = assert(models[p.model], "model must be convnet, mlp or linear")(),
  loss      = "cross_entropy",
  optimizer = sm.optim.sgd {
    lr = function(step) return p.lr / (1 + 5e-7 * (step - 1)) end, momentum = p.momentum, weight_decay = p.l2,
  },
  schedule  = { steps = p.steps, batch = p.batch, evaluate = 1000, checkpoint = 1000 },
  seed      = p.seed,
}
