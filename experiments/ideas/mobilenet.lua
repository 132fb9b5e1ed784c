-- What is lost when a convolution is cut in two, one that looks at each channel by itself and one that mixes channels
-- at a pixel? It needs about an eighth of the products. separable=false has the whole ones; `width` multiplies all
-- channels.
-- Source: A. G. Howard et al. (2017), "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision
-- Applications".
--   smrun experiments/ideas/mobilenet.lua separable=true,false width=0.5,1
-- Reached, in 500 steps: a test accuracy of 95.4 %. The paper reports 70.6 % on ImageNet, and 71.7 % with whole
-- convolutions, of eight times as many products.
local sm = require "sm"
local nn, view = sm.nn, sm.view

local p = sm.params {
  data = "mnist_mini", separable = true, width = 1.0, seed = 1, steps = 500, batch = 50, lr = 3e-3,
}

local layers, channels = {}, 1

local function conv(n, options)
  options[1], options.bias = n, false
  layers[#layers + 1] = nn.sequential { nn.conv2d(options), nn.batchnorm(), nn.relu6() }
  channels = n
end

local function block(n, stride)
  n = math.floor(n * p.width)
  if p.separable then
    conv(channels, { kernel = 3, stride = stride, groups = channels })
    conv(n, { kernel = 1 })
  else
    conv(n, { kernel = 3, stride = stride })
  end
end

local function filters(at) -- of the second convolution, which looks at each channel by itself
  return at.model.layers[2].layers[1].weight:narrow(3, 1, 1):permute(4, 1, 2, 3)
end

conv(math.floor(32 * p.width), { kernel = 3, stride = 2 })
for _, shape in ipairs { { 64, 1 }, { 128, 2 }, { 128, 1 }, { 256, 2 }, { 256, 1 } } do block(shape[1], shape[2]) end
layers[#layers + 1] = nn.global_avgpool()
layers[#layers + 1] = nn.linear { 10 }

return sm.experiment {
  data      = sm.data[p.data] { validation = 5000 },
  model     = nn.sequential(layers),
  loss      = "cross_entropy",
  optimizer = sm.optim.rmsprop { lr = sm.optim.cosine { lr = p.lr, steps = p.steps } },
  schedule  = { steps = p.steps, batch = p.batch },
  views     = { view.images(filters, { columns = 16, signed = true, title = "Filters, one for each channel" }) },
  seed      = p.seed,
}
