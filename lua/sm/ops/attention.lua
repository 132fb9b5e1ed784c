--- Attention. See sm.ops.shape for what a record has.
-- @module sm.ops.attention
local runtime = require "sm.runtime"
local arguments = require "sm.ops.arguments"
local autograd = require "sm.autograd"
local check = require "sm.check"
local fail = require "sm.fail"
local primitives = require "sm.ops.primitives"
local shape_text = require "sm.text".shape
local where = require "sm.ops.compare".where

local T, A = runtime.tensor, runtime.attention
local tracks, view = autograd.tracks, primitives.view

local records = {}

local function define(given) records[#records + 1] = given end

local OPTIONS = {
  heads = { type = "integer", min = 1, max = 1 << 20, doc = "parts of the channels that attend by themselves" },
  causal = { type = "boolean", default = false, doc = "whether query t sees keys up to t alone" },
  scale = { type = "real", doc = "of the scores; 1/√width by default, of a head's width" },
  mask = { type = "tensor", doc = "uint8, where 0 hides a key, or real, which is added to the scores" },
  dropout = { type = "real", min = 0, below = 1, default = 0, doc = "share of the weights that is dropped" },
}

--- {N, heads, T, width} of {N, T, channels}; what has four axes is that already.
local function by_heads(x, heads)
  local shape = x.shape
  if #shape == 4 then return x end
  return view(x, { shape[1], shape[2], heads, shape[3] // heads }):permute(1, 3, 2, 4)
end

--- 1 … n.
local function counted(n)
  local numbers = {}
  for i = 1, n do numbers[i] = i end
  return n > 0 and T.tensor(numbers) or T.full({ 0 }, 0)
end

--- The weights {N, heads, T, S}, made of operations.
-- @param q, k {N, heads, T or S, width}
-- @param mask {N, heads, T, S}, each axis of which may be 1, or nil
local function weights(q, k, mask, o)
  local scores, hidden = q:matmul(k:transpose(3, 4)) * o.scale, -math.huge
  local shape = scores.shape
  if T.count(scores) == 0 then return scores end
  if mask and mask.dtype == "uint8" then
    scores = where(mask, scores, hidden)
  elseif mask then
    scores = scores + mask
  end
  if o.causal then
    scores = where(T.reshape(counted(shape[3]), { shape[3], 1 }):ge(counted(shape[4])), scores, hidden)
  end
  return where(scores:eq(hidden), 0, scores:softmax { axis = -1 }) -- 0 also where nothing is seen
end

--- The same as the kernels give, made of operations; it keeps the weights of all heads.
local function composed(q, k, v, mask, heads, o)
  local shape = q.shape
  local p = weights(by_heads(q, heads), by_heads(k, heads), mask, o)
  if o.dropout > 0 then p = p:dropout(o.dropout) end
  local y = p:matmul(by_heads(v, heads))
  return #shape == 4 and y or view(y:permute(1, 3, 2, 4), { shape[1], shape[2], v.shape[3] })
end

--- The gradient of a mask that is added.
local function mask_gradient(gy, q, k, v, mask, heads, o)
  local p = weights(by_heads(q, heads), by_heads(k, heads), mask, o)
  local gp = by_heads(gy, heads):matmul(by_heads(v, heads):transpose(3, 4))
  return primitives.sum_to(p * (gp - (p * gp):sum(-1, { keepdim = true })), mask.shape)
end

--- What attention gives; with k and v nil, all three lie side by side in q's channels.
local function attend(name, q, k, v, mask, heads, o)
  local function apart(...)
    if k then return ... end
    return table.unpack((...):split(q.shape[3] // 3, 3))
  end
  local function of_operations(a, b, c, added)
    a, b, c = apart(a, b, c)
    return composed(a, b, c, added, heads, o)
  end
  if o.dropout > 0 then return of_operations(q, k, v, mask) end
  local y, log_sum = A.forward(q, k, v, mask, heads, o.causal, o.scale, autograd.records(q, k, v, mask))
  return autograd.record_twice(y, name, function(gy, _, graph)
    if graph then return primitives.gradients_of(of_operations, gy, q, k, v, mask) end
    local gq, gk, gv = A.backward(gy, y, log_sum, q, k, v, mask, heads, o.causal, o.scale)
    if not tracks(mask) then return gq, gk, gv end
    local a, b, c = apart(q, k, v)
    return gq, gk, gv, mask_gradient(gy, a, b, c, mask, heads, o)
  end, autograd.saved(q, k, v, mask, y), q, k, v, mask)
end

--- The mask with four axes; raises unless it broadcasts to the scores' shape.
-- @param scores shape {N, heads, T, S}, or {N, T, S} where nobody has spoken of heads
local function mask_of(name, mask, scores)
  if not mask then return nil end
  if mask.dtype ~= "uint8" and mask.dtype ~= runtime.real then
    fail("%s: option 'mask' must be a uint8 tensor, 0 where a key is not seen, or a %s one, which is added to the "
      .. "scores, got %s", name, runtime.real, mask.dtype)
  end
  local shape, four = mask.shape, {}
  local fits = #shape <= #scores
  for i = 1, #scores do
    local size = shape[i - #scores + #shape] or 1
    fits, four[i] = fits and (size == 1 or size == scores[i]), size
  end
  if not fits then
    fail("%s: option 'mask' must broadcast to the scores' shape %s, got %s", name, shape_text(scores),
      shape_text(shape))
  end
  if #four == 3 then table.insert(four, 2, 1) end
  return view(mask, four)
end

--- The options with what they are by default.
local function options_of(name, options, channels, rank)
  local o = check.options(name, options, OPTIONS)
  local heads = o.heads or 1
  if o.heads and rank ~= 3 then
    fail("%s: option 'heads' is for {N, T, channels}; with four axes heads are the second one", name)
  end
  if channels % heads ~= 0 then
    fail("%s: %d channels cannot be divided into %d heads", name, channels, heads)
  end
  o.scale = o.scale or channels == 0 and 1 or 1 / math.sqrt(channels // heads)
  return o, heads
end

--- For references: attention over arrays {N, T, channels} or {N, heads, T, width}; queries, keys and values are told by
-- functions of batch, head, row and channel.
local function reference(new, shape, sizes, q, k, v, o)
  local keys, width, value_width = table.unpack(sizes)
  local scale, mask, found = o.scale or 1 / math.sqrt(width), o.mask, {}
  local function mask_at(n, h, t, s)
    local own = mask.shape
    local full = (#shape == 4 or o.heads) and { n, h, t, s } or { n, t, s }
    local at = {}
    for i, size in ipairs(own) do at[i] = size == 1 and 1 or full[#full - #own + i] end
    return mask:at(at)
  end
  local function weights_of(n, h, t)
    local key = table.concat({ n, h, t }, ",")
    if found[key] then return found[key] end
    local w, sum, largest = {}, 0, -math.huge
    for s = 1, keys do
      local score = 0
      for c = 1, width do score = score + q(n, h, t, c) * k(n, h, s, c) * scale end
      if mask and math.type(mask[1]) == "integer" then
        if mask_at(n, h, t, s) == 0 then score = -math.huge end
      elseif mask then
        score = score + mask_at(n, h, t, s)
      end
      if o.causal and s > t then score = -math.huge end
      w[s], largest = score, math.max(largest, score)
    end
    for s = 1, keys do
      w[s] = largest == -math.huge and 0 or math.exp(w[s] - largest)
      sum = sum + w[s]
    end
    for s = 1, keys do w[s] = sum == 0 and 0 or w[s] / sum end
    found[key] = w
    return w
  end
  return new(shape, function(p)
    local n, h, t, c = p[1], p[2], p[3], p[4]
    if #shape == 3 then n, h, t, c = p[1], (p[3] - 1) // value_width + 1, p[2], (p[3] - 1) % value_width + 1 end
    local sum = 0
    for s, weight in ipairs(weights_of(n, h, t)) do sum = sum + weight * v(n, h, s, c) end
    return sum
  end)
end

--- For references: what of x is at batch, head, row, channel; part of three that lie side by side.
local function reader(x, heads, parts, part)
  if #x.shape == 4 then return function(n, h, t, c) return x:at { n, h, t, c } end end
  if #x.shape == 2 then return function(_, _, t, c) return x:at { t, c } end end
  local channels = x.shape[3] // parts
  return function(n, h, t, c) return x:at { n, t, part * channels + (h - 1) * (channels // heads) + c } end
end

define {
  name = "attention",
  options = OPTIONS,
  call = "sm.attention",
  doc = "sm.attention(q, k, v, {heads = 1, causal = false, mask, scale = 1/√width, dropout = 0}): of each query the "
    .. "mean of the values, weighted by the softmax of scale * q·k over the keys; q {N, T, channels}, k and v {N, S, "
    .. "channels}, whose channels are cut into heads, or {N, heads, T, width}. causal: query t sees keys up to t. mask "
    .. "broadcasts to the scores {N, heads, T, S} (without heads {N, T, S}): uint8, where 0 hides a key, or added to "
    .. "the scores. Who sees nothing gets 0. The weights of all heads are kept only with dropout, or for a mask that "
    .. "wants a gradient.",
  f = function(q, k, v, options)
    arguments.real("attention", q, "a tensor of queries")
    arguments.real("attention", k, "a tensor of keys")
    arguments.real("attention", v, "a tensor of values")
    local rank, a, b, c = #q.shape, q.shape, k.shape, v.shape
    local fits = rank >= 2 and rank <= 4 and #b == rank and #c == rank and a[rank] == b[rank]
      and b[rank - 1] == c[rank - 1]
    for axis = 1, rank - 2 do fits = fits and a[axis] == b[axis] and a[axis] == c[axis] end
    if not fits then
      fail("attention: expected queries {N, T, channels}, keys {N, S, channels} and values {N, S, channels of values}, "
        .. "or {N, heads, T, width} and such, got %s, %s and %s", shape_text(a), shape_text(b), shape_text(c))
    end
    local o, heads = options_of("attention", options, a[rank], rank)
    if c[rank] % heads ~= 0 then
      fail("attention: %d channels of values cannot be divided into %d heads", c[rank], heads)
    end
    local scores = rank == 4 and { a[1], a[2], a[3], b[3] } or { a[1], heads, a[2], b[2] }
    if rank == 3 and not o.heads then table.remove(scores, 2) end
    if rank == 2 then
      local function batch_of(x) return view(x, { 1, x.shape[1], x.shape[2] }) end
      local y = attend("attention", batch_of(q), batch_of(k), batch_of(v),
        mask_of("attention", o.mask, { 1, a[1], b[1] }), 1, o)
      return view(y, { a[1], c[2] })
    end
    return attend("attention", q, k, v, mask_of("attention", o.mask, scores), heads, o)
  end,
  twice = true,
  dtypes = "real",
  special = false,
  reference = function(new, q, k, v, o)
    o = o or {}
    local heads, shape = o.heads or 1, table.move(q.shape, 1, #q.shape, 1, {})
    local rank = #shape
    shape[rank] = v.shape[rank]
    if rank == 4 then heads = shape[2] end
    local divisor = rank == 4 and 1 or heads
    local sizes = { k.shape[rank - 1], q.shape[rank] // divisor, shape[rank] // divisor }
    if rank ~= 2 then
      return reference(new, shape, sizes, reader(q, heads, 1, 0), reader(k, heads, 1, 0), reader(v, heads, 1, 0), o)
    end
    local y = reference(new, { 1, shape[1], shape[2] }, sizes, reader(q, 1, 1, 0), reader(k, 1, 1, 0),
      reader(v, 1, 1, 0), o)
    y.shape = shape
    return y
  end,
  samples = function(s)
    local function small(...) return s.real(...) * 0.5 end
    local seen = s.uint8 { { 1, 0, 1 }, { 0, 0, 0 } }
    return { { small(2, 2, 4), small(2, 3, 4), small(2, 3, 2) },
      { small(1, 3, 4), small(1, 3, 4), small(1, 3, 4), { heads = 2, causal = true } },
      { small(1, 2, 3, 2), small(1, 2, 2, 2), small(1, 2, 2, 3), { scale = 0.3 } },
      { small(2, 2, 2), small(2, 3, 2), small(2, 3, 2), { mask = seen } },
      { small(1, 2, 4), small(1, 3, 4), small(1, 3, 4), { heads = 2, mask = s.real(2, 1, 3), causal = true } },
      { small(2, 2), small(3, 2), small(3, 1), { mask = seen } },
      { small(2, 1, 2, 2), small(2, 1, 3, 2), small(2, 1, 3, 2), { mask = s.uint8 { { { { 1, 1, 0 } } },
        { { { 0, 1, 1 } } } }, causal = true } },
      { small(1, 2, 2), small(1, 0, 2), small(1, 0, 3) }, { small(0, 2, 2), small(0, 3, 2), small(0, 3, 2) },
      { small(2, 5, 3), small(2, 1, 3), small(2, 1, 3) },
      { small(1, 130, 4) * 1e-2, small(1, 70, 4) * 1e-2, small(1, 70, 4) * 1e-2, { heads = 2 } } }
  end,
  refused = function(s)
    local q = s.real(1, 2, 4)
    return { { "got {1, 2, 4}, {1, 2, 3} and {1, 2, 4}", q, s.real(1, 2, 3), q },
      { "got {1, 2, 4}, {1, 2, 4} and {1, 3, 4}", q, q, s.real(1, 3, 4) },
      { "got {3}, {3} and {3}", s.real(3), s.real(3), s.real(3) },
      { "4 channels cannot be divided into 3 heads", q, q, q, { heads = 3 } },
      { "with four axes heads are the second one", s.real(1, 2, 2, 2), s.real(1, 2, 2, 2), s.real(1, 2, 2, 2),
        { heads = 2 } },
      { "must broadcast to the scores' shape {1, 2, 2}, got {3}", q, q, q, { mask = s.uint8(3) } },
      { "must broadcast to the scores' shape {1, 2, 2, 2}, got {3, 2, 2}", q, q, q, { heads = 2,
        mask = s.uint8(3, 2, 2) } },
      { "got int32", q, q, q, { mask = s.int32(2, 2) } }, { "expected a tensor of keys, got nil", q },
      { "option 'dropout' must be at least 0 and below 1", q, q, q, { dropout = 1 } },
      { "unknown option 'head'", q, q, q, { head = 2 } } }
  end,
}


define {
  name = "self_attention",
  options = OPTIONS,
  doc = "x:self_attention{heads = 1, causal = false, mask, scale = 1/√width, dropout = 0}: attention where queries, "
    .. "keys and values lie side by side in x {N, T, 3 channels}, as one product gives them: {N, T, channels}. "
    .. "Nothing is copied to take them apart.",
  f = function(x, options)
    local shape = arguments.real("self_attention", x).shape
    if #shape ~= 3 or shape[3] % 3 ~= 0 then
      fail("self_attention: expected queries, keys and values side by side {N, T, 3 channels}, got %s",
        shape_text(shape))
    end
    local o, heads = options_of("self_attention", options, shape[3] // 3, 3)
    local scores = { shape[1], shape[2], shape[2] }
    if o.heads then table.insert(scores, 2, heads) end
    return attend("self_attention", x, nil, nil, mask_of("self_attention", o.mask, scores), heads, o)
  end,
  twice = true,
  dtypes = "real",
  special = false,
  reference = function(new, x, o)
    o = o or {}
    local heads, rows, channels = o.heads or 1, x.shape[2], x.shape[3] // 3
    local width = channels // heads
    return reference(new, { x.shape[1], rows, channels }, { rows, width, width }, reader(x, heads, 3, 0),
      reader(x, heads, 3, 1), reader(x, heads, 3, 2), o)
  end,
  samples = function(s)
    local function small(...) return s.real(...) * 0.3 end
    return { { small(2, 2, 6) }, { small(1, 3, 12), { heads = 2, causal = true } },
      { small(1, 3, 6), { mask = s.uint8 { { 1, 1, 0 }, { 0, 1, 0 }, { 0, 0, 0 } } } },
      { small(1, 3, 6), { mask = s.real(3, 3), scale = 2 } }, { small(0, 3, 6) }, { small(2, 0, 6) },
      { small(1, 66, 12) * 1e-2, { heads = 2, causal = true } } }
  end,
  refused = function(s)
    return { { "{N, T, 3 channels}, got {1, 2, 4}", s.real(1, 2, 4) }, { "got {2, 6}", s.real(2, 6) },
      { "2 channels cannot be divided into 3 heads", s.real(1, 2, 6), { heads = 3 } },
      { "unknown option 'head'", s.real(1, 2, 6), { head = 2 } }, { "expected a " .. runtime.real, s.uint8(1, 2, 6) } }
  end,
}

return records
