--- Gradients against central differences.
-- @module sm.gradcheck
local runtime = require "sm.runtime"
local autograd = require "sm.autograd"
local check = require "sm.check"
local fail = require "sm.fail"
local gradients = require "sm.gradients"

local is_tensor = runtime.tensor.is_tensor

--- The elements of a tensor, flat, as Lua numbers.
local function elements(x)
  return runtime.tensor.totable(runtime.tensor.reshape(x, { -1 }))
end

--- "{2, 3}": the 1-based position of flat element `index` (0-based) in a shape.
local function position_text(shape, index)
  local position = {}
  for axis = #shape, 1, -1 do
    position[axis] = index % shape[axis] + 1
    index = index // shape[axis]
  end
  return "{" .. table.concat(position, ", ") .. "}"
end

--- What is checked, as a list of its own.
local function list(inputs)
  if is_tensor(inputs) then return { inputs } end
  if type(inputs) ~= "table" or rawlen(inputs) == 0 then
    fail("gradcheck: argument 2 must be a tensor or a list of tensors, got %s", check.describe(inputs))
  end
  local found = {}
  for i = 1, rawlen(inputs) do
    local x = rawget(inputs, i)
    if not is_tensor(x) then fail("gradcheck: input %d must be a tensor, got %s", i, check.describe(x)) end
    found[i] = x
  end
  return found
end

local exact <const> = runtime.real == "float64"
local ROUNDING <const> = exact and 0x1p-52 or 0x1p-23 -- of a number to the next, by its size
local OPTIONS <const> = check.spec("sm.gradcheck", {
  epsilon = { type = "number", above = 0, default = exact and 1e-5 or 1e-2,
    doc = "the step; 1e-5 in the double build" },
  tolerance = { type = "number", above = 0, default = exact and 1e-6 or 2e-2,
    doc = "the greatest relative error; 1e-6 in the double build" },
})

--- Compares the gradients of f with central differences, for every element of every input.
-- The output is projected on fixed pseudo-random weights, so one backward pass checks all of it.
-- @param f function of tensors → tensor; it must compute the same each time it is called
-- @param inputs a tensor or an array of tensors of the real type; they are put back as they were
-- @param options a table; the double build is where this is meant to be used
-- @return the greatest relative error: |analytic - numeric|, less what the rounding of f's results makes of it, over
--   max(|analytic|, |numeric|, 1e-3 of the input's largest). Raises, naming the worst element, when it is above the
--   tolerance.
return function(f, inputs, options)
  local o = check.options("sm.gradcheck", options, OPTIONS)
  if not check.is_callable(f) then fail("gradcheck: argument 1 must be a function, got %s", check.describe(f)) end
  inputs = list(inputs)
  local function weight(i) return math.sin(i * 1.7) + 0.3 end
  -- The projection of f, and how far rounding may put it off: the results' roundings are independent of one another.
  local function project()
    local sum, squares = 0, 0
    for i, y in ipairs(elements(autograd.no_grad(f, table.unpack(inputs)))) do
      sum, squares = sum + y * weight(i), squares + (y * weight(i)) ^ 2
    end
    return sum, ROUNDING * squares ^ 0.5
  end
  local kept = {}
  local _ <close> = setmetatable({}, { __close = function()
    for x, before in pairs(kept) do
      runtime.tensor.copy_(x, before.numbers)
      x.grad = before.gradient
      if not before.tracked then autograd.requires_grad(x, false) end
    end
  end })
  for _, x in ipairs(inputs) do
    local tracked = autograd.tracks(x)
    if not tracked then autograd.requires_grad(x) end
    kept[x] = { numbers = runtime.tensor.to(x), gradient = x.grad, tracked = tracked }
    x.grad = nil
  end
  local output = f(table.unpack(inputs))
  if not is_tensor(output) then fail("gradcheck: f must return a tensor, got %s", check.describe(output)) end
  local first = elements(output)
  local weights = {}
  for i = 1, #first do weights[i] = weight(i) end
  if autograd.tracks(output) then
    gradients.backward(output, runtime.tensor.reshape(runtime.tensor.tensor(weights), output.shape))
  end
  for i, y in ipairs(elements(autograd.no_grad(f, table.unpack(inputs)))) do
    if y ~= first[i] and (y == y or first[i] == first[i]) then
      fail("gradcheck: f is not deterministic: output element %d was %.9g, then %.9g", i, first[i], y)
    end
  end

  local worst = { error = 0 }
  for n, x in ipairs(inputs) do
    local values = elements(x)
    local analytic = x.grad and elements(x.grad) or {}
    local numeric, doubt, largest = {}, {}, 0
    local function set(i, value)
      local before = values[i]
      values[i] = value
      runtime.tensor.copy_(x, runtime.tensor.reshape(runtime.tensor.tensor(values), x.shape))
      values[i] = before
    end
    for i = 1, #values do
      local before = values[i]
      local step = o.epsilon * math.max(1, math.abs(before))
      set(i, before + step)
      local above, off = project()
      set(i, before - step)
      local below = project()
      set(i, before)
      numeric[i], doubt[i] = (above - below) / (2 * step), off < math.huge and off / step or 0
      largest = math.max(largest, math.abs(numeric[i]))
    end
    for i = 1, #values do
      local a, d = analytic[i] or 0, numeric[i]
      local scale = math.max(math.abs(a), math.abs(d), 1e-3 * largest, 1e-12)
      local apart = math.abs(a - d)
      local relative = apart <= doubt[i] and 0 or (apart - doubt[i]) / scale
      if relative > worst.error or relative ~= relative then
        worst = { error = relative ~= relative and math.huge or relative, input = n,
          position = position_text(x.shape, i - 1), analytic = a, numeric = d }
      end
    end
  end
  if worst.error > o.tolerance then
    fail("gradcheck: input %d, element %s: backward gives %.9g, central differences %.9g (relative error %.3g, "
      .. "allowed %.3g)", worst.input, worst.position, worst.analytic, worst.numeric, worst.error, o.tolerance)
  end
  return worst.error
end
