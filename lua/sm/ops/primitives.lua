--- What operations of several families are made of, recorded as they are. Arguments have been checked.
-- @module sm.ops.primitives
local runtime = require "sm.runtime"
local autograd = require "sm.autograd"
local gradients = require "sm.gradients"

local T, V, I, K = runtime.tensor, runtime.stride, runtime.index, runtime.math
local record, tracks = autograd.record_twice, autograd.tracks

local M = {}

function M.copy(list)
  return table.move(list, 1, #list, 1, {})
end

--- The gradients of an operation that is done in one piece, recorded: those of f, which is the same made of recorded
-- operations.
-- @param f function(…) → tensor
-- @param gy gradient of what f gives
-- @param ... what f takes; each tensor that wants a gradient gets one
function M.gradients_of(f, gy, ...)
  local given, wanted, results = table.pack(...), {}, {}
  for i = 1, given.n do
    if tracks(given[i]) then -- in its own place, so that one which depends on another is not counted there as well
      given[i] = M.view(given[i], given[i].shape)
      wanted[#wanted + 1] = given[i]
    end
  end
  local found = gradients.grad(f(table.unpack(given, 1, given.n)), wanted, { gradient = gy, create_graph = true })
  local next_one = 0
  for i = 1, given.n do
    if tracks(given[i]) then
      next_one = next_one + 1
      results[i] = found[next_one]
    end
  end
  return table.unpack(results, 1, given.n)
end

--- Elements between neighbours along each axis of a row-major tensor.
function M.steps_of(shape)
  local steps, next = {}, 1
  for axis = #shape, 1, -1 do steps[axis], next = next, next * shape[axis] end
  return steps
end

--- The same elements in another shape, sharing storage.
function M.view(x, shape)
  return record(T.reshape(x, shape), "reshape", function(gy, _, graph)
    if graph then return M.view(gy, x.shape) end
    return T.reshape(gy, x.shape)
  end, nil, x)
end

--- A tensor of `shape` with x in it from `before` on (0-based, negative where x begins earlier), and `value` around.
function M.place(x, shape, before, value, name)
  return record(V.pad(x, shape, before, value), name, function(gy)
    local back = {}
    for axis, first in ipairs(before) do back[axis] = -first end
    return M.place(gy, x.shape, back, 0, "pad")
  end, nil, x)
end

--- Where a part of `shape` begins that has all of the other axes: 0-based, as `place` has it for a copy of the part.
local function beginning(shape, axis, first)
  local before = {}
  for i = 1, #shape do before[i] = i == axis and first or 0 end
  return before
end

--- `length` elements of an axis after the first `skipped`. Along the first axis they share storage.
-- @param gradient function(gy, before, graph) → gradient of x, where gy begins at `before`; graph: to be recorded
function M.part(x, axis, skipped, length, gradient)
  local shape = x.shape
  local y
  if axis == 1 then
    y = T.slice(x, skipped + 1, skipped + length)
  else
    local size = M.copy(shape)
    size[axis] = length
    y = V.pad(x, size, beginning(shape, axis, -skipped), 0)
  end
  return record(y, axis == 1 and "slice" or "narrow", function(gy, _, graph)
    return gradient(gy, beginning(shape, axis, skipped), graph)
  end, nil, x)
end

--- The same, with its gradient.
function M.narrowed(x, axis, skipped, length)
  return M.part(x, axis, skipped, length, function(gy, before) return M.place(gy, x.shape, before, 0, "pad") end)
end

local MOST <const> = 1000 -- tensors in one node of the tape

--- Tensors of one type one after the other along an axis.
function M.joined(list, axis)
  if #list > MOST then
    local groups = {}
    for first = 1, #list, MOST do
      groups[#groups + 1] = M.joined(table.move(list, first, math.min(first + MOST - 1, #list), 1, {}), axis)
    end
    return M.joined(groups, axis)
  end
  local lengths_along = {}
  for i, x in ipairs(list) do lengths_along[i] = x.shape[axis] end
  return record(V.cat(list, axis), "cat", function(gy)
    local parts, skipped = {}, 0
    for i, length in ipairs(lengths_along) do
      parts[i] = tracks(list[i]) and M.narrowed(gy, axis, skipped, length)
      skipped = skipped + length
    end
    return table.unpack(parts, 1, #list)
  end, nil, table.unpack(list))
end

--- Axes of size 1, and new ones in front, repeated up to `shape`.
function M.expanded(x, shape)
  local own, steps, from = x.shape, M.steps_of(x.shape), {}
  for axis, size in ipairs(shape) do
    local i = axis - #shape + #own
    from[axis] = own[i] == size and steps[i] or 0
  end
  return record(V.view(x, shape, shape, from, 0), "expand", function(gy) return M.sum_to(gy, own) end, nil, x)
end

--- The sum of x over the axes that expanding a tensor of `shape` to x's has repeated; over the first axis, a batch's,
-- by parts.
function M.sum_to(x, shape)
  local y = K.sum_to(x, shape)
  if y == x then return x end
  return record(y, "sum_to", function(gy) return M.expanded(gy, x.shape) end, nil, x)
end

--- The gradient of an operand that was broadcast; false for one that wants none, a number for example.
function M.reduced(gy, x)
  return tracks(x) and M.sum_to(gy, x.shape)
end

--- The sum along an axis, which is dropped, or over all elements; nil is all.
function M.sum(x, axis, name)
  return record(K.sum(x, axis), name or "sum", function(gy) return M.spread(gy, x.shape, axis, 1) end, nil, x)
end

--- The sum over the first axis, a batch's, which goes by parts.
function M.sum_batch(x)
  return record(K.sum_batch(x), "sum", function(gy) return M.spread(gy, x.shape, 1, 1) end, nil, x)
end

--- A tensor of `shape` that repeats x times a number along an axis.
function M.spread(x, shape, axis, scale)
  return record(K.spread(x, shape, axis, scale), "spread", function(gy)
    local sum = M.sum(gy, axis)
    return scale == 1 and sum or sum * scale
  end, nil, x)
end

-- Where a batch is in the products that are the gradients of a and b, by where it is in that of op(a) and op(b).
local BATCH_OF_A <const> = {
  [false] = { rows = "rows", columns = "terms", terms = "columns" }, -- gy op(b)'
  [true] = { rows = "columns", columns = "terms", terms = "rows" }, -- op(b) gy', of a that is transposed
}
local BATCH_OF_B <const> = {
  [false] = { rows = "terms", columns = "columns", terms = "rows" }, -- op(a)' gy
  [true] = { rows = "terms", columns = "rows", terms = "columns" }, -- gy' op(a)
}

--- The product of two matrices, each of which may be transposed.
-- @param batch which side of it a batch is: "rows" or "columns" of the result, or "terms", which are summed by parts
function M.product(a, b, transpose_a, transpose_b, batch)
  return record(K.matmul(a, b, transpose_a, transpose_b, nil, false, batch), "matmul", function(gy, _, graph)
    local function product(x, y, transpose_x, transpose_y, side)
      if graph then return M.product(x, y, transpose_x, transpose_y, side) end
      return K.matmul(x, y, transpose_x, transpose_y, nil, false, side)
    end
    local ga, gb
    if tracks(a) then
      local side = BATCH_OF_A[transpose_a or false][batch]
      if transpose_a then ga = product(b, gy, transpose_b, true, side)
      else ga = product(gy, b, false, not transpose_b, side) end
    end
    if tracks(b) then
      local side = BATCH_OF_B[transpose_b or false][batch]
      if transpose_b then gb = product(gy, a, true, transpose_a, side)
      else gb = product(a, gy, not transpose_a, false, side) end
    end
    return ga, gb
  end, autograd.saved(tracks(a) and b, tracks(b) and a), a, b)
end

M.products = require "sm.ops.contract".products

--- Elements of an axis by their positions, for all of the other axes.
-- @param name of the operation, for messages: "embedding", or another for a plain selection
-- @param first what positions count from: 1 unless it is given
function M.index_select(x, axis, positions, name, first)
  local select = name == "embedding" and I.embedding or I.index_select
  return record(select(x, axis, positions, first or 1), name, function(gy)
    if axis == 1 then return M.index_add_batch(gy, x.shape[1], positions, first) end
    return M.index_add(gy, x.shape, axis, positions, first)
  end, autograd.saved(positions), x, positions)
end

--- Zeros of `shape`, and each element of x along the axis added at its position.
function M.index_add(x, shape, axis, positions, first)
  return record(I.index_add(shape, axis, positions, first or 1, x), "index_add", function(gy)
    return M.index_select(gy, axis, positions, "index_select", first)
  end, autograd.saved(positions), x, positions)
end

--- Zeros {rows, …}, and each element of x along the first axis, a batch's, added at its position, by parts of it.
function M.index_add_batch(x, rows, positions, first)
  return record(I.index_add_batch(rows, positions, first or 1, x), "index_add", function(gy)
    return M.index_select(gy, 1, positions, "index_select", first)
  end, autograd.saved(positions), x, positions)
end

--- x[i, index[i, j, k], k] along an axis; positions count from `first`: 1, or 0 for labels.
-- @param kernel of runtime.index with the name for messages
function M.gather(x, axis, index, first, name)
  return record(I[name](x, axis, index, first), name, function(gy)
    return M.scatter_add(x.shape, axis, index, first, gy)
  end, autograd.saved(index), x, index)
end

--- Zeros of a shape, or a copy of a tensor, and src[i, j, k] added at [i, index[i, j, k], k].
function M.scatter_add(x, axis, index, first, src)
  return record(I.scatter_add(x, axis, index, first, src), "scatter_add", function(gy)
    return gy, tracks(src) and M.gather(gy, axis, index, first, "gather")
  end, autograd.saved(index), x, src, index)
end

return M
