--- Data sets and their batches. `sm.data.mnist{validation = 5000}`.
-- @module sm.data
local check = require "sm.check"
local files = require "sm.data.files"
local named = require "sm.data.named"

-- A data set that refuses what it would ignore.
local function exactly(name, make)
  return function(given, ...)
    check.no_more("data." .. name, "one table of options", ...)
    return make(given)
  end
end

return check.closed({
  mnist = exactly("mnist", named.mnist),
  fashion = exactly("fashion", named.fashion),
  mnist_mini = exactly("mnist_mini", named.mnist_mini),
  idx = exactly("idx", files.idx),
  tensors = exactly("tensors", files.tensors),
}, "sm.data", "data sets")
