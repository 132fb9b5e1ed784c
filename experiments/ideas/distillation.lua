-- Does a small network learn more from a large one than from the labels? What the large one gives to the wrong classes
-- says which digits are like which; at a high temperature that is most of what the small one hears. First train the
-- teacher, then the student with and without it:
-- Source: G. Hinton, O. Vinyals and J. Dean (2015), "Distilling the Knowledge in a Neural Network".
--   smrun experiments/ideas/distillation.lua hidden=800 dropout=0.5
--   smrun experiments/ideas/distillation.lua teacher=runs/distillation/dropout=0.5,hidden=800 seed=1..3
--   smrun experiments/ideas/distillation.lua seed=1..3
-- Reached, in 2,000 steps: a test accuracy of 93.6 % alone and 95.0 % with a teacher of 95.8 %. The paper reports 146
-- errors on the whole of MNIST alone, 74 with a teacher that makes 67.
local sm = require "sm"
local nn, view = sm.nn, sm.view

local p = sm.params {
  data = "mnist_mini", teacher = "", hidden = 200, dropout = 0.0, temperature = 4, weight = 0.9, seed = 1, steps = 2000,
  batch = 100, lr = 1e-3,
}
local teacher = p.teacher ~= "" and sm.load_run(p.teacher).model

local function softened(logits) return logits:softmax { temperature = p.temperature } end

-- The gradient of the soft part shrinks with the square of the temperature.
local function loss(logits, target, x)
  if not teacher then return logits:cross_entropy(target) end
  local soft = (logits / p.temperature):cross_entropy(softened(sm.no_grad(teacher, x))) * p.temperature ^ 2
  return p.weight * soft + (1 - p.weight) * logits:cross_entropy(target)
end

-- What the student, and the teacher, say of one image.
local function said(at)
  local x = at.data.validation:batches(1)()
  return { student = softened(at.model(x))[1], teacher = teacher and softened(teacher(x))[1] or nil }
end

return sm.experiment {
  data      = sm.data[p.data] { validation = 5000 },
  model     = nn.sequential {
    nn.flatten(), nn.linear { p.hidden }, nn.relu(), nn.dropout { p.dropout }, nn.linear { p.hidden }, nn.relu(),
    nn.dropout { p.dropout }, nn.linear { 10 },
  },
  loss      = loss,
  metrics   = { "accuracy" },
  optimizer = sm.optim.adam { lr = sm.optim.cosine { lr = p.lr, steps = p.steps } },
  schedule  = { steps = p.steps, batch = p.batch },
  views     = { view.plot(said, { title = "What they say of one image", x_axis = "class + 1" }) },
  seed      = p.seed,
}
