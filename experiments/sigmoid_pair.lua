-- A softmax group of two is the logistic sigmoid whose weights are the difference of the two weight vectors:
--   exp(a) / (exp(a) + exp(b)) = 1 / (1 + exp(-(a - b))).
-- This script shows it on random numbers, forward and gradient, and that a group of one with `off` is the same again.
--   smrun experiments/sigmoid_pair.lua units=100
local sm = require "sm"

local p = sm.params { examples = 64, inputs = 20, units = 16, seed = 1 }
sm.seed(p.seed)

local function largest(difference) return difference:abs():max():item() end

local x = sm.randn(p.examples, p.inputs)
local first, second = sm.randn(p.inputs, p.units), sm.randn(p.inputs, p.units) -- the two options of every unit
local gradient = sm.randn(p.examples, p.units)                                 -- what comes back from above

-- One sigmoid per unit, its weights the difference.
local weight = (first - second):requires_grad()
local sigmoid = x:matmul(weight):sigmoid()
sigmoid:backward(gradient)

-- One group of two per unit. The options of a unit lie side by side: {examples, units, 2}.
first:requires_grad()
second:requires_grad()
local logits = x:matmul(first):reshape(p.examples, p.units, 1) * sm.tensor { 1, 0 }
             + x:matmul(second):reshape(p.examples, p.units, 1) * sm.tensor { 0, 1 }
local pair = (logits:softmax { groups = 1 } * sm.tensor { 1, 0 }):sum(-1) -- the probability of the first option
pair:backward(gradient)

-- One option per unit against "none of these".
local alone = x:matmul(weight:detach()):softmax { groups = p.units, off = true }

print(("%d units, %d examples; largest difference from sigmoid"):format(p.units, p.examples))
print(("  group of two, probability        %.2e"):format(largest(pair - sigmoid)))
print(("  group of one with off, the same  %.2e"):format(largest(alone - sigmoid)))
print(("  gradient, first option           %.2e  (of up to %.2f)"):format(
  largest(first.grad - weight.grad), largest(weight.grad)))
print(("  gradient, second option negated  %.2e"):format(largest(second.grad + weight.grad)))
