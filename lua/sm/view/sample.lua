--- The images that a view looks at: the first of the validation data, or of the training data where there is
-- none.
-- @module sm.view.sample
local autograd = require "sm.autograd"
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

--- Calls f(...) with the model in evaluation mode and without a tape; the mode is put back. Draws no random
-- number.
function M.quietly(model, f, ...)
  local training = model.training
  local _ <close> = setmetatable({}, { __close = function() if training then model:train() end end })
  model:eval()
  return autograd.no_grad(f, ...)
end

--- Calls f(...) with the model in evaluation mode, and with a tape that leads to none of its parameters, so that
-- their gradients stay as they are.
function M.frozen(model, f, ...)
  local tracked, training = {}, model.training
  for _, parameter in pairs(model:parameters()) do
    if parameter:tracks() then tracked[#tracked + 1] = parameter end
  end
  local _ <close> = setmetatable({}, { __close = function()
    for _, parameter in ipairs(tracked) do parameter:requires_grad() end
    if training then model:train() end
  end })
  for _, parameter in ipairs(tracked) do parameter:requires_grad(false) end
  model:eval()
  return f(...)
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
