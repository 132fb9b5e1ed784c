--- What tells one optimizer from another: its rule, a table with
---   name: in sm.optim;
---   options: spec for check.options, beside weight_decay, clip_norm, clip_value and, required, lr;
---   state(shape, options): a table name → new tensor, what there is to remember of a parameter of this shape;
---   and one of the two that move a parameter:
---   step(w, g, state, at) → the new weights: written with tensors, see sm.optim.define;
---   update(w, gradient, state, call): moves w and its state in place; true unless the step is not finite. The gradient
---   is as it came: `call` has lr, step, scale, clip, weight_decay, and the options that are constants.
--- It may also have
---   decoupled: weight decay shrinks the weights that step gets, and is not added to the gradient;
---   validate(where, options): raises where options do not go together;
---   rate(options, lr, step): the rate that is really used;
---   state_names: array, the order in which checkpoints have the state; in that of the alphabet without it;
---   constants: array of the options that update takes as they are;
---   telemetry_names, telemetry(moved): what there is to say of a step beside step_rms, a table name → number;
---   moved: array of {state=, call=(as the last update left it)}, one for each parameter that had a gradient.
local autograd = require "sm.autograd"
local check = require "sm.check"
local fail = require "sm.fail"
local runtime = require "sm.runtime"
local sorted_keys = require "sm.ordered".sorted_keys
local shape_text = require "sm.text".shape

local M = {}

M.of = setmetatable({}, { __mode = "k" }) -- optimizer → its rule, which no script sees

local is_tensor, same_shape, is_finite = runtime.tensor.is_tensor, runtime.tensor.same_shape, runtime.math.is_finite
local lend <const> = runtime.tensor.lend_gradient

--- What `lr` is, for the reference.
M.LEARNING_RATE = "the learning rate, or a function of the step, as schedules are"

-- Options of every rule. clip_norm, clip_value and groups hold for the whole optimizer, the others for a group too.
local COMMON = {
  lr = { type = { "real", "function" }, required = true, min = 0, below = math.huge, doc = M.LEARNING_RATE },
  weight_decay = { type = "real", default = 0, min = 0, below = math.huge,
    doc = "so many times each weight is added to its gradient" },
  clip_norm = { type = "real", above = 0,
    doc = "the greatest length of all gradients together; longer ones are shortened" },
  clip_value = { type = "real", above = 0, doc = "the greatest size of an element of a gradient" },
  groups = { type = "table",
    doc = "settings by a pattern of names, the first that matches: { { \"^head%.\", lr = 1e-2 }, … }" },
}

--- The weights that a step begins with, and the gradient that it sees: as a kernel has them.
local function prepared(rule, w, g, call)
  local decay = call.weight_decay
  if call.scale ~= 1 then g = g * call.scale end
  if call.clip > 0 then g = g:clamp(-call.clip, call.clip) end
  if decay == 0 then return w, g end
  if rule.decoupled then return w * (1 - call.lr * decay), g end
  return w, g + w * decay
end

-- Whether what step has made of the weights or of the state is finite; raises where it is no tensor like the old one.
local function is_sound(rule, what, value, like)
  if not is_tensor(value) or value.dtype ~= runtime.real or not same_shape(value, like) then
    fail("optim.%s: step must give %s, a %s tensor %s, got %s", rule.name, what, runtime.real,
      shape_text(like.shape), check.describe(value))
  end
  return is_finite(value)
end

--- The update of a rule whose step is written with tensors: all of a parameter's step, or nothing.
function M.stepping(rule)
  return function(w, gradient, state, call)
    return autograd.no_grad(function()
      if not is_finite(gradient) then return false end
      lend(w)
      local at, own, kept = {}, {}, {}
      for key, value in pairs(call.options) do at[key] = value end
      at.lr, at.step = call.lr, call.step
      for key, tensor in pairs(state) do own[key] = tensor end
      local start, g = prepared(rule, w, gradient, call)
      local moved = rule.step(start, g, own, at)
      local finite = is_sound(rule, "the new weights", moved, w)
      for key, tensor in pairs(own) do
        if not state[key] then
          fail("optim.%s: step has added '%s' to the state, which is none of what state() makes%s", rule.name,
            check.word(key), check.suggest(check.word(key), sorted_keys(state)))
        end
        finite = is_sound(rule, ("'%s' of the state"):format(key), tensor, state[key]) and finite
      end
      for key in pairs(state) do
        if own[key] == nil then fail("optim.%s: step has removed '%s' from the state", rule.name, key) end
      end
      if not finite then return false end
      for key, tensor in pairs(own) do -- what is kept is nobody else's: neither the gradient nor the weights
        kept[key] = rawequal(tensor, state[key]) and tensor or tensor:clone()
      end
      if not rawequal(moved, w) then w:copy_(moved) end
      for key, tensor in pairs(kept) do state[key] = tensor end
      return true
    end)
  end
end

--- Adds to a rule what every optimizer asks of one: check(where, given) → options, settings(options) → what updates get
--- as `call`, update, and spec, that of all options.
function M.complete(rule)
  local spec, constants = {}, rule.constants or {}
  for key, value in pairs(COMMON) do spec[key] = value end
  for key, value in pairs(rule.options) do spec[key] = value end
  rule.spec = spec
  rule.update = rule.update or M.stepping(rule)

  function rule.check(where, given)
    local options = check.options(where, given, spec)
    if rule.validate then rule.validate(where, options) end
    return options
  end

  function rule.settings(options)
    local call = { clip = options.clip_value or 0, weight_decay = options.weight_decay, options = options }
    for _, key in ipairs(constants) do call[key] = options[key] end
    return call
  end
end

return M
