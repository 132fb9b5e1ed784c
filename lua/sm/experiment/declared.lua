--- What an experiment declares and what its data hold, as flat maps from a place ("optimizer.lr") to a text: two
--- declarations are the same where their maps are.
local runtime = require "sm.runtime"
local behind = require "sm.check".behind
local layer = require "sm.nn.layer"
local modules = require "sm.modules"
local shapes = require "sm.shapes"
local is_users = require "sm.place".is_users
local ordered = require "sm.ordered"
local shortest = require "sm.text".shortest
local shape_text = require "sm.text".shape
local traced = require "sm.ops.traced".made

local M = {}

local deepest <const> = 64 -- levels of tables and functions that are looked into
local is_tensor = runtime.tensor.is_tensor

--- The type, the shape and the checksum of a tensor.
local function tensor_text(tensor, seen)
  seen[tensor] = seen[tensor] or ("%s %s %s"):format(tensor.dtype, shape_text(tensor.shape),
    runtime.io.checksum(tensor))
  return seen[tensor]
end

--- A name or a position as it stands in a place; nil for what has no text of its own.
local function key_text(key)
  local kind = type(key)
  return (kind == "string" or kind == "number" or kind == "boolean") and tostring(key) or nil
end

local function is_plain(value)
  local kind = type(value)
  return kind == "number" or kind == "string" or kind == "boolean"
end

local add

local function add_fields(lines, place, value, seen, level, deep)
  local entries = {}
  for key, item in next, value do
    local name = key_text(key)
    if name and name ~= "where" then entries[name] = item end -- "where": the line, which depends on the file's path
  end
  local fallback = deep and getmetatable(value)
  fallback = type(fallback) == "table" and rawget(fallback, "__index")
  for key, item in next, type(fallback) == "table" and fallback or {} do -- numbers and texts that it has by default
    local name = key_text(key)
    if name and entries[name] == nil and is_plain(item) then entries[name] = item end
  end
  for _, name in ipairs(ordered.sorted_keys(entries)) do
    add(lines, place .. "." .. name, entries[name], seen, level + 1, deep)
  end
end

--- Whether a value is a table of settings, rather than one of functions alone, as the runtime's parts are.
local function has_settings(value)
  for _, item in next, type(value) == "table" and value or {} do
    if type(item) ~= "function" then return true end
  end
  return false
end

--- Whether what a function has captured is told. What the library's own have captured are settings, as of a schedule.
local function is_told(value, own, deep)
  if is_plain(value) or is_tensor(value) or traced[value] then return true end
  if own then return type(value) == "function" or has_settings(value) end
  return deep
end

--- A function is its line, its code and, behind a colon, what it has captured: in a loop over settings that tells one
--- from the next. One of the library's is its code alone, which is the same wherever it stands; a traced one is what it
--- computes.
local function add_function(lines, place, f, seen, level, deep)
  if traced[f] then
    lines[place] = "traced " .. traced[f].code
    return
  end
  local info = debug.getinfo(f, "S")
  local own = not is_users(info)
  local code = info.what ~= "C" and runtime.io.checksum(string.dump(f, true))
  lines[place] = not code and "built in" or own and "the library's " .. code
    or ("line %d, code %s"):format(info.linedefined, code)
  for i = 1, math.huge do
    local name, value = debug.getupvalue(f, i)
    if not name then break end
    if name ~= "_ENV" and is_told(value, own, deep) then
      add(lines, ("%s:%s"):format(place, name ~= "" and name or i), value, seen, level + 1, deep)
    end
  end
end

--- Adds the lines of any value.
--- @param seen table tables and functions that have been looked into, and those that are to be left alone
function add(lines, place, value, seen, level, deep)
  if value == nil then return end
  if is_plain(value) then
    lines[place] = type(value) == "number" and shortest(value) or tostring(value)
  elseif is_tensor(value) then
    lines[place] = tensor_text(value, seen)
  elseif type(seen[value]) == "string" then
    lines[place] = seen[value]
  elseif (type(value) == "table" or type(value) == "function") and not seen[value] and level < deepest then
    seen[value] = true
    local add_all = type(value) == "table" and add_fields or add_function
    add_all(lines, place, value, seen, level, deep)
  end
end

--- What a kind of layer of the file's own computes.
local functions_of_a_kind <const> = { "setup", "get_layers", "build_values", "forward" }

--- The layers of a model, each with its options; those of the file's own with what they compute.
local function add_model(lines, place, model, seen, deep)
  local options = rawget(model, "options")
  if type(options) ~= "table" then return add(lines, place, model, seen, 1, deep) end
  local kind = tostring(rawget(model, "kind") or layer.is(model) and model.kind)
  if type(seen[model]) == "string" then
    lines[place] = ("%s, the same as %s"):format(kind, seen[model])
    return
  end
  lines[place], seen[model] = kind, place
  local plain = {}
  for key, value in next, options do
    if not layer.is(value) then plain[key] = value end -- those in it come by themselves
  end
  add_fields(lines, place, plain, seen, 1, deep)
  for _, name in ipairs(model.own_kind and functions_of_a_kind or {}) do
    add(lines, ("%s %s"):format(place, name), model[name], seen, 1, deep)
  end
  local names = rawget(model, "names") or {}
  for position, inner in ipairs(rawget(model, "layers") or {}) do
    add_model(lines, ("%s.%s"):format(place, names[position] or position), inner, seen, deep)
  end
  for _, entry in ipairs(rawget(model, "own") or {}) do -- of one that was built before
    local _, _, name, tensor = table.unpack(entry)
    local path = (place .. "." .. name):gsub("^model%.", "")
    if is_tensor(tensor) then lines["model value " .. path] = tensor_text(tensor, seen) end
  end
