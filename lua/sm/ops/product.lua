--- Matrix products. See sm.ops.shape for what a record has.
-- @module sm.ops.product
local check = require "sm.check"
local fail = require "sm.fail"
local fused = require "sm.fused"
local primitives = require "sm.ops.primitives"

local records = {}

local function define(given) records[#records + 1] = given end

define {
  name = "matmul",
  doc = "a:matmul(b): the product of two matrices.",
  f = function(a, b) return primitives.product(a, b, false, false) end,
  twice = true,
  dtypes = "real",
  special = false,
  reference = function(new, a, b)
    return new({ a.shape[1], b.shape[2] }, function(p)
      local sum = 0
      for i = 1, a.shape[2] do sum = sum + a:at { p[1], i } * b:at { i, p[2] } end
      return sum
    end)
  end,
  samples = function(s)
    return { { s.real(3, 4), s.real(4, 5) }, { s.real(0, 4), s.real(4, 2) }, { s.real(2, 0), s.real(0, 3) },
      { s.real(1, 1), s.real(1, 1) }, { s.real(40, 33) * 0.01, s.real(33, 17) * 0.01 } }
  end,
  refused = function(s)
    return { { "expected two matrices, got shapes {2} and {2}", s.real(2), s.real(2) },
      { "{2, 3} and {2, 3} do not fit: the inner sizes 3 and 2 differ", s.real(2, 3), s.real(2, 3) },
      { "got nil", s.real(2, 2) } }
  end,
}

define {
  name = "linear",
  doc = "x:linear(w, b, relu): x {…, in} · w {in, out} + b {out} or {1, out} along the last axis of x, which has at "
    .. "least two; b may be nil. relu = true: relu of that, without another pass over memory.",
  f = function(x, w, b, relu)
    if relu ~= nil and type(relu) ~= "boolean" then
      fail("linear: argument 4, whether relu follows, must be true or false, got %s", check.describe(relu))
    end
    return fused.linear(x, w, b, relu)
  end,
  twice = true,
  dtypes = "real",
  special = false,
  reference = function(new, x, w, b, relu)
    local shape = table.move(x.shape, 1, #x.shape, 1, {})
    local features = shape[#shape]
    shape[#shape] = w.shape[2]
    return new(shape, function(p)
      local from, out = table.move(p, 1, #p, 1, {}), p[#p]
      local sum = b and b[out] or 0
      for i = 1, features do
        from[#from] = i
        sum = sum + x:at(from) * w:at { i, out }
      end
      return relu and math.max(sum, 0) or sum
    end)
  end,
  samples = function(s)
    return { { s.real(3, 4), s.real(4, 5), s.real(5) }, { s.real(2, 3, 2), s.real(2, 3), s.real(1, 3) },
      { s.real(3, 2), s.real(2, 3) }, { s.tensor { { 1, 2 }, { -1, 0.5 } }, s.tensor { { 1, -1, 2 }, { 0.5, 1, -1 } },
        s.tensor { 0.3, -0.2, 0.1 }, true },
      { s.tensor { { { 1, 2 }, { -1, 0.5 } } }, s.tensor { { 1, -1, 2 }, { 0.5, 1, -0.5 } }, nil, true },
      { s.real(0, 2), s.real(2, 3), s.real(3) } }
  end,
  refused = function(s)
    return { { "the last axis of x must be as long as the first of the weight", s.real(2, 2, 3), s.real(2, 2) },
      { "linear: the bias must have shape {3}, got {2}", s.real(2, 2), s.real(2, 3), s.real(2) },
      { "must be true or false, got number 1", s.real(2, 2), s.real(2, 2), nil, 1 } }
  end,
}
return records
