--- Normalisation: of batches, of layers, of groups of channels.
local arguments = require "sm.ops.arguments"
local fail = require "sm.fail"
local fused = require "sm.fused"
local layer = require "sm.nn.layer"
local ranks = require "sm.ranks"
local runtime = require "sm.runtime"
local tensor = require "sm.tensor"
local shape_text = require "sm.text".shape

local N, is_tensor = runtime.normalise, runtime.tensor.is_tensor

local M = {}

local EPSILON <const> = { type = "real", default = 1e-5, above = 0, below = math.huge, doc = "added to the variance" }
local AFFINE <const> = { type = "boolean", default = true, doc = "whether there are a weight and a bias" }

local function make_affine(self, shape)
  self:make_parameter("weight", shape, tensor.ones)
  self:make_parameter("bias", shape, tensor.zeros)
end

--- nn.batchnorm { momentum = 0.9, epsilon = 1e-5 }: y = weight · (x − mean)/√(variance + epsilon) + bias,
--- with one mean and one variance per channel (the last axis), over all other axes. In training they are
--- those of the batch, and the gradient goes through them; in evaluation mode they are the running ones, the
--- buffers "mean" and "variance", which start at 0 and 1. Ioffe and Szegedy 2015, arxiv.org/abs/1502.03167.
M.batchnorm = layer.define("batchnorm", {
  role = "normalisation",
  options = {
    momentum = { type = "real", default = 0.9, min = 0, below = 1,
      doc = "m in running = m · running + (1 − m) · batch, at each training step" },
    epsilon = EPSILON,
  },

  build_values = function(self, shape)
    local channels = { shape[#shape] }
    make_affine(self, channels)
    self:make_buffer("mean", tensor.zeros(channels))
    self:make_buffer("variance", tensor.ones(channels))
  end,

  forward = function(self, x)
    local o = { weight = self.weight, bias = self.bias, epsilon = self.options.epsilon }
    if not self.training then
      o.mean, o.variance = self.mean, self.variance
      return (x:batch_norm(o))
    end
    local rows, shape = ranks.rows(1), x.shape
    for axis = 1, #shape - 1 do rows = rows * shape[axis] end
    if rows < 2 then error("training needs at least 2 values of each channel, got " .. rows, 0) end
    local y, mean, variance = x:batch_norm(o)
    self:record(x, mean, variance)
    return y
  end,

  -- Whether `with` does for a batch what forward does in training.
  takes_more = function(self, x)
    if not self.training or not self.weight or not is_tensor(x) or x.dtype ~= runtime.real then return false end
    local rank, channels, rows = runtime.tensor.rows(x)
    return rank >= 2 and ranks.rows(rows) >= 2 and channels == #self.weight
  end,

  -- What forward gives in training, `beside` added, and relu of that, in one pass; either may be absent.
  with = function(self, x, beside, relu)
    local o = { weight = self.weight, bias = self.bias, epsilon = self.options.epsilon }
    local y, mean, variance = fused.batch_norm(x, o, beside, relu)
    self:record(x, mean, variance)
    return y
  end,

  -- Moves the running statistics towards the batch's, but not to what is no number: of a batch that is not finite there
  -- are none, and the variance of one whose squares do not fit is an error.
  record = function(self, batch, mean, variance)
    local keep, finite = self.options.momentum, runtime.math.is_finite
    if not finite(variance) then
      if not finite(batch) then return end
      local largest = runtime.math.max(runtime.pointwise.abs(batch)):item()
      error(("the buffer 'variance' would not be finite: values go up to %g, and their squares do not fit %s")
        :format(largest, runtime.real), 0)
    end
    N.follow(self.mean, mean, keep)
    N.follow(self.variance, variance, keep)
  end,
})

--- nn.layernorm { axis = -1, epsilon = 1e-5, affine = true }: each example's numbers along the last axis, or a list
--- of last axes, brought to mean 0 and variance 1; affine: then times a weight and plus a bias of these axes. Ba, Kiros
--- and Hinton 2016, arxiv.org/abs/1607.06450.
M.layernorm = layer.define("layernorm", {
  role = "normalisation",
  options = {
    axis = { type = { "integer", "table" }, default = -1, doc = "the last axis, or a list of last axes" },
    epsilon = EPSILON,
    affine = AFFINE,
  },

  setup = function(self, where)
    self.axes = arguments.list(where, self.options.axis, "a list of axes")
  end,

  build_values = function(self, shape)
    local count = #self.axes
    if count >= #shape then
      error(("it normalises within an example, and %d axes of the batch %s are too many"):format(count,
        shape_text(shape)), 0)
    end
    if self.options.affine then make_affine(self, table.move(shape, #shape - count + 1, #shape, 1, {})) end
  end,

  forward = function(self, x)
    local o = self.options
    return x:layer_norm { axis = self.axes, weight = self.weight, bias = self.bias, epsilon = o.epsilon }
  end,
})

--- nn.groupnorm { groups = 8, epsilon = 1e-5, affine = true }: of each example every group of channels (the last
--- axis) brought to mean 0 and variance 1 over all of its places; affine: then times a weight and plus a bias of each
--- channel. groups = 1 takes all channels together, as many groups as channels each by itself. Wu and He 2018,
--- arxiv.org/abs/1803.08494.
M.groupnorm = layer.define("groupnorm", {
  role = "normalisation",
  options = {
    groups = { type = "integer", required = true, min = 1, doc = "number of equal groups of channels" },
    epsilon = EPSILON,
    affine = AFFINE,
  },

  build_values = function(self, shape)
    local channels = shape[#shape]
    if channels % self.options.groups ~= 0 then
      fail("%d channels cannot be divided into %d equal groups", channels, self.options.groups)
    end
    if self.options.affine then make_affine(self, { channels }) end
  end,

  forward = function(self, x)
    local o = self.options
    return x:group_norm { groups = o.groups, weight = self.weight, bias = self.bias, epsilon = o.epsilon }
  end,

  describe = function(self)
    local groups = self.options.groups
    return groups == 1 and "1 group" or groups .. " groups"
  end,
})

return M
