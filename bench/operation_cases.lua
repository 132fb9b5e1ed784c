--- What `make bench-operations` times, forward and back, a line each:
--- { name, shapes by the names of the inputs, ours as a function of them, the same in PyTorch, options }.
--- In PyTorch's expression the inputs have their names, besides torch, F, and math. Options: `images` are names of
--- inputs {N, height, width, channels} that PyTorch gets as {N, channels, height, width}, in whichever of its memory
--- formats is faster; `filters` {height, width, in, out} as {out, in, height, width}; `fixed` want no gradient;
--- `positive` are numbers from 0.5 to 1.5; `labels` name → { shape, classes }; `positions` the same, which count from 1
--- for us and from 0 for PyTorch; `random` results are not compared; `composed` is ours written with single operations,
--- which is timed as well. Names in one string are separated by spaces. Images and filters of three axes are sequences.
local sm = require "sm"

local image <const> = { x = { 50, 28, 28, 32 } }
local both <const> = { x = { 50, 28, 28, 32 }, y = { 50, 28, 28, 32 } }

--- A case of a function of x that PyTorch has in torch.nn.functional.
local function activation(name, f, theirs)
  return { name, image, f or function(t) return t.x[name](t.x) end, theirs or ("F.%s(x)"):format(name) }
end

--- A loss of an output and a target that wants no gradient.
local function loss(name, theirs)
  return { name, both, function(t) return t.x[name](t.x, t.y) end, theirs, { fixed = "y" } }
end

local function tanh_gelu(x) return 0.5 * x * (1 + (0.7978845608028654 * (x + 0.044715 * x ^ 3)):tanh()) end
local function swish(x) return x * x:sigmoid() end
local function huber(x, y)
  local d = (x - y):abs()
  local near = sm.minimum(d, 1)
  return near * near * 0.5 + (d - near)
end

local traced_gelu, traced_swish, traced_huber = sm.pointwise(tanh_gelu), sm.pointwise(swish), sm.pointwise(huber)

local heads <const> = { q = { 8, 256, 512 }, k = { 8, 256, 512 }, v = { 8, 256, 512 } }
local ATTENTION <const> = "(lambda *t: F.scaled_dot_product_attention(*t, is_causal=%s) if hasattr(F, "
  .. "'scaled_dot_product_attention') else F._scaled_dot_product_attention(*t, is_causal=%s)[0])(*(t.reshape(8, 256, "
  .. "8, 64).transpose(1, 2) for t in (q, k, v))).transpose(1, 2).reshape(8, 256, 512)"

-- A recurrent network of 256 over 64 steps; weights are drawn wide, and made small.
local function recurrent(name, gates, torch)
  local shapes = { x = { 32, 64, 256 }, v = { 256, gates * 256 }, w = { 256, gates * 256 }, b = { gates * 256 } }
  return { name, shapes, function(t)
    return t.x[name](t.x, t.w * 0.05, t.v * 0.05, { bias = t.b, recurrent_bias = t.b })
  end, torch .. ", [(w * 0.05).t(), (v * 0.05).t(), b, b], True, 1, 0.0, True, False, True)[0]" }
end

--- A convolution of images (or sequences) with filters.
local function convolution(name, x, w, f, theirs)
  return { name, { x = x, w = w }, f, theirs, { images = "x", filters = "w" } }
end

--- A case of images alone.
local function of_images(name, shape, f, theirs)
  return { name, { x = shape }, f, theirs, { images = "x" } }
end

local matrix <const> = { x = { 1024, 1024 } }
local scores <const> = { x = { 512, 1000 } }
local pictures <const> = { 16, 28, 28, 64 }

