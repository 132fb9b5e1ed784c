--- Layers whose channels are options in groups: softmax and its like. docs/guide/04-groups.md says what they are good
-- for.
-- Each has `sizes(channels)`, the sizes of its groups, `temperature()`, and `grouping`, what its operation takes.
local arguments = require "sm.ops.arguments"
local autograd = require "sm.autograd"
local check = require "sm.check"
local fail = require "sm.fail"
local rules = require "sm.ops.grouping"
local initialise = require "sm.nn.initialise"
local layer = require "sm.nn.layer"
local tensor = require "sm.tensor"

local M = {}

local SCALE <const>, OFF <const>, HARD <const> = rules.FLAGS.scale, rules.FLAGS.off, rules.FLAGS.hard
local TEMPERATURE <const> = { type = { "real", "function", "string" }, default = 1, above = 0, choices = { "learned" },
  doc = "divides the logits: a number, a function of the training step, or one learned for each group" }

-- Groups --------------------------------------------------------------------------------------------------

local function setup(self, where)
  local o = self.options
  if o.groups and o.sizes then fail("%s takes groups or sizes, got both", where) end
  if o.axis and (o.groups or o.sizes) then
    fail("%s: groups and sizes are of the last axis; give them or another axis, not both", where)
  end
  if o.sizes then o.sizes = check.sizes(where, o.sizes) end
  if o.axis then o.axis, self.role = arguments.list(where, o.axis, "a list of axes"), "activation" end
  if o.temperature == "learned" and o.axis then
    fail("%s: a temperature is learned for each group of the last axis, not over another axis", where)
  end
  self.grouping = { sizes = o.sizes, axis = o.axis, scale = o.scale, off = o.off, hard = o.hard, k = o.k,
    temperature = type(o.temperature) == "number" and o.temperature or nil }
  if not (o.sizes or o.axis) then self.grouping.groups = o.groups or 1 end
end