end

--- The options of an optimizer, or of several, and of its groups, and how many steps it has done before.
local function add_optimizer(lines, place, optimizer, seen, deep)
  if getmetatable(optimizer) == nil then
    for name, one in next, optimizer do add_optimizer(lines, place .. "." .. name, one, seen, deep) end
    return
  end
  local options, groups = rawget(optimizer, "options"), rawget(optimizer, "groups")
  if type(options) ~= "table" then return add(lines, place, optimizer, seen, 1, deep) end
  lines[place], seen[optimizer] = optimizer.name, true
  if optimizer.steps > 0 then lines[place .. " steps"] = ("%d"):format(optimizer.steps) end
  add_fields(lines, place, options, seen, 1, deep)
  for position, group in ipairs(groups or {}) do
    local inner = ("%s.group%d"):format(place, position)
    add_fields(lines, inner, group.options or {}, seen, 1, deep)
    for _, entry in ipairs(group.entries or {}) do lines[inner .. "." .. entry.name] = "parameter" end
  end
end

--- What views measure depends on their settings; what they keep of the model while it trains is none.
local function add_views(lines, place, views)
  for position, view in ipairs(views) do
    for key, value in next, view do
      local name = key ~= "where" and is_plain(value) and key_text(key)
      if name then lines[("%s.%d.%s"):format(place, position, name)] = tostring(value) end
    end
  end
end

--- Modules are no part of a declaration, and the library's functions in them are told by their names.
local function left_alone()
  local seen = { [_G] = true }
  for _, module in pairs(modules.values()) do seen[module] = true end
  for _, name in ipairs(ordered.sorted_keys(package.loaded)) do -- "sm.files" after "sm", which has some of the same
    local module = package.loaded[name]
    seen[module], module = true, behind[module] or module
    for key, value in next, type(module) == "table" and name:find "^sm%f[.\0]" and module or {} do
      if type(value) == "function" and key_text(key) then seen[value] = name .. "." .. key end
    end
    if type(module) == "table" or type(module) == "function" then seen[module] = seen[module] or true end
  end
  return seen
end

local function add_nothing() end

--- What is done to training examples; the data are told by themselves. A run of a file is compared by the places that
--- both have, so there is one without a transform, too.
local function add_data(lines, place, data, seen, deep)
  local steps = rawget(data, "transform")
  place = place .. ".transform"
  steps = type(steps) == "table" and steps or {}
  if not deep or #steps > 0 then lines[place] = ("%d steps"):format(#steps) end
  for position, step in ipairs(steps) do
    local inner = ("%s.%d"):format(place, position)
    if type(step) == "table" then lines[inner] = "a table of changes" end
    add(lines, inner, step, seen, 1, deep)
  end
end

local adders = {
  model = add_model, optimizer = add_optimizer, views = add_views, data = add_data,
  where = add_nothing, -- a line, which depends on the file's path
}

--- @param declaration table as sm.experiment.declare gives it
--- @param deep boolean whether all is told that functions have captured, rather than tensors, numbers, texts and truths
---   alone
--- @return table place → text
function M.declaration(declaration, deep)
  local lines, seen = {}, left_alone()
  for _, key in ipairs(ordered.sorted_keys(declaration)) do
    local value, adder = declaration[key], adders[key]
    if adder then adder(lines, key, value, seen, deep) else add(lines, key, value, seen, 1, deep) end
  end
  return lines
end

--- Every tensor of a data set, and what it says of them.
--- @return table "train inputs", "test targets", "classes", … → text
function M.data(data)
  local lines, seen = {}, {}
  for _, key in ipairs { "name", "classes", "dtype" } do
    add(lines, key, rawget(data, key), seen, 1)
  end
  for _, name in ipairs { "train", "validation", "test" } do
    local split = data[name]
    for _, part in ipairs { "inputs", "targets" } do
      local value = type(split) == "table" and split[part]
      if value then add(lines, name .. " " .. part, value, seen, 1) end
    end
    -- Bytes are the 255th part of themselves in a batch, unless they are said to be numbers.
    shapes.map(type(split) == "table" and split.inputs, function(x, key)
      local kind = type(split.kind) == "table" and split.kind[key] or split.kind
      if x.dtype == "uint8" and kind == "numbers" then
        lines[("%s inputs%s as"):format(name, key and "." .. key or "")] = kind
      end
    end)
  end
  return lines
end

return M
