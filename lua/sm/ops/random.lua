--- Operations that draw random numbers. See sm.ops.shape for what a record has.
-- @module sm.ops.random
local runtime = require "sm.runtime"
local autograd = require "sm.autograd"
local arguments = require "sm.ops.arguments"
local check = require "sm.check"
local fail = require "sm.fail"
local primitives = require "sm.ops.primitives"
local random = require "sm.random"

local R = runtime.random
local record = autograd.record_twice

local records = {}

local function define(given) records[#records + 1] = given end

--- Drops of x what one place of the dropout stream says. The gradient draws it again, so no mask is stored.
local function dropped(y, x, p, seed, stream, offset)
  return record(y, "dropout", function(gy, _, graph)
    local gx = runtime.random.dropout(gy, p, seed, stream, offset)
    return graph and dropped(gx, gy, p, seed, stream, offset) or gx
  end, nil, x)
end

define {
  name = "dropout",
  doc = "x:dropout(p): each element kept with probability 1-p and multiplied by 1/(1-p), else 0.",
  f = function(x, p)
    local y, seed, stream, offset = random.draw("dropout", function(...)
      return runtime.random.dropout(x, p, ...)
    end)
    return dropped(y, x, p, seed, stream, offset)
  end,
  twice = true,
  dtypes = "real",
  special = false,
  reference = function(new, x, p) -- which elements are kept, the kernel says of ones
    local kept = random.draw("dropout", function(...)
      return runtime.random.dropout(runtime.tensor.full(x.shape, 1), p, ...)
    end):reshape(-1):totable()
    local i = 0
    return new(x.shape, function()
      i = i + 1
      return kept[i] == 0 and 0 or x[i] / (1 - p)
    end)
  end,
  samples = function(s)
    return { { s.real(3, 4), 0.25 }, { s.real(), 0.5 }, { s.real(0, 2), 0.5 }, { s.real(5), 0 },
      { s.real(130, 140), 0.9 } }
  end,
  refused = function(s)
    return { { "the probability must be at least 0 and below 1, got 2.0", s.real(2), 2 }, { "got nil", s.real(2) },
      { "must be a " .. runtime.real .. " tensor", s.uint8(2), 0.5 } }
  end,
}

-- Draws from the general stream. None has a gradient. -------------------------------------------------------

--- A tensor from the next numbers of the general stream.
-- @param kernel of runtime.random: function(first, seed, stream, offset, …)
local function drawn(kernel, first, ...)
  local more = table.pack(...)
  return (random.draw("general", function(seed, stream, offset)
    return kernel(first, seed, stream, offset, table.unpack(more, 1, more.n))
  end))
end

--- Sizes given as (2, 3) or ({2, 3}).
local function sizes(where, ...)
  local shape = arguments.many(where, "sizes", ...)
  for i, size in ipairs(shape) do
    shape[i] = arguments.integer(where, ("size %d"):format(i), size, 0, math.maxinteger)
  end
  return shape
end

--- For references: the Philox words of the general stream's next numbers, as fractions in the middle of their 2^-32.
local function fractions(count)
  local _, seed, stream, offset = random.draw("general", function(...) return R.uniform({ count }, ...) end)
  local function word(element)
    local block = element // 4
    local c0, c1, c2, c3 = block & 0xffffffff, block >> 32, stream, 0
    local k0, k1 = seed & 0xffffffff, seed >> 32
    for _ = 1, 10 do
      local one, two = 0xD2511F53 * c0, 0xCD9E8D57 * c2
      c0, c1, c2, c3 = two >> 32 ~ c1 ~ k0, two & 0xffffffff, one >> 32 ~ c3 ~ k1, one & 0xffffffff
      k0, k1 = k0 + 0x9E3779B9 & 0xffffffff, k1 + 0xBB67AE85 & 0xffffffff
    end
    return ({ [0] = c0, c1, c2, c3 })[element % 4]
  end
  local list = {}
  for i = 1, count do list[i] = (word(offset + i - 1) + 0.5) * 0x1p-32 end
  return list
end

--- For references: an array whose elements are f of the next fractions in order.
local function of_fractions(new, shape, f)
  local count, i = 1, 0
  for _, size in ipairs(shape) do count = count * size end
  local list = fractions(count)
  return new(shape, function(p)
    i = i + 1
    return f(list[i], p)
  end)
end

define {
  name = "randint",
  call = "sm.randint",
  doc = "sm.randint(low, high, shape): whole numbers from low to high - 1, all equally likely: int32. The shape "
    .. "is {2, 3} or 2, 3.",
  f = function(low, high, ...)
    low = arguments.integer("randint", "low", low, -1 << 31, (1 << 31) - 1)
    high = arguments.integer("randint", "high, which is left out,", high, low + 1, 1 << 31)
    return drawn(R.integers, sizes("randint", ...), low, high)
  end,
  differentiable = false,
  special = false,
  dtypes = "real",
  reference = function(new, low, high, ...) -- none of these is drawn again
    local shape = type((...)) == "table" and ... or { ... }
    return of_fractions(new, shape, function(u) return low + ((u * 0x1p32 // 1 | 0) * (high - low) >> 32) end)
  end,
  samples = function()
    return { { 0, 10, { 2, 3 } }, { -5, 6, 4 }, { 0, 1, 2, 2 }, { 0, 2 }, { 0, 5, { 0, 3 } }, { 0, 256, { 130, 140 } },
      { -1 << 31, 1 << 31, 7 } }
  end,
  refused = function()
    return { { "high, which is left out, must be from 1 to", 0, 0, { 2 } }, { "low must be an integer, got nil" },
      { "got string", 0, 2, "x" }, { "must be an integer, got number 0.5", 0.5, 2 },
      { "size 1 must be from 0", 0, 2, { -1 } },
      { "must be from", 0, 1 << 40, 2 } }
  end,
}

define {
  name = "randperm",
  call = "sm.randperm",
  doc = "sm.randperm(n): the positions 1 … n in an arbitrary order: int32.",
  f = function(n)
    return drawn(R.permutation, arguments.integer("randperm", "n", n, 0, (1 << 31) - 1), 1)
  end,
  differentiable = false,
  special = false,
  dtypes = "real",
  reference = function(new, n) -- Fisher and Yates; none of these is drawn again
    local list = fractions(n)
    local order = {}
    for i = 1, n do order[i] = i end
    for i, u in ipairs(list) do
      local last = n + 1 - i
      local chosen = ((u * 0x1p32 // 1 | 0) * last >> 32) + 1
      order[chosen], order[last] = order[last], order[chosen]
    end
    return new({ n }, function(p) return order[p[1]] end)
  end,
  samples = function() return { { 5 }, { 1 }, { 0 }, { 300 } } end,
  refused = function()
    return { { "n must be from 0", -1 }, { "must be an integer, got nil" }, { "got number 1.5", 1.5 } }
  end,
}

for _, name in ipairs { "exponential", "gumbel" } do
  define {
    name = name,
    call = "sm." .. name,
    doc = name == "gumbel" and "sm.gumbel(shape): Gumbel noise, -log(-log u) of uniform u. The largest of logits with "
      .. "it is a draw from their softmax."
      or "sm.exponential(shape): numbers of the exponential distribution with mean 1, -log u of uniform u.",
    f = function(...) return drawn(R[name], sizes(name, ...)) end,
    differentiable = false,
    special = false,
    dtypes = "real",
    reference = function(new, ...)
      local shape = type((...)) == "table" and ... or { ... }
      return of_fractions(new, shape, function(u)
        local y = -math.log(u)
        return name == "gumbel" and -math.log(y) or y
      end)
    end,
    samples = function() return { { 2, 3 }, { { 4 } }, {}, { 0, 2 }, { 130, 140 } } end,
    refused = function() return { { 'size 1 must be an integer, got string "x"', "x" }, { "must be from 0", -1 } } end,
  }
end

define {
  name = "bernoulli",
  call = "sm.bernoulli",
  doc = "sm.bernoulli(p): 1 with the probability that p, a tensor, has there, else 0. No gradient passes.",
  f = function(p)
    arguments.real("bernoulli", p, "a tensor of probabilities")
    return drawn(R.bernoulli, p)
  end,
  differentiable = false,
  special = false,
  dtypes = "real",
  reference = function(new, p)
    return of_fractions(new, p.shape, function(u, at) return u < p:at(at) and 1 or 0 end)
  end,
  samples = function(s)
    return { { s.real(2, 3):sigmoid():detach() }, { s.tensor { 0, 1, 0.5 } }, { s.tensor(0.25) }, { s.real(0, 2) },
      { s.real(130, 140):sigmoid():detach() } }
  end,
  refused = function(s)
    return { { "probabilities from 0 to 1, got 1.5 at {1, 2}", s.tensor { { 0, 1.5 } } },
      { "got -0.5 at {2}", s.tensor { 0, -0.5 } }, { "at {1}", s.tensor { 0 / 0 } }, { "got number 0.5", 0.5 },
      { "a " .. runtime.real .. " tensor", s.uint8(2) } }
  end,
}

local MULTINOMIAL <const> = {
  labels = { type = "boolean", default = false, doc = "whether they count from 0, as labels and tokens do" },
}

define {
  name = "multinomial",
  call = "sm.multinomial",
  doc = "sm.multinomial(p, n, {labels = false}): n positions, from 1, in each row of p {…, classes}, each as likely as "
    .. "its weight there, with replacement: int32 {…, n}. Weights are at least 0 and need not add up to 1. With labels "
    .. "they count from 0, as an embedding wants them.",
  options = MULTINOMIAL,
  f = function(p, n, options)
    arguments.real("multinomial", p, "a tensor of weights")
    n = arguments.integer("multinomial", "how many are drawn", n, 0, (1 << 31) - 1)
    local first = check.options("multinomial", options, MULTINOMIAL).labels and 0 or 1
    return (random.draw("general", function(seed, stream, offset)
      return R.multinomial(p, n, seed, stream, offset, first)
    end))
  end,
  differentiable = false,
  special = false,
  dtypes = "real",
  reference = function(new, p, n, options)
    local shape = primitives.copy(p.shape)
    local classes = shape[#shape]
    shape[#shape] = n
    return of_fractions(new, shape, function(u, at)
      local whole, sum, from = 0, 0, primitives.copy(at)
      local function weight(i)
        from[#from] = i
        return p:at(from)
      end
      for i = 1, classes do whole = whole + weight(i) end
      for i = 1, classes do
        sum = sum + weight(i)
        if sum > u * whole then return options and options.labels and i - 1 or i end
      end
    end)
  end,
  samples = function(s)
    return { { s.real(2, 3):abs(), 4 }, { s.tensor { 0, 1, 0, 3 }, 50 }, { s.real(2, 2, 3):abs(), 2 },
      { s.real(2, 3):abs(), 4, { labels = true } },
      { s.real(3):abs(), 0 },
      { s.real(0, 3), 2 }, { s.tensor { 1e-30 }, 3 }, { s.real(40, 30):abs(), 7 }, { s.real(2, 300):abs(), 100 } }
  end,
  refused = function(s)
    return { { "finite weights of at least 0, got -1.0 at {1, 2}", s.tensor { { 1, -1 } }, 1 },
      { "row 2 of the weights has none above 0", s.tensor { { 1, 0 }, { 0, 0 } }, 1 },
      { "at {1}", s.tensor { math.huge, 1 }, 1 }, { "weights along the last axis, got shape {2, 0}", s.real(2, 0), 1 },
      { "how many are drawn must be an integer, got nil", s.real(2) }, { "got table", {}, 1 } }
  end,
}

define {
  name = "straight_through",
  call = "sm.straight_through",
  doc = "sm.straight_through(hard, soft): the numbers of hard, with the gradient of soft: as hard is a step that "
    .. "has none, a rounding or a draw. Shares the storage of hard where that is of the real type.",
  f = function(hard, soft)
    arguments.tensor("straight_through", hard)
    arguments.real("straight_through", soft, "a tensor to which the gradient goes")
    if not runtime.tensor.same_shape(hard, soft) then
      fail("straight_through: expected two tensors of one shape, got %s and %s", check.describe(hard),
        check.describe(soft))
    end
    local y = hard.dtype == runtime.real and runtime.tensor.reshape(hard, hard.shape)
      or runtime.tensor.to(hard, runtime.real)
    return record(y, "straight_through", function(gy) return gy end, nil, soft)
  end,
  twice = true,
  view = true,
  dtypes = "real",
  reference = function(new, hard) return new(hard.shape, function(p) return hard:at(p) end) end,
  samples = function(s)
    local x = s.real(2, 3)
    return { { s.real(2, 3), s.real(2, 3), gradient = false }, { s.real(), s.real(), gradient = false }, { x, x },
      { s.real(0, 2), s.real(0, 2) } }
  end,
  refused = function(s)
    return { { "two tensors of one shape, got tensor {2} and tensor {3}", s.real(2), s.real(3) },
      { "got nil", s.real(2) }, { "a " .. runtime.real .. " tensor", s.real(2), s.uint8(2) } }
  end,
}

return records
