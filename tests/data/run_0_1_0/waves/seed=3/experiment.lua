-- Three kinds of waves: no data set, no random number in the file, all that a run keeps besides.
local sm = require "sm"
local nn, optim = sm.nn, sm.optim

local p = sm.params { seed = 1, steps = 40, lr = 0.02, fail_at = 0, activation = "softmax" }

local function waves(count, shift)
  local inputs, labels = {}, {}
  for i = 1, count do
    local row = {}
    for j = 1, 4 do row[j] = math.sin((i % 3 + 1) * j + 0.3 * math.sin(i * i * (j + 1) + shift)) end
    inputs[i], labels[i] = row, i % 3
  end
  return sm.tensor(inputs), sm.tensor(labels, "int32")
end

local inputs, targets = waves(60, 0)
local test_inputs, test_targets = waves(30, 1)

local calls = 0
local function failing(output, labels)
  calls = calls + 1
  local loss = output:cross_entropy(labels)
  return calls > p.fail_at and loss / 0 or loss
end

return sm.experiment {
  data = sm.data.tensors {
    inputs = inputs, targets = targets, validation = 15, test_inputs = test_inputs, test_targets = test_targets,
  },
  model = nn.sequential {
    nn.linear { 6 }, nn.batchnorm(), p.activation == "softmax" and nn.softmax { groups = 2 } or nn.relu(),
    nn.dropout { 0.2 }, nn.linear { 3 },
  },
  loss = p.fail_at > 0 and failing or "cross_entropy",
  optimizer = optim.smorms3 { lr = p.lr },
  schedule = { steps = p.steps, batch = 5, log = 5, evaluate = 10, checkpoint = 10, keep = 1 },
  seed = p.seed,
}
