--- The same elements by another handle, copies, and other element types. See sm.ops.shape for what a record has.
-- @module sm.ops.views
local runtime = require "sm.runtime"
local autograd = require "sm.autograd"
local check = require "sm.check"
local fail = require "sm.fail"
local primitives = require "sm.ops.primitives"

local T = runtime.tensor
local record = autograd.record_twice
local copy = primitives.copy

local records = {}

local function define(given) records[#records + 1] = given end

define {
  name = "reshape",
  unnamed = true,
  doc = "x:reshape(2, -1) or x:reshape{2, -1}: the same elements in another shape, sharing storage; one size "
    .. "may be -1.",
  f = function(x, ...)
    local shape = ...
    if type(shape) ~= "table" then
      shape = { ... }
    else
      check.no_more("reshape", "one table of sizes", select(2, ...))
    end
    return primitives.view(x, shape)
  end,
  twice = true,
  view = true,
  reference = function(new, x, ...)
    local shape, known, at = ..., 1, 0
    shape = type(shape) == "table" and copy(shape) or { ... }
    for _, size in ipairs(shape) do known = size == -1 and known or known * size end
    for axis, size in ipairs(shape) do shape[axis] = size == -1 and #x // known or size end
    return new(shape, function()
      at = at + 1
      return x[at]
    end)
  end,
  samples = function(s)
    return { { s.real(2, 3, 2), 3, -1 }, { s.real(2, 3), { 6 } }, { s.real(), 1 }, { s.real(1), {} },
      { s.real(0, 3), 2, 0 }, { s.real(4), 1, 2, 2 } }
  end,
  refused = function(s)
    return { { "reshape: {2} has 2 elements, {3} has 3", s.real(2), 3 }, { 'got string "x"', s.real(2), "x" },
      { "reshape takes one table of sizes", s.real(2), { 2 }, 1 } }
  end,
}

--- The gradient of a part of the first axis that begins after `first` elements.
-- @param shape of the part with that axis
local function placed(gy, x, first, shape, graph)
  if not graph then return T.place(gy, x.shape, first) end
  local before = { first }
  for axis = 2, #x.shape do before[axis] = 0 end
  return primitives.place(primitives.view(gy, shape), x.shape, before, 0, "pad")
end

define {
  name = "select",
  unnamed = true,
  doc = "x[i] or x:select(i): element i of the first axis (1-based, negative from the end), sharing storage.",
  f = function(x, i)
    return record(T.select(x, i), "select", function(gy, _, graph)
      local shape = x.shape
      local first = i < 0 and i + shape[1] or i - 1
      shape[1] = 1
      return placed(gy, x, first, shape, graph)
    end, nil, x)
  end,
  twice = true,
  view = true,
  reference = function(new, x, i)
    local shape = copy(x.shape)
    local size = table.remove(shape, 1)
    return new(shape, function(p) return x:at { i < 0 and i + size + 1 or i, table.unpack(p) } end)
  end,
  samples = function(s)
    return { { s.real(3, 4), 2 }, { s.real(3, 2, 2), -1 }, { s.real(3), 1 }, { s.real(2, 0), 2 }, { s.real(1, 1), 1 } }
  end,
  refused = function(s)
    return { { "position 3 is out of range: the first axis has 2 elements", s.real(2), 3 },
      { "got nil", s.real(2) }, { "out of range", s.real(2), 0 } }
  end,
}

define {
  name = "slice",
  doc = "x:slice(first, last): these elements of the first axis (1-based, both included, negative from the end; last "
    .. "by default the last), sharing storage.",
  f = function(x, first, last)
    return record(T.slice(x, first, last), "slice", function(gy, _, graph)
      return placed(gy, x, first < 0 and first + x.shape[1] or first - 1, gy.shape, graph)
    end, nil, x)
  end,
  twice = true,
  view = true,
  reference = function(new, x, first, last)
    local shape = copy(x.shape)
    local size = shape[1]
    first, last = first < 0 and first + size + 1 or first, last < 0 and last + size + 1 or last
    shape[1] = last - first + 1
    return new(shape, function(p)
      local from = copy(p)
      from[1] = from[1] + first - 1
      return x:at(from)
    end)
  end,
  samples = function(s)
    return { { s.real(4, 2), 2, 3 }, { s.real(4, 2), -2, -1 }, { s.real(3), 1, 3 }, { s.real(3, 2), 3, 3 },
      { s.real(2, 0), 1, 1 } }
  end,
  refused = function(s)
    return { { "argument 3 must be an integer from -2 to 2, got number 3", s.real(2), 1, 3 },
      { 'got string "x"', s.real(2), "x", 1 } }
  end,
}

define {
  name = "clone",
  doc = "x:clone(): a copy, through which the gradient passes.",
  f = function(x) return record(T.to(x), "clone", function(gy) return gy end, nil, x) end,
  twice = true,
  reference = function(new, x) return new(x.shape, function(p) return x:at(p) end) end,
  samples = function(s) return { { s.real(2, 3) }, { s.real() }, { s.real(0, 2) } } end,
  refused = function(s) return { { "clone takes no arguments, got number 3", s.real(2), 3 } } end,
}

define {
  name = "to",
  doc = 'x:to(dtype): another element type, "float32" (the double build: "float64"), "uint8", "int32"; the tensor '
    .. "itself if it has it. No gradient passes from one type to another.",
  f = function(x, dtype)
    if dtype == nil then fail "to: expected a dtype, got nil" end
    return T.is_tensor(x) and x.dtype == dtype and x or T.to(x, dtype)
  end,
  differentiable = false,
  special = false,
  view = function(x, dtype) return x.dtype == dtype end,
  reference = function(new, x, dtype)
    return new(x.shape, function(p)
      local value = x:at(p)
      return dtype == runtime.real and value or value < 0 and -(-value // 1) or value // 1
    end)
  end,
  samples = function(s)
    return { { s.real(2, 3), "int32" }, { s.int32 { 3, -4 }, runtime.real }, { s.real(0, 2), "int32" },
      { s.uint8 { 1, 255 }, "int32" }, { s.int32 { 1, 2 }, "int32" }, { s.tensor { 1.75, 20 }, "uint8" } }
  end,
  refused = function(s)
    return { { "expected a dtype, got nil", s.real(2) }, { 'got string "x"', s.real(2), "x" } }
  end,
}

return records
