--- The images that a view looks at: the first of the validation data, or of the training data where there is
-- none.
-- @module sm.view.sample
local autograd = require "sm.autograd"
local random = require "sm.random"
local runtime = require "sm.runtime"

local M = {}

local BATCH = 125 -- images at once: a few dozen megabytes for a layer of 28×28×32

--- @param data a data set
-- @param count how many images, or as many as there are
-- @return {split=, name="validation" or "training", size=}
function M.of(data, count)
  local whole = data.validation or data.train
  local size = math.min(count, #whole)
  return { split = whole:slice(1, size), name = data.validation and "validation" or "training", size = size }
end

--- Calls f(...) with the model in evaluation mode. Its mode is put back, and so are the random numbers that f draws:
-- training goes on with the same ones whether or not it is looked at.
function M.undisturbed(model, f, ...)
  local training = model.training
  local _ <close> = random.scope()
  local _ <close> = setmetatable({}, {
    __close = function() if training then model:train() else model:eval() end end,
  })
  model:eval()
  return f(...)
end

--- The same, without a tape.
function M.quietly(model, f, ...)
  return M.undisturbed(model, autograd.no_grad, f, ...)
end

--- The same, with a tape that leads to none of the model's parameters, so that their gradients stay as they are.
function M.frozen(model, f, ...)
  local tracked = {}
  for _, parameter in pairs(model:parameters()) do
    if parameter:tracks() then tracked[#tracked + 1] = parameter end
  end
  local _ <close> = setmetatable({}, { __close = function()
    for _, parameter in ipairs(tracked) do parameter:requires_grad() end
  end })
  for _, parameter in ipairs(tracked) do parameter:requires_grad(false) end
  return M.undisturbed(model, f, ...)
end

--- Iterates over a sample's batches: x {count, …}, y {count}, 0-based position of the first.
function M.batches(sample)
  local next_batch, done = sample.split:batches(BATCH), 0
  return function()
    runtime.tensor.collect()
    local x, y = next_batch()
    if not x then return nil end
    local first = done
    done = done + #x
    return x, y, first
  end
end

return M
