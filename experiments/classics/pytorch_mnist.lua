-- PyTorch's "Basic MNIST Example": two convolutions, max-pool, dropout, two linear layers, by Adadelta whose rate falls
-- to 0.7 of itself after each epoch.
-- Source: the PyTorch contributors (2016), github.com/pytorch/examples, mnist/main.py: 14 epochs, batches of 64; all
-- weights begin uniform in ±1/√inputs. That one looks at the test images after each epoch; this one at 5,000 images
-- that it sets aside, and at the test images once.
--   smrun experiments/classics/pytorch_mnist.lua data=mnist
local sm = require "sm"
local nn = sm.nn

local p = sm.params { data = "mnist_mini", epochs = 14, steps = 0, batch = 64, lr = 1.0, gamma = 0.7, seed = 1 }

local adadelta = sm.optim.define {
  name = "adadelta", -- Zeiler 2012, arxiv.org/abs/1212.5701
  options = { rho = { type = "real", default = 0.9 }, epsilon = { type = "real", default = 1e-6 } },
  state = function(shape) return { square = sm.zeros(shape), moved = sm.zeros(shape) } end,
  step = function(w, g, state, at)
    state.square = at.rho * state.square + (1 - at.rho) * g:square()
    local delta = (state.moved + at.epsilon):sqrt() / (state.square + at.epsilon):sqrt() * g
    state.moved = at.rho * state.moved + (1 - at.rho) * delta:square()
    return w - at.lr * delta
  end,
}

local function uniform(shape, inputs) return (sm.rand(shape) * 2 - 1) / inputs ^ 0.5 end
local function conv(n) return nn.conv2d { n, kernel = 3, padding = "valid", init = uniform, bias_init = uniform } end
local function linear(n) return nn.linear { n, init = uniform, bias_init = uniform } end

local data = sm.data[p.data] { validation = 5000 }
local epoch = math.ceil(#data.train / p.batch)

return sm.experiment {
  data      = data,
  model     = nn.sequential {
    nn.fn(function(x) return (x - 0.1307) / 0.3081 end), -- mean and deviation of MNIST
    conv(32), nn.relu(), conv(64), nn.relu(), nn.maxpool2d { 2 }, nn.dropout { 0.25 },
    nn.flatten(), linear(128), nn.relu(), nn.dropout { 0.5 }, linear(10),
  },
  loss      = "cross_entropy",
  optimizer = adadelta { lr = sm.optim.step { lr = p.lr, every = epoch, factor = p.gamma } },
  schedule  = { steps = p.steps > 0 and p.steps or p.epochs * epoch, batch = p.batch, evaluate = epoch,
    checkpoint = epoch },
  seed      = p.seed,
}
