--- The networks that `make bench` trains; networks.py has the same ones in PyTorch, line by line.
--- Each has a name, a batch, `input`, the shape of an example, `build(dropout)`, and what its targets are: one of
--- `classes`, for each element of the shape `target` where there is one. `tokens` says that examples are integers below
--- it. `of_ten` are those that the mean is over. Padding is on both sides, as PyTorch has it.
local nn = require "sm".nn

local relu, flatten, linear = nn.relu, nn.flatten, nn.linear
local function pool() return nn.maxpool2d { 2 } end
local function norm() return nn.batchnorm() end
local function groups(n) return function() return nn.softmax { groups = n } end end

local function conv(filters, kernel, more)
  local options = { filters, kernel = kernel, padding = kernel // 2 }
  for name, value in pairs(more or {}) do options[name] = value end
  return nn.conv2d(options)
end

--- The tutorial's network: two convolutions, each with its activation. Weights and biases may start in other ways.
local function tutorial(first, second)
  return function(dropout, init, bias_init)
    local start = { init = init, bias_init = bias_init }
    local function full(n) return linear { n, init = init, bias_init = bias_init } end
    return nn.sequential { conv(32, 5, start), first(), pool(), conv(64, 5, start), second(), pool(), flatten(),
      full(1024), relu(), nn.dropout { dropout }, full(10) }
  end
end

local function lenet()
  return nn.sequential { conv(6, 5), relu(), pool(), conv(16, 5, { padding = 0 }), relu(), pool(), flatten(),
    linear { 120 }, relu(), linear { 84 }, relu(), linear { 10 } }
end

--- Pairs of 3x3 convolutions, twice as many filters where the image is half as large.
local function vgg(activation)
  return function()
    local layers = {}
    for _, filters in ipairs { 64, 128, 256 } do
      for _, layer in ipairs { conv(filters, 3), activation(), conv(filters, 3), activation(), pool() } do
        layers[#layers + 1] = layer
      end
    end
    return nn.sequential { nn.sequential(layers), flatten(), linear { 10 } }
  end
end

local function resnet()
  local stages = {}
  for stage, filters in ipairs { 16, 32, 64 } do
    local layers = { conv(filters, 3, { stride = stage > 1 and 2 or 1 }), norm(), relu() }
    for _ = 1, 3 do
      layers[#layers + 1] = nn.residual { conv(filters, 3), norm(), relu(), conv(filters, 3), norm() }
      layers[#layers + 1] = relu()
    end
    stages[stage] = nn.sequential(layers)
  end
  return nn.sequential { stages[1], stages[2], stages[3], nn.global_avgpool(), linear { 10 } }
end

--- Convolutions {filters, kernel, stride} with relu between them, and the mean of each of the last ones.
local function convolutions(list)
  return function()
    local layers = {}
    for i, shape in ipairs(list) do
      layers[#layers + 1] = shape == "pool" and pool() or conv(shape[1], shape[2], { stride = shape[3] or 1 })
      if shape ~= "pool" and i < #list then layers[#layers + 1] = relu() end
    end
    layers[#layers + 1] = nn.global_avgpool()
    return nn.sequential(layers)
  end
end

local function wide7()
  return nn.sequential { conv(32, 7, { stride = 2 }), relu(), pool(), conv(64, 3), relu(), pool(), conv(128, 3),
    relu(), pool(), flatten(), linear { 10 } }
end

--- A convolution of each channel, and one that mixes them, as experiments/ideas/mobilenet.lua has them.
local function mobilenet()
  local layers, channels = { conv(32, 3, { stride = 2, bias = false }), norm(), nn.relu6() }, 32
  for _, shape in ipairs { { 64, 1 }, { 128, 2 }, { 128, 1 }, { 256, 2 }, { 256, 1 } } do
    local apart = conv(channels, 3, { stride = shape[2], groups = channels, bias = false })
    channels = shape[1]
    for _, layer in ipairs { apart, norm(), nn.relu6(), conv(channels, 1, { bias = false }), norm(), nn.relu6() } do
      layers[#layers + 1] = layer
    end
  end
  return nn.sequential { nn.sequential(layers), nn.global_avgpool(), linear { 10 } }
end

local function twice(filters)
  return nn.sequential { conv(filters, 3, { bias = false }), norm(), relu(), conv(filters, 3, { bias = false }), norm(),
    relu() }
end

--- One size of experiments/ideas/unet.lua, and below it all smaller ones.
local function level(filters, below)
  if not below then return twice(filters) end
  local deep = nn.sequential { pool(), below, nn.conv2d_transpose { filters, kernel = 2, stride = 2 } }
  return nn.sequential { twice(filters), nn.concat { nn.identity(), deep }, twice(filters) }
end

local positions = nn.layer { -- a vector for each place, learnt
  kind = "positions",
  build_values = function(self, shape) self:make_parameter("weight", { shape[2], shape[3] }, nn.init.normal(0.02)) end,
  forward = function(self, x) return x + self.weight end,
}

--- experiments/ideas/transformer.lua.
local function transformer()
  local layers = { nn.embedding { 32, 64 }, positions() }
  for _ = 1, 2 do
    layers[#layers + 1] = nn.residual { nn.layernorm(), nn.attention { heads = 4, causal = true } }
    layers[#layers + 1] = nn.residual { nn.layernorm(), linear { 256 }, nn.gelu(), linear { 64 } }
  end
  return nn.sequential { nn.sequential(layers), nn.layernorm(), linear { 32 } }
end

local digit <const>, picture <const> = { 28, 28, 1 }, { 32, 32, 3 }

local list <const> = {
  { "tutorial", batch = 50, input = digit, of_ten = true, build = tutorial(relu, relu) },
  { "groups", batch = 50, input = digit, of_ten = true, build = tutorial(groups(1), groups(4)) },
  { "mlp", batch = 100, input = { 784 }, of_ten = true, build = function()
    return nn.sequential { linear { 1024 }, relu(), linear { 1024 }, relu(), linear { 10 } }
  end },
  { "lenet", batch = 100, input = digit, of_ten = true, build = lenet },
  { "vgg", batch = 64, input = picture, of_ten = true, build = vgg(relu) },
  { "vggsoftmax", batch = 64, input = picture, of_ten = true, build = vgg(groups(8)) },
  { "resnet", batch = 64, input = picture, of_ten = true, build = resnet },
  { "nin", batch = 64, input = picture, of_ten = true, build = convolutions { { 96, 5 }, { 96, 1 }, { 96, 1 }, "pool",
    { 192, 5 }, { 192, 1 }, { 192, 1 }, "pool", { 192, 3 }, { 192, 1 }, { 10, 1 } } },
  { "allconv", batch = 64, input = picture, of_ten = true, build = convolutions { { 48, 3 }, { 48, 3 }, { 48, 3, 2 },
    { 96, 3 }, { 96, 3 }, { 96, 3, 2 }, { 96, 3 }, { 96, 1 }, { 10, 1 } } },
  { "wide7", batch = 32, input = { 64, 64, 3 }, of_ten = true, build = wide7 },
  { "mobilenet", batch = 50, input = digit, build = mobilenet },
  { "unet", batch = 25, input = { 28, 44, 1 }, target = { 28, 44 }, classes = 11, build = function()
    return nn.sequential { level(8, level(16, level(32))), conv(11, 1) }
  end },
  { "lstm", batch = 50, input = { 64 }, target = { 64 }, tokens = 33, classes = 33, build = function()
    return nn.sequential { nn.embedding { 33, 32 }, nn.lstm { 96 }, linear { 33 } }
  end },
  { "transformer", batch = 50, input = { 47 }, target = { 47 }, tokens = 32, classes = 32, build = transformer },
  { "lenet10", batch = 10, input = digit, build = lenet }, -- where the time between kernels counts most
}

for _, network in ipairs(list) do
  network.name, network.classes, network.target = network[1], network.classes or 10, network.target or {}
  list[network.name] = network
end

return list
