--- What `make bench-operations` times, forward and back, a line each:
--- { name, shapes by the names of the inputs, ours as a function of them, the same in PyTorch, options }.
--- In PyTorch's expression the inputs have their names, besides torch, F, and math. Options: `images` are names of
--- inputs {N, height, width, channels} that PyTorch gets as {N, channels, height, width}, in whichever of its memory
--- formats is faster; `filters` {height, width, in, out} as {out, in, height, width}; `fixed` want no gradient;
--- `positive` are numbers from 0.5 to 1.5; `labels` name → { shape, classes }; `composed` is ours written with single
--- operations, which is timed as well. Names in one string are separated by spaces.
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
}
