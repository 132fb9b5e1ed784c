--- Batch normalisation. Ioffe and Szegedy 2015, arxiv.org/abs/1502.03167.
local autograd = require "sm.autograd"
local layer = require "sm.nn.layer"
local runtime = require "sm.runtime"
local tensor = require "sm.tensor"

--- nn.batchnorm { momentum = 0.9, epsilon = 1e-5 }: y = weight · (x − mean)/√(variance + epsilon) + bias,
--- with one mean and one variance per channel (the last axis), over all other axes. In training they are
--- those of the batch, and the gradient goes through them; in evaluation mode they are the running ones, the
--- buffers "mean" and "variance", which start at 0 and 1.
---   momentum  what the running statistics keep at each training step:
---             running = momentum · running + (1 − momentum) · batch
---   epsilon   added to the variance
return layer.define("batchnorm", {
  role = "normalisation",
  options = {
    momentum = { type = "real", default = 0.9, min = 0, below = 1 },
    epsilon = { type = "real", default = 1e-5, above = 0, below = math.huge },
  },

  build_values = function(self, shape)
    local channels = { shape[#shape] }
    self:make_parameter("weight", channels, tensor.ones)
    self:make_parameter("bias", channels, tensor.zeros)
    self:make_buffer("mean", tensor.zeros(channels))
    self:make_buffer("variance", tensor.ones(channels))
  end,

  forward = function(self, x)
    local shape, epsilon = x.shape, self.options.epsilon
    if not self.training then
      return (x - self.mean) * (self.weight / (self.variance + epsilon):sqrt()) + self.bias
    end
    local rows = 1
    for axis = 1, #shape - 1 do rows = rows * shape[axis] end
    if rows < 2 then error("training needs at least 2 values of each channel, got " .. rows, 0) end
    local flat = x:reshape(rows, shape[#shape])
    local mean = flat:mean(1)
    local centred = flat - mean
    local variance = (centred * centred):mean(1)
    self:record(flat, mean, variance)
    local y = centred * (self.weight / (variance + epsilon):sqrt()) + self.bias
    return y:reshape(shape)
  end,

  -- Moves the running statistics towards the batch's, but not to what is no number: of a batch that is not finite there
  -- are none, and the variance of one whose squares do not fit is an error.
  record = function(self, batch, mean, variance)
    local keep, finite = self.options.momentum, runtime.math.is_finite
    if not finite(variance) then
      if not finite(batch) then return end
      local largest = runtime.math.max(runtime.math.abs(batch)):item()
      error(("the buffer 'variance' would not be finite: values go up to %g, and their squares do not fit %s")
        :format(largest, runtime.real), 0)
    end
    autograd.no_grad(function()
      self.mean:copy_(self.mean * keep + mean * (1 - keep))
      self.variance:copy_(self.variance * keep + variance * (1 - keep))
    end)
  end,
})
