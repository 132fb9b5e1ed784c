--- Several optimizers as one, each of which moves a part of a model: `optimizer = { generator = …, critic = … }` of an
--- experiment. It has what an experiment asks of an optimizer; each of them is stepped by itself, too.
local check = require "sm.check"
local columns = require "sm.columns"
local fail = require "sm.fail"
local ordered = require "sm.ordered"
local problem = require "sm.problem"
local without_line = require "sm.place".without_line

local M = {}

local attempt = problem.attempt

local rate <const> = columns.define { heading = "Optimizer", beside = { "step_rms" },
  { "lr", title = "learning rate", words = "how large a step of this optimizer is, or may be" },
}

local Several = {}
local class <const> = {}

--- `steps` is how many all of them have done, and `groups` are those of all.
function class.__index(self, key)
  if key ~= "steps" and key ~= "groups" then return Several[key] end
  local steps, groups = 0, {}
  for _, _, optimizer in self:each() do
    steps = steps + optimizer.steps
    table.move(optimizer.groups, 1, #optimizer.groups, #groups + 1, groups)
  end
  return key == "steps" and steps or groups
end

--- What a run has its optimizer say is said by each.
function class.__newindex(self, key, value)
  if key ~= "tell" then return rawset(self, key, value) end
  for _, _, optimizer in self:each() do optimizer.tell = value end
end

--- The optimizers as a person's functions have them, at.optimizer: a name that there is none of is an error.
local function named_of(optimizers)
  local named, names = {}, ordered.sorted_keys(optimizers)
  for name, optimizer in next, optimizers do named[name] = optimizer end
  return setmetatable(named, {
    __index = function(_, key)
      local word = check.word(key)
      fail("at.optimizer has no '%s'%s; %s", word, check.suggest(word, names),
        #names > 0 and "it has optimizers by name: " .. table.concat(names, ", ") or "the experiment declares none")
    end,
  })
end

--- @param optimizers table name → optimizer
function M.new(optimizers)
  local self = setmetatable({
    optimizers = optimizers, names = ordered.sorted_keys(optimizers), named = named_of(optimizers),
  }, class)
  local words, telemetry = {}, {}
  for position, name, optimizer in self:each() do
    words[position] = ("%s (%s)"):format(optimizer.name, name)
    telemetry[#telemetry + 1] = name .. "_" .. rate[1]
    for _, figure in ipairs(optimizer.telemetry_names or {}) do telemetry[#telemetry + 1] = name .. "_" .. figure end
  end
  self.name, self.telemetry_names = #words > 0 and table.concat(words, ", ") or "no optimizer", telemetry
  return self
end

--- Iterates in the order of the names: position, name, optimizer.
function Several:each()
  local position = 0
  return function()
    position = position + 1
    local name = self.names[position]
    if name then return position, name, self.optimizers[name] end
  end
end

--- All of the parts' maps as one. A key that two have, and every one where it is said, gets the optimizer's name in
--- front.
local function merged(self, method, prefixed)
  local all = ordered.new()
  for _, name, optimizer in self:each() do
    for key, value in pairs(optimizer[method](optimizer)) do
      ordered.set(all, (prefixed or all[key]) and name .. "." .. key or key, value)
    end
  end
  return all
end

--- Gives each that the file has given nothing the parameters of the layer that has its name.
--- @param model table a model that is built
function Several:add(model)
  local all, owner = model:parameters(), {}
  for _, name, optimizer in self:each() do
    if #optimizer.groups == 0 then
      local mine, own = {}, ordered.new()
      local found, layer = attempt(model.layer, model, name)
      if not found then fail("the optimizer '%s' moves the layer of that name, but %s", name, without_line(layer)) end
      for _, tensor in pairs(layer:parameters()) do mine[tensor] = true end
      for path, tensor in pairs(all) do
        if mine[tensor] then ordered.set(own, path, tensor) end
      end
      if #own == 0 then fail("the optimizer '%s' has nothing to move: the layer has no parameters", name) end
      optimizer:add(own)
    end
    for path, tensor in pairs(optimizer:parameters()) do
      if owner[tensor] then
        fail("the optimizers '%s' and '%s' would both move '%s'", owner[tensor], name, path)
      end
      owner[tensor] = name
    end
  end
end

function Several:parameters()
  return merged(self, "parameters")
end

function Several:places()
  return merged(self, "places")
end

function Several:state()
  return merged(self, "state", true)
end

--- How many steps each has done. @return table name → integer
function Several:progress()
  local steps = {}
  for _, name, optimizer in self:each() do steps[name] = optimizer.steps end
  return steps
end

--- @param tensors table name → tensor, as state() has them
--- @param steps table name → integer, as progress() has them
function Several:restore(tensors, steps)
  local parts = {}
  for _, name in self:each() do parts[name] = {} end
  for key, tensor in next, tensors do
    local name, rest = key:match "^([^.]+)%.(.+)$"
    if not parts[name] then fail("'%s' is no state of %s", key, self.name) end
    parts[name][rest] = tensor
  end
  for _, name, optimizer in self:each() do
    if not steps[name] then fail("the steps of the optimizer '%s' are missing", name) end
    optimizer:restore(parts[name], steps[name])
  end
end

for _, method in ipairs { "zero_grad", "watch", "check_groups" } do
  Several[method] = function(self)
    for _, _, optimizer in self:each() do optimizer[method](optimizer) end
  end
end

--- Steps each, as the gradient of one loss is followed.
function Several:step()
  for _, name, optimizer in self:each() do
    local ok, met = attempt(optimizer.step, optimizer)
    if not ok and problem.kind(met) == "unmoved" then
      problem.raise("unmoved", "the loss depends on no parameter that the optimizer '%s' moves", name)
    elseif not ok then
      error(met, 0)
    end
  end
end

--- No rate is that of all: telemetry has each.
function Several.rate()
  return nil
end

--- Of those that have moved since watch(), and the rates of all.
function Several:telemetry()
  local all = {}
  for _, name, optimizer in self:each() do
    all[name .. "_lr"] = optimizer:rate()
    if optimizer:has_moved() then
      for figure, value in pairs(optimizer:telemetry()) do all[name .. "_" .. figure] = value end
    end
  end
  return all
end

function Several:has_moved()
  for _, _, optimizer in self:each() do
    if optimizer:has_moved() then return true end
  end
  return false
end

return M