return {
  { "traced_gelu", image, function(t) return traced_gelu(t.x) end, "F.gelu(x, approximate='tanh')",
    { composed = function(t) return tanh_gelu(t.x) end } },
  { "traced_swish", image, function(t) return traced_swish(t.x) end, "F.silu(x)",
    { composed = function(t) return swish(t.x) end } },
  { "traced_huber", both, function(t) return traced_huber(t.x, t.y):mean() end, "F.huber_loss(x, y)",
    { composed = function(t) return huber(t.x, t.y):mean() end, fixed = "y" } },
  { "softmax_groups", image, function(t) return t.x:softmax { groups = 4 } end,
    "x.reshape(-1, 4, 8).softmax(-1).reshape(x.shape)" },
  { "softmax_axis", image, function(t) return t.x:softmax { axis = { 2, 3 } } end,
    "x.reshape(50, 784, 32).softmax(1).reshape(x.shape)", { composed = function(t)
      return t.x:reshape(50, 784, 32):permute(1, 3, 2):softmax():permute(1, 3, 2):reshape(50, 28, 28, 32)
    end } },
  { "log_softmax", image, function(t) return t.x:log_softmax { groups = 4 } end,
    "x.reshape(-1, 4, 8).log_softmax(-1).reshape(x.shape)" },
  { "softmax_learned", { x = image.x, t = { 4 } }, function(t)
    return t.x:softmax { groups = 4, temperature = t.t }
  end, "(x.reshape(-1, 4, 8) / t[:, None]).softmax(-1).reshape(x.shape)", { positive = "t" } },
  { "sparsemax", image, function(t) return t.x:sparsemax { groups = 4 } end, "(lambda z: (lambda s: (lambda k: (z - "
    .. "(s.cumsum(-1) - 1).gather(-1, k - 1) / k).relu())(((1 + torch.arange(1, 9) * s) > s.cumsum(-1)).sum(-1, "
    .. "keepdim=True)))(z.sort(-1, descending=True)[0]))(x.reshape(-1, 4, 8)).reshape(x.shape)" },
  { "kwta", image, function(t) return t.x:kwta { k = 2, groups = 4 } end, "(lambda z: z * torch.zeros_like(z).scatter("
    .. "-1, z.topk(2)[1], 1))(x.reshape(-1, 4, 8)).reshape(x.shape)" },
  { "maxout", image, function(t) return t.x:maxout { pieces = 4 } end, "x.reshape(50, 28, 28, 8, 4).max(-1)[0]" },
  { "layer_norm", { x = { 64, 128, 256 }, w = { 256 }, b = { 256 } }, function(t)
    return t.x:layer_norm { weight = t.w, bias = t.b }
  end, "F.layer_norm(x, (256,), w, b)" },
  { "group_norm", { x = image.x, w = { 32 }, b = { 32 } }, function(t)
    return t.x:group_norm { groups = 4, weight = t.w, bias = t.b }
  end, "F.group_norm(x, 4, w, b)", { images = "x" } },
  { "batch_norm", { x = image.x, w = { 32 }, b = { 32 } }, function(t)
    return (t.x:batch_norm { weight = t.w, bias = t.b })
  end, "F.batch_norm(x, None, None, w, b, True)", { images = "x" } },
  { "embedding", { x = { 10000, 256 } }, function(t) return t.x:embedding(t.i) end, "F.embedding(i, x)",
    { labels = { i = { { 64, 128 }, 10000 } } } },
  recurrent("rnn", 1, "torch.rnn_tanh(x, x.new_zeros(1, 32, 256)"),
  recurrent("gru", 3, "torch.gru(x, x.new_zeros(1, 32, 256)"),
  recurrent("lstm", 4, "torch.lstm(x, (x.new_zeros(1, 32, 256), x.new_zeros(1, 32, 256))"),
  { "attention", heads, function(t) return sm.attention(t.q, t.k, t.v, { heads = 8 }) end,
    (ATTENTION:gsub("%%s", "False")) },
  { "attention_causal", heads, function(t) return sm.attention(t.q, t.k, t.v, { heads = 8, causal = true }) end,
    (ATTENTION:gsub("%%s", "True")) },
  activation "relu", activation("sigmoid", nil, "x.sigmoid()"), activation("tanh", nil, "x.tanh()"),
  activation "softplus", activation "gelu", activation "silu", activation "mish", activation "leaky_relu",
  activation "elu", activation "celu", activation "selu", activation "hardtanh", activation "relu6",
  activation "hardsigmoid", activation "hardswish", activation "softsign", activation "logsigmoid",
  activation "tanhshrink", activation "softshrink", activation "hardshrink",
  activation("threshold", function(t) return t.x:threshold(0.1, 0) end, "F.threshold(x, 0.1, 0)"),
  activation("exp", nil, "x.exp()"), activation("expm1", nil, "x.expm1()"), activation("sin", nil, "x.sin()"),
  activation("cos", nil, "x.cos()"), activation("erf", nil, "x.erf()"),
  activation("clamp", function(t) return t.x:clamp(-1, 1) end, "x.clamp(-1, 1)"),
  { "log1p", image, function(t) return t.x:log1p() end, "x.log1p()", { positive = "x" } },
  { "rsqrt", image, function(t) return t.x:rsqrt() end, "x.rsqrt()", { positive = "x" } },
  { "prelu", { x = { 50, 28, 28, 32 }, s = { 32 } }, function(t) return t.x:prelu(t.s) end, "F.prelu(x, s)",
    { images = "x" } },
  { "mul", both, function(t) return t.x * t.y end, "x * y" },
  { "add_channels", { x = { 50, 28, 28, 32 }, y = { 32 } }, function(t) return t.x + t.y end, "x + y" },
  { "maximum", both, function(t) return sm.maximum(t.x, t.y) end, "torch.maximum(x, y)" },
  loss("mse", "F.mse_loss(x, y)"), loss("l1", "F.l1_loss(x, y)"), loss("huber", "F.huber_loss(x, y)"),
  loss("hinge", "(1 - x * y).relu().mean()"),
  loss("bce_with_logits", "F.binary_cross_entropy_with_logits(x, y)"),

  -- windows
  convolution("conv2d", { 16, 28, 28, 32 }, { 3, 3, 32, 32 }, function(t) return t.x:conv2d(t.w) end,
    "F.conv2d(x, w, padding=1)"),
  convolution("depthwise", pictures, { 3, 3, 1, 64 }, function(t) return t.x:conv2d(t.w, { groups = 64 }) end,
    "F.conv2d(x, w, padding=1, groups=64)"),
  convolution("grouped", pictures, { 3, 3, 16, 64 }, function(t) return t.x:conv2d(t.w, { groups = 4 }) end,
    "F.conv2d(x, w, padding=1, groups=4)"),
  convolution("dilated", { 16, 28, 28, 32 }, { 3, 3, 32, 32 }, function(t) return t.x:conv2d(t.w, { dilation = 2 }) end,
    "F.conv2d(x, w, padding=2, dilation=2)"),
  convolution("rectangular", { 16, 28, 28, 32 }, { 5, 1, 32, 32 }, function(t) return t.x:conv2d(t.w) end,
    "F.conv2d(x, w, padding=(2, 0))"),
  convolution("strided", { 16, 28, 28, 32 }, { 3, 3, 32, 64 }, function(t)
    return t.x:conv2d(t.w, { stride = 2, padding = 1 })
  end, "F.conv2d(x, w, padding=1, stride=2)"),
  convolution("conv1d", { 16, 256, 64 }, { 5, 64, 64 }, function(t) return t.x:conv1d(t.w) end,
    "F.conv1d(x, w, padding=2)"),
  convolution("conv2d_transpose", { 16, 14, 14, 64 }, { 3, 3, 32, 64 }, function(t)
    return t.x:conv2d_transpose(t.w, { stride = 2, padding = 1, size = { 28, 28 } })
  end, "F.conv_transpose2d(x, w, stride=2, padding=1, output_padding=1)"),
  of_images("upsample_nearest", { 16, 28, 28, 32 }, function(t) return t.x:upsample2d { factor = 2 } end,
    "F.interpolate(x, scale_factor=2)"),
  of_images("upsample_bilinear", { 16, 28, 28, 32 }, function(t)
    return t.x:upsample2d { factor = 2, mode = "bilinear" }
  end, "F.interpolate(x, scale_factor=2, mode='bilinear')"),
  { "unfold", { x = { 16, 28, 28, 16 } }, function(t) return t.x:unfold(3) end,
    "F.unfold(x, 3).reshape(16, 16, 9, 26, 26).permute(0, 3, 4, 2, 1)", { images = "x" } },
  of_images("maxpool2d_2", image.x, function(t) return t.x:maxpool2d(2) end, "F.max_pool2d(x, 2)"),
  of_images("maxpool2d_3", { 16, 56, 56, 32 }, function(t) return t.x:maxpool2d(3, { stride = 2 }) end,
    "F.max_pool2d(x, 3, 2)"),
  of_images("avgpool2d", image.x, function(t) return t.x:avgpool2d(2) end, "F.avg_pool2d(x, 2)"),
  of_images("global_avgpool", image.x, function(t) return t.x:global_avgpool() end, "x.mean((2, 3))"),
  of_images("global_maxpool", image.x, function(t) return t.x:global_maxpool() end, "x.amax((2, 3))"),
  -- reductions
  { "sum_all", image, function(t) return t.x:sum() end, "x.sum()" },
  { "sum_first", image, function(t) return t.x:sum(1) end, "x.sum(0)" },
  { "sum_last", image, function(t) return t.x:sum(-1) end, "x.sum(-1)" },
  { "sum_of_two", image, function(t) return t.x:sum { 1, 2 } end, "x.sum((0, 1))" },
  { "mean_last", matrix, function(t) return t.x:mean(-1) end, "x.mean(-1)" },
  { "var", matrix, function(t) return t.x:var(-1) end, "x.var(-1)" },
  { "var_first", matrix, function(t) return t.x:var(1) end, "x.var(0)" },
  { "norm", matrix, function(t) return t.x:norm(-1) end, "x.norm(dim=-1)" },
  { "logsumexp", matrix, function(t) return t.x:logsumexp(-1) end, "x.logsumexp(-1)" },
  { "prod", { x = { 1024, 16, 64 } }, function(t) return t.x:prod(2) end, "x.prod(1)", { positive = "x" } },
  { "cumsum", matrix, function(t) return t.x:cumsum(2) end, "x.cumsum(1)" },
  { "cumsum_first", matrix, function(t) return t.x:cumsum(1) end, "x.cumsum(0)" },
  { "max_last", matrix, function(t) return (t.x:max(-1)) end, "x.max(-1)[0]" },
  { "min_first", matrix, function(t) return (t.x:min(1)) end, "x.min(0)[0]" },
  -- products
  { "matmul", { x = { 512, 512 }, y = { 512, 512 } }, function(t) return t.x:matmul(t.y) end, "x @ y" },
  { "matmul_batched", { x = { 64, 128, 64 }, y = { 64, 64, 128 } }, function(t) return t.x:matmul(t.y) end, "x @ y" },
  { "einsum", { x = { 8, 128, 8, 64 }, y = { 8, 128, 8, 64 } }, function(t)
    return sm.einsum("bthd,bshd->bhts", t.x, t.y)
  end, "torch.einsum('bthd,bshd->bhts', x, y)" },
  { "linear", { x = { 512, 784 }, w = { 784, 256 }, b = { 256 } }, function(t) return t.x:linear(t.w, t.b) end,
    "F.linear(x, w.t(), b)" },
  -- shapes
  { "cat", both, function(t) return sm.cat({ t.x, t.y }, -1) end, "torch.cat((x, y), -1)" },
  { "permute", image, function(t) return t.x:permute(1, 4, 2, 3) end, "x.permute(0, 3, 1, 2).contiguous()" },
  { "transpose", matrix, function(t) return t.x:transpose() end, "x.t().contiguous()" },
  { "swap_middle", { x = { 8, 256, 8, 64 } }, function(t) return t.x:transpose(2, 3) end,
    "x.transpose(1, 2).contiguous()" },
  { "pad", image, function(t) return t.x:pad { 0, 0, 1, 1, 1, 1 } end, "F.pad(x, (0, 0, 1, 1, 1, 1))" },
  { "flip", image, function(t) return t.x:flip(3) end, "x.flip(2)" },
  { "roll", image, function(t) return t.x:roll(3, 2) end, "x.roll(3, 1)" },
  { "tile", { x = { 50, 28, 28, 8 } }, function(t) return t.x:tile(1, 1, 1, 4) end, "x.repeat(1, 1, 1, 4)" },
  { "narrow", image, function(t) return t.x:narrow(2, 5, 14) end, "x[:, 4:18].contiguous()" },
  -- indices
  { "gather", matrix, function(t) return t.x:gather(2, t.i) end, "x.gather(1, i)",
    { positions = { i = { { 1024, 256 }, 1024 } } } },
  { "index_select", { x = { 4096, 256 } }, function(t) return t.x:index_select(1, t.i) end, "x.index_select(0, i)",
    { positions = { i = { { 4096 }, 4096 } } } },
  { "scatter_add", { x = { 1024, 1024 }, y = { 1024, 256 } }, function(t) return t.x:scatter_add(2, t.i, t.y) end,
    "x.scatter_add(1, i, y)", { positions = { i = { { 1024, 256 }, 1024 } } } },
  { "pick", scores, function(t) return t.x:pick(t.i) end, "x.gather(1, i[:, None])[:, 0]",
    { labels = { i = { { 512 }, 1000 } } } },
  { "one_hot", {}, function(t) return sm.one_hot(t.i, 1000) end, "F.one_hot(i, 1000)",
    { labels = { i = { { 512 }, 1000 } } } },
  { "topk", { x = { 512, 1000 } }, function(t) return (t.x:topk(8)) end, "x.topk(8)[0]" },
  { "sort", scores, function(t) return (t.x:sort()) end, "x.sort(stable=True)[0]" },
  { "where", { x = image.x, y = image.x, c = image.x }, function(t) return sm.where(t.c:gt(0), t.x, t.y) end,
    "torch.where(c > 0, x, y)", { fixed = "c" } },
  -- losses of rows, and chance
  { "cross_entropy", scores, function(t) return t.x:cross_entropy(t.i) end, "F.cross_entropy(x, i)",
    { labels = { i = { { 512 }, 1000 } } } },
  { "cross_entropy_smooth", scores, function(t) return t.x:cross_entropy(t.i, { label_smoothing = 0.1 }) end,
    "F.cross_entropy(x, i, label_smoothing=0.1)", { labels = { i = { { 512 }, 1000 } } } },
  { "cross_entropy_soft", { x = scores.x, y = scores.x }, function(t) return t.x:cross_entropy(t.y) end,
    "F.cross_entropy(x, y)", { fixed = "y", positive = "y" } },
  { "kl_div", { x = scores.x, y = scores.x }, function(t) return t.x:kl_div(t.y) end,
    "F.kl_div(x, y, reduction='batchmean')", { fixed = "y", positive = "y" } },
  { "cosine", { x = { 2048, 256 }, y = { 2048, 256 } }, function(t) return t.x:cosine(t.y) end,
    "(1 - F.cosine_similarity(x, y)).mean()", { fixed = "y" } },
  { "dropout", image, function(t) return t.x:dropout(0.5) end, "F.dropout(x, 0.5)", { random = true } },
}
