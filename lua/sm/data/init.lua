--- Data sets and their batches. `sm.data.mnist{validation = 5000}`.
-- @module sm.data
local check = require "sm.check"
local fail = require "sm.fail"
local files = require "sm.data.files"
local named = require "sm.data.named"

local M = {
  mnist = named.mnist,
  fashion = named.fashion,
  mnist_mini = named.mnist_mini,
  idx = files.idx,
  tensors = files.tensors,
}

return setmetatable(M, {
  __index = function(_, name)
    local names = {}
    for known in pairs(M) do names[#names + 1] = known end
    table.sort(names)
    name = tostring(name)
    fail("sm.data has no data set '%s'%s (there are %s)", name, check.suggest(name, names),
      table.concat(names, ", "))
  end,
})
