--- Recurrent networks and attention.
-- @module sm.onnx.forms.sequence
local runtime = require "sm.runtime"
local sizes = require "sm.onnx.sizes"

local T = runtime.tensor
local forms = {}

-- For each: the operator, and the gates in ONNX's order, by their places in ours: i f g o → i o f g, r z n → z r n.
local CELLS <const> = {
  rnn = { op = "RNN", gates = { 1 } },
  gru = { op = "GRU", gates = { 2, 1, 3 } },
  lstm = { op = "LSTM", gates = { 1, 4, 2, 3 } },
}

--- The gates of a constant {…, G size} in ONNX's order.
local function in_order(x, gates)
  if #gates == 1 then return x end
  local axis, list = #x.shape, {}
  local parts = x:split(x.shape[axis] // #gates, axis)
  for i, gate in ipairs(gates) do list[i] = parts[gate] end
  return runtime.stride.cat(list, axis)
end

local function cell(name)
  local known <const> = CELLS[name]
  return function(g, call, x, w, v, o)
    o = o or {}
    local size = v.shape[1]
    --- A constant as ONNX has it; zeros of a shape where none is given.
    local function constant(value, shape)
      if value and not value.tensor then call:refuse "weights that are computed from the input" end
      local tensor = value and in_order(value.tensor, known.gates) or T.full(shape, 0)
      return #shape == 2 and tensor:transpose():unsqueeze(1) or tensor:reshape(1, -1)
    end
    local function operand(tensor, value)
      return g:initializer(tensor, g:origin(value), w.dtype, tensor.shape, tensor)
    end
    local function matrix(value) return operand(constant(value, value.shape), value) end
    local wide, bias = { #known.gates * size }, false
    if o.bias or o.recurrent_bias then
      bias = operand(runtime.stride.cat({ constant(o.bias, wide), constant(o.recurrent_bias, wide) }, 2),
        o.bias or o.recurrent_bias)
    end
    local function state(value) return value and g:node("Unsqueeze", { value, g:integers { 0 } }) or false end
    local inputs = { g:transpose(x, { 2, 1, 3 }), matrix(w), matrix(v), bias, false,
      state(o.h), name == "lstm" and state(o.c) or nil }
    local attributes = { hidden_size = size, direction = o.reverse and "reverse" or "forward" }
    if name == "gru" then attributes.linear_before_reset = 1 end
    if name == "rnn" then attributes.activations = { o.nonlinearity == "relu" and "Relu" or "Tanh" } end
    local y, h, c = g:node(known.op, inputs, attributes, name == "lstm" and 3 or 2)
    local function without(value, axis) return g:node("Squeeze", { value, g:integers { axis } }) end
    local states = g:transpose(without(y, 1), { 2, 1, 3 })
    if not o.state then return states end
    return states, without(h, 0), c and without(c, 0)
  end
end

for name in pairs(CELLS) do forms[name] = cell(name) end

-- Attention -----------------------------------------------------------------------------------------------

--- {N, heads, T, width} of {N, T, channels}.
local function by_heads(g, x, shape, heads)
  if #shape == 4 then return g:name(x) end
  local parts = g:reshape(x, { shape[1], shape[2], heads, shape[3] // heads })
  return g:transpose(parts, { 1, 3, 2, 4 })
end

--- Scores of which some are hidden.
local function masked(g, scores, o, rank, steps)
  local hidden, mask = g:number(-math.huge), o.mask
  if mask then
    local shape = table.move(mask.shape, 1, #mask.shape, 1, {})
    if rank == 3 and not o.heads and #shape == 3 then table.insert(shape, 2, 1) end
    local name = g:reshape(mask, shape)
    if mask.dtype == "uint8" then
      scores = g:node("Where", { g:cast(name, "bool"), scores, hidden })
    else
      scores = g:node("Add", { scores, name })
    end
  end
  if o.causal then
    local seen = {}
    for t = 1, steps[1] do
      seen[t] = {}
      for s = 1, steps[2] do seen[t][s] = t >= s and 1 or 0 end
    end
    local key = ("causal %d %d"):format(steps[1], steps[2])
    local what = g:initializer(key, "causal", "uint8", steps, T.tensor(seen, "uint8"))
    scores = g:node("Where", { g:cast(what, "bool"), scores, hidden })
  end
  local weights = g:node("Softmax", { scores }, { axis = -1 })
  if not mask then return weights end
  return g:node("Where", { g:node("Equal", { scores, hidden }), g:number(0), weights }) -- 0 where nothing is seen
end

--- @param shapes of q, k and v
local function attend(g, call, q, k, v, shapes, o)
  local heads, shape, rank = o.heads or 1, shapes[1], #shapes[1]
  if (o.dropout or 0) > 0 then call:refuse "attention with dropout draws random numbers" end
  if rank == 2 then call:refuse "attention without a batch" end
  local steps = { shape[rank - 1], shapes[2][rank - 1] }
  if sizes.any(steps) then call:refuse "attention over a length that depends on the batch" end
  local width = shape[rank] // heads
  local scale = o.scale or 1 / math.sqrt(width)
  local keys = g:transpose(by_heads(g, k, shapes[2], heads), { 1, 2, 4, 3 })
  local scores = g:node("MatMul", { g:node("Mul", { by_heads(g, q, shape, heads), g:number(scale) }), keys })
  local y = g:node("MatMul", { masked(g, scores, o, rank, steps), by_heads(g, v, shapes[3], heads) })
  return rank == 4 and y or g:reshape(g:transpose(y, { 1, 3, 2, 4 }), call.gave[1].shape)
end

function forms.attention(g, call, q, k, v, o)
  return attend(g, call, q, k, v, { q.shape, k.shape, v.shape }, o or {})
end

function forms.self_attention(g, call, x, o)
  local shape = table.move(x.shape, 1, 3, 1, {})
  shape[3] = shape[3] // 3
  local q, k, v = g:node("Split", { x, g:integers { shape[3], shape[3], shape[3] } }, { axis = 2 }, 3)
  return attend(g, call, q, k, v, { shape, shape, shape }, o or {})
end

return forms
