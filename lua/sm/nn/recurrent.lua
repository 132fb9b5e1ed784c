--- Recurrent layers over sequences {N, T, in}.
local fail = require "sm.fail"
local initialise = require "sm.nn.initialise"
local layer = require "sm.nn.layer"

local M = {}

local GATES <const> = { rnn = 1, gru = 3, lstm = 4 }

--- Uniform in ±1/√size, as PyTorch has it: he_uniform is ±√(6/fan_in).
local function default_init(size)
  local init = initialise.he_uniform()
  return function(shape) return init(shape, 6 * size) end
end

--- nn.rnn { size }, nn.gru { size }, nn.lstm { size }: sequences {N, T, in} become the states of each step,
--- {N, T, size}. The parameters are `weight` {in, G size}, `recurrent_weight` {size, G size}, `bias` and
--- `recurrent_bias` {G size}, with G gates in PyTorch's order: 1, r z n, i f g o. Its matrices are their transposes.
--- A second input is the first state, model(x, h), of an lstm model(x, h, c). nn.concat of a layer and one with
--- reverse = true goes both ways.
local function define(kind)
  local options = {
    { type = "integer", required = true, min = 1, doc = "the size of the state" },
    last = { type = "boolean", default = false, doc = "whether it gives the last state alone, {N, size}" },
    state = { type = "boolean", default = false, doc = "whether it gives y, h and c (lstm) of the last state, too" },
    reverse = { type = "boolean", default = false, doc = "whether it goes from the last step to the first" },
    bias = { type = "boolean", default = true, doc = "whether there are biases" },
    init = { type = "function", doc = "of the weights; uniform in ±1/√size by default" },
    bias_init = { type = "function", doc = "of the biases; the same by default" },
  }
  if kind == "rnn" then
    options.nonlinearity = { type = "string", choices = { "tanh", "relu" }, default = "tanh",
      doc = "what gives the state" }
  end
  local function compute(self, x, h, c)
    local o = self.options
    local y, last_h, last_c = x[kind](x, self.weight, self.recurrent_weight, {
      bias = self.bias, recurrent_bias = self.recurrent_bias, h = h, c = c, reverse = o.reverse,
      nonlinearity = o.nonlinearity, state = o.last or o.state,
    })
    if o.state then return y, last_h, last_c end
    return o.last and last_h or y
  end
  M[kind] = layer.define(kind, {
    options = options,

    setup = function(self, where)
      local o = self.options
      if o.bias_init and not o.bias then fail("%s: bias_init is given, but bias = false", where) end
      if o.last and o.state then fail("%s takes last or state, got both", where) end
    end,

    build_values = function(self, shape)
      local o = self.options
      local size, inputs = o[1], shape[#shape]
      local wide, default = GATES[kind] * size, default_init(size)
      self:make_parameter("weight", { inputs, wide }, o.init or default, inputs, wide)
      self:make_parameter("recurrent_weight", { size, wide }, o.init or default, size, wide)
      if o.bias then
        self:make_parameter("bias", { wide }, o.bias_init or default, inputs, wide)
        self:make_parameter("recurrent_bias", { wide }, o.bias_init or default, size, wide)
      end
    end,

    forward = kind == "lstm" and compute or function(self, x, h) return compute(self, x, h) end,

    describe = function(self)
      local o = self.options
      return ("%d%s%s%s"):format(o[1], o.nonlinearity == "relu" and ", relu" or "", o.reverse and ", reversed" or "",
        o.last and ", last" or "")
    end,
  })
end

for kind in pairs(GATES) do define(kind) end

return M
