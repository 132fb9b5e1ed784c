--- Products of two tensors, summed over axes that both have: as many products of matrices as there are positions along
-- the other axes, read and written where they lie. An operand whose elements lie across is copied once.
-- @module sm.ops.contract
local runtime = require "sm.runtime"
local autograd = require "sm.autograd"

local T, V, K = runtime.tensor, runtime.stride, runtime.math
local record, tracks, saved = autograd.record_twice, autograd.tracks, autograd.saved

local M = {}

--- How a tensor lies in memory: by letter the size and the step of each axis that is longer than 1.
-- @param letters list: what each axis is called, or false
-- @return {x=, axes=the same letters, letters=those of the longer axes in order, step=by letter, last=the letter whose
--   elements lie side by side, or nil}
local function layout(x, shape, letters, size)
  local of, step = { x = x, axes = letters, letters = {}, step = {} }, 1
  for axis = #shape, 1, -1 do
    local letter = letters[axis]
    if letter and shape[axis] ~= 1 then
      size[letter] = shape[axis]
      of.step[letter] = step
      table.insert(of.letters, 1, letter)
      of.last = of.last or letter
      step = step * shape[axis]
    end
  end
  return of
end

--- The same tensor with its axes in another order.
local function reordered(of, letters, size)
  local sizes, steps = {}, {}
  for i, letter in ipairs(letters) do sizes[i], steps[i] = size[letter], of.step[letter] end
  return layout(V.view(of.x, sizes, sizes, steps, 0), sizes, letters, {})
end

