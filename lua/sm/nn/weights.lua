--- A model's tensors as a whole: loaded from elsewhere, and kept as they are while others train.
local autograd = require "sm.autograd"
local check = require "sm.check"
local fail = require "sm.fail"
local files = require "sm.files"
local ordered = require "sm.ordered"
local place = require "sm.place"
local runtime = require "sm.runtime"

local M = {}

local is_tensor = runtime.tensor.is_tensor

local MOST_NAMED <const> = 8 -- tensors that a message lists

-- Where tensors go: the model's own by name, those of a part without the part's path.
local function places(model)
  local wanted, prefix = ordered.new(), model.path .. "."
  for _, map in ipairs { model.parameter_map, model.buffer_map } do
    for name, value in pairs(map) do
      ordered.set(wanted, name:sub(1, #prefix) == prefix and name:sub(#prefix + 1) or name, value)
    end
  end
  return wanted
end

-- A run's checkpoint has more than the model, which lies in it under this.
local function usual_prefix(metadata)
  local format = type(metadata) == "table" and metadata.format
  return type(format) == "string" and format:find "^smrun checkpoint " and "model." or ""
end

-- What the names that are meant begin with, where nothing is said: a part of a model takes what is under its own path
-- if there is anything.
local function default_prefix(model, tensors, usual)
  local own = usual .. model.path .. "."
  for name in next, model.path ~= "" and tensors or {} do
    if name:sub(1, #own) == own then return own end
  end
  return usual
end

-- The tensors that there are, and where they come from in words.
-- @return table name → tensor; string; string what names begin with where nothing is said
local function source_of(given)
  if type(given) == "string" then
    local tensors, metadata = files.load(given)
    if is_tensor(tensors) then
      fail("model:load: %s holds one tensor; a .safetensors file holds a table of named tensors", given)
    end
    return tensors, given, usual_prefix(metadata)
  elseif type(given) ~= "table" then
    fail("model:load takes the path of a file or a table of named tensors, got %s", check.describe(given))
  end
  local tensors = {}
  for name, value in next, given do
    if type(name) ~= "string" or not is_tensor(value) then
      fail("model:load takes a table of named tensors, got %s at '%s'", check.describe(value), check.word(name))
    end
    tensors[name] = value
  end
  return tensors, "the table", ""
end

-- What a tensor of the source is called in the model, and the tensor as the model has it.
-- @return string|nil nil where it is to be left out
local function renamed(names, name, value)
  if names == nil then return name, value end
  if type(names) == "table" then
    local new = rawget(names, name)
    if new == nil then return name, value end
    if new == false then return nil end
    if type(new) ~= "string" then
      fail("model:load: option 'names' must map '%s' to a name, or to false, got %s", name, check.describe(new))
    end
    return new, value
  end
  local new, other = names(name, value)
  if new == nil or new == false then return nil end
  if type(new) ~= "string" or other ~= nil and not is_tensor(other) then
    fail("model:load: the function 'names' must return a name, and the tensor where it differs, got %s and %s",
      check.describe(new), check.describe(other))
  end
  return new, other or value
end

-- "'a' {2, 3}, 'b' {4} and 3 more", in alphabetical order.
local function listed(map)
  local words, names = {}, ordered.sorted_keys(map)
  for i = 1, math.min(#names, MOST_NAMED) do
    words[i] = ("'%s', %s"):format(check.word(names[i]), check.describe(map[names[i]]))
  end
  return table.concat(words, "; ") .. (#names > MOST_NAMED and ("; and %d more"):format(#names - MOST_NAMED) or "")
end

-- Raises unless a tensor can take the place of another; gives it with that one's element type.
local function fitting(where, name, value, like)
  local expected, got = check.describe(like), check.describe(value)
  if expected ~= got then fail("model:load: %s: '%s' is a %s, and the model's is a %s", where, name, got, expected) end
  if like.dtype == value.dtype then return value end
  if like.dtype ~= runtime.real then
    fail("model:load: %s: '%s' is of %s, and the model's of %s", where, name, value.dtype, like.dtype)
  end
  return value:to(like.dtype)
end

local LOAD <const> = check.spec("model:load", {
  prefix = { type = "string", doc = "of the names that are meant, which is taken off" },
  strict = { type = "boolean", default = true, doc = "whether nothing may be missing or left over" },
  names = { type = { "table", "function" }, doc = "from their names to the model's" },
})

--- Takes over tensors by name. All or nothing: after an error the model is as it was.
--- @param given string|table a file, a run's checkpoint for one, or a table name → tensor, as model:parameters() is
--- @param options table|nil {prefix=, strict=true, names=}: prefix of the names that are meant, which is taken off
---   (others are left alone; by default none, "model." of a run's checkpoint, and a part's own path); names, a table
---   from their names to the model's (false leaves one out) or a function (name, tensor) → name[, tensor], which may
---   turn the tensor about; strict = false leaves out what one side lacks
--- @return the model
--- @return table {missing= what the model has and the source lacks, unexpected= the other way round}: arrays of names
function M.load(model, given, options)
  local o = check.options("model:load", options, LOAD)
  if not model.built then fail "model:load: the model has no tensors yet; call model:build first" end
  local tensors, where, prefix = source_of(given)
  prefix = o.prefix or default_prefix(model, tensors, prefix)
  local wanted, found, unexpected, missing = places(model), {}, {}, {}
  for _, name in ipairs(ordered.sorted_keys(tensors)) do
    if name:sub(1, #prefix) == prefix then
      local own, value = renamed(o.names, name:sub(#prefix + 1), tensors[name])
      if own and found[own] then fail("model:load: %s: there are two tensors for '%s'", where, own) end
      if own and wanted[own] then found[own] = fitting(where, own, value, wanted[own]) end
      if own and not wanted[own] then unexpected[own] = value end
    end
  end
  for name, value in pairs(wanted) do
    if not found[name] then missing[name] = value end
  end
  if o.strict and (next(missing) or next(unexpected)) then
    local words = {}
    if next(missing) then words[1] = "it lacks " .. listed(missing) end
    if next(unexpected) then words[#words + 1] = "the model has no place for " .. listed(unexpected) end
    fail("model:load: %s: %s; strict = false leaves these out", where, table.concat(words, "; "))
  end
  autograd.no_grad(function()
    for name, value in next, found do wanted[name]:copy_(value) end
  end)
  return model, { missing = ordered.sorted_keys(missing), unexpected = ordered.sorted_keys(unexpected) }
end

--- Keeps parameters as they are: those whose name matches a Lua pattern ("^conv1%.", by default all) want no gradient,
--- so that no optimizer moves them. They stay in checkpoints. Before the model is built it holds for what will be
--- there.
--- @param pattern string|nil
--- @param frozen boolean|nil false lets them train again
--- @return the model
function M.freeze(model, pattern, frozen)
  pattern = pattern == nil and "" or pattern
  if type(pattern) ~= "string" or not pcall(string.find, "", pattern) then
    fail("model:freeze takes a Lua pattern such as \"^conv1%%.\", got %s", check.describe(pattern))
  elseif frozen ~= nil and type(frozen) ~= "boolean" then
    fail("model:freeze: argument 2 must be true or false, got %s", check.describe(frozen))
  end
  local function follow(_, line)
    local any = false
    for name, value in pairs(model.parameter_map) do
      if name:find(pattern) then
        any = true
        value:requires_grad(frozen == false)
        if frozen ~= false then value.grad = nil end
      end
    end
    if any then return end
    local text = ("model:freeze: no parameter's name matches '%s' (parameters: %s)"):format(pattern,
      table.concat(ordered.keys(model.parameter_map), ", "))
    if line then error(line .. ": " .. text, 0) end
    fail("%s", text)
  end
  if model.built then
    follow(model)
  else
    local line = place.line()
    model.freezing = model.freezing or {}
    table.insert(model.freezing, function() follow(model, line) end)
  end
  return model
end

return M
