-- Tensors and the tape.
return function(add)
  local sm, x, w, b, images, filters, labels

  local function prepare()
    sm = require "sm"
    sm.seed(3)
    x, w, b = sm.rand(4, 3), sm.randn(3, 2), sm.randn(2)
    images, filters = sm.rand(3, 9, 9, 2), sm.randn(3, 3, 2, 4)
    labels = sm.tensor({ 0, 1, 1, 0 }, "int32")
  end

  local function case(name, run, more)
    more = more or {}
    more.prepare = more.prepare or prepare
    add(name, run, more)
  end

  -- Gradients of a sum of what f gives.
  local function gradients(f, ...)
    local leaves = {}
    for i, leaf in ipairs { ... } do leaves[i] = leaf:clone():requires_grad() end
    local y = f(table.unpack(leaves))
    y:sum():backward()
    local out = { y }
    for _, leaf in ipairs(leaves) do out[#out + 1] = leaf.grad end
    return out
  end

  case("make tensors", function()
    sm.seed(7)
    return { sm.tensor { { 1, 2 }, { 3, 4 } }, sm.zeros(2, 3), sm.zeros({ 2 }, "uint8"), sm.ones(5), sm.full({ 2 }, 7),
      sm.arange(4), sm.arange(1, 9, 2, "int32"), sm.randn(2, 3), sm.rand(8), sm.is_tensor(x), sm.version }
  end)

  case("draw", function()
    local random = require "sm.random"
    sm.seed(7)
    return { random.uniform({ 3 }, "general"), random.normal({ 3 }, "general"), random.truncated({ 3 }, "general"),
      random.permutation(9, "order"), random.state(), sm.randn(4) }
  end)

  case("read and print", function()
    local rows = {}
    for i, row in ipairs(x) do rows[i] = tostring(row) end
    return { rows, tostring(x), tostring(images), x.shape, x.dtype, #x, x[1], x[-1], x:slice(2, 3), x:sum():item(),
      x:totable(), x:to "uint8", x:to "int32", x:clone(), x:detach(), x:reshape(2, -1), x:transpose(), x:tracks() }
  end)

  case("copy in place", function()
    local y = x:clone()
    y[2]:copy_(sm.tensor { 5, 6, 7 })
    y:slice(3, 4):copy_(sm.zeros(2, 3))
    return y
  end)

  case("arithmetic", function()
    return gradients(function(a, c)
      local by_name = a:add(c):sub(2):mul(c):div(a:add(1)):pow(2):neg()
      return (a + c - c * a / (c + 3)) ^ 2 + -a + a ^ c + 2 * a - 1 / (c + 2) + by_name
    end, x, x[1])
  end)

  case("functions", function()
    return gradients(function(a)
      return a:exp() + a:log() + a:sqrt() + a:abs() + a:tanh() + a:sigmoid() + a:relu() + a:softplus()
        + a:clamp(0.2, 0.7)
    end, x)
  end)

  case("reductions", function()
    return { gradients(function(a)
      return a:sum(1):sum() + a:mean(1):sum() + a:max(-1):sum() + a:max() + a:mean()
    end, x),
      x:argmax(2), x:argmax() }
  end)

  -- Operations that are records, by the first of their own samples.
  local samples
  local function prepare_records()
    prepare()
    samples = {}
    local function real(...) return sm.randn { ... } end
    local function integers(dtype)
      return function(first, ...)
        return type(first) == "table" and sm.tensor(first, dtype) or sm.zeros({ first, ... }, dtype)
      end
    end
    local makers = { real = real, int32 = integers "int32", uint8 = integers "uint8", tensor = sm.tensor }
    for _, record in ipairs(require "sm.ops.records") do samples[record] = record.samples(makers)[1] end
  end
  for _, family in ipairs { "shape", "parts", "fill", "index", "sort", "compare", "pointwise", "views", "reduce",
    "product", "window", "softmax", "groups", "loss", "distance", "random", "recurrent", "normalise", "norms",
    "attention", "pool", "einsum" } do
    case("operations, " .. family, function()
      local out = {}
      sm.seed(11)
      for _, record in ipairs(require("sm.ops." .. family)) do
        local f, sample, leaf = record.call and sm[record.name] or x[record.name], samples[record], nil
        if sm.is_tensor(sample[1]) and sample[1].dtype == x.dtype and record.gradient ~= false then
          sample = table.move(sample, 1, #sample, 1, {})
          leaf = sample[1]:clone():requires_grad()
          sample[1] = leaf
        end
        local results = table.pack(f(table.unpack(sample)))
        for i = 1, results.n do out[#out + 1] = results[i] end
        if leaf and sm.is_tensor(results[1]) and results[1]:tracks() then
          results[1]:sum():backward()
          out[#out + 1] = leaf.grad
        end
      end
      return out
    end, { prepare = prepare_records })
  end

  case("traced functions, and gradients of gradients", function()
    local swish = sm.pointwise(function(a, slope) return a / (1 + (-slope * a):exp()) end)
    local leaf = x:clone():requires_grad()
    local first = sm.grad(swish(leaf, 1.5):sum(), { leaf }, { create_graph = true })[1]
    return { first, sm.grad((first * first):sum(), { leaf })[1], swish(x, 2) }
  end)

  case("views and gradients", function()
    return gradients(function(a)
      return a:reshape(3, 4):transpose():slice(2, 3) * a[1]:slice(1, 3) + a:select(2) + a:detach():slice(1, 2)
    end, x)
  end)

  case("products", function()
    return { gradients(function(a, c) return a:matmul(c) end, x, w),
      gradients(function(a, c, d) return a:linear(c, d) end, x, w, b),
      gradients(function(a, c, d) return require "sm.fused".linear(a, c, d, true) end, x, w, b) }
  end)

  for _, way in ipairs { "direct", "valid", "strided" } do
    case("convolution, " .. way, function()
      local options = way == "strided" and { stride = 2, padding = 1, bias = sm.zeros(4) }
        or { padding = way == "valid" and "valid" or "same" }
      return gradients(function(a, c) return a:conv2d(c, options) end, images, filters)
    end)
  end

  -- Scratch for the transforms, and threads: more work than one block.
  local large, many
  local function prepare_large()
    prepare()
    large, many = sm.randn(8, 16, 16, 16), sm.randn(5, 5, 16, 16)
  end
  case("convolution, large", function()
    return gradients(function(a, c) return a:conv2d(c, { padding = "same" }) end, large, many)
  end, { prepare = prepare_large })

  case("threads", function()
    local system = require "sm.runtime".system
    system.set_threads(3)
    local result = { gradients(function(a, c) return a:conv2d(c, { padding = "same" }):relu() end, large, many),
      large:reshape(128, -1):matmul(large:reshape(-1, 128)) }
    system.set_threads(1)
    return result
  end, { prepare = prepare_large })

  case("pooling", function()
    return { gradients(function(a) return a:maxpool2d(2) end, images),
      gradients(function(a) return a:maxpool2d({ 2, 3 }, { stride = 1, padding = "same" }) end, images),
      gradients(function(a) return a:avgpool2d(3, { stride = { 2, 1 }, padding = "same" }) end, images),
      gradients(function(a, c)
        return require "sm.fused".conv2d_maxpool2d(a, c, { bias = sm.zeros(4) }, 2, {}, true)
      end, images, filters),
      gradients(function(a, c) return a:conv2d_transpose(c, { size = { 9, 9 }, padding = "same" }) end,
        sm.ones(2, 9, 9, 4), filters) }
  end)

  case("softmax and loss", function()
    return { gradients(function(a) return a:softmax {} * a end, x),
      gradients(function(a)
        return a:softmax { sizes = { 1, 2 }, temperature = 0.5, scale = true, off = true } * a
      end, x),
      gradients(function(a) return a:cross_entropy(labels) end, x), x:accuracy(labels),
      x:cross_entropy(labels:to "uint8") }
  end)

  case("dropout", function()
    sm.seed(2)
    return gradients(function(a) return a:dropout(0.5) end, x)
  end)

  case("own operations", function()
    local square = sm.op {
      name = "square",
      forward = function(ctx, a) ctx.a = a return a * a end,
      backward = function(ctx, gy) return gy * ctx.a * 2 end,
    }
    sm.gradcheck(square, sm.tensor { 0.5, 1.5 })
    local y = x:clone():requires_grad()
    local untracked = sm.no_grad(function() return (y * 2):tracks() end)
    y:requires_grad(false)
    return { gradients(square, x), untracked, y:tracks(), (sm.randn(1) * 0):tracks() }
  end, { before = function() sm.seed(4) end })

  case("gradients that were there", function()
    local leaf = x:clone():requires_grad()
    leaf:sum():backward();
    (leaf * leaf):sum():backward()
    leaf:backward(sm.ones(4, 3))
    local sum = leaf.grad
    leaf.grad = nil
    leaf.grad = sum:clone()
    return { sum, leaf.grad }
  end)
end
