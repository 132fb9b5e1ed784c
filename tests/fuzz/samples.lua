--- Arguments that get through: the samples of the operations' records, and what these give to kernels on their way.
local runtime = require "sm.runtime"
local sm = require "sm"

local Samples = {}

local is_tensor <const> = runtime.tensor.is_tensor

-- Rooms of kernels that are looked up when they are called.
local ROOMS <const> = { "attention", "compare", "conv", "expression", "index", "math", "normalise", "pointwise",
  "random", "recurrent", "softmax", "stride" }
local KEPT <const> = 6 -- calls of each kernel

local function integers(dtype)
  return function(first, ...)
    if type(first) == "table" then return sm.tensor(first, dtype) end
    return sm.zeros({ first, ... }, dtype)
  end
end

local makers <const> = { real = sm.randn, int32 = integers "int32", uint8 = integers "uint8", tensor = sm.tensor }

local function last_of(sample)
  local last = 0
  for key in next, sample do last = math.type(key) == "integer" and math.max(last, key) or last end
  return last
end

-- A copy in which each tensor, in lists and options too, is what f makes of it.
local function mapped(value, f)
  if is_tensor(value) then return f(value) end
  if type(value) ~= "table" or getmetatable(value) then return value end
  local copy = {}
  for key, item in next, value do copy[key] = mapped(item, f) end
  return copy
end

local function clone(x) return sm.no_grad(function() return x:clone() end) end

local of_records, of_kernels <const> = {}, {} -- name → function that makes samples; name → list of arguments

-- While f runs, kernels keep some of their arguments.
local function watching(f)
  local restore = {}
  for _, room in ipairs(ROOMS) do
    for key, kernel in next, runtime[room] do
      if type(kernel) == "function" then
        local kept = {}
        of_kernels[room .. "." .. key] = kept
        restore[#restore + 1] = function() runtime[room][key] = kernel end
        runtime[room][key] = function(...)
          if #kept < KEPT then
            local given = table.pack(...)
            local n = given.n
            given = mapped(given, clone)
            given.n = n
            kept[#kept + 1] = given
          end
          return kernel(...)
        end
      end
    end
  end
  f()
  for _, put_back in ipairs(restore) do put_back() end
end

-- Calls an operation with a sample, and its gradient where it has one.
local function exercise(operation, sample)
  local given = mapped(sample, function(x) return x.dtype == runtime.real and x:requires_grad() or x end)
  local found = table.pack(operation.f(table.unpack(given, 1, last_of(sample))))
  if type(found[1]) == "table" and not is_tensor(found[1]) then found = found[1] end
  for _, y in ipairs(found) do
    if is_tensor(y) and y.dtype == runtime.real and y:tracks() then y:sum():backward() end
  end
end

--- Reads the records, and tries them.
function Samples.collect()
  local records = require "sm.ops.records"
  for _, operation in ipairs(records) do
    of_records[(operation.call and "sm." or "tensor:") .. operation.name] = operation.samples
  end
  watching(function()
    for _, operation in ipairs(records) do
      for _, sample in ipairs(operation.samples(makers)) do pcall(exercise, operation, sample) end
    end
  end)
end

--- What a function of the interface, or a kernel, has been called with: a table with `n`; nil where nothing is known.
-- @param g the generator, which gives tensors names
function Samples.arguments(g, name)
  local sample
  if of_records[name] then
    sample = g:pick(of_records[name](makers))
  elseif of_kernels[name] and #of_kernels[name] > 0 then
    sample = mapped(g:pick(of_kernels[name]), clone)
  else
    return nil
  end
  local n = sample.n or last_of(sample)
  sample = mapped(sample, function(x)
    if of_records[name] and x.dtype == runtime.real and g:chance(0.3) then x = x:requires_grad() end
    local values = #x.shape > 0 and x.dtype ~= runtime.real and x:reshape(-1):totable() or nil
    return g:name(x, "t", "%s %s%s", x.dtype, "{" .. table.concat(x.shape, ", ") .. "}",
      values and " of " .. g:text(values) or ", a sample's")
  end)
  sample.n = n
  return sample
end

return Samples
