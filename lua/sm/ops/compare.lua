--- Comparisons, choices by them, and functions that are constant between steps. See sm.ops.shape for what a record has.
-- @module sm.ops.compare
local runtime = require "sm.runtime"
local autograd = require "sm.autograd"
local arguments = require "sm.ops.arguments"
local broadcast = require "sm.ops.broadcast"
local check = require "sm.check"
local fail = require "sm.fail"
local primitives = require "sm.ops.primitives"
local shape_text = require "sm.text".shape
local symbols = require "sm.ops.symbols"

local T, C, P = runtime.tensor, runtime.compare, runtime.pointwise
local record, saved, tracks = autograd.record_twice, autograd.saved, autograd.tracks
local reduced = primitives.reduced

local records = {}

local function define(given) records[#records + 1] = given end

--- Raises unless a value is a tensor or a number.
local function operand(where, value)
  if type(value) ~= "number" and not T.is_tensor(value) then
    fail("%s: expected a tensor or a number, got %s", where, check.describe(value))
  end
end

local COMPARISONS <const> = {
  { "lt", "less than", function(a, b) return a < b end }, { "le", "at most", function(a, b) return a <= b end },
  { "gt", "greater than", function(a, b) return a > b end }, { "ge", "at least", function(a, b) return a >= b end },
  { "eq", "equal to", function(a, b) return a == b end }, { "ne", "not equal to", function(a, b) return a ~= b end },
}
for _, comparison in ipairs(COMPARISONS) do
  local name, words, holds = table.unpack(comparison)
  define {
    name = name,
    doc = ("x:%s(y): 1 where x is %s y, a tensor or a number, else 0: uint8. Types may differ; with NaN always %d.")
      :format(name, words, name == "ne" and 1 or 0),
    f = function(x, y)
      operand(name, x)
      operand(name, y)
      return C[name](x, y)
    end,
    differentiable = false,
    reference = function(new, x, y)
      return broadcast.reference(new, function(a, b) return holds(a, b) and 1 or 0 end, x, y)
    end,
    samples = function(s)
      local more = broadcast.pairs_of(s)
      more[#more + 1] = { s.tensor { 1, 2, 3 }, 2 }
      more[#more + 1] = { s.int32 { 1, -2, 300 }, s.uint8 { 1, 2, 200 } }
      more[#more + 1] = { s.int32 { 1, 2, 3 }, 2.5 }
      more[#more + 1] = { s.real(2, 3), s.uint8(2, 1) }
      return more
    end,
    refused = function(s)
      return { { "shapes {2, 3} and {2} do not broadcast", s.real(2, 3), s.real(2) },
        { 'got string "1"', s.real(2), "1" },
        { "expected a tensor or a number, got nil", s.real(2) } }
    end,
  }
end

define {
  name = "where",
  call = "sm.where",
  doc = "sm.where(c, a, b): a where c (uint8) is not 0, else b; tensors of one type or numbers, which broadcast.",
  f = function(condition, a, b)
    if symbols.any(condition, a, b) then return symbols.operate("where", condition, a, b) end
    arguments.tensor("where", condition, "a uint8 tensor as the condition")
    if condition.dtype ~= "uint8" then
      fail("where: the condition must be a uint8 tensor, as comparisons give, got %s %s", condition.dtype,
        shape_text(condition.shape))
    end
    operand("where", a)
    operand("where", b)
    local types = { T.is_tensor(a) and a.dtype, T.is_tensor(b) and b.dtype }
    if types[1] and types[2] and types[1] ~= types[2] then
      fail("where: expected two tensors of one type, got %s and %s", types[1], types[2])
    end
    local dtype = types[1] or types[2] or runtime.real
    for _, value in ipairs { a, b } do
      if dtype ~= runtime.real and type(value) == "number" then
        arguments.integer("where", ("a number beside a tensor of %s"):format(dtype), value,
          T.limits(dtype))
      end
    end
    return record(C.where(condition, a, b), "where", function(gy)
      local kept = tracks(a) and reduced(records.where(condition, gy, 0), a)
      return nil, kept, tracks(b) and reduced(records.where(condition, 0, gy), b)
    end, saved(condition), condition, a, b)
  end,
  twice = true,
  reference = function(new, c, a, b)
    return broadcast.reference(new, function(x, y, z) return x ~= 0 and y or z end, c, a, b)
  end,
  samples = function(s)
    local c = s.uint8 { { 1, 0, 1 }, { 0, 0, 2 } }
    return { { c, s.real(2, 3), s.real(2, 3) }, { c, s.real(2, 3), 0 }, { c, 1, -1 }, { c, s.real(), s.real(3) },
      { s.uint8 { { 1 }, { 0 } }, s.real(3), s.real(2, 1) }, { s.uint8(0), s.real(0), s.real(1) },
      { s.uint8 { 0 }, s.real(4), s.real(2, 4) } }
  end,
  refused = function(s)
    return { { "the condition must be a uint8 tensor", s.real(2), 1, 0 }, { "got boolean true", true, 1, 0 },
      { "expected two tensors of one type, got " .. runtime.real .. " and uint8", s.uint8(2), s.real(2), s.uint8(2) },
      { "got nil", s.uint8(2), s.real(2) }, { "do not broadcast", s.uint8(2), s.real(3), 0 },
      { "must be from 0 to 255, got 256", s.uint8(2), s.uint8(2), 256 } }
  end,
}
records.where = records[#records].f -- for other families, as maximum and minimum are

for _, name in ipairs { "maximum", "minimum" } do
  local pass, sign = P[name .. "_pass"], name == "maximum" and 1 or -1
  --- What a gets of the gradient, recorded: nothing where b wins, also of an infinite one.
  local function passed(gy, a, b)
    return record(pass(gy, a, b), name, function(g) return passed(g, a, b) end, saved(a, b), gy)
  end
  define {
    name = name,
    call = "sm." .. name,
    doc = ("sm.%s(a, b): the %s of two tensors or a tensor and a number, which broadcast; NaN wins. Where both are "
      .. "equal each gets half of the gradient."):format(name, name == "maximum" and "larger" or "smaller"),
    f = function(a, b)
      if symbols.any(a, b) then return symbols.operate(name, a, b) end
      operand(name, a)
      operand(name, b)
      if type(a) ~= "number" then arguments.real(name, a) end
      if type(b) ~= "number" then arguments.real(name, b) end
      return record(P[name](a, b), name, function(gy)
        return tracks(a) and reduced(passed(gy, a, b), a), tracks(b) and reduced(passed(gy, b, a), b)
      end, saved(a, b), a, b)
    end,
    twice = true,
    dtypes = "real",
    reference = function(new, x, y)
      return broadcast.reference(new, function(a, b)
        if a ~= a or b ~= b then return 0 / 0 end
        return sign * math.max(sign * a, sign * b)
      end, x, y)
    end,
    samples = function(s)
      local more = broadcast.pairs_of(s)
      more[#more + 1] = { 0.25, s.real(3) }
      return more
    end,
    refused = function(s)
      return { { "shapes {2, 3} and {2} do not broadcast", s.real(2, 3), s.real(2) },
        { "expected a tensor or a number", s.real(2) },
        { "expected a " .. runtime.real .. " tensor", s.uint8(2), 1 } }
    end,
  }
  records[name] = records[#records].f
end

local function round_half_to_even(x)
  if x ~= x or x - x ~= 0 then return x end
  local below = math.floor(x)
  local rest = x - below
  return (rest > 0.5 or rest == 0.5 and below % 2 == 1) and below + 1 or below
end

local STEPS <const> = {
  sign = { "-1, 0 or 1 by the sign", function(x) return x ~= x and x or x > 0 and 1 or x < 0 and -1 or 0 end },
  floor = { "the largest integer that is not larger", function(x) return x - x == 0 and math.floor(x) or x end },
  round = { "the nearest integer, of two equally near the even one", round_half_to_even },
}
for _, name in ipairs { "sign", "floor", "round" } do
  local words, reference = table.unpack(STEPS[name])
  define {
    name = name,
    doc = ("x:%s(): %s; NaN stays NaN. The gradient is 0."):format(name, words),
    f = function(x)
      arguments.real(name, x)
      return record(P[name](x), name, function() return T.full(x.shape, 0) end, nil, x)
    end,
    twice = true,
    dtypes = "real",
    reference = function(new, x) return new(x.shape, function(p) return reference(x:at(p)) end) end,
    samples = function(s)
      return { { s.real(2, 3) }, { s.real() }, { s.real(0, 2) },
        { s.tensor { 0.5, 1.5, 2.5, -0.5, -1.5, 3, -0.0 }, gradient = false } }
    end,
    refused = function(s)
      return { { "expected a " .. runtime.real .. " tensor", s.uint8(2) }, { "got int32 {1}", s.int32 { 1 } } }
    end,
  }
end

define {
  name = "isfinite",
  doc = "x:isfinite(): 1 where x is neither infinite nor NaN, else 0: uint8.",
  f = function(x) return C.isfinite(arguments.tensor("isfinite", x)) end,
  differentiable = false,
  reference = function(new, x) return new(x.shape, function(p) return x:at(p) - x:at(p) == 0 and 1 or 0 end) end,
  samples = function(s) return { { s.real(2, 3) }, { s.real() }, { s.real(0, 2) } } end,
  refused = function() return { { "expected a tensor, got number 1", 1 } } end,
}

for _, name in ipairs { "any", "all" } do
  define {
    name = name,
    doc = ("x:%s(axis): whether %s not 0 along an axis, which is dropped, or in all of x: uint8. NaN is not 0; of no "
      .. "elements %s."):format(name, name == "any" and "an element is" or "all elements are",
      name == "any" and "0" or "1"),
    f = function(x, axis)
      local shape = arguments.tensor(name, x).shape
      return C[name](x, axis ~= nil and arguments.axis(name, axis, shape) or nil)
    end,
    differentiable = false,
    reference = function(new, x, axis)
      local shape, found = {}, {}
      if axis and axis < 0 then axis = axis + #x.shape + 1 end
      for i, size in ipairs(x.shape) do
        if axis and i ~= axis then shape[#shape + 1] = size end
      end
      local function key(p)
        local rest = {}
        for i, at in ipairs(p) do rest[#rest + 1] = axis and i ~= axis and at or nil end
        return table.concat(rest, ",")
      end
      new(x.shape, function(p) -- what decides: an element that is not 0, or one that is
        local is = x:at(p) ~= 0
        if is == (name == "any") then found[key(p)] = true end
        return 0
      end)
      return new(shape, function(p) return (found[table.concat(p, ",")] or false) == (name == "any") and 1 or 0 end)
    end,
    samples = function(s)
      return { { s.real(2, 3) }, { s.tensor { { 0, 1 }, { 0, 0 } }, 2 }, { s.tensor { { 0, 1 }, { 0, 2 } }, 1 },
        { s.real(0, 3), 1 },
        { s.real(0) }, { s.uint8 { { 0, 1 }, { 1, 1 } }, -1 }, { s.int32 { 0, 0 } }, { s.tensor(0) } }
    end,
    refused = function(s)
      return { { "axis 3 is out of range for shape {2, 3}", s.real(2, 3), 3 }, { 'got string "x"', s.real(2), "x" } }
    end,
  }
end

return records
