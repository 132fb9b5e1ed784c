--- Multi-head attention. Vaswani et al. 2017, arxiv.org/abs/1706.03762.
local fail = require "sm.fail"
local initialise = require "sm.nn.initialise"
local layer = require "sm.nn.layer"

local attention
for _, operation in ipairs(require "sm.ops.attention") do
  if operation.name == "attention" then attention = operation.f end
end

local M = {}

-- A mask as the operation takes it, {N, heads, T, S}, each axis of which may be 1.
local function by_heads(mask)
  local shape = mask.shape
  if #shape == 2 then return mask:reshape(shape[1], 1, 1, shape[2]) end
  if #shape == 3 then return mask:reshape(shape[1], 1, shape[2], shape[3]) end
  return #shape == 4 and mask or error("a mask is {N, S}, {N, T, S} or {N, heads, T, S}", 0)
end

--- nn.attention { heads = 4 }: sequences {N, T, channels} in which every step looks at all the others, {N, T,
--- channels}. With a second input, model(x, context), queries come from x, keys and values from context {N, S,
--- channels}. An input more of uint8, model(x, mask) or model(x, context, mask), says what is seen: {N, S}, of each
--- sequence the steps; {N, T, S}, of each step; or {N, heads, T, S}; 0 hides. The parameters are PyTorch's, as linear
--- has its weights: `weight` {channels, 3 size} and `bias` {3 size} for queries, keys and values in this order,
--- `out_weight` {size, channels} and `out_bias` {channels}.
M.attention = layer.define("attention", {
  options = {
    heads = { type = "integer", min = 1, default = 1, doc = "parts of the size that attend by themselves" },
    size = { type = "integer", min = 1, doc = "numbers of a query of all heads together; by default the channels" },
    causal = { type = "boolean", default = false, doc = "whether a step sees none after it" },
    dropout = { type = "real", min = 0, below = 1, default = 0, doc = "share of the weights that training drops" },
    bias = { type = "boolean", default = true, doc = "whether there are biases" },
    init = { type = "function", default = initialise.glorot_uniform(), doc = "of the weights" },
    bias_init = { type = "function", doc = "of the biases; zeros by default" },
  },

  setup = function(self, where)
    local o = self.options
    if o.bias_init and not o.bias then fail("%s: bias_init is given, but bias = false", where) end
    if o.size and o.size % o.heads ~= 0 then
      fail("%s: a size of %d cannot be divided into %d heads", where, o.size, o.heads)
    end
  end,

  build_values = function(self, shape)
    local o, channels = self.options, shape[#shape]
    local size = o.size or channels
    self:make_parameter("weight", { channels, 3 * size }, o.init, channels, 3 * size)
    if o.bias then
      self:make_parameter("bias", { 3 * size }, o.bias_init or initialise.zeros(), channels, 3 * size)
    end
    self:make_parameter("out_weight", { size, channels }, o.init, size, channels)
    if o.bias then
      self:make_parameter("out_bias", { channels }, o.bias_init or initialise.zeros(), size, channels)
    end
  end,

  forward = function(self, x, context, mask)
    local o, size = self.options, self.out_weight.shape[1]
    local given = { heads = o.heads, causal = o.causal, dropout = self.training and o.dropout or 0 }
    if #x.shape ~= 3 then error("it takes sequences {N, T, channels}", 0) end
    if context and context.dtype == "uint8" then
      if mask then error("it takes x, context and mask, got two masks", 0) end
      context, mask = nil, context
    end
    given.mask = mask and by_heads(mask)
    local y
    if context then
      local weights, biases = self.weight:split({ size, 2 * size }, 2), {}
      if self.bias then biases = self.bias:split { size, 2 * size } end
      local pair = context:linear(weights[2], biases[2]):split(size, 3)
      y = attention(x:linear(weights[1], biases[1]), pair[1], pair[2], given)
    else
      y = x:linear(self.weight, self.bias):self_attention(given)
    end
    return y:linear(self.out_weight, self.out_bias)
  end,

  describe = function(self)
    local o = self.options
    return ("%d head%s%s"):format(o.heads, o.heads == 1 and "" or "s", o.causal and ", causal" or "")
  end,
})

return M
