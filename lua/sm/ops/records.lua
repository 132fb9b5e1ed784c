--- All operations that are records, family by family: see sm.ops.shape. Each has its number of `parameters`, false
-- where it takes any number, and is heard of by who looks on (autograd.observe).
-- @module sm.ops.records
local autograd = require "sm.autograd"

local all = {}
for _, family in ipairs {
  require "sm.ops.shape", require "sm.ops.parts", require "sm.ops.fill", require "sm.ops.index", require "sm.ops.sort",
  require "sm.ops.compare", require "sm.ops.pointwise", require "sm.ops.views", require "sm.ops.reduce",
  require "sm.ops.product", require "sm.ops.window", require "sm.ops.softmax", require "sm.ops.groups",
  require "sm.ops.loss", require "sm.ops.distance", require "sm.ops.random", require "sm.ops.recurrent",
  require "sm.ops.normalise", require "sm.ops.norms", require "sm.ops.attention", require "sm.ops.pool",
  require "sm.ops.einsum",
} do
  table.move(family, 1, #family, #all + 1, all)
end
for _, operation in ipairs(all) do
  local info = debug.getinfo(operation.f, "u")
  operation.parameters = not info.isvararg and info.nparams
  operation.f = autograd.heard(operation.name, operation.f)
end
return all
