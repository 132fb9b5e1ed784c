--- Checks of option tables, with messages that name the key, what was expected and what was given.
-- @module sm.check
local runtime = require "sm.runtime"
local elsewhere = require "sm.elsewhere"
local fail = require "sm.fail"
local sorted_keys = require "sm.ordered".sorted_keys
local shape_text = require "sm.text".shape
local visible = require "sm.text".visible

local M = {}

local is_tensor = runtime.tensor.is_tensor

--- How many insertions, deletions, replacements and exchanges of neighbours turn a into b (optimal string alignment).
local function distance(a, b)
  local before, above = nil, {}
  for j = 0, #b do above[j] = j end
  for i = 1, #a do
    local row = { [0] = i }
    for j = 1, #b do
      local same = a:byte(i) == b:byte(j)
      row[j] = math.min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (same and 0 or 1))
      if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        row[j] = math.min(row[j], before[j - 2] + 1)
      end
    end
    before, above = above, row
  end
  return above[#b]
end

--- Whether one of two names begins the other, "eval" and "evaluate", or is one of its words, "steps" and "num_steps".
local function contains(a, b)
  local short, long = a, b
  if #short > #long then short, long = b, a end
  if #short < 2 then return false end
  return #short > 2 and long:sub(1, #short) == short
    or (" " .. long:gsub("[^%w]+", " ") .. " "):find(" " .. short .. " ", 1, true) ~= nil
end

local MOST_SLIPS <const> = 2 -- in a word that is misspelt; more make it another word
local LONGEST_WORD <const> = 100 -- longer ones are no slips, and comparing takes the product of the lengths

--- The candidate nearest to a mistyped word, as the end of a message.
-- @param word string
-- @param candidates array of strings
-- @return `"; did you mean 'x'?"`, or `""` when nothing is near
function M.suggest(word, candidates)
  if #word > LONGEST_WORD then return "" end
  local best, least = nil, math.max(1, #word // 3) + 1
  for _, candidate in ipairs(candidates) do
    local d = distance(word:lower(), candidate:lower())
    if d < least and d < #word then best, least = candidate, d end -- of "d" every letter would be near
  end
  if not best or least > MOST_SLIPS then -- rather one that has it in it, of these the one of the nearest length
    least = math.huge
    for _, candidate in ipairs(candidates) do
      local d = math.abs(#word - #candidate)
      if d < least and contains(word:lower(), candidate:lower()) then best, least = candidate, d end
    end
  end
  return best and ("; did you mean '%s'?"):format(best) or ""
end

--- A short description of a value: `string "5"`, `number 3`, `tensor {2, 3}`, `table`, `nil`.
function M.describe(value)
  local kind = type(value)
  if kind == "string" then return ('string "%s"'):format(visible(value)) end
  if value ~= value then return "number nan" end -- printf shows the sign, which means nothing
  if kind == "number" or kind == "boolean" then return ("%s %s"):format(kind, value) end
  if is_tensor(value) then return ("tensor %s"):format(shape_text(value.shape)) end
  return kind
end

--- A key as messages quote it: of what is no word, its description, and nothing of the caller's runs.
function M.word(key)
  local kind = type(key)
  return (kind == "string" or kind == "number" or kind == "boolean") and visible(tostring(key)) or M.describe(key)
end

local function is_type(value, kind)
  if kind == "real" then kind = "number" end
  if kind == "integer" then return type(value) == "number" and math.tointeger(value) ~= nil end
  if kind == "tensor" then return is_tensor(value) end
  return type(value) == kind
end

local function article(kind)
  if kind == "real" then kind = "number" end
  return (kind:find "^[aeiou]" and "an " or "a ") .. kind
end

--- The bounds of an option in words, e.g. "at least 0 and below 1".
local function bounds(rule)
  local words = {}
  for _, bound in ipairs { { "min", "at least" }, { "above", "above" }, { "max", "at most" }, { "below", "below" } } do
    if rule[bound[1]] then words[#words + 1] = ("%s %s"):format(bound[2], rule[bound[1]]) end
  end
  return table.concat(words, " and ")
end

local function in_bounds(value, rule)
  return value == value and (not rule.min or value >= rule.min) and (not rule.max or value <= rule.max)
    and (not rule.above or value > rule.above) and (not rule.below or value < rule.below)
end

local function label(key)
  if math.type(key) == "integer" then return ("argument %d"):format(key) end
  return type(key) == "string" and ("option '%s'"):format(key) or "the key " .. M.describe(key)
end

-- Raises unless a number that a kernel gets is one, and within its bounds, as the kernel has it too.
local function check_survival(where, key, value, rule)
  local kept = runtime.math.rounded(value)
  local fits = (kept - kept == 0) == (value - value == 0) and (kept == 0) == (value == 0)
  if fits and in_bounds(kept, rule) then return end
  local limits = bounds(rule)
  fail("%s: %s must fit %s%s, got %s, which is %g there", where, label(key), runtime.real,
    limits == "" and "" or " and be " .. limits, value, kept)
end

local function check_value(where, key, value, rule)
  local kinds = type(rule.type) == "table" and rule.type or { rule.type }
  local fits = #kinds == 0
  for _, kind in ipairs(kinds) do fits = fits or is_type(value, kind) end
  if not fits then
    local names = {}
    for i, kind in ipairs(kinds) do names[i] = article(kind) end
    fail("%s: %s must be %s, got %s", where, label(key), table.concat(names, " or "), M.describe(value))
  end
  if type(value) == "number" then
    if not in_bounds(value, rule) then
      fail("%s: %s must be %s, got %s", where, label(key), bounds(rule), value == value and value or "nan")
    end
    if rule.type == "integer" then value = math.tointeger(value) end
    if kinds[1] == "real" then check_survival(where, key, value, rule) end
  end
  if rule.choices and type(value) == "string" then
    for _, choice in ipairs(rule.choices) do
      if choice == value then return value end
    end
    fail("%s: %s must be one of '%s', got '%s'%s", where, label(key), table.concat(rule.choices, "', '"), value,
      M.suggest(value, rule.choices))
  end
  return value
end

--- Raises where pairs may not show all that a table of options has.
-- @return its metatable's own `__pairs`; nil or false where there is none
function M.plain(where, given)
  local meta = debug.getmetatable(given)
  if not meta then return nil end
  local own = rawget(meta, "__pairs")
  if not own and rawget(meta, "__index") ~= nil then
    fail("%s: expected a plain table; this one's metatable has an __index, and what that adds would not be "
      .. "seen: copy it in", where)
  end
  return own
end

--- What `pairs` gives for a table of options, checked; for one without a `__pairs` no metamethod runs.
function M.each(where, given)
  local own = M.plain(where, given)
  if not own then return next, given end
  local iterator, state, first
  if M.is_callable(own) then iterator, state, first = pairs(given) end
  if not M.is_callable(iterator) then fail("%s: this table's __pairs gives nothing to go through", where) end
  return iterator, state, first
end

--- The specifications of options that public functions take, by the function's name: the reference shows them.
M.specs = {}

--- Notes what options a public function takes.
-- @param where its public name: "data.idx"; "experiment: schedule" for a table within another
-- @param spec as for options
-- @return spec
function M.spec(where, spec)
  M.specs[where] = spec
  return spec
end

--- The options of a specification in words.
-- @return names in order; "options: bias, init; and one value without a name"
local function options_of(spec)
  local names, values = {}, 0
  for key in pairs(spec) do
    if type(key) == "string" then names[#names + 1] = key else values = values + 1 end
  end
  table.sort(names)
  local without = values > 0 and ("%d value%s without a name"):format(values, values == 1 and "" or "s")
  if #names == 0 then return names, without and "it takes " .. without or "it takes none" end
  return names, ("options: %s%s"):format(table.concat(names, ", "), without and "; and " .. without or "")
end

-- Raises for what a specification does not have, and says what is likely to be meant.
local function refuse_option(where, key, value, spec)
  local known, words = options_of(spec)
  local there = elsewhere.options[key]
  local size = (key == 1 or key == 2) and math.type(value) == "integer" and (spec[1] or not spec.groups)
  local hint = where:find "^nn%." and (size or elsewhere.inputs[key])
    and "; a layer learns the size of its input from the first batch"
    or spec[there] and ("; did you mean '%s'?"):format(there)
    or type(key) == "string" and M.suggest(key, known) or ""
  if #known == 0 then
    hint, words = hint .. "; " .. words, ""
  else
    words = (" (%s)"):format(words)
  end
  if type(key) == "string" then fail("%s: unknown option '%s'%s%s", where, key, hint, words) end
  fail("%s: unexpected %s: %s%s%s", where, label(key), M.describe(value), hint, words)
end

--- A specification with more rules, a new table.
function M.with(spec, more)
  local all = {}
  for key, rule in pairs(spec) do all[key] = rule end
  for key, rule in pairs(more or {}) do all[key] = rule end
  return all
end

--- Those options that a specification knows, a new table: what a layer hands to its operation.
function M.taken(options, spec)
  local taken = {}
  for key in pairs(spec) do taken[key] = options[key] end
  return taken
end

--- Checks an option table against its specification and fills in the defaults.
-- @param where the public name for messages: "nn.conv2d"
-- @param given table of options, or nil
-- @param spec table: key → {type=, default=, required=, min=, max=, above=, below=, choices=}. type is "number",
--   "real" (a number for a kernel: it must survive rounding to the kernels' numbers), "integer", "string", "boolean",
--   "table", "function", "tensor" or an array of these ("real" comes first). doc=, a few words, is for the reference.
-- @return a new table; unknown keys, wrong types and values out of range are errors
function M.options(where, given, spec)
  if given ~= nil and type(given) ~= "table" then
    local _, words = options_of(spec)
    fail("%s: expected a table of options, got %s (%s)", where, M.describe(given), words)
  end
  local result = {}
  for key, value in M.each(where, given or {}) do
    local rule = spec[key]
    if not rule then refuse_option(where, key, value, spec) end
    result[key] = check_value(where, key, value, rule)
  end
  local missing = {}
  for key, rule in pairs(spec) do
    if result[key] == nil then
      if rule.required then missing[#missing + 1] = label(key) end
      local default = rule.default
      if type(default) == "table" and not debug.getmetatable(default) then default = M.with(default) end
      result[key] = default
    end
  end
  table.sort(missing)
  if missing[1] then fail("%s: %s is missing", where, missing[1]) end
  return result
end

--- Raises when a function that takes any number of arguments was given more than it takes then; nil is none.
-- @param where its public name
-- @param takes what it takes, in words: "one table of sizes"
-- @param ... what else it was given
function M.no_more(where, takes, ...)
  for i = 1, select("#", ...) do
    local extra = select(i, ...)
    if extra ~= nil then fail("%s takes %s, got another argument, %s", where, takes, M.describe(extra)) end
  end
end

local MOST_CHANNELS <const> = (1 << 31) - 1

--- The sizes of groups as a list of one's own; raises unless they are a list of at least one integer of at least 1.
function M.sizes(where, sizes)
  local copy = {}
  M.plain(where, sizes)
  if rawlen(sizes) == 0 then fail("%s: option 'sizes' must have at least one size", where) end
  for group = 1, rawlen(sizes) do
    local size = rawget(sizes, group)
    if math.type(size) ~= "integer" or size < 1 then
      fail("%s: size %d must be an integer of at least 1, got %s", where, group, M.describe(size))
    elseif size > MOST_CHANNELS then
      fail("%s: size %d must be at most %d, got %d", where, group, MOST_CHANNELS, size)
    end
    copy[group] = size
  end
  return copy
end

--- Whether a value can be called: a function, or a model or any other value with a `__call`.
function M.is_callable(value)
  local meta = debug.getmetatable(value)
  return type(value) == "function" or meta ~= nil and type(rawget(meta, "__call")) == "function"
end

--- A public function: as f, but more arguments than it has parameters are an error, where Lua would drop them in
--- silence (nil is none), and errors find the user's line even in `return f(…)`.
-- @param name of the function, for messages
-- @param f function; one with `...` takes any number, and one written in C checks its own
-- @param options {method=false, takes=, parameters=}: method for x:name(…), whose message does not count x; takes says
--   in words what f takes, "one table of options" (default: how many arguments); parameters says how many f has, where
--   f itself does not
function M.public(name, f, options)
  local info = debug.getinfo(f, "Su")
  local method, takes = options and options.method, options and options.takes
  local parameters = options and options.parameters
  if info.what == "C" then return f end
  if info.isvararg and not parameters then return runtime.traced(f) end
  parameters = parameters or info.nparams
  local count = method and parameters - 1 or parameters
  takes = takes or ("%s argument%s"):format(count == 0 and "no" or count, count == 1 and "" or "s")
  return runtime.traced(f, parameters, function(extra)
    fail("%s takes %s, got %s%s", name, takes, count == 0 and "" or "another argument, ", M.describe(extra))
  end)
end

--- What is public of classes, by what their objects are called, for the reference: {class=, names=}.
M.classes = {}

--- Makes methods of a class public; one that is called on anything else raises, as in `set.batches(10)`. A class is
-- the __index of its objects' metatable, and not that metatable: so an object leads to neither.
-- @param prefix of their names in messages: "opt:"
-- @param of what they are called on, in words: "a data set"
-- @param is function: whether a value is that; by default one of this class
function M.public_methods(class, prefix, names, of, is)
  is = is or function(value)
    local meta = debug.getmetatable(value)
    return meta ~= nil and rawget(meta, "__index") == class
  end
  M.classes[of] = { class = class, names = names }
  for _, name in ipairs(names) do
    local method = class[name]
    local function checked(self, ...)
      if not is(self) then
        fail("%s%s is a method of %s, as in x:%s(…), got %s", prefix, name, of, name, M.describe(self))
      end
      return method(self, ...)
    end
    local info = debug.getinfo(method, "u")
    class[name] = M.public(prefix .. name, checked, { method = true, parameters = not info.isvararg and info.nparams })
  end
end

--- What iterates over a table without handing it out.
-- @return iterator of keys and values
function M.pairs(map)
  local key, value
  return function()
    key, value = next(map, key)
    return key, value
  end
end

M.behind = setmetatable({}, { __mode = "k" }) -- what cannot be changed → the table that it reads as

--- A table that reads as another, and that nobody can change.
-- @param name what it is called
-- @param meta further metamethods, or nil
function M.read_only(map, name, meta)
  local own = { __index = map, __metatable = false, __pairs = function() return M.pairs(map) end }
  for key, value in next, meta or {} do own[key] = value end
  function own.__newindex(_, key)
    fail("%s cannot be changed, got an assignment to '%s'", name, M.word(key))
  end
  local shown = setmetatable({}, own)
  M.behind[shown] = map
  return shown
end

--- Closes a module: reading a name that it does not have is an error that says which is meant, or else which there are,
--- its functions are public ones, and nobody can change it.
-- @param module table of functions
-- @param name the module's public name: "sm.optim"
-- @param what its things are: "optimizers and schedules"
-- @return what a script gets in the module's place
function M.closed(module, name, what)
  for key, value in pairs(module) do
    if type(value) == "function" then module[key] = M.public(name:gsub("^sm%.", "") .. "." .. key, value) end
  end
  local function known()
    local names = sorted_keys(module)
    return names, ("%s: %s"):format(what, table.concat(names, ", "))
  end
  setmetatable(module, {
    __index = function(_, key)
      local names, list = known()
      local word = M.word(key)
      local hint = elsewhere.names[name] and elsewhere.hint(name, word) or M.suggest(word, names)
      fail("%s has no '%s'%s", name, word, hint ~= "" and hint or (" (%s)"):format(list))
    end,
  })
  return M.read_only(module, name, {
    __tostring = function() return ("%s, with %s"):format(name, select(2, known())) end,
  })
end

return M
