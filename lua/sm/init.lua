--- smrun: tensors, grouped activations, optimizers and experiments. `local sm = require "sm"`.
-- Rooms beyond the tensors are loaded when they are first used.
-- @module sm
local jit = rawget(_G, "jit")
if _VERSION ~= "Lua 5.4" then error("smrun needs Lua 5.4, this is " .. (jit and jit.version or _VERSION), 0) end

require "sm.packages"
local runtime = require "sm.runtime"
local autograd = require "sm.autograd"
local check = require "sm.check"
local fail = require "sm.fail"
local random = require "sm.random"
local tensor = require "sm.tensor"

local sm = {
  tensor = tensor.tensor, zeros = tensor.zeros, ones = tensor.ones, full = tensor.full, arange = tensor.arange,
  randn = tensor.randn, rand = tensor.rand, is_tensor = runtime.tensor.is_tensor,
  seed = random.seed,
  no_grad = autograd.no_grad, op = autograd.op, gradcheck = require "sm.gradcheck",
}
for name, f in pairs(sm) do sm[name] = check.public("sm." .. name, f) end
sm.version = runtime.version

local LAZY = {
  nn = function() return require "sm.nn" end,
  optim = function() return require "sm.optim" end,
  data = function() return require "sm.data" end,
  view = function() return require "sm.view" end,
  save = function() return check.public("sm.save", require "sm.files".save) end,
  load = function() return check.public("sm.load", require "sm.files".load) end,
  params = function() return check.public("sm.params", require "sm.experiment.params".declare) end,
  experiment = function() return check.public("sm.experiment", require "sm.experiment".declare) end,
}

return setmetatable(sm, {
  __index = function(_, name)
    local load = LAZY[name]
    if not load then
      local names = {}
      for _, from in ipairs { sm, LAZY } do
        for key in pairs(from) do names[#names + 1] = key end
      end
      table.sort(names)
      fail("sm has no '%s'%s", name, check.suggest(tostring(name), names))
    end
    sm[name] = load()
    return sm[name]
  end,
})
