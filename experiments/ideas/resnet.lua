-- Why do deeper networks not train, and does it help if a layer learns only what it should add? ResNet-20: three stages
-- of three blocks, each x + f(x) with two convolutions in f. residual=false has f(x) alone, the "plain" network.
-- Where a stage halves the image and doubles the channels, x is thinned out and padded with zeros (the paper's A).
-- Source: K. He, X. Zhang, S. Ren and J. Sun (2015), "Deep Residual Learning for Image Recognition".
--   smrun experiments/ideas/resnet.lua residual=true,false
-- Reached, in 300 steps: a test accuracy of 97.7 %, and 98.9 % with residual=false; a plain network of this depth
-- trains well. The paper reports 8.75 % errors of ResNet-20 on CIFAR-10, and finds plain networks worse from some 30
-- layers on.
local sm = require "sm"
local nn, view = sm.nn, sm.view

local p = sm.params {
  data = "mnist_mini", blocks = 3, width = 16, residual = true, seed = 1, steps = 300, batch = 64, lr = 0.1,
}

local function conv(n, stride)
  return nn.sequential { nn.conv2d { n, kernel = 3, stride = stride, bias = false }, nn.batchnorm() }
end

local function thin_out(channels)
  return nn.fn(function(x) return x:avgpool2d(1, { stride = 2 }):pad { 0, channels // 2 } end)
end

local function block(n, stride)
  local f = nn.sequential { conv(n, stride), nn.relu(), conv(n, 1) }
  if not p.residual then return nn.sequential { f, nn.relu() } end
  return nn.sequential { nn.residual { f, shortcut = stride == 2 and thin_out(n) or nil }, nn.relu() }
end

local layers = { conv(p.width, 1), nn.relu() }
for stage = 0, 2 do
  for i = 1, p.blocks do layers[#layers + 1] = block(p.width << stage, stage > 0 and i == 1 and 2 or 1) end
end
layers[#layers + 1] = nn.global_avgpool()
layers[#layers + 1] = nn.linear { 10 }

local function responses(at) -- after each 3 x 3 convolution and its batchnorm
  local list = {}
  for path, y in pairs(at.model:activations((at.data.validation:batches(50)()))) do
    if path:find "batchnorm1$" then list[#list + 1] = y:std():item() end
  end
  return list
end

return sm.experiment {
  data      = sm.data[p.data] { validation = 5000 },
  model     = nn.sequential(layers),
  loss      = "cross_entropy",
  optimizer = sm.optim.sgd { lr = sm.optim.cosine { lr = p.lr, steps = p.steps }, momentum = 0.9, weight_decay = 1e-4 },
  schedule  = { steps = p.steps, batch = p.batch, evaluate = 100 },
  views     = { view.plot(responses, { title = "Standard deviation of each layer", x_axis = "layer" }) },
  seed      = p.seed,
}
