--- smrun: tensors, grouped activations, optimizers and experiments. `local sm = require "sm"`.
-- Rooms beyond the tensors are loaded when they are first used.
-- @module sm
-- Older Luas read this file too, and are told what is needed: so it is written without what they cannot read.
local jit = rawget(_G, "jit")
if _VERSION ~= "Lua 5.4" and _VERSION ~= "Lua 5.5" then
  error("smrun needs Lua 5.4 or 5.5, this is " .. (jit and jit.version or _VERSION), 0)
end

require "sm.packages"
local runtime = require "sm.runtime"
local autograd = require "sm.autograd"
local check = require "sm.check"
local elsewhere = require "sm.elsewhere"
local fail = require "sm.fail"
local random = require "sm.random"
local tensor = require "sm.tensor"

local sm = {
  tensor = tensor.tensor, zeros = tensor.zeros, ones = tensor.ones, full = tensor.full, arange = tensor.arange,
  randn = tensor.randn, rand = tensor.rand,
  --- sm.is_tensor(x): whether a value is a tensor.
  is_tensor = runtime.tensor.is_tensor,
  seed = random.seed,
  no_grad = autograd.no_grad, enable_grad = autograd.enable_grad, op = autograd.op, gradcheck = require "sm.gradcheck",
  grad = require "sm.gradients".grad,
  pointwise = require "sm.ops.traced".pointwise,
}
for name, f in pairs(sm) do sm[name] = check.public("sm." .. name, f) end
for _, operation in ipairs(require "sm.ops.records") do
  local name, parameters = operation.name, operation.parameters
  if operation.call then sm[name] = check.public("sm." .. name, operation.f, { parameters = parameters }) end
end
sm.version = runtime.version

local in_smrun = package.loaded["sm.host"] ~= nil -- elsewhere plain Lua runs the file of an experiment

local LAZY = {
  nn = function() return require "sm.nn" end,
  optim = function() return require "sm.optim" end,
  data = function() return require "sm.data" end,
  view = function() return require "sm.view" end,
  png = function() return require "sm.png".public end,
  save = function() return check.public("sm.save", require "sm.files".save) end,
  load = function() return check.public("sm.load", require "sm.files".load) end,
  params = function()
    return check.public("sm.params", in_smrun and require "sm.experiment.params".declare
      or require "sm.cli.script".params)
  end,
  export = function() return check.public("sm.export", require "sm.onnx".export) end,
  load_run = function() return check.public("sm.load_run", require "sm.experiment.trained".load_run) end,
  experiment = function()
    return check.public("sm.experiment", in_smrun and require "sm.cli.host".experiment
      or require "sm.cli.script".experiment)
  end,
}

local names = {}
for _, from in ipairs { sm, LAZY } do
  for name in pairs(from) do names[#names + 1] = name end
end
table.sort(names)

-- Raises for a name that there is not, and says what is likely to be meant.
local function refuse(name)
  local method = rawget(tensor.methods, name) and ("; it is a method of tensors, x:%s(…)"):format(name)
  fail("sm has no '%s'%s", name, method or elsewhere.hint("sm", name) or check.suggest(name, names))
end

--- All names in alphabetical order; a room is loaded when its turn comes.
local function all()
  local position = 0
  return function()
    position = position + 1
    local name = names[position]
    if name then return name, sm[name] end
  end
end

setmetatable(sm, {
  __index = function(_, name)
    local load = LAZY[name]
    if not load then refuse(check.word(name)) end
    sm[name] = load()
    return sm[name]
  end,
})

return check.read_only(sm, "sm", {
  __pairs = all,
  __tostring = function() return "sm " .. runtime.version .. ", with " .. table.concat(names, ", ") end,
})
