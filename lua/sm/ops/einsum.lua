--- Einstein's sums. See sm.ops.shape for what a record has.
-- @module sm.ops.einsum
local runtime = require "sm.runtime"
local arguments = require "sm.ops.arguments"
local check = require "sm.check"
local contract = require "sm.ops.contract".contract
local fail = require "sm.fail"
local primitives = require "sm.ops.primitives"

--- The axes of one operand or of the result: letters, and for "..." the numbers -n … -1, as many as it stands for.
-- @param text without spaces
-- @param rank how many axes there are; nil for the result
-- @param most how many axes "..." stands for in the result
local function axes_of(equation, text, what, rank, most)
  local before, after = text:match "^(%a*)%.%.%.(%a*)$"
  if not before and text:find "%A" then
    fail("einsum: %s of \"%s\" is \"%s\", expected letters, at most one \"...\" among them", what, equation, text)
  end
  local named = #(before or text) + #(after or "")
  local rest = before and (rank and rank - named or most) or 0
  if rank and (rest < 0 or not before and named ~= rank) then
    fail("einsum: %s of \"%s\" has %d axes, \"%s\"", what, equation, rank, text)
  end
  local axes = {}
  for letter in (before or text):gmatch "." do axes[#axes + 1] = letter end
  for i = -rest, -1 do axes[#axes + 1] = i end
  for letter in (after or ""):gmatch "." do axes[#axes + 1] = letter end
  return axes, rest
end

--- The axes of the operands and of the result, and the sizes by letter.
local function parsed(equation, shapes)
  if type(equation) ~= "string" then
    fail("einsum: expected an equation like \"bik,bkj->bij\", got %s", check.describe(equation))
  end
  local left, right = equation:gsub("%s", ""):match "^([^>]*)%->([^>]*)$"
  left = left or equation:gsub("%s", "")
  local operands, size, count, most = {}, {}, {}, 0
  for text in (left .. ","):gmatch "([^,]*)," do
    local k = #operands + 1
    if not shapes[k] then break end
    local axes, rest = axes_of(equation, text, ("operand %d"):format(k), #shapes[k])
    operands[k], most = axes, math.max(most, rest)
    local own = {}
    for i, letter in ipairs(axes) do
      local length = shapes[k][i]
      if own[letter] and own[letter] ~= length or size[letter] and size[letter] ~= length and size[letter] ~= 1
        and length ~= 1 then
        fail("einsum: %s of \"%s\" has %d and %d elements", type(letter) == "string" and "axis " .. letter
          or "an axis of \"...\"", equation, own[letter] or size[letter], length)
      end
      own[letter] = length
      if (size[letter] or 1) == 1 then size[letter] = length end
      count[letter] = (count[letter] or 0) + 1
    end
  end
  local _, commas = left:gsub(",", "")
  if commas + 1 ~= #shapes then
    fail("einsum: \"%s\" has %d operand%s, got %d tensor%s", equation, commas + 1, commas == 0 and "" or "s", #shapes,
      #shapes == 1 and "" or "s")
  end
  local result = {}
  if right then
    local seen = {}
    result = axes_of(equation, right, "the result", nil, most)
    for _, letter in ipairs(result) do
      if seen[letter] then fail("einsum: axis %s stands twice in the result of \"%s\"", letter, equation) end
      if not size[letter] then fail("einsum: axis %s of the result of \"%s\" is in no operand", letter, equation) end
      seen[letter] = true
    end
  else -- what stands once, in the order of the alphabet
    for letter, times in pairs(count) do
      if times == 1 and type(letter) == "string" then result[#result + 1] = letter end
    end
    table.sort(result)
    for i = 1, most do table.insert(result, i, i - 1 - most) end
  end
  return operands, result, size
end

local function position_of(list, value)
  for i, other in ipairs(list) do
    if other == value then return i end
  end
end

--- The first two axes that are called alike, or nil.
local function repeated(axes)
  for second, letter in ipairs(axes) do
    local first = position_of(axes, letter)
    if first < second then return first, second end
  end
end

--- x with the elements of two axes whose positions are equal, as the first axis.
local function diagonal(x, axes, first, second)
  local shape, order, left = x.shape, { first, second }, { axes[first] }
  local n = shape[first]
  local sizes, positions = { n * n }, {}
  for i, letter in ipairs(axes) do
    if i ~= first and i ~= second then
      order[#order + 1], left[#left + 1], sizes[#sizes + 1] = i, letter, shape[i]
    end
  end
  for i = 1, n do positions[i] = (i - 1) * (n + 1) + 1 end
  local flat = primitives.view(x:permute(order), sizes)
  return primitives.index_select(flat, 1, runtime.tensor.tensor(positions, "int32"), "einsum"), left
end

--- x summed over the axes that a test does not let pass.
local function summed(x, axes, stays)
  local gone, left = {}, {}
  for i, letter in ipairs(axes) do
    if letter and not stays(letter) then gone[#gone + 1] = i else left[#left + 1] = letter end
  end
  if #gone == 0 then return x, axes end
  return x:sum(gone), left
end

local function einsum(equation, ...)
  local given, shapes = table.pack(...), {}
  for k = 1, given.n do shapes[k] = arguments.real("einsum", given[k]).shape end
  local operands, result, size = parsed(equation, shapes)
  local last = {} -- by letter the last operand that has it; the result comes after all
  for k, axes in ipairs(operands) do
    local first, second = repeated(axes)
    while first do
      given[k], operands[k] = diagonal(given[k], operands[k], first, second)
      first, second = repeated(operands[k])
    end
  end
  for k, axes in ipairs(operands) do
    for i, letter in ipairs(axes) do
      if given[k].shape[i] == 1 and size[letter] ~= 1 then axes[i] = false -- is repeated along the others'
      else last[letter] = k end
    end
  end
  for _, letter in ipairs(result) do last[letter] = #operands + 1 end

  local x, axes = given[1], operands[1]
  for k = 2, #operands do
    local y, others = given[k], operands[k]
    x, axes = summed(x, axes, function(letter) return last[letter] >= k end)
    y, others = summed(y, others, function(letter) return last[letter] > k or position_of(axes, letter) end)
    local left = result
    if k < #operands then
      left = {}
      for _, list in ipairs { axes, others } do
        for _, letter in ipairs(list) do
          if letter and last[letter] > k and not position_of(left, letter) then left[#left + 1] = letter end
        end
      end
    end
    x, axes = contract(x, axes, y, others, left, "einsum", result[1]), left
  end
  if #operands > 1 then return x end
  local whole = x
  x, axes = summed(x, axes, function(letter) return last[letter] > 1 end)
  local order, moved = {}, whole == given[1] and x == whole
  for i, letter in ipairs(result) do
    order[i] = position_of(axes, letter)
    moved = moved or order[i] ~= i
  end
  return moved and x:permute(order) or x
end

local record = {
  name = "einsum",
  call = "sm.einsum",
  doc = "sm.einsum(\"bik,bkj->bij\", a, b): the sum over all axes that are not in the result, of the products of "
    .. "elements with equal positions along axes of one letter. A letter that an operand has twice stands for "
    .. "its diagonal; \"...\" for any axes, which broadcast. Without \"->\" the result has what stands once, in "
    .. "the order of the alphabet. Two operands become products of matrices where they lie; more are taken from "
    .. "left to right.",
  f = einsum,
  twice = true,
  dtypes = "real",
  special = false,
  reference = function(new, equation, ...)
    local given, shapes = { ... }, {}
    for k, x in ipairs(given) do shapes[k] = x.shape end
    local operands, result, size = parsed(equation, shapes)
    local shape, place, inner = {}, {}, {}
    for i, letter in ipairs(result) do shape[i], place[letter] = size[letter], true end
    for letter in pairs(size) do
      if not place[letter] then inner[#inner + 1] = letter end
    end
    return new(shape, function(p)
      local at = {}
      for i, letter in ipairs(result) do at[letter] = p[i] end
      local function sum_over(i)
        if i > #inner then
          local product = 1
          for k, x in ipairs(given) do
            local from = {}
            for axis, letter in ipairs(operands[k]) do from[axis] = x.shape[axis] == 1 and 1 or at[letter] end
            product = product * x:at(from)
          end
          return product
        end
        local sum = 0
        for value = 1, size[inner[i]] do
          at[inner[i]] = value
          sum = sum + sum_over(i + 1)
        end
        return sum
      end
      return sum_over(1)
    end)
  end,
  samples = function(s)
    local r = s.real
    return { { "bik,bkj->bij", r(2, 3, 4), r(2, 4, 2) }, { "ik,jk->ij", r(3, 4), r(2, 4) },
      { "ki,kj->ji", r(4, 3), r(4, 2) },
      { "bthd,bshd->bhts", r(2, 3, 2, 4), r(2, 2, 2, 4) }, { "bhts,bshd->bthd", r(2, 2, 3, 2), r(2, 2, 2, 3) },
      { "ij,jk", r(2, 3), r(3, 2) }, { "ba,b", r(3, 2), r(3) }, { "ij->ji", r(2, 3) }, { "ij->", r(2, 3) },
      { "ijk->kj", r(2, 3, 2) }, { "ii", r(3, 3) }, { "ii->i", r(3, 3) }, { "iji->j", r(2, 3, 2) },
      { "iii->i", r(3, 3, 3) },
      { "ij->ij", r(2, 3) }, { "i,j->ij", r(3), r(4) }, { "i,i->i", r(3), r(3) }, { "i,i->", r(5), r(5) },
      { "bi,bi->b", r(3, 4), r(3, 4) }, { "ij,ij->ji", r(2, 3), r(2, 3) }, { "ij,k->k", r(2, 3), r(4) },
      { "...ij,...jk->...ik", r(2, 1, 2, 3), r(3, 3, 2) }, { "...i,i...->...", r(2, 3), r(3, 2) },
      { "b...,b...", r(2, 3), r(2, 3) }, { "...->...", r(2, 3) }, { "ij...->i", r(2, 2, 3) },
      { "ij,jk,kl->il", r(2, 3), r(3, 2), r(2, 3) }, { "i,j,k->kji", r(2), r(3), r(2) },
      { "ij,ij->ij", r(2, 1), r(2, 3) },
      { "ij,jk->ik", r(2, 1), r(3, 2) }, { "ij,jk->ik", r(2, 0), r(0, 3) }, { "ij,jk->ik", r(0, 2), r(2, 3) },
      { "ab,cdb->acd", r(2, 3), r(2, 2, 3) }, { "abc,bad->dc", r(2, 3, 2), r(3, 2, 2) },
      { "abc,cab->bca", r(2, 3, 2), r(2, 2, 3) },
      { "abc,acb->ab", r(2, 3, 2), r(2, 2, 3) }, { "aib,bja->ij", r(2, 3, 2), r(2, 2, 2) }, { ",->", r(), r() },
      { "i , j i -> j", r(3), r(2, 3) }, { "bmk,bnk->bmn", r(3, 40, 33) * 1e-3, r(3, 20, 33) * 1e-3 },
      { "btk,kbn->ntb", r(2, 3, 2), r(2, 2, 2) } }
  end,
  refused = function(s)
    return { { "an equation like", 1, s.real(2) }, { "has 2 operands, got 1 tensor", "i,j->ij", s.real(2) },
      { "has 1 operand, got 2 tensors", "i->i", s.real(2), s.real(2) },
      { 'operand 1 of "ij->i" has 1 axes, "ij"', "ij->i", s.real(2) },
      { "axis j of \"ij,jk\" has 3 and 2 elements", "ij,jk", s.real(2, 3), s.real(2, 2) },
      { "axis i of \"ii\" has 2 and 3 elements", "ii", s.real(2, 3) },
      { "axis k of the result of \"ij->k\" is in no operand", "ij->k", s.real(2, 3) },
      { "axis i stands twice in the result", "ij->ii", s.real(2, 3) },
      { "expected letters", "i1->i", s.real(2, 3) }, { "got nil", "i,i", nil, s.real(2) },
      { "expected a " .. runtime.real .. " tensor", "i->i", s.uint8(2) },
      { "operand 1 of \"ijk...\" has 2 axes", "ijk...", s.real(2, 2) } }
  end,
}

return { record }
