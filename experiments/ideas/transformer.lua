-- What attention is for: to look up. A sequence is a row of random letters over and over, of which nobody says how long
-- it is. The first time it cannot be told; from then on, who looks at what followed the same letter before knows nearly
-- all. So the loss of the second half goes to almost 0, and for a network that cannot look back it is log(letters).
-- Source: A. Vaswani et al. (2017), "Attention Is All You Need"; the task is that of C. Olsson et al. (2022),
-- "In-context Learning and Induction Heads", who find that two layers of attention are needed, and one is not enough.
--   smrun experiments/ideas/transformer.lua layers=1,2
-- Reached, in 1,500 steps: of the second half 84.4 %, at 0.35 nats a letter; with layers=1 16.9 %, at 2.46. The first
-- paper reports a BLEU of 28.4 for English to German.
local sm = require "sm"
local nn, view = sm.nn, sm.view

local p = sm.params {
  layers = 2, size = 64, heads = 4, letters = 32, row = 24, sequences = 20000, seed = 1, steps = 1500, batch = 50,
  lr = 2e-3,
}

local rows = sm.randint(0, p.letters, p.sequences, p.row)
local length = sm.randint(p.row // 2, p.row + 1, p.sequences, 1):to "float32"
local time = sm.arange(2 * p.row)
local sequences = rows:gather(2, (time - length * (time / length):floor() + 1):to "int32")

local positions = nn.layer { -- a vector for each place, learnt
  kind = "positions",
  build_values = function(self, shape) self:make_parameter("weight", { shape[2], shape[3] }, nn.init.normal(0.02)) end,
  forward = function(self, x) return x + self.weight end,
}

local function block()
  return nn.sequential {
    nn.residual { nn.layernorm(), nn.attention { heads = p.heads, causal = true } },
    nn.residual { nn.layernorm(), nn.linear { 4 * p.size }, nn.gelu(), nn.linear { p.size } },
  }
end

local layers = { nn.embedding { p.letters, p.size }, positions() }
for _ = 1, p.layers do layers[#layers + 1] = block() end
layers[#layers + 1] = nn.layernorm()
layers[#layers + 1] = nn.linear { p.letters }

local function second(x) return x:narrow(2, p.row, p.row) end -- of each sequence, where its row has come once

local function by_place(at)
  local x, target = at.data.validation:batches(200)()
  return -(at.model(x):log_softmax():pick(target)):mean(1)
end

return sm.experiment {
  data      = sm.data.tensors {
    inputs = sequences:narrow(2, 1, 2 * p.row - 1), targets = sequences:narrow(2, 2, 2 * p.row - 1),
    validation = p.sequences // 20,
  },
  model     = nn.sequential(layers),
  loss      = "cross_entropy",
  metrics   = {
    told_again = function(scores, target) return second(scores):accuracy(second(target)) end,
    second_loss = function(scores, target) return second(scores):cross_entropy(second(target)) end,
  },
  optimizer = sm.optim.adamw { lr = sm.optim.warmup { steps = 100, after = p.lr }, clip_norm = 1 },
  schedule  = { steps = p.steps, batch = p.batch },
  views     = { view.plot(by_place, { title = "What a letter costs, in nats", x_axis = "letters read" }) },
  seed      = p.seed,
}