--- The sizes of the groups of so many channels, an array.
local function sizes(self, channels)
  local grouping, list = self.grouping, {}
  if grouping.axis then fail("layer '%s' has no groups of channels: it is over other axes", self.path) end
  if grouping.sizes then return table.move(grouping.sizes, 1, #grouping.sizes, 1, list) end
  if channels % grouping.groups ~= 0 then
    fail("%d channels cannot be divided into %d equal groups", channels, grouping.groups)
  end
  for group = 1, grouping.groups do list[group] = channels // grouping.groups end
  return list
end

local function build_values(self, shape)
  for _, axis in ipairs(self.grouping.axis or {}) do
    if arguments.axis(self.constructor, axis, shape) == 1 then
      error("axis 1 is the batch, whose examples do not depend on one another", 0)
    end
  end
  local temperature = self.options.temperature
  if temperature == "learned" then
    self:make_parameter("log_temperature", { #self:sizes(shape[#shape]) }, tensor.zeros)
  elseif type(temperature) == "function" then
    self:make_buffer("steps", tensor.zeros(1))
  end
end

--- The temperature as it is: a number, or a tensor {groups} of learned ones. Where it depends on the step, that of the
--- last step in training.
--- @param step integer|nil of another one
local function temperature(self, step)
  local given = self.options.temperature
  if given == "learned" then
    local learned = autograd.no_grad(function() return self.log_temperature:exp() end)
    return #learned == 1 and learned:item() or learned
  elseif type(given) ~= "function" then
    return given or 1
  end
  step = step or math.max(1, math.tointeger(self.steps:item()))
  local value = given(step)
  if type(value) ~= "number" or not (value > 0 and value < math.huge) then
    error(("the temperature of step %d must be a number above 0, got %s"):format(step, check.describe(value)), 0)
  end
  return value
end

--- y = f(self, x, what the operation takes), in training a step further.
local function forward(self, x, f)
  local given, now = self.options.temperature, {}
  for key, value in pairs(self.grouping) do now[key] = value end
  if type(given) ~= "function" then
    if given == "learned" then now.temperature = self.log_temperature:exp() end
    return f(self, x, now)
  end
  local step = self.training and math.tointeger(self.steps:item()) + 1 or nil
  now.temperature = temperature(self, step)
  local y = f(self, x, now)
  if step then
    autograd.no_grad(function() self.steps:copy_(tensor.full({ 1 }, step)) end)
  end
  return y
end

local function describe(self)
  local grouping, o, words = self.grouping, self.options, {}
  local channels = self.output_shape and self.output_shape[#self.output_shape]
  if grouping.axis then
    words[1] = (#grouping.axis == 1 and "axis " or "axes ") .. table.concat(grouping.axis, ", ")
  elseif grouping.sizes then
    words[1] = "groups of " .. table.concat(grouping.sizes, ", ")
  else
    words[1] = grouping.groups == 1 and "1 group" or grouping.groups .. " groups"
    if channels then words[1] = words[1] .. " of " .. channels // grouping.groups end
  end
  if o.k then words[#words + 1] = o.k == 1 and "1 winner" or o.k .. " winners" end
  if type(o.temperature) == "number" and o.temperature ~= 1 then
    words[#words + 1] = ("temperature %g"):format(o.temperature)
  elseif type(o.temperature) == "string" then
    words[#words + 1] = o.temperature .. " temperature"
  elseif type(o.temperature) == "function" then
    words[#words + 1] = "temperature by step"
  end
  if o.scale then words[#words + 1] = "scaled" end
  if o.off then words[#words + 1] = "with off" end
  if o.hard then words[#words + 1] = "hard" end
  return table.concat(words, ", ")
end

--- Defines a layer of groups.
-- @param role "grouping" where it is a softmax, whose weights views can read as log-probabilities
-- @param options beside groups, sizes and axis
-- @param f function(self, x, what its operation takes) → y
local function define(kind, role, options, f)
  options = rules.options_with(options)
  M[kind] = layer.define(kind, {
    role = role,
    options = options,
    setup = setup,
    build_values = build_values,
    forward = function(self, x) return forward(self, x, f) end,
    sizes = sizes,
    temperature = temperature,
    describe = describe,
  })
end

--- nn.softmax { groups = 4 }: a softmax over each group of channels (the last axis), at each location.
--- Sizes are of uneven groups, {16, 16, 32}. An axis counts that of the batch, too: {2, 3} are all locations of an
--- image. The step that a temperature depends on counts the layer's calls in training from 1. One that is learned is a
--- parameter for each group, whose logarithm begins at 0.
define("softmax", "grouping", { temperature = TEMPERATURE, scale = SCALE, off = OFF, hard = HARD },
  function(_, x, o) return x:softmax(o) end)

--- nn.gumbel_softmax { groups = 4, temperature = 1, hard = false }: the same with Gumbel noise on the logits in
--- training, so that the largest of a group is a draw from its softmax; in evaluation the softmax itself. Jang, Gu and
--- Poole 2017, arxiv.org/abs/1611.01144; Maddison, Mnih and Teh 2017, arxiv.org/abs/1611.00712.
define("gumbel_softmax", "grouping", { temperature = TEMPERATURE, hard = HARD }, function(self, x, o)
  if self.training then return x:gumbel_softmax(o) end
  return x:softmax(o)
end)

--- nn.sparsemax { groups = 4 }: probabilities of which many are exactly 0. Martins and Astudillo 2016,
--- arxiv.org/abs/1602.02068.
define("sparsemax", "activation", {}, function(_, x, o) return x:sparsemax(o) end)

--- nn.kwta { k = 1, groups = 4 }: of each group the k largest, and 0 for the others. Makhzani and Frey 2013,
--- arxiv.org/abs/1312.5663.
define("kwta", "activation", { k = { type = "integer", required = true, min = 1, doc = "winners of each group" } },
  function(_, x, o) return x:kwta(o) end)

-- Maxout --------------------------------------------------------------------------------------------------

--- nn.maxout { features, pieces = 2 }: each feature is the largest of so many linear functions of x, along the last
--- axis. Without features, the largest of every so many neighbours among the channels of the layer before. Goodfellow
--- et al. 2013, arxiv.org/abs/1302.4389.
M.maxout = layer.define("maxout", {
  role = "weights",
  options = {
    { type = "integer", min = 1, doc = "features" },
    pieces = { type = "integer", default = 2, min = 2, doc = "of which the largest is taken" },
    bias = { type = "boolean", doc = "whether each piece has a bias; true by default" },
    init = { type = "function", doc = "of the weight; he_normal by default" },
    bias_init = { type = "function", doc = "of the bias; zeros by default" },
  },

  setup = function(self, where)
    local o = self.options
    if not o[1] and (o.bias ~= nil or o.init or o.bias_init) then
      fail("%s: bias, init and bias_init are of the pieces of features, and no features are given", where)
    elseif o.bias_init and o.bias == false then
      fail("%s: bias_init is given, but bias = false", where)
    end
  end,

  build_values = function(self, shape)
    local o = self.options
    if not o[1] then return end
    local inputs, outputs = shape[#shape], o[1] * o.pieces
    self:make_parameter("weight", { inputs, outputs }, o.init or initialise.he_normal(), inputs, outputs)
    if o.bias ~= false then
      self:make_parameter("bias", { outputs }, o.bias_init or initialise.zeros(), inputs, outputs)
    end
  end,

  forward = function(self, x)
    if self.weight then x = x:linear(self.weight, self.bias) end
    return x:maxout { pieces = self.options.pieces }
  end,

  describe = function(self)
    local o = self.options
    return (o[1] and o[1] .. " features of " or "of ") .. o.pieces .. " pieces"
  end,
})

return M
