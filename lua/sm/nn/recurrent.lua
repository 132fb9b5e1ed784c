--- Recurrent layers over sequences {N, T, in}.
local fail = require "sm.fail"
local initialise = require "sm.nn.initialise"
local layer = require "sm.nn.layer"
local shape_text = require "sm.text".shape

local M = {}

local operations = {}
for _, operation in ipairs(require "sm.ops.parts") do operations[operation.name] = operation.f end
local cat <const>, stack <const> = operations.cat, operations.stack

local GATES <const> = { rnn = 1, gru = 3, lstm = 4 }

--- Uniform in ±1/√size, as PyTorch has it: he_uniform is ±√(6/fan_in).
local function default_init(size)
  local init = initialise.he_uniform()
  return function(shape) return init(shape, 6 * size) end
end

-- One tensor of a list of one, or of those of both directions.
local function joined(list, axis)
  return list[2] and cat(list, axis) or list[1]
end

-- States {N, size}, of several {N, count, size}.
local function stacked(list)
  return list[2] and stack(list, 2) or list[1]
end

-- What is added to the names of the parameters of a layer's k-th network: "", "_reverse", "_2", "_2_reverse", …
local function ending(level, backward)
  return (level > 1 and "_" .. level or "") .. (backward and "_reverse" or "")
end

-- The directions of each level, as what `reverse` says of them.
local function directions(o)
  return o.bidirectional and { false, true } or { o.reverse }
end

--- nn.rnn { size }, nn.gru { size }, nn.lstm { size }: sequences {N, T, in} become the states of each step,
--- {N, T, size}. The parameters are `weight` {in, G size}, `recurrent_weight` {size, G size}, `bias` and
--- `recurrent_bias` {G size}, with G gates in PyTorch's order: 1, r z n, i f g o. Its matrices are their transposes.
--- With layers = 2 the states of the first are the input of the second, whose parameters are `weight_2` and so on. With
--- bidirectional = true a second one goes from the last step to the first, `weight_reverse`, and each step gives the
--- states of both, {N, T, 2 size}. A second input is the first state, model(x, h), of an lstm model(x, h, c); of
--- several it is {N, count, size}, in the order of the parameters, and so are h and c of `state`.
local function define(kind)
  local options = {
    { type = "integer", required = true, min = 1, doc = "the size of the state" },
    layers = { type = "integer", min = 1, default = 1, doc = "how many, each on the states of the one before" },
    bidirectional = { type = "boolean", default = false, doc = "whether each goes both ways" },
    dropout = { type = "real", min = 0, below = 1, default = 0,
      doc = "share of the states between layers that training drops" },
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

  --- The k-th of the first states, if there are any.
  local function first(self, states, k, x)
    local o = self.options
    local count = o.layers * #directions(o)
    if not states or count == 1 then return states end
    local shape = states.shape
    if #shape ~= 3 or shape[2] ~= count then
      error(("it takes first states {%d, %d, %d}, got %s"):format(x.shape[1], count, o[1], shape_text(shape)), 0)
    end
    return states:narrow(2, k, 1):squeeze(2)
  end

  --- One level, each way: the states of each step. Those after the last one go to the end of two lists.
  local function level(self, number, x, h, c, last_h, last_c)
    local o, states = self.options, {}
    for way, backward in ipairs(directions(o)) do
      local k, own = (number - 1) * #directions(o) + way, ending(number, o.bidirectional and backward)
      states[way], last_h[k], last_c[k] = x[kind](x, self["weight" .. own], self["recurrent_weight" .. own], {
        bias = self["bias" .. own], recurrent_bias = self["recurrent_bias" .. own], h = first(self, h, k, x),
        c = first(self, c, k, x), reverse = backward, nonlinearity = o.nonlinearity, state = o.last or o.state,
      })
    end
    return joined(states, 3)
  end

  local function compute(self, x, h, c)
    local o, last_h, last_c = self.options, {}, {}
    for number = 1, o.layers do
      if number > 1 and o.dropout > 0 and self.training then x = x:dropout(o.dropout) end
      x = level(self, number, x, h, c, last_h, last_c)
    end
    if o.last then return joined(table.move(last_h, #last_h - #directions(o) + 1, #last_h, 1, {}), 2) end
    if not o.state then return x end
    return x, stacked(last_h), stacked(last_c)
  end

  M[kind] = layer.define(kind, {
    options = options,

    setup = function(self, where)
      local o = self.options
      if o.bias_init and not o.bias then fail("%s: bias_init is given, but bias = false", where) end
      if o.last and o.state then fail("%s takes last or state, got both", where) end
      if o.reverse and o.bidirectional then fail("%s takes reverse or bidirectional, got both", where) end
      if o.dropout > 0 and o.layers == 1 then fail("%s: dropout is between layers, and there is one", where) end
    end,

    build_values = function(self, shape)
      local o = self.options
      local size, inputs = o[1], shape[#shape]
      local wide, default = GATES[kind] * size, default_init(size)
      for number = 1, o.layers do
        for _, backward in ipairs(directions(o)) do
          local own = ending(number, o.bidirectional and backward)
          self:make_parameter("weight" .. own, { inputs, wide }, o.init or default, inputs, wide)
          self:make_parameter("recurrent_weight" .. own, { size, wide }, o.init or default, size, wide)
          if o.bias then
            self:make_parameter("bias" .. own, { wide }, o.bias_init or default, inputs, wide)
            self:make_parameter("recurrent_bias" .. own, { wide }, o.bias_init or default, size, wide)
          end
        end
        inputs = size * #directions(o)
      end
    end,

    forward = kind == "lstm" and compute or function(self, x, h) return compute(self, x, h) end,

    describe = function(self)
      local o = self.options
      return ("%d%s%s%s%s%s"):format(o[1], o.nonlinearity == "relu" and ", relu" or "",
        o.layers > 1 and (", %d layers"):format(o.layers) or "", o.bidirectional and ", both ways" or "",
        o.reverse and ", reversed" or "", o.last and ", last" or "")
    end,
  })
end

for kind in pairs(GATES) do define(kind) end

return M
