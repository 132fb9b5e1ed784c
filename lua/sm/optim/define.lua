--- Optimizers of one's own, written with tensors.
local check = require "sm.check"
local fail = require "sm.fail"
local optimizer = require "sm.optim.optimizer"
local runtime = require "sm.runtime"
local shape_text = require "sm.text".shape

local SPEC <const> = check.spec("optim.define", {
  name = { type = "string", required = true, doc = "how messages call it" },
  options = { type = "table", default = {}, doc = "its options beside lr, by name" },
  state = { type = "function", doc = "state(shape, options): new tensors by name, what is remembered of a parameter" },
  step = { type = "function", required = true, doc = "step(w, g, state, at): the new weights" },
  rate = { type = "function", doc = "rate(options, lr, step): the learning rate that is used, where lr is not" },
  validate = { type = "function", doc = "validate(where, options): raises where options do not go together" },
  decoupled = { type = "boolean", default = false, doc = "whether weight decay multiplies w by 1 − lr·weight_decay" },
})
local TYPES <const> = { "number", "real", "integer", "string", "boolean", "table", "function", "tensor" }
local OPTION <const> = {
  type = { type = { "string", "table" } }, default = {}, required = { type = "boolean" }, min = { type = "number" },
  max = { type = "number" }, above = { type = "number" }, below = { type = "number" }, choices = { type = "table" },
  doc = { type = "string" },
}
local TAKEN <const> = { step = true, clip_norm = true, clip_value = true, groups = true }

--- An option as check.options wants it, of one's own: what is not meant is refused here and not at the first use.
local function option_of(where, name, given)
  local rule = check.options(("%s: option '%s'"):format(where, name), given, OPTION)
  local kinds = type(rule.type) == "table" and rule.type or { rule.type }
  for _, kind in ipairs(kinds) do
    local known = false
    for _, one in ipairs(TYPES) do known = known or one == kind end
    if not known then
      fail("%s: the type of option '%s' must be one of '%s', got '%s'%s", where, name, table.concat(TYPES, "', '"),
        check.word(kind), check.suggest(check.word(kind), TYPES))
    end
  end
  return rule
end

local function options_of(where, given)
  local options = {}
  for name, rule in check.each(where, given) do
    if type(name) ~= "string" or not name:find "^[%a_][%w_]*$" or TAKEN[name] then
      fail("%s: an option cannot be called '%s'%s", where, check.word(name),
        TAKEN[name] and ", which every optimizer has" or "; expected letters, digits and _")
    end
    options[name] = option_of(where, name, rule)
  end
  return options
end

--- What a rule remembers of a parameter, checked: new tensors by name.
local function checked_state(where, state)
  return function(shape, options)
    local made, kept = state(shape, options), {}
    if type(made) ~= "table" then
      fail("%s: state must give a table of tensors by name, got %s", where, check.describe(made))
    end
    for name, tensor in check.each(where .. ": state", made) do
      if type(name) ~= "string" or not name:find "^[%a_][%w_]*$" or not runtime.tensor.is_tensor(tensor)
        or tensor.dtype ~= runtime.real or tensor:tracks() then
        fail("%s: state must give tensors of %s by name, such as { mean = sm.zeros(shape) }, got %s for '%s' (the "
          .. "shape is %s)", where, runtime.real, check.describe(tensor), check.word(name), shape_text(shape))
      end
      kept[name] = tensor:clone()
    end
    return kept
  end
end

local function no_state()
  return {}
end

--- sm.optim.define { name =, step = function(w, g, state, at) … end }: an optimizer of one's own. Groups, schedules,
--- clipping, weight decay, telemetry and checkpoints are as with the library's.
---   name: how messages call it;
---   options: table, name → {type=, default=, required=, min=, max=, above=, below=, choices=}, beside lr (required
---   unless given here with a default), weight_decay, clip_norm and clip_value;
---   state(shape, options): a table of new tensors, what is remembered of a parameter of this shape;
---   step(w, g, state, at): gives the new weights. w are the weights, g the gradient, clipped already and with
---   weight_decay·w added; state has the tensors, to be replaced: state.mean = 0.9 * state.mean + g; at has lr and step
---   (1 for the first), and the options. Nothing is recorded for gradients. Where a result is not finite, the parameter
---   and its state stay as they were, and opt:step() raises;
---   decoupled: true: weight decay multiplies w by 1 − lr·weight_decay instead;
---   rate(options, lr, step): the learning rate that is used, where lr is not;
---   validate(where, options): raises where options do not go together.
--- @return function the constructor: opt = mine { lr = 0.1 }
return function(given)
  local rule = check.options("optim.define", given, SPEC)
  if not rule.name:find "^[%a_][%w_]*$" then
    fail("optim.define: option 'name' must be letters, digits and _, got '%s'", rule.name)
  end
  local where = "optim." .. rule.name
  rule.options = options_of(where, rule.options)
  rule.state = rule.state and checked_state(where, rule.state) or no_state
  return optimizer.define(rule, true)
end
