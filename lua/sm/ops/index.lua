--- Elements by their positions and labels. Positions count from 1, labels from 0. See sm.ops.shape for what a record
-- has.
-- @module sm.ops.index
local runtime = require "sm.runtime"
local arguments = require "sm.ops.arguments"
local fail = require "sm.fail"
local primitives = require "sm.ops.primitives"
local shape_text = require "sm.text".shape

local T, I, K = runtime.tensor, runtime.index, runtime.math
local copy = primitives.copy

local records = {}

local function define(given) records[#records + 1] = given end

--- Raises unless i holds integers.
local function integers(where, what, i)
  arguments.tensor(where, i, "a tensor of " .. what)
  if i.dtype == runtime.real then
    fail('%s: the %s must be an int32 or uint8 tensor (i:to "int32" converts), got %s %s', where, what, i.dtype,
      shape_text(i.shape))
  end
  return i
end

--- An axis from either end, for references.
local function from_end(axis, x)
  return axis < 0 and axis + #x.shape + 1 or axis
end

define {
  name = "index_select",
  doc = "x:index_select(axis, i): the elements of an axis at positions i {n}, for all of the other axes.",
  f = function(x, axis, i)
    axis = arguments.axis("index_select", axis, arguments.tensor("index_select", x).shape)
    integers("index_select", "positions", i)
    if #i.shape ~= 1 then
      fail("index_select: expected a list of positions {n}, got shape %s; x:gather takes others", shape_text(i.shape))
    end
    return primitives.index_select(x, axis, i, "index_select")
  end,
  twice = true,
  reference = function(new, x, axis, i)
    local shape = copy(x.shape)
    axis = from_end(axis, x)
    shape[axis] = i.shape[1]
    return new(shape, function(p)
      local from = copy(p)
      from[axis] = i:at { p[axis] }
      return x:at(from)
    end)
  end,
  samples = function(s)
    return { { s.real(3, 4), 1, s.int32 { 3, 1, 1, 2 } }, { s.real(2, 4, 3), 2, s.int32 { 4, 4 } },
      { s.real(3, 2), -1, s.uint8 { 1, 2, 1 } }, { s.real(3, 2), 1, s.int32(0) }, { s.real(0, 2), 2, s.int32 { 2 } },
      { s.real(5), 1, s.int32 { 5 } }, { s.real(4, 70), 1, s.int32 { 2, 2, 2 } } }
  end,
  refused = function(s)
    return { { "expected positions from 1 to 3, got 0 at position 2; positions count from 1", s.real(3), 1,
        s.int32 { 1, 0 } },
      { "expected positions from 1 to 3, got 4 at position 1", s.real(3, 2), 1, s.int32 { 4 } },
      { "got -1 at position 1", s.real(3), 1, s.int32 { -1 } },
      { "must be an int32 or uint8 tensor", s.real(3), 1, s.real(2) },
      { "got shape {1, 1}", s.real(3), 1, s.int32 { { 1 } } },
      { "axis 2 is out of range", s.real(3), 2, s.int32 { 1 } },
      { "there are none to choose from", s.real(0), 1, s.int32 { 1 } }, { "got table", s.real(3), 1, { 1 } } }
  end,
}

--- Raises unless indices have the axes of x, and nowhere but along one axis more elements; what of x they reach.
local function reached(where, x, axis, i)
  local shape, own = copy(x.shape), i.shape
  local fits = #own == #shape
  for a, size in ipairs(shape) do fits = fits and (a == axis or own[a] <= size) end
  if not fits then
    fail("%s: expected positions with the axes of shape %s and, but for axis %d, at most its sizes, got shape %s",
      where, shape_text(shape), axis, shape_text(own))
  end
  local all = true
  for a, size in ipairs(shape) do
    if a ~= axis and own[a] < size then all, shape[a] = false, own[a] end
  end
  return shape, all
end

local function zeros(count)
  local list = {}
  for a = 1, count do list[a] = 0 end
  return list
end

define {
  name = "gather",
  doc = "x:gather(axis, i): of axis 2 of three, out[a][b][c] = x[a][i[a][b][c]][c]; out has i's shape. Along the other "
    .. "axes i may be shorter than x.",
  f = function(x, axis, i)
    axis = arguments.axis("gather", axis, arguments.tensor("gather", x).shape)
    integers("gather", "positions", i)
    local shape, all = reached("gather", x, axis, i)
    if not all then x = primitives.place(x, shape, zeros(#shape), 0, "narrow") end
    return primitives.gather(x, axis, i, 1, "gather")
  end,
  twice = true,
  reference = function(new, x, axis, i)
    axis = from_end(axis, x)
    return new(i.shape, function(p)
      local from = copy(p)
      from[axis] = i:at(p)
      return x:at(from)
    end)
  end,
  samples = function(s)
    return { { s.real(2, 3), 2, s.int32 { { 3, 1 }, { 2, 2 } } }, { s.real(3, 2), 1, s.uint8 { { 3, 1 }, { 1, 1 },
      { 2, 3 } } },
      { s.real(2, 3, 2), 2, s.int32 { { { 1, 3 } }, { { 2, 2 } } } }, { s.real(4), -1, s.int32 { 4, 4, 1 } },
      { s.real(3, 3), 2, s.int32 { { 1 }, { 3 } } }, { s.real(2, 0), 1, s.int32(3, 0) },
      { s.real(2, 3), 2, s.int32(2, 0) } }
  end,
  refused = function(s)
    return { { "expected positions from 1 to 3, got 0 at position {2, 1}; positions count from 1", s.real(2, 3), 2,
      s.int32 { { 1 }, { 0 } } },
      { "got 4 at position {1, 2}", s.real(1, 3), 2, s.int32 { { 1, 4 } } },
      { "got shape {1}", s.real(2, 3), 2, s.int32 { 1 } },
      { "got shape {3, 1}", s.real(2, 3), 2, s.int32 { { 1 }, { 1 }, { 1 } } },
      { "must be an int32", s.real(2), 1, s.real(2) } }
  end,
}

define {
  name = "scatter_add",
  doc = "x:scatter_add(axis, i, src): x, and every element of src added at its position, as gather reads: of axis 2 of "
    .. "three, out[a][i[a][b][c]][c] gets src[a][b][c]. Always in the same order.",
  f = function(x, axis, i, src)
    axis = arguments.axis("scatter_add", axis, arguments.real("scatter_add", x).shape)
    integers("scatter_add", "positions", i)
    arguments.real("scatter_add", src, "a tensor to add")
    local shape, all = reached("scatter_add", x, axis, i)
    local own, given = i.shape, src.shape
    local fits, same = #own == #given, true
    for a, size in ipairs(own) do fits, same = fits and size <= given[a], same and size == given[a] end
    if not fits then
      fail("scatter_add: expected a tensor to add of the positions' shape %s, got %s", shape_text(own),
        shape_text(given))
    end
    if not same then src = primitives.place(src, own, zeros(#own), 0, "narrow") end
    if all then return primitives.scatter_add(x, axis, i, 1, src) end
    return x + primitives.place(primitives.scatter_add(shape, axis, i, 1, src), x.shape, zeros(#shape), 0, "pad")
  end,
  twice = true,
  dtypes = "real",
  reference = function(new, x, axis, i, src)
    axis = from_end(axis, x)
    local sums, key = {}, function(p) return table.concat(p, ",") end
    new(i.shape, function(p)
      local to = copy(p)
      to[axis] = i:at(p)
      sums[key(to)] = (sums[key(to)] or x:at(to)) + src:at(p)
      return 0
    end)
    return new(x.shape, function(p) return sums[key(p)] or x:at(p) end)
  end,
  samples = function(s)
    return { { s.real(2, 3), 2, s.int32 { { 3, 1, 3 }, { 2, 2, 2 } }, s.real(2, 3) },
      { s.real(4), 1, s.uint8 { 2, 2 }, s.real(2) },
      { s.real(3, 2), -2, s.int32 { { 3, 1 } }, s.real(1, 2) }, { s.real(3, 3), 2, s.int32 { { 1 },
      { 3 } }, s.real(2, 2) },
      { s.real(2, 2), 1, s.int32(0, 2), s.real(0, 2) }, { s.real(0, 2), 2, s.int32(0, 1), s.real(0, 1) } }
  end,
  refused = function(s)
    return { { "expected positions from 1 to 2, got 3 at position 1", s.real(2), 1, s.int32 { 3 }, s.real(1) },
      { "positions count from 1", s.real(2), 1, s.int32 { 0 }, s.real(1) },
      { "of the positions' shape {2}, got {1}", s.real(2), 1, s.int32 { 1, 1 }, s.real(1) },
      { "got nil", s.real(2), 1, s.int32 { 1 } },
      { "got uint8 {2}", s.uint8(2), 1, s.int32 { 1 }, s.real(1) } }
  end,
}

define {
  name = "pick",
  doc = "x:pick(labels): of each row of x {…, classes} the element that its label names; labels {…} count from 0.",
  f = function(x, labels)
    local shape = arguments.tensor("pick", x).shape
    integers("pick", "labels", labels)
    local own = copy(labels.shape)
    local fits = #own == #shape - 1
    for a, size in ipairs(own) do fits = fits and size == shape[a] end
    if not fits then
      fail("pick: expected labels of shape %s, one for each row of %s, got %s", #shape == 0 and "{…}"
        or shape_text(table.move(shape, 1, #shape - 1, 1, {})), shape_text(shape), shape_text(own))
    end
    own[#own + 1] = 1
    local picked = primitives.gather(x, #shape, T.reshape(labels, own), 0, "pick")
    return primitives.view(picked, labels.shape)
  end,
  twice = true,
  reference = function(new, x, labels)
    return new(labels.shape, function(p)
      local from = copy(p)
      from[#p + 1] = labels:at(p) + 1
      return x:at(from)
    end)
  end,
  samples = function(s)
    return { { s.real(3, 4), s.uint8 { 0, 3, 1 } }, { s.real(2, 2, 3), s.int32 { { 0, 2 }, { 1, 1 } } },
      { s.real(3), s.tensor(2, "int32") },
      { s.real(0, 3), s.uint8(0) }, { s.real(1, 1), s.uint8 { 0 } } }
  end,
  refused = function(s)
    return { { "expected labels from 0 to 2, got 3 at position {2, 1}; labels count from 0", s.real(2, 3),
        s.int32 { 0, 3 } }, { "got -1 at position {1, 1}", s.real(1, 3), s.int32 { -1 } },
      { "labels of shape {2}, one for each row of {2, 3}, got {3}", s.real(2, 3), s.uint8(3) },
      { "the labels must be an int32 or uint8 tensor", s.real(2, 3), s.real(2) }, { "got {1}", s.real(), s.int32(1) } }
  end,
}

define {
  name = "embedding",
  doc = "x:embedding(tokens): of a table x {count, …} the row of each token {…}, which counts from 0. The gradient "
    .. "adds up the rows of equal tokens, always in the same order.",
  f = function(x, tokens)
    local shape = arguments.tensor("embedding", x).shape
    if #shape == 0 then fail "embedding: expected a table {count, …}, got shape {}" end
    integers("embedding", "tokens", tokens)
    local own = copy(tokens.shape)
    if #own + #shape - 1 > arguments.MOST_AXES then
      fail("embedding: a tensor has at most %d axes, and tokens %s of a table %s would have %d", arguments.MOST_AXES,
        shape_text(own), shape_text(shape), #own + #shape - 1)
    end
    return primitives.view(primitives.index_select(x, 1, tokens, "embedding", 0), table.move(shape, 2, #shape, #own + 1,
      own))
  end,
  twice = true,
  reference = function(new, x, tokens)
    local shape, count = copy(tokens.shape), #tokens.shape
    return new(table.move(x.shape, 2, #x.shape, count + 1, shape), function(p)
      local from = { tokens:at(table.move(p, 1, count, 1, {})) + 1 }
      return x:at(table.move(p, count + 1, #p, 2, from))
    end)
  end,
  samples = function(s)
    return { { s.real(4, 3), s.int32 { { 3, 0 }, { 3, 1 } } }, { s.real(3), s.uint8 { 2, 2, 0 } },
      { s.real(2, 3, 2), s.int32 { 1 } }, { s.real(5, 2), s.tensor(4, "int32") }, { s.real(5, 2), s.int32(0, 3) },
      { s.real(3, 0), s.int32 { 1 } }, { s.real(20, 130), s.int32 { { 7, 7, 0, 19 } } } }
  end,
  refused = function(s)
    return { { "expected tokens from 0 to 2, got 3 at position {2, 1}; tokens count from 0", s.real(3, 2),
      s.int32 { { 1 }, { 3 } } },
      { "expected tokens from 0 to 2, got -1 at position 1", s.real(3, 2), s.int32 { -1 } },
      { "the tokens must be an int32 or uint8 tensor", s.real(3, 2), s.real(2) },
      { "there are none to choose from", s.real(0, 2), s.int32 { 0 } }, { "got shape {}", s.real(), s.int32 { 0 } },
      { "would have 9", s.real(1, 1, 1, 1, 1), s.int32(1, 1, 1, 1, 1) }, { "got table", s.real(2), { 1 } } }
  end,
}

define {
  name = "one_hot",
  call = "sm.one_hot",
  doc = "sm.one_hot(labels, n): 1 at the label of each, else 0, along a new last axis of n; labels count from 0.",
  f = function(labels, n)
    integers("one_hot", "labels", labels)
    if #labels.shape == arguments.MOST_AXES then
      fail("one_hot: a tensor has at most %d axes, shape %s has them all", arguments.MOST_AXES,
        shape_text(labels.shape))
    end
    return I.one_hot(labels, 0, arguments.integer("one_hot", "how many classes there are", n, 0, (1 << 31) - 1))
  end,
  differentiable = false,
  reference = function(new, labels, n)
    local shape = copy(labels.shape)
    shape[#shape + 1] = n
    return new(shape, function(p)
      local from = copy(p)
      return table.remove(from) - 1 == labels:at(from) and 1 or 0
    end)
  end,
  samples = function(s)
    return { { s.uint8 { 0, 2, 1 }, 3 }, { s.int32 { { 4, 0 } }, 5 }, { s.int32(1), 2 }, { s.uint8(0), 3 },
      { s.uint8(0), 0 } }
  end,
  refused = function(s)
    return { { "expected labels from 0 to 2, got 3 at position 2; labels count from 0", s.int32 { 0, 3 }, 3 },
      { "got -1 at position 1", s.int32 { -1 }, 3 }, { "must be an int32 or uint8 tensor", s.real(2), 3 },
      { "got nil", s.uint8 { 0 } },
      { "must be from 0 to", s.uint8 { 0 }, -1 }, { "there are none to choose from", s.uint8 { 0 }, 0 } }
  end,
}

define {
  name = "predict",
  doc = "x:predict(): of each row of x {…, classes} the label of the largest element, which counts from 0, so one less "
    .. "than x:argmax(-1): int32.",
  f = function(x)
    local shape = arguments.real("predict", x).shape
    if #shape == 0 or shape[#shape] == 0 then
      fail("predict: expected at least one class along the last axis, got shape %s", shape_text(shape))
    end
    return (select(2, K.max(x, -1)))
  end,
  differentiable = false,
  dtypes = "real",
  reference = function(new, x)
    local shape = copy(x.shape)
    local n = table.remove(shape)
    return new(shape, function(p)
      local best, label
      for i = 1, n do
        local from = copy(p)
        from[#from + 1] = i
        local value = x:at(from)
        if not best or value > best or value ~= value and best == best then best, label = value, i - 1 end
      end
      return label
    end)
  end,
  samples = function(s)
    return { { s.real(3, 4) }, { s.real(2, 2, 3) }, { s.real(5) }, { s.real(2, 1) }, { s.real(0, 3) },
      { s.tensor { { 1, 1 }, { 2, 2 } } } }
  end,
  refused = function(s)
    return { { "at least one class along the last axis, got shape {2, 0}", s.real(2, 0) }, { "got shape {}", s.real() },
      { "expected a " .. runtime.real, s.uint8(2) } }
  end,
}

for _, name in ipairs { "argmax", "argmin" } do
  local largest = name == "argmax"
  define {
    name = name,
    doc = ("x:%s(axis): the position of the %s element along an axis, or of all, from 1; ties: the first, and NaN is "
      .. "%s than any number: int32."):format(name, largest and "largest" or "smallest",
      largest and "larger" or "smaller"),
    f = function(x, axis)
      local shape = arguments.real(name, x).shape
      if axis ~= nil then axis = arguments.axis(name, axis, shape) end
      return K[name](x, axis)
    end,
    differentiable = false,
    dtypes = "real",
    reference = function(new, x, axis)
      local shape, best = copy(x.shape), {}
      local rank = #shape
      axis = axis and from_end(axis, x)
      if axis then table.remove(shape, axis) else shape = {} end
      local position = 0
      new(x.shape, function(p)
        position = position + 1
        local rest = axis and copy(p) or {}
        local at = axis and table.remove(rest, axis) or position
        local key, value = table.concat(rest, ","), x:at(p)
        local before = best[key]
        local beats = before and (largest and value > before[1] or not largest and value < before[1])
        if not before or beats or value ~= value and before[1] == before[1] then best[key] = { value, at } end
        return 0
      end)
      return new(shape, function(p) return best[table.concat(p, ",", 1, axis and rank - 1 or 0)][2] end)
    end,
    samples = function(s)
      return { { s.real(3, 4), 2 }, { s.real(3, 4), 1 }, { s.real(2, 3) }, { s.real() }, { s.real(0, 2), 2 },
        { s.tensor { 2, 1, 1 }, -1 }, { s.tensor { 2, 1, 2 } } }
    end,
    refused = function(s)
      return { { "of nothing: shape {0, 2} is empty along the axis", s.real(0, 2), 1 },
        { "axis 2 is out of range", s.real(2), 2 }, { "got string", s.real(2), "x" },
        { "expected a " .. runtime.real, s.uint8(2) } }
    end,
  }
end

return records
