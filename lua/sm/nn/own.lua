--- nn.layer { … }: kinds of layers of one's own.
local check = require "sm.check"
local fail = require "sm.fail"
local layer = require "sm.nn.layer"
local tree = require "sm.nn.tree"

local TYPES <const> = { number = true, real = true, integer = true, string = true, boolean = true, table = true,
  ["function"] = true, tensor = true }
local ROLES <const> = { "weights", "grouping", "activation", "normalisation", "pooling", "shape", "noise" }

local SPEC <const> = check.spec("nn.layer", {
  kind = { type = "string", required = true, doc = "its name in messages and in paths" },
  short = { type = "string", doc = "how paths begin, where it is not the kind" },
  options = { type = "table", doc = "of its layers, by name or position" },
  role = { type = "string", choices = ROLES, doc = "what views take it for" },
  input_dtype = { type = { "string", "table" }, doc = "the type of its input where that is not real; of several, all" },
  setup = { type = "function", doc = "setup(self): called when a layer is made" },
  layers = { type = "function", doc = "layers(self): new layers in a row or by name, which are in it" },
  build_values = { type = "function", doc = "build_values(self, shape, …): makes parameters and buffers" },
  forward = { type = "function", required = true, doc = "forward(self, x, …) → y, …" },
  describe = { type = "function", doc = "describe(self): a few words for print(model)" },
  methods = { type = "table", doc = "further functions, called as self:name(…)" },
})

-- Raises unless a rule of an option is one that check.options knows.
local function check_rule(where, key, rule)
  local kinds = type(rule) == "table" and rule.type
  for _, kind in ipairs(type(kinds) == "table" and kinds or { kinds }) do
    if not TYPES[kind] then kinds = nil end
  end
  if type(key) ~= "string" and math.type(key) ~= "integer" or not kinds then
    fail("%s: option '%s' is declared by a table such as { type = \"integer\", default = 3, min = 1 }, got %s", where,
      check.word(key), check.describe(rule))
  end
  for _, bound in ipairs { "min", "max", "above", "below" } do
    if rule[bound] ~= nil and math.type(rule[bound]) == nil then
      fail("%s: option '%s': %s must be a number, got %s", where, check.word(key), bound, check.describe(rule[bound]))
    end
  end
  if rule.choices ~= nil and type(rule.choices) ~= "table" then
    fail("%s: option '%s': choices must be a table, got %s", where, check.word(key), check.describe(rule.choices))
  end
end

-- The options of a kind, copied.
local function options_of(where, given)
  local options = {}
  for key, rule in check.each(where, given or {}) do
    if key == "name" then fail("%s: every layer has the option 'name'", where) end
    check_rule(where, key, rule)
    options[key] = {}
    for field, value in next, rule do options[key][field] = value end
  end
  return options
end

-- Takes functions of the user's into a class, as methods.
local function add_methods(where, class, methods)
  for name, method in check.each(where, methods or {}) do
    if type(name) ~= "string" or type(method) ~= "function" then
      fail("%s: 'methods' has functions by name, got %s at '%s'", where, check.describe(method), check.word(name))
    elseif tree.has(class, name) then
      fail("%s: a method cannot be named '%s', which every layer has", where, name)
    end
    class[name] = method
  end
end

--- Makes a kind of layer: what is returned is called as nn.linear is, with one table of options.
--- @param given table of
---   kind          its name, in messages and in paths ("capsule1"); short, if paths are to have another
---   options       the options of its layers by name or position: { size = { type = "integer", required = true } };
---                 a rule may have type, default, required, min, max, above, below, choices, doc
---   setup(self)   is called when a layer is made; self.options are checked
---   layers(self)  returns the layers in it, new ones, in a row or by name: { key = nn.linear { 8 } }, which makes
---                 self.key; they are built, named, saved and trained with it
---   build_values(self, shape, …)  makes parameters and buffers for inputs of these shapes, {1, …}, when the model is
---                 built: self:make_parameter(name, shape, init), self:make_buffer(name, tensor)
---   input_dtype   of its input where that is not real, "int32" for indices; of several inputs a list
---   forward(self, x, …)  → y, …: inputs and outputs are tensors, or tables of tensors by name. self.training says
---                 which mode it is
---   describe(self) → a few words for print(model)
---   role          what views take it for: "weights", "activation", "normalisation", "pooling", "shape", "noise", or
---                 "grouping", a softmax over groups, with the methods sizes(self, channels) and temperature(self)
---   methods       further functions, called as self:name(…)
--- @return function the constructor
return function(given)
  local o = check.options("nn.layer", given, SPEC)
  if not o.kind:find "^%a[%w_]*$" or o.short and not o.short:find "^%a[%w_]*$" then
    fail("nn.layer: a kind is letters, digits and _, beginning with a letter, got '%s'", o.short or o.kind)
  end
  if o.role == "grouping" then
    for _, name in ipairs { "sizes", "temperature" } do
      if type(rawget(o.methods or {}, name)) ~= "function" then
        fail("%s: role \"grouping\" is that of a softmax over groups; 'methods' must have sizes(self, channels), a "
          .. "list, and temperature(self), a number", o.kind)
      end
    end
  end
  local class = {
    short = o.short, role = o.role, input_dtype = o.input_dtype, options = options_of(o.kind, o.options),
    build_values = o.build_values, forward = o.forward, describe = o.describe, get_layers = o.layers,
    setup = o.setup, own_line = true, own_kind = true,
  }
  local define = layer.define(o.kind, class, o.kind)
  add_methods(o.kind, class, o.methods)
  return define
end