--- The letters that a test lets pass, in their order.
local function those(letters, test)
  local list = {}
  for _, letter in ipairs(letters) do
    if test(letter) then list[#list + 1] = letter end
  end
  return list
end

local function joined(...)
  local list = {}
  for _, part in ipairs { ... } do table.move(part, 1, #part, #list + 1, list) end
  return list
end

--- The axes that end in one and step as one in two tensors, the outermost first.
local function run_to(last, letters, p, q, size)
  local run = { last }
  local more = last ~= nil
  while more do
    more = false
    for _, letter in ipairs(letters) do
      local inner = run[1]
      if p.step[letter] == p.step[inner] * size[inner] and q.step[letter] == q.step[inner] * size[inner] then
        table.insert(run, 1, letter)
        more = true
        break
      end
    end
  end
  return run
end

local function product_of(letters, size)
  local product = 1
  for _, letter in ipairs(letters) do product = product * size[letter] end
  return product
end

--- The letter of the longest axis; that of examples has those of all ranks.
local function longest(letters, size, examples)
  local _, ranks = runtime.parts.get()
  local best, most
  for _, letter in ipairs(letters) do
    local length = size[letter] * (letter == examples and ranks or 1)
    if not best or length > most then best, most = letter, length end
  end
  return best
end

--- How many elements a tensor has in all ranks.
local function count_of(of, examples)
  local _, ranks = runtime.parts.get()
  return T.count(of.x) * (of.step[examples] and ranks or 1)
end

--- Where nothing is summed: a times b, which broadcast.
local function multiplied(a, b, c, shape, size)
  local operands = {}
  for i, of in ipairs { a, b } do
    local letters, sizes = those(c.letters, function(letter) return of.step[letter] end), {}
    if table.concat(letters, " ") ~= table.concat(of.letters, " ") then of = reordered(of, letters, size) end
    for k, letter in ipairs(c.letters) do sizes[k] = of.step[letter] and size[letter] or 1 end
    operands[i] = T.reshape(of.x, sizes)
  end
  return T.reshape(runtime.pointwise.mul(operands[1], operands[2]), shape)
end

--- Which of the lists of letters, the first of each of which is the outermost, begins with one: its position.
local function beginning_with(letter, lists)
  for i, list in ipairs(lists) do
    if letter and list[1] == letter then return i end
  end
  return 0
end

--- A list with one of its letters in front, if it is there.
local function with_first(letter, list)
  for i, other in ipairs(list) do
    if other == letter then table.insert(list, 1, table.remove(list, i)) end
  end
  return list
end

--- The products, unrecorded. See M.contract.
local function compute(a, letters_a, b, letters_b, letters_c, examples)
  local size, shape = {}, {}
  a, b = layout(a, a.shape, letters_a, size), layout(b, b.shape, letters_b, size)
  for axis, letter in ipairs(letters_c) do shape[axis] = letter and size[letter] or 1 end
  local c = layout(nil, shape, letters_c, {})
  if T.count(a.x) == 0 or T.count(b.x) == 0 then return T.full(shape, 0) end
  local function inner(letter) return not c.step[letter] end
  local sums = those(a.letters, inner)
  if #sums == 0 then return multiplied(a, b, c, shape, size) end

  if c.last and a.step[c.last] and not b.step[c.last] then a, b = b, a end -- so that c's rows are b's
  local function both(letter) return a.step[letter] and b.step[letter] and c.step[letter] end
  local batch = those(c.letters, both)
  local rows = those(c.letters, function(letter) return not b.step[letter] end)
  local columns = those(c.letters, function(letter) return not a.step[letter] end)
  if c.last and both(c.last) and #columns > 0 then -- c's elements lie across: it is made in another order
    local letters = joined(batch, rows, columns)
    local y = compute(a.x, a.axes, b.x, b.axes, letters, examples)
    local of, sizes, steps = layout(y, y.shape, letters, {}), {}, {}
    for axis, letter in ipairs(letters_c) do sizes[axis], steps[axis] = shape[axis], of.step[letter] or 0 end
    return V.view(y, shape, sizes, steps, 0)
  end

  if a.last and both(a.last) then a = reordered(a, joined(batch, rows, sums), size) end
  if b.last ~= c.last and not (b.last and inner(b.last)) and #columns > 0 or b.last and both(b.last) then
    b = reordered(b, joined(batch, sums, columns), size)
  end
  local last_a, last_b = inner(a.last) and a.last, inner(b.last) and b.last
  if last_a and last_b and last_a ~= last_b then -- they sum along different axes
    if count_of(a, examples) < count_of(b, examples) then
      a = reordered(a, joined(batch, rows, those(b.letters, inner)), size)
      last_a = last_b
    else
      b = reordered(b, joined(batch, columns, those(a.letters, inner)), size)
      last_b = last_a
    end
  end
  local k = run_to(last_a or last_b or longest(sums, size, examples), sums, a, b, size)
  local m = run_to(not last_a and a.last or longest(rows, size, examples), rows, a, c, size)
  local n = run_to(#columns > 0 and c.last or nil, columns, b, c, size)
  local function row(of, letters, other) return letters and #letters > 0 and of.step[letters[#letters]] or other end
  local transpose_a, transpose_b = not last_a, last_b and #columns > 0 and true or false
  local plan = { product_of(m, size), product_of(n, size), product_of(k, size), transpose_a and 1 or 0,
    transpose_b and 1 or 0, row(a, transpose_a and k or m, product_of(k, size)),
    row(b, transpose_b and n or k, 1), row(c, m, product_of(n, size)), 0, 0 }
  local done = {}
  for _, run in ipairs { m, n, k } do
    for _, letter in ipairs(run) do done[letter] = true end
  end
  local kept = with_first(examples, those(c.letters, function(letter) return not done[letter] end))
  local summed = with_first(examples, those(sums, function(letter) return not done[letter] end))
  plan[9], plan[10], plan[11] = #kept, #summed, beginning_with(examples, { m, n, k, kept, summed })
  for _, letter in ipairs(joined(kept, summed)) do
    for _, value in ipairs { size[letter], a.step[letter] or 0, b.step[letter] or 0, c.step[letter] or 0 } do
      plan[#plan + 1] = value
    end
  end
  return K.contract(a.x, b.x, shape, plan)
end

--- The product of two tensors, summed over the axes that only they have, recorded.
-- @param letters_a, letters_b, letters_c lists: what each axis of a, b and the result is called. Each stands once in a
--   list and in at least two of them; false is an axis of size 1.
-- @param name of the operation
-- @param examples the letter of a batch, over which is summed by parts: the result's first unless it is given
function M.contract(a, letters_a, b, letters_b, letters_c, name, examples)
  examples = examples or letters_c[1]
  return record(compute(a, letters_a, b, letters_b, letters_c, examples), name, function(gy)
    return tracks(a) and M.contract(gy, letters_c, b, letters_b, letters_a, name, examples),
      tracks(b) and M.contract(a, letters_a, gy, letters_c, letters_b, name, examples)
  end, saved(tracks(a) and b, tracks(b) and a), a, b)
end

--- Products of the matrices in the last two axes, each of which may be transposed; the axes before broadcast. They fit.
function M.products(a, b, transpose_a, transpose_b)
  local shapes, letters, c = { a.shape, b.shape }, { {}, {} }, {}
  local batch = math.max(#shapes[1], #shapes[2]) - 2
  for i = 1, batch do
    local sizes = {}
    for k = 1, 2 do sizes[k] = shapes[k][#shapes[k] - 1 - batch - 1 + i] end
    c[i] = (sizes[1] or sizes[2]) and i
    for k = 1, 2 do
      if sizes[k] then table.insert(letters[k], (sizes[k] ~= 1 or (sizes[3 - k] or 1) == 1) and i) end
    end
  end
  for k, transposed in ipairs { transpose_a or false, transpose_b or false } do
    local outer, first = k == 1 and "m" or "n", (k == 1) ~= transposed
    table.move(first and { outer, "k" } or { "k", outer }, 1, 2, #letters[k] + 1, letters[k])
  end
  c[batch + 1], c[batch + 2] = "m", "n"
  return M.contract(a, letters[1], b, letters[2], c, "matmul")
end

return M
