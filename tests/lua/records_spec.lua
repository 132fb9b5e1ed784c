--- Every operation that is a record, by its own samples: see lua/sm/ops/shape.lua for what a record has.
-- Forward against the record's reference, for every element type, special values and a sliced input; gradcheck; the
-- same bits with 1, 2 and 3 threads; inputs unchanged, results with memory of their own; what is refused.
local sm = require "sm"
local helpers = require "tests.lua.helpers"
local records = require "sm.ops.records"
local runtime = require "sm.runtime"

local exact = runtime.real == "float64"
local is_tensor = sm.is_tensor

-- Samples -------------------------------------------------------------------------------------------------

local made = 0 -- tensors of an operation's samples so far, so that no two have the same numbers

--- Different numbers within and between tensors, a quarter apart: what sorts or compares them has a gradient.
local function real(...)
  local shape, count = { ... }, 1
  for _, size in ipairs(shape) do count = count * size end
  made = made + 1
  local values, step = {}, 1
  for _, candidate in ipairs { 7, 11, 13, 17, 19, 23 } do
    if count % candidate ~= 0 then step = candidate end
  end
  for i = 1, count do values[i] = ((i * step) % math.max(count, 1) - count // 2) * 0.25 + 0.06 * (made % 4) + 0.03 end
  if count == 0 then return sm.zeros(shape) end
  return sm.tensor(values):reshape(shape)
end

--- Integers: given as tables, or as a shape of zeros.
local function integers(dtype)
  return function(first, ...)
    if type(first) == "table" then return sm.tensor(first, dtype) end
    return sm.zeros({ first, ... }, dtype)
  end
end

local s = { real = real, int32 = integers "int32", uint8 = integers "uint8", tensor = sm.tensor }

--- The samples of an operation, the same whatever others there are.
local function samples_of(operation)
  made = 2
  return operation.samples(s)
end

--- A copy of arguments with every tensor, in lists too, replaced by f(tensor).
local function mapped(arguments, f)
  local copy = {}
  for key, value in pairs(arguments) do
    if is_tensor(value) then
      copy[key] = f(value)
    elseif type(value) == "table" then
      copy[key] = mapped(value, f)
    else
      copy[key] = value
    end
  end
  return copy
end

local function each_tensor(arguments, visit)
  mapped(arguments, function(x) visit(x) return x end)
end

local function count_of(sample)
  local count = 0
  for i in pairs(sample) do count = math.type(i) == "integer" and math.max(count, i) or count end
  return count
end

-- References ----------------------------------------------------------------------------------------------

-- What runs for each number of a reference uses locals, and no `assert`: a global of a spec is busted's to look up,
-- which takes longer than all the rest of a reference.
local kind_of, move = math.type, table.move

local array = {}
array.__index = array

function array:at(position)
  local flat, shape = 0, self.shape
  for axis = 1, #shape do
    local i, size = position[axis], shape[axis]
    if kind_of(i) ~= "integer" or i < 1 or i > size then error("a reference reads beyond its array", 2) end
    flat = flat * size + i - 1
  end
  return self[flat + 1]
end

--- An array whose element at each position is f(position).
local function new(shape, f)
  local result = setmetatable({ shape = move(shape, 1, #shape, 1, {}) }, array)
  local position = {}
  local function fill(axis)
    if axis > #shape then
      result[#result + 1] = f(move(position, 1, #position, 1, {}))
      return
    end
    for i = 1, shape[axis] do
      position[axis] = i
      fill(axis + 1)
    end
    position[axis] = nil
  end
  fill(1)
  return result
end

local function numbers(x) return x:reshape(-1):totable() end

local function to_array(x)
  local values = sm.no_grad(numbers, x)
  values.shape = table.move(x.shape, 1, #x.shape, 1, {})
  return setmetatable(values, array)
end

--- What an operation gives, as a list of tensors.
local function outputs(...)
  local first = ...
  if type(first) == "table" and getmetatable(first) ~= array then return first end
  return { ... }
end

--- Whether a result is what the reference says; a difference in words, or nil.
local function difference(got, want)
  if #got ~= #want then return ("%d results instead of %d"):format(#got, #want) end
  for k, y in ipairs(got) do
    local expected = want[k]
    local shape, wanted = table.concat(y.shape, ", "), table.concat(expected.shape, ", ")
    if shape ~= wanted then return ("shape {%s} instead of {%s}"):format(shape, wanted) end
    for i, value in ipairs(numbers(y)) do
      local right = runtime.math.rounded(expected[i])
      local close = value == right or value ~= value and right ~= right
        or math.abs(value - right) <= (exact and 1e-12 or 1e-5) * math.max(1, math.abs(right))
      if not close then return ("result %d, element %d: %s instead of %s"):format(k, i, value, right) end
    end
  end
end

local function call(operation, sample)
  sm.seed(1) -- what draws numbers draws the same ones each time
  return outputs(operation.f(table.unpack(sample, 1, count_of(sample))))
end

local function reference(operation, sample)
  local arguments = mapped(sample, to_array)
  sm.seed(1)
  return outputs(operation.reference(new, table.unpack(arguments, 1, count_of(sample))))
end

--- Raises unless a sample gives what the reference says, which is found unless it is given; returns that.
local function check_forward(operation, sample, what, want)
  want = want or reference(operation, sample)
  local bad = difference(call(operation, sample), want)
  if bad then error(("%s, sample %s: %s"):format(operation.name, what, bad), 0) end
  return want
end

--- The same numbers in the middle of a larger tensor.
local function sliced(x)
  local flat = x:reshape(-1)
  local border = sm.full({ 3 }, 77, x.dtype)
  return sm.cat { border, flat, border }:slice(4, 3 + #flat):reshape(x.shape)
end

local SPECIAL <const> = { 0 / 0, math.huge, -math.huge, 0.0, -0.0, 1, -1, 1e-30, -1e30 }

--- Numbers of a kind in every real tensor of a sample.
local function with(sample, f)
  return mapped(sample, function(x)
    return x.dtype == runtime.real and f(x) or x
  end)
end

local function special(x)
  local values, count = {}, 1
  for _, size in ipairs(x.shape) do count = count * size end
  if count == 0 then return x end
  made = made + 1
  for i = 1, count do values[i] = SPECIAL[(i * 5 + made + i // 9) % #SPECIAL + 1] end
  return sm.tensor(values):reshape(x.shape)
end

local function as(dtype)
  return function(x) return (x:abs() * 8):to(dtype) end
end

local function same_bits(a, b)
  for k, y in ipairs(a) do
    local before, after = numbers(y), numbers(b[k])
    for i, value in ipairs(before) do
      if value ~= after[i] and (value == value or after[i] == after[i]) then return false end
    end
  end
  return #a == #b
end

--- Real tensors of a sample, each once.
local function inputs_of(sample)
  local inputs, seen = {}, {}
  each_tensor(sample, function(x)
    if x.dtype == runtime.real and not seen[x] then inputs[#inputs + 1], seen[x] = x, true end
  end)
  return inputs
end

--- The first output of an operation as a function of a sample's real tensors; pieces in a list are all taken.
-- @param computed whether the tensors are results of operations, no leaves
local function as_function(operation, sample, computed)
  local inputs = inputs_of(sample)
  return inputs, function(...)
    local given, place = { ... }, {}
    for i, x in ipairs(inputs) do place[x] = computed and given[i] * 1 or given[i] end
    local results = call(operation, mapped(sample, function(x) return place[x] or x end))
    local first = results[1]
    if operation.name == "split" then
      for i = 2, #results do first = sm.cat { first:reshape(-1), results[i]:reshape(-1) * (i * 0.5) } end
    end
    return first
  end
end

--- Fixed numbers of a shape, for directions.
local function direction(shape, phase)
  local x = sm.zeros(shape)
  local values = {}
  for i = 1, #x:reshape(-1) do values[i] = math.sin(i * 1.7 + phase) + 0.3 end
  return #values == 0 and x or sm.tensor(values):reshape(shape)
end

--- How far the gradients of the gradients of y = f(inputs) are from central differences: of the gradient of
-- <y, v> by the inputs, projected on a direction, by the inputs and v, along another direction.
local function second_difference(operation, inputs, f)
  local v = direction(sm.no_grad(f, table.unpack(inputs)).shape, 5)
  local points = { v, table.unpack(inputs) }
  local before, along = {}, {}
  for k, x in ipairs(points) do
    before[k], along[k] = x:clone(), direction(x.shape, k)
    x:requires_grad().grad = nil
  end
  local function projected(graph)
    local y = f(table.unpack(inputs))
    if not operation.twice then
      local message = helpers.error_of(sm.grad, y, inputs, { gradient = v, create_graph = true })
      helpers.has(message, ("'%s' has no gradient itself"):format(operation.name))
    end
    local sum = 0
    for k, g in ipairs(sm.grad(y, inputs, { gradient = v, create_graph = graph })) do
      sum = sum + (g * direction(g.shape, -k)):sum()
    end
    return sum
  end
  local step = exact and 1e-5 or 1e-2
  local function at(distance)
    sm.no_grad(function()
      for k, x in ipairs(points) do x:copy_(before[k] + along[k] * distance) end
    end)
    return projected(false):item()
  end
  local numeric = (at(step) - at(-step)) / (2 * step)
  at(0)
  local apart = 0
  if operation.twice then
    local y = projected(true)
    if y:tracks() then y:backward() end
    local analytic, size = 0, 1
    for k, x in ipairs(points) do
      if x.grad then
        analytic = analytic + (x.grad * along[k]):sum():item()
        size = size + (x.grad * along[k]):abs():sum():item()
      end
    end
    apart = math.abs(analytic - numeric) / size
  end
  for _, x in ipairs(points) do
    x.grad = nil
    x:requires_grad(false)
  end
  return apart
end

describe("operations that are records", function()
  it("have all that a record needs, and a name of their own", function()
    local names = {}
    assert.is_true(#records > 10)
    for _, operation in ipairs(records) do
      local name = operation.name
      assert.is_string(name)
      assert.is_nil(names[name], name .. " stands there twice")
      names[name] = true
      local doc = operation.doc
      assert.is_true(type(doc) == "string" and doc:find(name, 1, true) ~= nil, name .. " has no doc")
      assert.equal("function", type(operation.f), name)
      assert.equal("function", type(operation.reference), name .. " has no reference")
      assert.is_true(type(operation.samples) == "function" and #operation.samples(s) > 0, name .. " has no samples")
      assert.is_true(type(operation.refused) == "function" and #operation.refused(s) > 0, name .. " refuses nothing")
      if operation.call then
        assert.equal("function", type(sm[name]), name)
      else
        assert.equal("function", type(real(1)[name]), name)
      end
    end
  end)

  it("read lists as they are, whatever a metatable says of their length", function()
    local list = setmetatable({ 2, 1 }, { __len = function() return {} end })
    assert.same({ 3, 2 }, real(2, 3):permute(list).shape)
    assert.same({ 4, 3 }, real(2, 3):tile(list).shape)
  end)

  for _, operation in ipairs(records) do
    describe(operation.name, function()
      it("agrees with its reference, also for slices, other types and special values", function()
        for i, sample in ipairs(samples_of(operation)) do
          local want = check_forward(operation, sample, i)
          check_forward(operation, mapped(sample, sliced), i .. ", sliced", want)
          if operation.special ~= false then check_forward(operation, with(sample, special), i .. ", special") end
          if operation.dtypes ~= "real" then
            for _, dtype in ipairs { "uint8", "int32" } do
              local integer = true -- numbers beside the tensors must be such, too
              for k = 1, count_of(sample) do integer = integer and math.type(sample[k]) ~= "float" end
              if integer then check_forward(operation, with(sample, as(dtype)), ("%d, %s"):format(i, dtype)) end
            end
          end
        end
      end)

      it("has the gradient of central differences", function()
        if operation.differentiable == false then
          for _, sample in ipairs(samples_of(operation)) do
            for _, x in ipairs(inputs_of(sample)) do x:requires_grad() end
            for _, y in ipairs(call(operation, sample)) do assert.is_false(y:tracks()) end
          end
          return
        end
        local checked = 0
        for _, sample in ipairs(samples_of(operation)) do
          local inputs, f = as_function(operation, sample)
          local elements = 0
          for _, x in ipairs(inputs) do elements = elements + #x:reshape(-1) end
          if #inputs > 0 and sample.gradient ~= false and elements < 100 then
            local _, of_computed = as_function(operation, sample, true)
            for _, either in ipairs { f, of_computed } do
              local least = sm.gradcheck(either, inputs, { tolerance = exact and 1e-6 or 2e-2 })
              assert.is_true(least <= (exact and 1e-6 or 2e-2))
            end
            checked = checked + 1
          end
        end
        assert.is_true(checked > 0)
      end)

      it("gives the same bits with any number of threads, and leaves its inputs alone", function()
        local before = runtime.system.threads()
        finally(function() runtime.system.set_threads(before) end)
        for i, sample in ipairs(samples_of(operation)) do
          local results, gradients = {}, {}
          local inputs, f = as_function(operation, sample)
          local kept = {}
          each_tensor(sample, function(x) kept[#kept + 1] = { x, x:clone() } end)
          for count = 1, 3 do
            runtime.system.set_threads(count)
            results[count] = call(operation, sample)
            gradients[count] = {}
            if operation.differentiable ~= false then
              for _, x in ipairs(inputs) do
                x:requires_grad()
                x.grad = nil
              end
              local y = f(table.unpack(inputs))
              if y:tracks() then y:backward(sm.full(y.shape, 0.5)) end
              for k, x in ipairs(inputs) do
                gradients[count][k] = x.grad or sm.zeros(1)
                x:requires_grad(false)
              end
            end
            assert.is_true(same_bits(results[1], results[count]), ("sample %d, %d threads"):format(i, count))
            assert.is_true(same_bits(gradients[1], gradients[count]), ("sample %d, %d threads"):format(i, count))
          end
          for _, pair in ipairs(kept) do assert.is_true(same_bits({ pair[1] }, { pair[2] }), "an input was changed") end
        end
      end)

      it("has the same gradients with create_graph and without", function()
        if operation.differentiable == false or not operation.twice then return end
        for i, sample in ipairs(samples_of(operation)) do
          local inputs, f = as_function(operation, sample)
          local function gradients(graph)
            for _, x in ipairs(inputs) do x:requires_grad().grad = nil end
            local y, found = f(table.unpack(inputs)), {}
            if y:tracks() then y:backward { gradient = direction(y.shape, 5), create_graph = graph } end
            for k, x in ipairs(inputs) do found[k] = x.grad or sm.zeros(x.shape) end
            return found
          end
          local bad = difference(gradients(true), mapped(gradients(false), to_array))
          if bad then error(("%s, sample %d: %s"):format(operation.name, i, bad), 0) end
        end
      end)

      it(operation.twice and "has gradients of gradients" or "refuses create_graph, or has no gradient", function()
        if operation.differentiable == false then return end
        local checked = 0
        for i, sample in ipairs(samples_of(operation)) do
          local inputs, f = as_function(operation, sample)
          local elements = 0
          for _, x in ipairs(inputs) do elements = elements + #x:reshape(-1) end
          if #inputs > 0 and elements > 0 and elements < 100 and sample.gradient ~= false then
            local apart = second_difference(operation, inputs, f)
            local most = exact and 1e-6 or 2e-2
            assert.is_true(apart <= most, ("%s, sample %d: %g apart"):format(operation.name, i, apart))
            checked = checked + 1
          end
        end
        assert.is_true(checked > 0)
      end)

      it("notices what changes its tensors before backward, or does not need them", function()
        if operation.differentiable == false then return end
        for i, sample in ipairs(samples_of(operation)) do
          local inputs, f = as_function(operation, sample)
          local function gradients(meddle)
            for _, x in ipairs(inputs) do x:requires_grad().grad = nil end
            local y = f(table.unpack(inputs))
            if not y:tracks() then return {} end
            if meddle then
              sm.no_grad(each_tensor, sample, function(x) x:copy_(x:flip {}:to "uint8":eq(0):to(x.dtype)) end)
            end
            local ok, message = pcall(y.backward, y, sm.full(y.shape, 0.5))
            if not ok then
              assert.is_truthy(message:find("changed it since", 1, true), message)
              return
            end
            local found = {}
            for k, x in ipairs(inputs) do found[k] = x.grad end
            return found
          end
          local want = gradients(false)
          local kept = {}
          each_tensor(sample, function(x) kept[x] = x:detach():clone() end)
          local got = gradients(true)
          assert.is_true(got == nil or same_bits(want, got), ("%s, sample %d"):format(operation.name, i))
          sm.no_grad(function() for x, before in pairs(kept) do x:copy_(before) end end)
        end
      end)

      it("has memory of its own, or is a view as it says", function()
        for i, sample in ipairs(samples_of(operation)) do
          local view = operation.view
          if type(view) == "function" then view = view(table.unpack(sample, 1, count_of(sample))) end
          local before = call(operation, sample)
          local kept = {}
          for k, y in ipairs(before) do kept[k] = y:clone() end
          local elements, shown = 0, 0
          for _, y in ipairs(kept) do shown = shown + #y:reshape(-1) end
          each_tensor(sample, function(x)
            elements = elements + #x:reshape(-1)
            x:copy_(sm.full(x.shape, 99, x.dtype))
          end)
          local changed = not same_bits(before, kept)
          if elements > 0 and shown > 0 then
            assert.equal(view or false, changed, ("%s, sample %d"):format(operation.name, i))
          end
        end
      end)

      it("says what it expected and what came", function()
        for i, sample in ipairs(operation.refused(s)) do
          local expected = table.remove(sample, 1)
          local last = count_of(sample)
          local public = operation.call and sm[operation.name] or real(1)[operation.name]
          local message = helpers.error_of(public, table.unpack(sample, 1, last))
          local here = ("%s, refused %d: %s"):format(operation.name, i, message)
          assert.is_truthy(message:find(expected, 1, true), here)
          assert.is_truthy(operation.unnamed or message:find(operation.name, 1, true), here)
          assert.is_nil(message:find "0x%x", here)
          assert.is_nil(message:find("lua/sm/", 1, true), here)
        end
      end)
    end)
  end
end)
