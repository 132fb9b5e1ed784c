--- Where a filter's activity speaks for the class that the network names: activation × gradient of that
-- class's score (Shrikumar et al. 2016, arxiv.org/abs/1605.01713), at each location.
--
-- What all scores have in common says nothing, so the score is taken less the mean of all scores. What the
-- gradients of a softmax group have in common says nothing either, as its activations always have the same
-- sum; so there it is the gradient of the logits: activation × (gradient − the group's mean gradient,
-- weighted by its activations), over the temperature.
-- @module sm.view.attribution
local autograd = require "sm.autograd"
local chain = require "sm.view.chain"
local competition = require "sm.view.competition"
local runtime = require "sm.runtime"

local T, K = runtime.tensor, runtime.math
local M = {}

--- The gradient of what is asked about, by the scores {count, classes}: 1 for the largest of each row, less the
-- mean over the row.
local function of_largest(scores)
  local classes = scores.shape[2]
  local _, winner = K.max(scores, 2)
  return T.gather(competition.identity(classes), winner, 0, #scores) - 1 / classes
end

--- @param model in evaluation mode, its parameters not tracked
-- @param source the activation, or a convolution that has none
-- @param x a batch of images
-- @return real, of the shape of the source's output: positive where more activity there raises the score
function M.of(model, source, x)
  local seen = autograd.no_grad(chain.watch, model, source, x)
  local logits = source.role == "grouping"
  local leaf = (logits and seen.input or seen.output):detach():requires_grad()
  local scores = seen.onward(logits and source:apply(leaf) or leaf)
  scores:backward(of_largest(scores:detach()))
  return logits and leaf.grad or leaf:detach() * leaf.grad
end

return M
