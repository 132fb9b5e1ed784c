--- Matrix products. See sm.ops.shape for what a record has.
-- @module sm.ops.product
local runtime = require "sm.runtime"
local arguments = require "sm.ops.arguments"
local check = require "sm.check"
local fail = require "sm.fail"
local fused = require "sm.fused"
local primitives = require "sm.ops.primitives"
local shape_text = require "sm.text".shape

local T = runtime.tensor

local records = {}

local function define(given) records[#records + 1] = given end

--- Products of any rank but 0: see the record.
local function matmul(a, b)
  arguments.real("matmul", a)
  arguments.real("matmul", b)
  local own, other = a.shape, b.shape
  if #own == 2 and #other == 2 then return primitives.product(a, b, false, false, "rows") end
  if #own == 0 or #other == 0 then
    fail("matmul: expected matrices or vectors, got shapes %s and %s", shape_text(own), shape_text(other))
  end
  local inner = other[math.max(1, #other - 1)]
  if own[#own] ~= inner then
    fail("matmul: %s and %s do not fit: the inner sizes %d and %d differ", shape_text(own), shape_text(other),
      own[#own], inner)
  end
  local shape = table.move(own, 1, #own - 1, 1, {}) -- of the result where b is one matrix
  if #other > 1 then shape[#shape + 1] = other[#other] end
  if #other <= 2 and T.count(a) > 0 then
    local rows = primitives.view(a, { -1, own[#own] })
    local matrix = #other == 2 and b or primitives.view(b, { other[1], 1 })
    return primitives.view(primitives.product(rows, matrix, false, false, "rows"), shape)
  end
  for i = 3, math.min(#own, #other) do
    local one, two = own[#own + 1 - i], other[#other + 1 - i]
    if one ~= two and one ~= 1 and two ~= 1 then
      fail("matmul: %s and %s: the axes before the matrices: shapes %s and %s do not broadcast", shape_text(own),
        shape_text(other), shape_text(table.move(own, 1, #own - 2, 1, {})),
        shape_text(table.move(other, 1, #other - 2, 1, {})))
    end
  end
  local y = primitives.products(#own == 1 and primitives.view(a, { 1, own[1] }) or a,
    #other == 1 and primitives.view(b, { other[1], 1 }) or b, false, false)
  local left = y.shape
  if #other == 1 then table.remove(left) end
  if #own == 1 then table.remove(left, #other == 1 and #left or #left - 1) end
  return #left == #y.shape and y or primitives.view(y, left)
end

define {
  name = "matmul",
  doc = "a:matmul(b): the product of two matrices, or of the matrices in the last two axes, where the axes before "
    .. "broadcast, without copies. A vector is a row as a, a column as b, and leaves no axis.",
  f = matmul,
  twice = true,
  dtypes = "real",
  special = false,
  reference = function(new, a, b)
    local rows, columns, batch = a.shape, b.shape, {}
    local inner = rows[#rows]
    for i = 1, math.max(#rows, #columns) - 2 do
      local x, y = rows[#rows - 1 - i] or 1, columns[#columns - 1 - i] or 1
      table.insert(batch, 1, x == 1 and y or x)
    end
    local shape, first = table.move(batch, 1, #batch, 1, {}), #batch
    if #rows > 1 then shape[#shape + 1] = rows[#rows - 1] end
    if #columns > 1 then shape[#shape + 1] = columns[#columns] end
    local function position(of, p)
      local at = {}
      for i = 1, #of - 2 do at[i] = of[i] == 1 and 1 or p[first - (#of - 2) + i] end
      return at
    end
    return new(shape, function(p)
      local sum = 0
      for i = 1, inner do
        local from, to = position(rows, p), position(columns, p)
        if #rows > 1 then from[#from + 1] = p[first + 1] end
        from[#from + 1], to[#to + 1] = i, i
        if #columns > 1 then to[#to + 1] = p[#p] end
        sum = sum + a:at(from) * b:at(to)
      end
      return sum
    end)
  end,
  samples = function(s)
    return { { s.real(3, 4), s.real(4, 5) }, { s.real(0, 4), s.real(4, 2) }, { s.real(2, 0), s.real(0, 3) },
      { s.real(1, 1), s.real(1, 1) }, { s.real(40, 33) * 0.01, s.real(33, 17) * 0.01 },
      { s.real(2, 3, 4), s.real(2, 4, 2) }, { s.real(2, 3, 4), s.real(4, 2) }, { s.real(3, 4), s.real(2, 4, 2) },
      { s.real(2, 1, 2, 3), s.real(3, 3, 2) }, { s.real(4), s.real(4) }, { s.real(2, 3), s.real(3) },
      { s.real(3), s.real(3, 2) }, { s.real(2, 2, 3), s.real(3) }, { s.real(3), s.real(2, 3, 2) },
      { s.real(0, 2, 3), s.real(3, 2) }, { s.real(2, 2, 0), s.real(2, 0, 2) }, { s.real(0, 2, 3), s.real(3) },
      { s.real(5, 9, 20) * 0.1, s.real(5, 20, 9) * 0.1 } }
  end,
  refused = function(s)
    return { { "expected matrices or vectors, got shapes {} and {2}", s.real(), s.real(2) },
      { "{2, 3} and {2, 3} do not fit: the inner sizes 3 and 2 differ", s.real(2, 3), s.real(2, 3) },
      { "{2, 2, 3} and {2, 2, 3} do not fit: the inner sizes 3 and 2 differ", s.real(2, 2, 3), s.real(2, 2, 3) },
      { "the axes before the matrices: shapes {2} and {3} do not broadcast", s.real(2, 2, 3), s.real(3, 3, 2) },
      { "got nil", s.real(2, 2) } }
  end,
}

define {
  name = "linear",
  doc = "x:linear(w, b, relu): x {…, in} · w {in, out} + b {out} or {1, out} along the last axis of x, which has at "
    .. "least two; b may be nil. With true as relu that of the result, in the same pass.",
  f = function(x, w, b, relu)
    if relu ~= nil and type(relu) ~= "boolean" then
      fail("linear: argument 3, whether relu follows, must be true or false, got %s", check.describe(relu))
    end
    return fused.linear(x, w, b, relu or false)
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
      { s.real(3, 2), s.real(2, 3) }, { s.real(0, 2), s.real(2, 3), s.real(3) },
      { s.real(3, 4), s.real(4, 5), s.tensor { 40, -40, 30, -30, 50 }, true } }
  end,
  refused = function(s)
    return { { "the last axis of x must be as long as the first of the weight", s.real(2, 2, 3), s.real(2, 2) },
      { "linear: the bias must have shape {3}, got {2}", s.real(2, 2), s.real(2, 3), s.real(2) },
      { "linear: argument 3, whether relu follows, must be true or false, got number 1", s.real(2, 2), s.real(2, 3),
        s.real(3), 1 } }
  end,
}
return records
