--- Muon: momentum, orthogonalised by the iteration of Newton and Schulz.
--- Jordan et al. 2024, kellerjordan.github.io/posts/muon; in the form of PyTorch's torch.optim.Muon.
local optimizer = require "sm.optim.optimizer"
local product = require "sm.ops.primitives".product
local rules = require "sm.optim.rule"
local runtime = require "sm.runtime"
local tensor = require "sm.tensor"

-- p(s) = A·s + B·s³ + C·s⁵ takes every singular value from 0 to 1, but for the smallest, near 1 within a few rounds: to
-- between 0.7 and 1.2. It comes no nearer, and need not: what counts is how fast the small ones grow.
local A <const>, B <const>, C <const> = 3.4445, -4.7750, 2.0315

--- A matrix whose singular values are all near 1 and whose singular vectors are x's: x = U·S·Vᵀ becomes about U·Vᵀ.
--- Works on the products of the shorter side: {rows, rows} or {columns, columns}.
local function orthogonalised(x, steps, epsilon)
  local wide = x.shape[1] <= x.shape[2]
  local length = math.sqrt(runtime.math.sum_of_squares(x))
  x = x * (1 / math.max(length, epsilon))
  for _ = 1, steps do
    local gram = wide and product(x, x, false, true) or product(x, x, true, false)
    local p = B * gram + C * product(gram, gram, false, false)
    x = A * x + (wide and product(p, x, false, false) or product(x, p, false, false))
  end
  return x
end

local function is_matrix(shape, options)
  return #shape >= 2 and not options.adamw and shape[#shape] > 0
end

local rule = {
  name = "muon",
  decoupled = true,
  options = {
    lr = { type = { "real", "function" }, default = 1e-3, min = 0, below = math.huge, doc = optimizer.LEARNING_RATE },
    momentum = { type = "real", default = 0.95, min = 0, below = 1, doc = "what the mean m keeps at each step" },
    nesterov = { type = "boolean", default = true, doc = "looks ahead along the mean" },
    steps = { type = "integer", default = 5, min = 1, max = 100, doc = "of Newton and Schulz" },
    weight_decay = { type = "real", default = 0.1, min = 0, below = math.huge,
      doc = "w is multiplied by 1 − lr·weight_decay" },
    adamw = { type = "boolean", default = false, doc = "moves the matrices of a group as AdamW would, too" },
    beta1 = { type = "real", default = 0.9, min = 0, below = 1, doc = "of AdamW, which moves what is no matrix" },
    beta2 = { type = "real", default = 0.999, min = 0, below = 1, doc = "of AdamW" },
    epsilon = { type = "real", default = 1e-8, above = 0, below = math.huge, doc = "of AdamW" },
  },

  state_names = { "momentum", "m", "v" },
  state = function(shape, options)
    if is_matrix(shape, options) then return { momentum = tensor.zeros(shape) } end
    return { m = tensor.zeros(shape), v = tensor.zeros(shape) }
  end,

  step = function(w, g, state, at)
    local shape <const>, smallest <const> = w.shape, 1e-7
    state.momentum = at.momentum * state.momentum + (1 - at.momentum) * g
    local u = at.nesterov and at.momentum * state.momentum + (1 - at.momentum) * g or state.momentum
    local outputs = shape[#shape]
    local matrix = u:reshape(runtime.tensor.count(w) // outputs, outputs)
    local scale = math.sqrt(math.max(1, outputs / math.max(1, matrix.shape[1])))
    return w - (at.lr * scale) * orthogonalised(matrix, at.steps, smallest):reshape(shape)
  end,

  constants = { "beta1", "beta2", "epsilon" },
}

local by_step = rules.stepping(rule)

function rule.update(w, gradient, state, call)
  if state.momentum then return by_step(w, gradient, state, call) end
  call.decoupled = true
  return runtime.optim.adam(w, gradient, state.m, state.v, call)
end

--- optim.muon { lr = 1e-3, weight_decay = 0.1 }: for matrices. Of a tensor of more axes all but the last are the rows
--- of one, so that filters are matrices, too. AdamW moves what has fewer than two axes, and groups with adamw = true,
--- at their lr. Embeddings and the last layer do better so: opt:add(head:parameters(), { adamw = true }).
---   m = momentum·m + (1 − momentum)·g;  u = m, or with nesterov momentum·m + (1 − momentum)·g
---   w = w·(1 − lr·weight_decay) − lr·√max(1, columns/rows)·orthogonalised(u)
return optimizer.define(rule)
