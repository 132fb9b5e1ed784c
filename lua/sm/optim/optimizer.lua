--- What every optimizer shares: groups of parameters, gradients, clipping, learning rates, state for
--- checkpoints. A rule (sgd.lua, adam.lua, …, a person's own) adds its options, its state, and how a parameter moves.
local check = require "sm.check"
local columns = require "sm.columns"
local fail = require "sm.fail"
local groups = require "sm.optim.group"
local problem = require "sm.problem"
local ordered = require "sm.ordered"
local parameters_of = require "sm.optim.parameters"
local rules = require "sm.optim.rule"
local runtime = require "sm.runtime"
local schedule = require "sm.optim.schedule"

local M = {}

local is_tensor, gradient_of = runtime.tensor.is_tensor, runtime.tensor.gradient
local adopt, check_parameter, take = parameters_of.adopt, parameters_of.check, parameters_of.take

local of_every_rule <const> = columns.define { heading = "Optimizer",
  { "step_rms", words = "how far a step moves the weights: the root of the mean square of their changes" },
}

local Optimizer = {}
local class <const> = { __index = Optimizer }

--- optim.sgd { lr = 0.1, momentum = 0.9 }
function class:__tostring()
  local words = {}
  for i, key in ipairs(ordered.sorted_keys(self.settings)) do
    words[i] = ("%s = %s"):format(key, self.settings[key])
  end
  return ("optim.%s { %s }"):format(self.name, table.concat(words, ", "))
end

-- Groups and their parameters -------------------------------------------------------------------------------

--- Adds parameters as a group.
--- @param parameters table|tensor model:parameters() (before or after the model is built), a table of named
---   tensors, or a tensor
--- @param overrides table? settings of this group alone, such as { lr = 1e-4, weight_decay = 0 }
--- @return the optimizer
function Optimizer:add(parameters, overrides)
  local group = groups.new(self, overrides)
  if is_tensor(parameters) then
    local name = "parameter" .. self.single + 1
    check_parameter(self, name, parameters)
    self.single = self.single + 1
    take(self, group, name, parameters)
  elseif ordered.is(parameters) then
    for _, other in ipairs(self.groups) do
      if other.source == parameters then fail("opt:add: these parameters were added before") end
    end
    for name, value in pairs(parameters) do check_parameter(self, name, value, true) end
    group.source = parameters
  elseif type(parameters) == "table" and not check.is_callable(parameters) then
    local names, values = {}, {}
    for name, value in check.each("opt:add", parameters) do names[#names + 1], values[name] = name, value end
    table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
    if #names == 0 then
      fail("opt:add: the table is empty; a layer has no tensors before the model is built, but model:parameters() may "
        .. "be added before: they are taken in as soon as they are there")
    end
    for _, name in ipairs(names) do check_parameter(self, name, values[name]) end
    for _, name in ipairs(names) do take(self, group, name, values[name]) end
  else
    fail("opt:add takes model:parameters(), a table of named tensors or a tensor, got %s",
      type(parameters) == "table" and "a model" or check.describe(parameters))
  end
  self.groups[#self.groups + 1] = group
  table.move(group.parts, 1, #group.parts, #self.groups + 1, self.groups)
  adopt(self)
  return self
end

--- Raises where a pattern of `groups` has found no parameter.
function Optimizer:check_groups()
  if not self.options.groups then return end
  adopt(self)
  local found = {}
  for _, group in ipairs(self.groups) do
    if group.pattern then found[group.pattern] = (found[group.pattern] or 0) + #group.entries end
  end
  for _, pattern in ipairs(ordered.sorted_keys(found)) do
    if found[pattern] == 0 then
      fail("optim.%s: option 'groups': '%s' matches no parameter that no pattern before it has taken (parameters: %s)",
        self.name, pattern, table.concat(ordered.keys(self:parameters()), ", "))
    end
  end
end

--- All parameters by name, group by group: an ordered map.
function Optimizer:parameters()
  adopt(self)
  local parameters = ordered.new()
  for _, group in ipairs(self.groups) do
    for _, entry in ipairs(group.entries) do ordered.set(parameters, entry.name, entry.tensor) end
  end
  return parameters
end

--- Where each parameter was added: a table from its name to "file.lua:9".
function Optimizer:places()
  local places = {}
  for _, group in ipairs(self.groups) do
    for _, entry in ipairs(group.entries) do places[entry.name] = group.where end
  end
  return places
end

--- Forgets the gradients of all parameters.
function Optimizer:zero_grad()
  adopt(self)
  for _, group in ipairs(self.groups) do runtime.tensor.forget_gradients(group.tensors) end
end

-- Steps -----------------------------------------------------------------------------------------------------

-- The learning rate of some options at a step.
local function rate_at(self, options, step)
  local lr = options.lr
  if type(lr) == "function" then
    local rate = lr(step)
    if math.type(rate) == nil or not (rate >= 0 and runtime.math.rounded(rate) < math.huge) then
      fail("the schedule of %s must return a learning rate of at least 0, got %s at step %d%s", self.name,
        check.describe(rate), step, type(rate) == "number" and rate > 0 and "; it must fit " .. runtime.real or "")
    end
    lr = rate
  end
  return rules.of[self].rate and rules.of[self].rate(options, lr, step) or lr
end

--- The learning rate of the first group at the last step done (before any: at the first step).
function Optimizer:rate()
  local first = self.groups[1]
  return rate_at(self, first and first.options or self.options, math.max(self.steps, 1))
end

-- Says why a step cannot be taken: something is not finite, or `what` would not be. A run adds which step it is.
local function refuse(self, entry, gradient, what)
  local numbers = runtime.math
  local function refuse_step(format, ...)
    local words = format:format(...)
    problem.raise("not finite", "%s", self.tell and self.tell(words) or words)
  end
  if not numbers.is_finite(gradient) then refuse_step("gradient of '%s' is not finite", entry.name) end
  if not numbers.is_finite(entry.tensor) then refuse_step("parameter '%s' is not finite", entry.name) end
  for key, tensor in pairs(entry.state or {}) do
    if not numbers.is_finite(tensor) then
      refuse_step("state '%s.%s' of the optimizer is not finite", entry.name, key)
    end
  end
  refuse_step("gradient of '%s' is too large: it goes up to %g, and %s does not fit %s; clip_value limits it",
    entry.name, numbers.max(runtime.pointwise.abs(gradient)):item(), what, runtime.real)
end

-- What all gradients are multiplied by so that their length, over all groups, is at most clip_norm.
local function clipping(self)
  local limit = self.options.clip_norm
  if not limit then return 1 end
  local sum = 0
  for _, group in ipairs(self.groups) do
    for _, entry in ipairs(group.entries) do
      local gradient = gradient_of(entry.tensor)
      if gradient then
        local squares = runtime.math.sum_of_squares(gradient)
        if squares ~= squares or squares == math.huge then refuse(self, entry, gradient, "its square") end
        sum = sum + squares
      end
    end
  end
  local norm = math.sqrt(sum)
  return norm > limit and limit / norm or 1
end

-- Makes the state tensors of a parameter.
local function make_state(self, group, entry)
  entry.state = rules.of[self].state(entry.tensor.shape, group.options)
  return entry.state
end

-- What a step needs of schedules and of memory, before it moves anything. The schedules come first: what they do to
-- gradients and groups holds for the step.
local function prepare(self, step)
  self:check_groups()
  for _, group in ipairs(self.groups) do group.call.lr = rate_at(self, group.options, step) end
  if self.steps ~= step - 1 then
    fail("opt:step: the schedule of %s has called opt:step or opt:restore in the middle of step %d", self.name, step)
  end
  local scale = clipping(self)
  for _, group in ipairs(self.groups) do
    local call = group.call
    call.step, call.scale = step, scale
    for i = 1, #group.entries do
      local entry = group.entries[i]
      if not entry.state and gradient_of(entry.tensor) then make_state(self, group, entry) end
    end
  end
end

--- Moves every parameter that has a gradient; those without one stay as they are, and so does their state.
--- A gradient that is not finite is an error which names the parameter, and so is one whose square, or the step that
--- follows from it, does not fit the numbers of tensors. The step is then not counted: the elements in question are as
--- they were, with their state; others, and parameters before this one, have moved.
function Optimizer:step()
  adopt(self)
  local step, moved = self.steps + 1, false
  prepare(self, step)
  local update = rules.of[self].update
  for _, group in ipairs(self.groups) do
    local call, entries = group.call, group.entries
    for i = 1, #entries do
      local entry = entries[i]
      local gradient = gradient_of(entry.tensor)
      if gradient then
        moved, entry.last = true, step
        if not update(entry.tensor, gradient, entry.state or make_state(self, group, entry), call) then
          refuse(self, entry, gradient, ("its square or the step at a rate of %g"):format(call.lr))
        end
      end
    end
  end
  if not moved then
    problem.raise("unmoved", next(self.by_name)
      and "no parameter has a gradient; call loss:backward() before opt:step()"
      or "the optimizer has no parameters; call opt:add(model:parameters()) before opt:step()")
  end
  self.steps = step
end

-- Telemetry -------------------------------------------------------------------------------------------------

--- Remembers every weight, so that telemetry() can say what the step that follows did. Costs a copy of the
--- weights; a step that nobody watches costs nothing.
function Optimizer:watch()
  adopt(self)
  for _, entry in pairs(self.by_name) do
    if entry.before then
      entry.before:copy_(entry.tensor)
    else
      entry.before = runtime.tensor.to(entry.tensor)
    end
  end
  self.watched = self.steps
end

--- Whether a step has been made since watch().
function Optimizer:has_moved()
  return self.watched ~= nil and self.steps > self.watched
end

--- What has happened since watch(), over the weights that had a gradient then. Reads only, and forgets what watch()
--- remembered.
--- @return table name → number, for each name of `opt.telemetry_names`: step_rms, the root mean square of the
---   changes of the weights; others are the rule's own
function Optimizer:telemetry()
  if not self:has_moved() then
    fail "opt:telemetry: there is no step to look at; call opt:watch() right before opt:step()"
  end
  local squares, count, moved = 0, 0, {}
  for _, group in ipairs(self.groups) do
    for _, entry in ipairs(group.entries) do
      if entry.last > self.watched then
        if not entry.before then
          fail("opt:telemetry: '%s' was added after opt:watch(); call it right before opt:step()", entry.name)
        end
        squares = squares + runtime.optim.squared_change(entry.before, entry.tensor)
        count = count + runtime.tensor.count(entry.tensor)
        moved[#moved + 1] = { state = entry.state, call = group.call }
      end
    end
  end
  for _, entry in pairs(self.by_name) do entry.before = nil end
  self.watched = nil
  local figures = rules.of[self].telemetry and rules.of[self].telemetry(moved) or {}
  figures.step_rms = math.sqrt(squares / count)
  return figures
end

-- State -----------------------------------------------------------------------------------------------------

--- The tensors to keep in a checkpoint, with `opt.steps`: an ordered map by name ("conv1.weight.mem").
function Optimizer:state()
  adopt(self)
  local state = ordered.new()
  for _, group in ipairs(self.groups) do
    for _, entry in ipairs(group.entries) do
      for _, key in ipairs(rules.of[self].state_names or ordered.sorted_keys(entry.state or {})) do
        local tensor = entry.state and entry.state[key]
        if tensor then ordered.set(state, entry.name .. "." .. key, tensor) end
      end
    end
  end
  return state
end

-- A copy of the tensor of this name, checked against the tensor it replaces.
local function restored(tensors, name, like)
  local value = tensors[name]
  if value == nil then fail("opt:restore: '%s' is missing", name) end
  local expected, given = check.describe(like), check.describe(value)
  if expected ~= given or value.dtype ~= like.dtype then
    fail("opt:restore: '%s' must be %s of %s, got %s%s", name, expected, like.dtype, given,
      is_tensor(value) and " of " .. value.dtype or "")
  end
  return value:clone()
end

--- Takes over what state() gave. All or nothing: after an error the optimizer is as it was. A parameter may
--- lack its state altogether, as one that never had a gradient does.
--- @param tensors table a table or ordered map, name → tensor
--- @param steps integer the number of steps done
function Optimizer:restore(tensors, steps)
  adopt(self)
  if type(tensors) ~= "table" then
    fail("opt:restore takes what opt:state() gave, got %s", check.describe(tensors))
  end
  if math.type(steps) ~= "integer" or steps < 0 then
    fail("opt:restore: argument 2 must be the number of steps done, got %s", check.describe(steps))
  end
  local states, expected = {}, {}
  for _, group in ipairs(self.groups) do
    for _, entry in ipairs(group.entries) do
      local fresh, present = rules.of[self].state(entry.tensor.shape, group.options), false
      for key in pairs(fresh) do
        local name = entry.name .. "." .. key
        expected[name] = true
        present = present or tensors[name] ~= nil
      end
      if present then
        for key, like in pairs(fresh) do fresh[key] = restored(tensors, entry.name .. "." .. key, like) end
        states[entry] = fresh
      end
    end
  end
  for name in next, tensors do
    if not expected[name] then
      fail("opt:restore: '%s' is no state of %s%s", check.word(name), self.name,
        check.suggest(check.word(name), ordered.sorted_keys(expected)))
    end
  end
  for _, entry in pairs(self.by_name) do entry.state, entry.last = states[entry], 0 end
  self.steps = steps
end

check.public_methods(Optimizer, "opt:", {
  "add", "parameters", "zero_grad", "rate", "step", "watch", "telemetry", "state", "restore",
}, "an optimizer")

-- Rules -----------------------------------------------------------------------------------------------------

M.LEARNING_RATE = rules.LEARNING_RATE

--- Defines an optimizer.
--- @param rule table see sm.optim.rule
--- @param own boolean|nil whether it is a person's own, which the reference does not know
--- @return function the constructor
function M.define(rule, own)
  rules.complete(rule)
  local where = "optim." .. rule.name
  if not own then check.spec(where, rule.spec) end
  local takes = ("one table of options, as in opt = %s { lr = 1e-3 } (opt:add(model:parameters()) says what it moves, "
    .. "and an experiment does so by itself)"):format(where)
  return check.public(where, function(given)
    if ordered.is(given) or is_tensor(given) then
      fail("%s takes %s, got %s", where, takes, ordered.is(given) and "parameters" or check.describe(given))
    end
    local options, settings = rule.check(where, given), {}
    for key, value in pairs(options) do settings[key] = value end
    settings.lr = schedule.describe(options.lr)
    settings.groups = options.groups and ("{ %d of them }"):format(rawlen(options.groups))
    local names = table.move(of_every_rule, 1, #of_every_rule, 1, {})
    table.move(rule.telemetry_names or {}, 1, #(rule.telemetry_names or {}), #names + 1, names)
    local self = setmetatable({
      name = rule.name, steps = 0, options = options, settings = settings,
      groups = {}, by_tensor = {}, by_name = {}, single = 0, telemetry_names = names,
    }, class)
    rules.of[self] = rule
    groups.new(self) -- raises where the option `groups` is none
    return self
  end, { takes = takes })
end

return M
