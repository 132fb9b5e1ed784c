--- What a model computes, as a list of calls of operations: the model runs, and every operation that a person may call
--- is heard of (autograd.observe). What depends on no input is a number or a constant.
---
--- It runs four times: for a batch, for other examples, for more of them, and for many. What differs from one to the
--- next must be computed by calls that were heard of, or be a size of the batch: a multiple of its examples and a
--- number. All else would be a wrong number in the graph, and is refused: a choice by what is in a tensor, numbers that
--- a script took out of one, a random draw.
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

local Value = {} -- the metatable of what stands for a tensor in all runs

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

-- The runs as one ---------------------------------------------------------------------------------------

local function same_bits(x, y)
  return x == y or x.dtype == y.dtype and T.same_shape(x, y) and runtime.io.checksum(x) == runtime.io.checksum(y)
end

--- The shape that x has for so many examples, z for more and w for many.
-- @param counts how many these are
local function shape_of(layer, x, z, w, counts)
  local a, c, d, shape = x.shape, z.shape, w.shape, {}
  if #a ~= #c or #a ~= #d then
    refuse(layer, "a tensor has %d axes, %d or %d, as there are examples", #a, #c, #d)
  end
  for axis, size in ipairs(a) do
    shape[axis] = sizes.of({ size, c[axis], d[axis] }, counts)
      or refuse(layer, "a size is %d for %d examples, %d for %d and %d for %d, and no multiple of them and a number",
        size, counts[1], c[axis], counts[2], d[axis], counts[3])
  end
  return shape
end

--- A constant that repeats the same numbers for every example, such as zeros {N, 10}; nil where it is none.
local function repeated(layer, x, z, w, counts)
  if #x.shape ~= #z.shape or #x.shape ~= #w.shape or x.dtype ~= z.dtype or x.dtype ~= w.dtype then return nil end
  local shape, along = shape_of(layer, x, z, w, counts), nil
  for axis, size in ipairs(shape) do
    if sizes.varies(size) then
      if along then return nil end
      along = axis
    end
  end
  if not along or T.count(x) == 0 then return nil end
  local one = x:narrow(along, 1, 1)
  for _, each_one in ipairs { x, z, w } do
    if not same_bits(one:expand(each_one.shape), each_one) then return nil end
  end
  return setmetatable({ tensor = one, shape = shape, dtype = x.dtype }, Value)
end

--- The runs as one: calls whose arguments are values, numbers, sizes, texts and tables of these. A value is
--- {shape=, dtype=} and what it comes from: call= and position=, or tensor=, of a constant.
local function merged(runs, counts)
  local first <const> = runs[1]
  local values, constants = {}, {}

  local function constant(layer, x, y, z, w)
    if constants[x] then return constants[x] end
    local value
    if same_bits(x, y) and same_bits(x, z) and same_bits(x, w) then
      value = setmetatable({ tensor = x, shape = x.shape, dtype = x.dtype }, Value)
    elseif same_bits(x, y) then
      value = repeated(layer, x, z, w, counts)
    end
    if not value then
      refuse(layer, "a tensor %s differs from one input to another, and no operation that can be traced computes it; "
        .. "%s", check.describe(x), WHY)
    end
    for i, run in ipairs(runs) do
      local own = select(i, x, y, z, w)
      if run.versions[own] and tape.changed(run.versions[own]) then
        refuse(layer, "a tensor is changed in place while the model computes")
      end
    end
    constants[x] = value
    return value
  end

  local function value_of(layer, x, ...)
    local from, places, any = first.from[x], {}, false
    for i, run in ipairs(runs) do
      places[i] = run.from[select(i, x, ...)] or false
      any = any or places[i]
    end
    if not any then return constant(layer, x, ...) end
    for _, place in ipairs(places) do
      if not from or not place or place.call ~= from.call or place.position ~= from.position then
        refuse(layer, "it computes something else for another input; %s", WHY)
      end
    end
    values[from.call] = values[from.call] or {}
    local known = values[from.call]
    known[from.position] = known[from.position] or setmetatable({ call = from.call, position = from.position,
      dtype = x.dtype, shape = shape_of(layer, x, select(2, ...), select(3, ...), counts) }, Value)
    return known[from.position]
  end

  local merge

  local function merge_tables(layer, a, b, c, d)
    if traced.is_expression(a) then
      local code = traced.code_of(a)
      if traced.code_of(b) == code and traced.code_of(c) == code and traced.code_of(d) == code then return a end
      refuse(layer, "a function of sm.pointwise is another one for another input; %s", WHY)
    end
    local result = setmetatable({}, debug.getmetatable(a))
    for _, other in ipairs { b, c, d } do
      for key in next, other do
        if rawget(a, key) == nil then refuse(layer, "its options differ from one input to another; %s", WHY) end
      end
    end
    for key, item in next, a do
      rawset(result, key, merge(layer, item, rawget(b, key), rawget(c, key), rawget(d, key)))
    end
    return result
  end

  local function all(holds, ...)
    for i = 1, select("#", ...) do
      if not holds((select(i, ...))) then return false end
    end
    return true
  end
  local function is_table(value) return type(value) == "table" end

  function merge(layer, a, b, c, d)
    if all(is_tensor, a, b, c, d) then return value_of(layer, a, b, c, d) end
    if all(is_table, a, b, c, d) then return merge_tables(layer, a, b, c, d) end
    local function same(value) return rawequal(a, value) or a ~= a and value ~= value end
    if all(same, b, c, d) then return a end
    local size = same(b) and sizes.of({ a, c, d }, counts)
    if not size then
      refuse(layer, "%s becomes %s for another input; %s", check.describe(a),
        check.describe(not same(b) and b or not same(c) and c or d), WHY)
    end
    return size
  end

  local calls = {}
  local most = 0
  for _, run in ipairs(runs) do most = math.max(most, #run.calls) end
  for i = 1, most do
    local a, given, gave = first.calls[i], {}, {}
    for k, run in ipairs(runs) do
      local call = run.calls[i]
      if not a or not call or call.name ~= a.name then
        refuse((a or call or {}).layer, "it computes something else for another input; %s", WHY)
      end
      given[k], gave[k] = call.given, call.gave
    end
    calls[i] = { name = a.name, layer = a.layer, formless = a.formless, given = merge(a.layer, unpack(given)),
      gave = merge(a.layer, unpack(gave)) }
  end
  return calls, merge
end

--- Runs a model on four batches.
-- @param batches four lists of inputs as table.pack gives them
-- @param counts how many examples the first two have, the third, and the fourth
-- @param known function(name) → whether an operation has a form
-- @return the calls; the inputs and the outputs, packed, with values in the place of tensors
function M.trace(model, batches, counts, known)
  local runs = {}
  for i, inputs in ipairs(batches) do runs[i] = once(model, inputs, known) end
  local calls, merge = merged(runs, counts)
  local inputs, outputs = merge(nil, unpack(batches)), {}
  for i, run in ipairs(runs) do outputs[i] = run.outputs end
  return calls, inputs, merge(nil, unpack(outputs))
end

return M
