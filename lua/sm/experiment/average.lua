--- The exponential moving average of a model's tensors, `schedule.ema`: what is evaluated in their place.
-- After t steps the average of a tensor x is Σ d^(t−s) x_s / Σ d^(t−s) over the steps s = 1 … t, where d is the decay:
-- x as it began does not count (Kingma and Ba 2015, section 3, have it so for the moments of gradients). By steps:
-- m_t = m_(t−1) + (1 − d)/(1 − d^t) (x_t − m_(t−1)).
local runtime = require "sm.runtime"
local tensors_of = require "sm.experiment.checkpoint".tensors_of

local M = {}

--- The averages before the first step. @return table name → tensor, of the model's real tensors
function M.new(model)
  local averages = {}
  for name, tensor in pairs(tensors_of(model)) do
    if tensor.dtype == runtime.real then averages[name] = runtime.tensor.to(tensor) end
  end
  return averages
end

--- After a step. @param step integer how many are done, at least 1
function M.follow(averages, model, decay, step)
  local toward = { lr = (1 - decay) / (1 - decay ^ step), scale = -1, weight_decay = 1 }
  for name, tensor in pairs(tensors_of(model)) do
    -- A step of gradient descent whose gradient is m − x: that of (m − x)²/2.
    if averages[name] then runtime.optim.sgd(averages[name], tensor, nil, toward) end
  end
end

--- Leaves the averages in the model, for good.
function M.settle(run)
  for name, tensor in pairs(run.averages and tensors_of(run.model) or {}) do
    if run.averages[name] then tensor:copy_(run.averages[name]) end
  end
  run.averages = nil
end

--- Calls f while the model has the averages; a model without them is as it is.
--- @param run table {model=, averages=}
--- @return any what f returns
function M.evaluating(run, f)
  if not run.averages then return f() end
  local own = {}
  for name, tensor in pairs(tensors_of(run.model)) do
    if run.averages[name] then
      own[tensor] = runtime.tensor.to(tensor)
      tensor:copy_(run.averages[name])
    end
  end
  local _ <close> = setmetatable({}, { -- whatever happens
    __close = function()
      for tensor, value in pairs(own) do tensor:copy_(value) end
    end,
  })
  return f()
end

return M
