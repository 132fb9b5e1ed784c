--- Several ranks make a step together, as coroutines of one process (tests/lua/among.lua): the same bits as one process
--- that has all examples, for every kind of network.
local sm = require "sm"
local runtime = require "sm.runtime"
local among = dofile "tests/lua/among.lua"
local random = require "sm.random"
local ranks = require "sm.ranks"

local nn, optim = sm.nn, sm.optim
local PARTS <const>, STEPS <const> = 4, 3

local function randn(...) return sm.randn(...) end
local function labels(n, classes) return sm.randint(0, classes, n) end

local function conv(filters, kernel, more)
  local options = { filters, kernel = kernel, padding = kernel // 2 }
  for key, value in pairs(more or {}) do options[key] = value end
  return nn.conv2d(options)
end

-- Each: model(), batch(n) → inputs and targets, loss; `n` is the batch, 16 unless it says another.
local NETWORKS <const> = {
  ["a perceptron"] = {
    model = function() return nn.sequential { nn.linear { 33 }, nn.relu(), nn.linear { 17 }, nn.tanh(),
      nn.linear { 5 } } end,
    batch = function(n) return randn(n, 20), labels(n, 5) end,
  },
  ["convolutions and pooling"] = {
    model = function() return nn.sequential { conv(6, 5), nn.relu(), nn.maxpool2d { 2 }, conv(16, 3), nn.relu(),
      nn.maxpool2d { 2 }, nn.flatten(), nn.linear { 10 } } end,
    batch = function(n) return randn(n, 12, 12, 1), labels(n, 10) end,
  },
  ["convolutions of sixteen channels, strided, in groups"] = {
    model = function() return nn.sequential { conv(16, 3), nn.softmax { groups = 4 }, conv(32, 3, { stride = 2 }),
      nn.gelu(), conv(32, 3, { groups = 32 }), nn.elu(), conv(16, 1), nn.global_avgpool(), nn.linear { 4 } } end,
    batch = function(n) return randn(n, 8, 8, 3), labels(n, 4) end,
  },
  ["batchnorm and residuals"] = {
    model = function() return nn.sequential { conv(8, 3), nn.batchnorm(), nn.relu(),
      nn.residual { conv(8, 3), nn.batchnorm(), nn.relu(), conv(8, 3), nn.batchnorm() }, nn.relu(),
      nn.batchnorm(), nn.relu6(), nn.global_avgpool(), nn.linear { 4 }, nn.batchnorm() } end,
    batch = function(n) return randn(n, 6, 6, 3), labels(n, 4) end,
  },
  ["layernorm, groupnorm and dropout"] = {
    model = function() return nn.sequential { nn.linear { 24 }, nn.layernorm(), nn.dropout { 0.3 }, nn.linear { 12 },
      nn.groupnorm { groups = 3 }, nn.dropout { 0.5 }, nn.linear { 3 } } end,
    batch = function(n) return randn(n, 9), labels(n, 3) end,
  },
  ["gumbel_softmax and learned temperatures"] = {
    model = function() return nn.sequential { nn.linear { 24 }, nn.gumbel_softmax { groups = 4 }, nn.linear { 12 },
      nn.softmax { groups = 3, temperature = "learned" }, nn.linear { 3 } } end,
    batch = function(n) return randn(n, 9), labels(n, 3) end,
  },
  ["an embedding and an lstm"] = {
    model = function() return nn.sequential { nn.embedding { 11, 6 }, nn.lstm { 7, layers = 2, dropout = 0.25 },
      nn.gru { 5, last = true }, nn.linear { 4 } } end,
    batch = function(n) return sm.randint(0, 11, n, 9), labels(n, 4) end,
  },
  ["attention with dropout, of tokens with positions"] = {
    model = function()
      local positions = nn.layer {
        kind = "positions",
        build_values = function(self, shape)
          self:make_parameter("table", { shape[2], shape[3] }, nn.init.normal(0.1))
        end,
        forward = function(self, x) return x + self.table end,
      }
      return nn.sequential { nn.embedding { 11, 12 }, positions(), nn.attention { heads = 3, dropout = 0.2 },
        nn.layernorm(), nn.linear { 24 }, nn.gelu(), nn.dropout { 0.1 }, nn.linear { 12 }, nn.flatten(),
        nn.linear { 4 } }
    end,
    batch = function(n) return sm.randint(0, 11, n, 6), labels(n, 4) end,
  },
  ["another loss, with weight decay in it"] = {
    model = function() return nn.sequential { nn.linear { 13 }, nn.silu(), nn.linear { 3 } } end,
    batch = function(n) return randn(n, 7), randn(n, 3) end,
    loss = function(output, target, _, model)
      local decay = 0
      for _, name in ipairs { "linear1.weight", "linear2.weight" } do
        decay = decay + (model:parameters()[name] ^ 2):sum()
      end
      return output:mse(target) + 0.3 * output:huber(target, { delta = 0.5 }) + 0.01 * decay
        + 0.1 * (output:sum(-1) ^ 2):mean() + (output * target):sum() / output.shape[1] * 0.01
    end,
  },
  ["labels of which some are ignored, and weights of classes"] = {
    model = function() return nn.sequential { nn.linear { 6 } } end,
    batch = function(n) return randn(n, 7), sm.randint(0, 6, n) end,
    loss = function(output, target)
      return output:cross_entropy(target, { ignore = 2, weight = { 1, 0.3, 0, 2, 1.7, 0.1 }, label_smoothing = 0.1 })
    end,
  },
  ["weights that are computed of parameters and used twice"] = {
    model = function()
      local tied = nn.layer {
        kind = "tied",
        build_values = function(self, shape)
          self:make_parameter("direction", { shape[2], shape[2] }, nn.init.normal(0.5))
          self:make_parameter("length", { shape[2] }, nn.init.normal(1))
        end,
        forward = function(self, x)
          local w = self.direction / (self.direction ^ 2):sum(1, { keepdim = true }):sqrt() * self.length:exp()
          return (x:matmul(w):tanh():matmul(w) + x:matmul(self.direction)):matmul(w:transpose(1, 2))
        end,
      }
      return nn.sequential { nn.linear { 8 }, tied(), nn.linear { 3 } }
    end,
    batch = function(n) return randn(n, 7), labels(n, 3) end,
  },
  ["noise of its own, and masks of the examples"] = {
    model = function()
      local noisy = nn.layer {
        kind = "noisy",
        build_values = function(self, shape) self:make_parameter("scale", { shape[2] }, nn.init.normal(1)) end,
        forward = function(self, x)
          local noise, kept = sm.randn(x.shape[1], x.shape[2]), sm.bernoulli(x:sigmoid():detach())
          return sm.where(kept:gt(0), x, noise * self.scale) + sm.rand(x.shape) * 0.1
        end,
      }
      return nn.sequential { nn.linear { 8 }, noisy(), nn.linear { 3 } }
    end,
    batch = function(n) return randn(n, 7), labels(n, 3) end,
  },
  ["a penalty on the gradient by the examples"] = {
    model = function() return nn.sequential { nn.linear { 9 }, nn.softplus(), nn.linear { 3 } } end,
    batch = function(n) return randn(n, 7), labels(n, 3) end,
    loss = function(output, target, input, model)
      local x = input:detach():requires_grad()
      local g = sm.grad(model(x):logsumexp(-1):sum(), { x }, { create_graph = true })[1]
      return output:cross_entropy(target) + 0.1 * (((g * g):sum(-1) + 1e-3):sqrt() - 1):pow(2):mean()
    end,
  },
  ["images made larger, transposed windows and distances"] = {
    model = function() return nn.sequential { nn.conv2d_transpose { 6, kernel = 3, stride = 2 }, nn.leaky_relu(),
      nn.upsample2d { factor = 2 }, nn.avgpool2d { 2 }, conv(3, 1), nn.batchnorm() } end,
    batch = function(n) return randn(n, 4, 4, 2), randn(n, 8, 8, 3) end,
    loss = function(output, target)
      return output:l1(target) + output:bce_with_logits(target:sigmoid()) + output:hinge(target:sign())
        + output:cosine(target) + output:log_softmax():kl_div(target:softmax())
    end,
  },
  ["sequences under a convolution, products of many axes and choices in groups"] = {
    model = function()
      local mixing = nn.layer {
        kind = "mixing",
        build_values = function(self, shape)
          self:make_parameter("weight", { shape[2], shape[3], 4 }, nn.init.normal(0.5))
          self:make_parameter("gain", { shape[3] }, nn.init.normal(1))
        end,
        forward = function(self, x)
          local top = x:topk(2, 2):sum(2)
          return sm.cat({ sm.einsum("ntc,tck->nk", x * self.gain, self.weight), top:narrow(2, 1, 4) }, 2)
        end,
      }
      return nn.sequential { nn.conv1d { 8, kernel = 3, padding = 1 }, nn.sparsemax { groups = 2 },
        nn.conv1d { 12, kernel = 3, padding = 1 }, nn.maxout { 8, pieces = 2 }, nn.kwta { k = 2, groups = 2 }, mixing(),
        nn.linear { 3 } }
    end,
    batch = function(n) return randn(n, 7, 5), labels(n, 3) end,
  },
  ["one example for each rank"] = {
    n = 4,
    model = function() return nn.sequential { nn.linear { 8 }, nn.batchnorm(), nn.relu(), nn.dropout { 0.2 },
      nn.linear { 3 } } end,
    batch = function(n) return randn(n, 7), labels(n, 3) end,
  },
  ["a mean that normalises the whole batch, and loops over its examples"] = {
    model = function()
      local scaled = nn.layer {
        kind = "scaled",
        build_values = function(self) self:make_parameter("gain", { 1 }, nn.init.constant(1.3)) end,
        forward = function(self, x) return x / x:abs():mean() * self.gain end,
      }
      return nn.sequential { nn.linear { 8 }, scaled(), nn.linear { 3 } }
    end,
    batch = function(n) return randn(n, 7), labels(n, 3) end,
    loss = function(output, target)
      local total = 0
      for i = 1, #output do total = total + output[i]:square():sum() end
      return total / #output * 0.01 + output:cross_entropy(target)
    end,
  },
}

local function checksums(model)
  local list = {}
  for _, map in ipairs { model:parameters(), model:buffers() } do
    for name, tensor in pairs(map) do list[#list + 1] = name .. " " .. runtime.io.checksum(tensor) end
  end
  table.sort(list)
  return table.concat(list, "\n")
end

--- Trains by a few steps: the losses and what the model has come to.
--- @param collective table|nil of several ranks
local function train(network, collective)
  local n <const> = network.n or 16
  random.train(7)
  local model = network.model()
  local given = network.batch(n)
  model:build(table.move(given.shape, 2, #given.shape, 1, {}), given.dtype)
  local optimizer = optim.adam { lr = 0.01 }
  optimizer:add(model:parameters())
  model:train()
  local loss_of = network.loss or function(output, target) return output:cross_entropy(target) end
  local step = collective and ranks.new(collective, PARTS, n // collective.ranks)
  local losses = {}
  for i = 1, STEPS do
    local inputs, targets = network.batch(n)
    optimizer:zero_grad()
    if step then
      local own = n // collective.ranks
      local first = collective.rank * own + 1
      inputs, targets = inputs:slice(first, first + own - 1), targets:slice(first, first + own - 1)
      ranks.mark(inputs, targets)
      ranks.within(step, function()
        local loss = loss_of(model(inputs), targets, inputs, model)
        losses[i] = runtime.tensor.item(loss)
        step:descend(loss)
      end)
    else
      local loss = loss_of(model(inputs), targets, inputs, model)
      losses[i] = loss:item()
      loss:backward()
    end
    optimizer:step()
  end
  return { losses = table.concat(losses, " "), model = checksums(model) }
end

describe("several ranks have the bits of one process:", function()
  local first_state
  before_each(function() first_state = random.state() end)
  after_each(function() random.restore(first_state) end)

  for name, network in pairs(NETWORKS) do
    it(name, function()
      local whole = train(network)
      for _, count in ipairs { 1, 2, 4 } do
        for rank, found in ipairs(among.run(count, function(collective) return train(network, collective) end)) do
          assert.equal(whole.losses, found.losses, ("losses of rank %d of %d"):format(rank - 1, count))
          assert.equal(whole.model, found.model, ("weights of rank %d of %d"):format(rank - 1, count))
        end
      end
    end)
  end
end)
