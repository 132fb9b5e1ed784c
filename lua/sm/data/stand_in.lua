--- Data sets without their numbers. A run notes which data sets its file asks for, and what they are like: shapes,
-- types, classes. A checkpoint keeps that, so that its experiment runs again where the data are not there. What reads
-- the numbers then is an error of the kind "stand-in".
-- @module sm.data.stand_in
local runtime = require "sm.runtime"
local fail = require "sm.fail"
local json = require "sm.json"
local problem = require "sm.problem"

local M = {}

local BRIGHTNESS_FROM <const> = 1000 -- examples

local noted = {} -- what the file at hand has asked for, in its order: descriptions
local replayed   -- those that it gets instead of data sets, or nil
local made_by = setmetatable({}, { __mode = "k" }) -- data set → kind
local makers = {} -- kind → function(description, options) that completes a stand-in, where there is one

--- Before a file is loaded.
--- @param descriptions table|nil of the data sets that it gets without their numbers, in the order in which it asks
function M.begin(descriptions)
  noted, replayed = {}, descriptions
end

--- For `local scope <close> = …`: while the text of another run is loaded.
function M.scope()
  local own, own_replayed = noted, replayed
  M.begin()
  return setmetatable({}, { __close = function() noted, replayed = own, own_replayed end })
end

--- The descriptions of the data sets that the file has asked for so far.
function M.noted()
  return table.move(noted, 1, #noted, 1, {})
end

-- Descriptions -----------------------------------------------------------------------------------------------------

--- The type of a tensor, the same in a build in double.
local function type_of(dtype)
  return dtype == runtime.real and "real" or dtype
end

local function as_real(dtype)
  return dtype == "real" and runtime.real or dtype
end

--- Texts of any bytes as UTF-8: where not all are, each byte as the character of its number.
local function packed(texts)
  local all = true
  for _, text in ipairs(texts) do all = all and utf8.len(text) ~= nil end
  if all then return json.array(table.move(texts, 1, #texts, 1, {})), nil end
  local list = {}
  for i, text in ipairs(texts) do list[i] = text:gsub("[\x80-\xFF]", function(c) return utf8.char(c:byte()) end) end
  return json.array(list), true
end

local function unpacked(texts, bytes)
  local list = {}
  local function byte(character) return string.char(utf8.codepoint(character) & 0xFF) end
  for i, text in ipairs(texts) do list[i] = bytes and text:gsub(utf8.charpattern, byte) or text end
  return list
end

--- The tensors of a table of them by name, or the one, as a list of {name=, shape=(of one example), dtype=}.
local function parts_of(value)
  local list = {}
  require "sm.shapes".map(value, function(x, name) -- which brings the numeric libraries
    list[#list + 1] = { name = name, dtype = type_of(x.dtype), shape = json.array(table.move(x.shape, 2, #x.shape, 1,
      {})) }
  end)
  return json.array(list)
end

--- The mean of pictures as a batch has them, from 0 to 1: whether they are black on white.
local function brightness_of(split)
  local inputs = split.inputs
  if not runtime.tensor.is_tensor(inputs) or split.kind ~= "pixels" or #split == 0 then return nil end
  local batch = split:slice(1, math.min(#split, BRIGHTNESS_FROM)):batches(BRIGHTNESS_FROM)()
  return tonumber(("%.4f"):format(batch:mean():item()))
end

--- What a data set is like.
--- @return table for JSON
function M.describe(set)
  local inputs = parts_of(set.train.inputs)
  for _, part in ipairs(inputs) do
    local of = set.train.kind
    part.kind = type(of) == "table" and of[part.name] or of
    part.bytes = part.dtype == "uint8" or nil
    if part.kind == "indices" then part.dtype = "int32" else part.dtype = "real" end
  end
  local names, bytes
  if set.class_names then names, bytes = packed(set.class_names) end
  return {
    made_by = made_by[set] or "tensors", name = set.name, note = set.note,
    inputs = inputs, targets = parts_of(set.train.targets), classes = set.classes,
    class_names = names, class_names_are_bytes = bytes,
    train = #set.train, validation = set.validation and #set.validation or nil, test = set.test and #set.test or nil,
    brightness = brightness_of(set.train), columns = set.columns and json.array(set.columns) or nil,
    mean = set.mean and json.array(set.mean:totable()) or nil,
    deviation = set.deviation and json.array(set.deviation:totable()) or nil,
  }
end

--- The names of the classes in a description, as the data set had them.
function M.class_names(description)
  return description.class_names and unpacked(description.class_names, description.class_names_are_bytes) or nil
end

-- Stand-ins --------------------------------------------------------------------------------------------------------

--- One value for each part of a description: that of the one, or a table by name.
local function by_name(parts, f)
  if #parts == 1 and not parts[1].name then return f(parts[1]) end
  local values = {}
  for _, part in ipairs(parts) do values[part.name] = f(part) end
  return values
end

local function missing(name, what)
  problem.raise("stand-in", "the numbers of the data set %s are not there: a checkpoint keeps what they are like, and "
    .. "not the %s", name, what)
end

--- A split of which only the size is known.
local function split_of(description, count)
  if not count then return nil end
  return setmetatable({ kind = by_name(description.inputs, function(part) return part.kind end), count = count }, {
    __len = function() return count end,
    __index = function(_, key)
      if key == "transform" then return nil end
      missing(description.name, key == "inputs" and "inputs" or key == "targets" and "targets" or "examples")
    end,
  })
end

--- A data set of a description, without its numbers.
function M.make(description, options)
  local set = require "sm.data.dataset".without_numbers {
    name = description.name, note = description.note,
    shape = by_name(description.inputs, function(part) return table.move(part.shape, 1, #part.shape, 1, {}) end),
    dtype = by_name(description.inputs, function(part) return as_real(part.dtype) end),
    classes = description.classes, class_names = M.class_names(description),
    train = split_of(description, description.train), validation = split_of(description, description.validation),
    test = split_of(description, description.test),
    columns = description.columns and table.move(description.columns, 1, #description.columns, 1, {}),
    mean = description.mean and require "sm.tensor".tensor(description.mean),
    deviation = description.deviation and require "sm.tensor".tensor(description.deviation),
    described = description,
  }
  local complete = makers[description.made_by]
  if complete then complete(set, options) end
  return set
end

--- Whether a data set is one without its numbers. @return table|nil its description
function M.is(set)
  return rawget(set, "described")
end

--- A function that makes a data set, which is noted; or replaced by one without its numbers.
--- @param kind string its name in sm.data
--- @param complete function(set, options)|nil gives a stand-in what else the data set has
function M.noting(kind, make, complete)
  makers[kind] = complete
  return function(given)
    local position <const> = #noted + 1
    local description = replayed and replayed[position]
    if replayed and not description then
      fail("data.%s: the run that was kept asked for %d data sets", kind, #replayed)
    elseif description and description.made_by ~= kind then
      fail("data.%s: the run that was kept asked for data.%s here", kind, description.made_by)
    end
    local set
    if description then
      set = M.make(description, given)
    else
      set = make(given)
      made_by[set] = kind
      description = M.describe(set)
    end
    noted[position] = description
    return set
  end
end

return M
