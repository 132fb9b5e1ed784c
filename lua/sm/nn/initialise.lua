--- Initialisers: how a parameter gets its first values. Each is a plain function (shape, fan_in, fan_out) →
--- tensor, so a function of one's own serves as well. fan_in and fan_out are the numbers of values that reach
--- one output and that one input reaches: for a 5×5 convolution from 32 to 64 channels, 800 and 1600.
--- All numbers come from the random stream "initialisation", in the order of the parameters.
local check = require "sm.check"
local fail = require "sm.fail"
local random = require "sm.random"
local tensor = require "sm.tensor"

local M = {}

local STREAM = "initialisation"

local function deviation(where, value)
  if math.type(value) == nil or not (value >= 0 and value < math.huge) then
    fail("%s: the standard deviation must be a number of at least 0, got %s", where, check.describe(value))
  end
  return value
end

--- fan_in, or fan_in + fan_out, checked: whoever calls an initialiser may not be a layer.
local function sum_of(...)
  local sum = 0
  for i = 1, select("#", ...) do
    local fan = select(i, ...)
    if math.type(fan) == nil or fan ~= fan or fan <= 0 then
      fail("an initialiser takes a shape, fan_in and fan_out: argument %d must be a number above 0, got %s", i + 1,
        check.describe(fan))
    end
    sum = sum + fan
  end
  return sum
end

local function normal(shape, std)
  return random.normal(shape, STREAM) * std
end

local function uniform(shape, limit)
  return random.uniform(shape, STREAM) * (2 * limit) - limit
end

--- Every value the same.
--- @param value number
function M.constant(value)
  if math.type(value) == nil then
    fail("nn.init.constant: the value must be a number, got %s", check.describe(value))
  end
  return function(shape) return tensor.full(shape, value) end
end

--- Every value 0.
function M.zeros()
  return M.constant(0)
end

--- Normal with mean 0.
--- @param std number the standard deviation
function M.normal(std)
  deviation("nn.init.normal", std)
  return function(shape) return normal(shape, std) end
end

--- Normal with mean 0, values beyond two standard deviations drawn again (TensorFlow's truncated_normal).
--- @param std number the standard deviation before the redrawing
function M.truncated_normal(std)
  deviation("nn.init.truncated_normal", std)
  return function(shape) return random.truncated(shape, STREAM) * std end
end

--- Normal, variance 2/fan_in: keeps the scale of activations through relus. He et al. 2015,
--- arxiv.org/abs/1502.01852.
function M.he_normal()
  return function(shape, fan_in) return normal(shape, math.sqrt(2 / sum_of(fan_in))) end
end

--- As he_normal, uniform in ±sqrt(6/fan_in).
function M.he_uniform()
  return function(shape, fan_in) return uniform(shape, math.sqrt(6 / sum_of(fan_in))) end
end

--- Normal, variance 2/(fan_in + fan_out): keeps the scale both ways. Glorot and Bengio 2010.
function M.glorot_normal()
  return function(shape, fan_in, fan_out) return normal(shape, math.sqrt(2 / sum_of(fan_in, fan_out))) end
end

--- As glorot_normal, uniform in ±sqrt(6/(fan_in + fan_out)).
function M.glorot_uniform()
  return function(shape, fan_in, fan_out) return uniform(shape, math.sqrt(6 / sum_of(fan_in, fan_out))) end
end

return check.closed(M, "sm.nn.init", "initialisers")
