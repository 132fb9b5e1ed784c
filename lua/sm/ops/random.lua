--- Operations that draw random numbers. See sm.ops.shape for what a record has.
-- @module sm.ops.random
local runtime = require "sm.runtime"
local autograd = require "sm.autograd"
local random = require "sm.random"

local record = autograd.record_twice

local records = {}

local function define(given) records[#records + 1] = given end

--- Drops of x what one place of the dropout stream says. The gradient draws it again, so no mask is stored.
local function dropped(y, x, p, seed, stream, offset)
  return record(y, "dropout", function(gy, _, graph)
    local gx = runtime.random.dropout(gy, p, seed, stream, offset)
    return graph and dropped(gx, gy, p, seed, stream, offset) or gx
  end, nil, x)
end

define {
  name = "dropout",
  doc = "x:dropout(p): each element kept with probability 1-p and multiplied by 1/(1-p), else 0.",
  f = function(x, p)
    local y, seed, stream, offset = random.draw("dropout", function(...)
      return runtime.random.dropout(x, p, ...)
    end)
    return dropped(y, x, p, seed, stream, offset)
  end,
  twice = true,
  dtypes = "real",
  special = false,
  reference = function(new, x, p) -- which elements are kept, the kernel says of ones
    local kept = random.draw("dropout", function(...)
      return runtime.random.dropout(runtime.tensor.full(x.shape, 1), p, ...)
    end):reshape(-1):totable()
    local i = 0
    return new(x.shape, function()
      i = i + 1
      return kept[i] == 0 and 0 or x[i] / (1 - p)
    end)
  end,
  samples = function(s)
    return { { s.real(3, 4), 0.25 }, { s.real(), 0.5 }, { s.real(0, 2), 0.5 }, { s.real(5), 0 },
      { s.real(130, 140), 0.9 } }
  end,
  refused = function(s)
    return { { "the probability must be at least 0 and below 1, got 2.0", s.real(2), 2 }, { "got nil", s.real(2) },
      { "must be a " .. runtime.real .. " tensor", s.uint8(2), 0.5 } }
  end,
}

return records
