--- What a model computes, as a list of calls of operations: the model runs, and every operation that a person may call
--- is heard of (autograd.observe). What depends on no input is a number or a constant.
---
--- It runs three times: for a batch, for other examples, and for more of them. What differs from one to the next must
--- be computed by calls that were heard of, or be a size of the batch. All else would be a wrong number in the graph,
--- and is refused: a choice by what is in a tensor, numbers that a script took out of one, a random draw.
-- @module sm.onnx.trace
local autograd = require "sm.autograd"
local check = require "sm.check"
local fail = require "sm.fail"
local runtime = require "sm.runtime"
local sizes = require "sm.onnx.sizes"
local traced = require "sm.ops.traced"

local T, tape = runtime.tensor, runtime.tape
local is_tensor, pack, unpack <const> = T.is_tensor, table.pack, table.unpack

local M = {}

local Value = {} -- the metatable of what stands for a tensor in the three runs

--- Calls visit(tensor or value, path) for each in values of options and lists, in one order; what it returns ends the
-- search. The path is of the keys that lead there, "1.image"; without one nil.
local function each(value, visit, path, seen)
  if is_tensor(value) or getmetatable(value) == Value then return visit(value, path) end
  if type(value) ~= "table" or traced.is_expression(value) then return nil end
  seen = seen or {}
  if seen[value] then return nil end
  seen[value] = true
  local keys, names = {}, {}
  for key in next, value do
    if type(key) == "string" then names[#names + 1] = key else keys[#keys + 1] = key end
  end
  table.sort(keys)
  table.sort(names)
  for _, key in ipairs(table.move(names, 1, #names, #keys + 1, keys)) do
    local found = each(rawget(value, key), visit, path and path .. "." .. key or tostring(key), seen)
    if found ~= nil then return found end
  end
end
M.each = each

--- What a call was given or gave, as it is now: tables may be changed later.
local function copied(value, seen)
  if type(value) ~= "table" or traced.is_expression(value) then return value end
  seen = seen or {}
  if seen[value] then return seen[value] end
  local copy = {}
  seen[value] = copy
  for key, item in next, value do copy[key] = copied(item, seen) end
  return debug.setmetatable(copy, debug.getmetatable(value))
end

--- Raises about a layer of the model.
local function refuse(layer, format, ...)
  local words = format:format(...)
  if not layer then fail("onnx: %s", words) end
  fail("onnx: layer '%s' (%s, declared at %s): %s", layer.path == "" and layer.kind or layer.path, layer.kind,
    layer.where, words)
end
M.refuse = refuse

local NO_OPERATIONS <const> = { copy_ = true, item = true, totable = true, accuracy = true }
local WHY <const> = "a graph has no Lua: it cannot read the numbers in a tensor, take a choice by them, draw random "
  .. "ones, compute gradients, or change a tensor in place"

-- One run -------------------------------------------------------------------------------------------------

--- A run of the model.
-- @param known function(name) → whether an operation has a form
-- @return {calls= of {name=, layer=, given=, gave=}, from= tensor → its place, outputs=}
local function once(model, inputs, known)
  local run = { calls = {}, from = {}, versions = {}, layers = {} }
  local quiet = false

  local function know(x, place)
    if run.from[x] then return end
    run.from[x] = place
    run.versions[x] = tape.versions(x)
  end

  --- Whether a value depends on an input. What it was when it was computed, it must be when it is used.
  local function depends(value)
    return each(value, function(x)
      if not run.from[x] then
        run.versions[x] = run.versions[x] or tape.versions(x)
      elseif tape.changed(run.versions[x]) then
        refuse(run.layers[#run.layers], "a tensor that is computed from the input is changed in place, by copy_")
      end
      return run.from[x] and true or nil
    end)
  end

  local function silently(f, ...)
    quiet = true
    return autograd.restoring(function() quiet = false end, f, ...)
  end

  local function call(name, f, ...)
    if quiet then return f(...) end
    local given = copied(pack(...))
    if not depends(given) then return silently(f, ...) end
    local layer = run.layers[#run.layers]
    if NO_OPERATIONS[name] then refuse(layer, "'%s' of what is computed from the input; %s", name, WHY) end
    local has_form = known(name)
    local gave = has_form and pack(silently(f, ...)) or pack(f(...))
    local place = #run.calls + 1
    local news = each(gave, function(x) return not run.from[x] or nil end)
    if not news then return unpack(gave, 1, gave.n) end -- it is made of others, which were heard
    run.calls[place] = { name = name, layer = layer, given = given, gave = copied(gave), formless = not has_form }
    local count = 0
    each(gave, function(x)
      count = count + 1
      know(x, { call = place, position = count })
    end)
    return unpack(gave, 1, gave.n)
  end

  local count = 0
  each(inputs, function(x)
    count = count + 1
    know(x, { call = 0, position = count })
  end)
  local pass = {}
  function pass.before(layer) run.layers[#run.layers + 1] = layer end
  function pass.after() run.layers[#run.layers] = nil end
  local observer = { call = call }
  function observer.same(y, x)
    if run.from[x] then know(y, run.from[x]) end
  end
  function observer.walk() refuse(run.layers[#run.layers], "gradients; %s", WHY) end
  autograd.observe(observer, function()
    run.outputs = pack(autograd.no_grad(model.observe, model, pass, unpack(inputs, 1, inputs.n)))
  end)
  return run
end

-- Three runs as one ---------------------------------------------------------------------------------------

local function same_bits(x, y)
  return x == y or x.dtype == y.dtype and T.same_shape(x, y) and runtime.io.checksum(x) == runtime.io.checksum(y)
end

--- The shape that x has for n examples and z for m.
local function shape_of(layer, x, z, n, m)
  local a, c, shape = x.shape, z.shape, {}
  if #a ~= #c then refuse(layer, "a tensor has %d axes or %d, as there are examples", #a, #c) end
  for axis, size in ipairs(a) do
    shape[axis] = sizes.of(size, n, c[axis], m)
      or refuse(layer, "a size is %d for %d examples and %d for %d", size, n, c[axis], m)
  end
  return shape
end

--- A constant that repeats the same numbers for every example, such as zeros {N, 10}; nil where it is none.
local function repeated(layer, x, z, n, m)
  if #x.shape ~= #z.shape or x.dtype ~= z.dtype then return nil end
  local shape, along = shape_of(layer, x, z, n, m), nil
  for axis, size in ipairs(shape) do
    if sizes.varies(size) then
      if along then return nil end
      along = axis
    end
  end
  if not along or T.count(x) == 0 then return nil end
  local one = x:narrow(along, 1, 1)
  if not same_bits(one:expand(x.shape), x) or not same_bits(one:expand(z.shape), z) then return nil end
  return setmetatable({ tensor = one, shape = shape, dtype = x.dtype }, Value)
end

--- The three runs as one: calls whose arguments are values, numbers, sizes, texts and tables of these. A value is
--- {shape=, dtype=} and what it comes from: call= and position=, or tensor=, of a constant.
local function merged(runs, n, m)
  local first, second, third = unpack(runs)
  local values, constants = {}, {}

  local function constant(layer, x, y, z)
    if constants[x] then return constants[x] end
    local value
    if same_bits(x, y) and same_bits(x, z) then
      value = setmetatable({ tensor = x, shape = x.shape, dtype = x.dtype }, Value)
    elseif same_bits(x, y) then
      value = repeated(layer, x, z, n, m)
    end
    if not value then
      refuse(layer, "a tensor %s differs from one input to another, and no operation that can be traced computes it; "
        .. "%s", check.describe(x), WHY)
    end
    for i, run in ipairs(runs) do
      local own = select(i, x, y, z)
      if run.versions[own] and tape.changed(run.versions[own]) then
        refuse(layer, "a tensor is changed in place while the model computes")
      end
    end
    constants[x] = value
    return value
  end

  local function value_of(layer, x, y, z)
    local from = first.from[x]
    local places = { from, second.from[y], third.from[z] }
    if not from and not places[2] and not places[3] then return constant(layer, x, y, z) end
    for i = 2, 3 do
      if not from or not places[i] or places[i].call ~= from.call or places[i].position ~= from.position then
        refuse(layer, "it computes something else for another input; %s", WHY)
      end
    end
    values[from.call] = values[from.call] or {}
    local known = values[from.call]
    known[from.position] = known[from.position] or setmetatable({ call = from.call, position = from.position,
      dtype = x.dtype, shape = shape_of(layer, x, z, n, m) }, Value)
    return known[from.position]
  end

  local merge

  local function merge_tables(layer, a, b, c)
    if traced.is_expression(a) then
      local code = traced.code_of(a)
      if traced.code_of(b) == code and traced.code_of(c) == code then return a end
      refuse(layer, "a function of sm.pointwise is another one for another input; %s", WHY)
    end
    local result = setmetatable({}, debug.getmetatable(a))
    for _, other in ipairs { b, c } do
      for key in next, other do
        if rawget(a, key) == nil then refuse(layer, "its options differ from one input to another; %s", WHY) end
      end
    end
    for key, item in next, a do rawset(result, key, merge(layer, item, rawget(b, key), rawget(c, key))) end
    return result
  end

  function merge(layer, a, b, c)
    if is_tensor(a) and is_tensor(b) and is_tensor(c) then return value_of(layer, a, b, c) end
    if type(a) == "table" and type(b) == "table" and type(c) == "table" then return merge_tables(layer, a, b, c) end
    if rawequal(a, b) and rawequal(a, c) or a ~= a and b ~= b and c ~= c then return a end
    local size = rawequal(a, b) and sizes.of(a, n, c, m)
    if not size then
      refuse(layer, "%s becomes %s for another input; %s", check.describe(a),
        check.describe(rawequal(a, b) and c or b), WHY)
    end
    return size
  end

  local calls = {}
  for i = 1, math.max(#first.calls, #second.calls, #third.calls) do
    local a, b, c = first.calls[i], second.calls[i], third.calls[i]
    local layer = (a or b or c).layer
    if not (a and b and c) or a.name ~= b.name or a.name ~= c.name then
      refuse(layer, "it computes something else for another input; %s", WHY)
    end
    calls[i] = { name = a.name, layer = layer, formless = a.formless, given = merge(layer, a.given, b.given, c.given),
      gave = merge(layer, a.gave, b.gave, c.gave) }
  end
  return calls, merge
end

--- Runs a model on three batches, of n, n and m examples.
-- @param batches three lists of inputs as table.pack gives them
-- @param known function(name) → whether an operation has a form
-- @return the calls; the inputs and the outputs, packed, with values in the place of tensors
function M.trace(model, batches, n, m, known)
  local runs = {}
  for i, inputs in ipairs(batches) do runs[i] = once(model, inputs, known) end
  local calls, merge = merged(runs, n, m)
  local inputs = merge(nil, unpack(batches))
  return calls, inputs, merge(nil, runs[1].outputs, runs[2].outputs, runs[3].outputs)
end

return M
