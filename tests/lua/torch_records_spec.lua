--- Operations that are records against PyTorch, where it is installed; skipped by name where it is not.
local sm = require "sm"
local runtime = require "sm.runtime"

local function run(command)
  return (os.execute(command .. " >/dev/null 2>&1"))
end

local inf, nan = math.huge, 0 / 0

-- Ours, and the same in PyTorch. x and y are {3, 4, 5}, z has special values, i and j are positions from 1, p and q the
-- same from 0, labels count from 0, c is a condition.
local CASES <const> = {
  permute = { function(t) return t.x:permute(3, 1, 2) end, "x.permute(2, 0, 1)" },
  transpose = { function(t) return t.x:transpose(1, -1) end, "x.transpose(0, -1)" },
  squeeze = { function(t) return t.x:slice(1, 1):squeeze() end, "x[:1].squeeze()" },
  unsqueeze = { function(t) return t.x:unsqueeze(-1) end, "x.unsqueeze(-1)" },
  expand = { function(t) return t.x:narrow(2, 1, 1):expand { 2, 3, 6, -1 } end, "x[:, :1].expand(2, 3, 6, -1)" },
  flip = { function(t) return t.x:flip { 1, -1 } end, "x.flip(0, -1)" },
  roll = { function(t) return t.x:roll({ 2, -1 }, { 3, 1 }) end, "x.roll((2, -1), (2, 0))" },
  roll_flat = { function(t) return t.x:roll(7) end, "x.roll(7)" },
  narrow = { function(t) return t.x:narrow(2, -3, 2) end, "x.narrow(1, -3, 2)" },
  split = { function(t) return t.x:split(2, 2) end, "x.split(2, 1)" },
  split_sizes = { function(t) return t.x:split({ 1, 0, 4 }, 3) end, "x.split([1, 0, 4], 2)" },
  cat = { function(t) return sm.cat({ t.x, t.y, t.x }, 2) end, "torch.cat([x, y, x], 1)" },
  stack = { function(t) return sm.stack({ t.x, t.y }, -1) end, "torch.stack([x, y], -1)" },
  pad = { function(t) return t.x:pad { 1, -2, 0, 3, value = 0.5 } end, "F.pad(x, (1, -2, 0, 3), value=0.5)" },
  pad_reflect = { function(t) return t.x:pad { 3, 2, mode = "reflect" } end, "F.pad(x, (3, 2), mode='reflect')" },
  pad_replicate = { function(t) return t.x:pad { 3, 7, mode = "replicate" } end, "F.pad(x, (3, 7), mode='replicate')" },
  pad_circular = { function(t) return t.x:pad { 3, 2, mode = "circular" } end, "F.pad(x, (3, 2), mode='circular')" },
  tile = { function(t) return t.x:tile(2, 1, 3) end, "x.tile(2, 1, 3)" },
  tile_few = { function(t) return t.x:tile(2) end, "x.tile(2)" },
  tile_many = { function(t) return t.x:tile(2, 1, 1, 2) end, "x.tile(2, 1, 1, 2)" },
  index_select = { function(t) return t.x:index_select(3, t.i) end, "x.index_select(2, p)" },
  gather = { function(t) return t.x:gather(2, t.j) end, "x.gather(1, q)" },
  scatter_add = { function(t) return t.x:scatter_add(2, t.j, t.y:pad { 0, -2, 0, -2, 0, -1 }) end,
    "x.scatter_add(1, q, y[:2, :2, :3])" },
  pick = { function(t) return t.x:pick(t.labels) end, "x.gather(2, labels.unsqueeze(-1)).squeeze(-1)" },
  one_hot = { function(t) return sm.one_hot(t.labels, 5) end, "F.one_hot(labels, 5)" },
  embedding = { function(t) return t.x[1]:embedding(t.q) end, "F.embedding(q, x[0])" },
  predict = { function(t) return t.x:predict() end, "x.argmax(-1)" },
  argmin = { function(t) return t.x:argmin(2) end, "x.argmin(1) + 1" },
  sort = { function(t) return (t.x:sort(2)) end, "x.sort(1)[0]" },
  sort_special = { function(t) return (t.z:sort(-1, { descending = true })) end, "z.sort(-1, descending=True)[0]" },
  argsort_special = { function(t) return t.z:argsort(1) end, "z.sort(dim=0, stable=True)[1] + 1" },
  topk = { function(t) return (t.x:topk(2)) end, "x.topk(2)[0]" },
  topk_smallest = { function(t) return (t.x:topk(3, 2, { largest = false })) end, "x.topk(3, 1, largest=False)[0]" },
  lt = { function(t) return t.x:lt(t.y) end, "x < y" },
  ge_special = { function(t) return t.z:ge(0) end, "z >= 0" },
  eq_special = { function(t) return t.z:eq(t.z) end, "z == z" },
  ne_special = { function(t) return t.z:ne(t.z) end, "z != z" },
  where = { function(t) return sm.where(t.c, t.x, t.y) end, "torch.where(c != 0, x, y)" },
  maximum = { function(t) return sm.maximum(t.x, t.y) end, "torch.maximum(x, y)" },
  minimum = { function(t) return sm.minimum(t.x, t.y:slice(1, 1)) end, "torch.minimum(x, y[:1])" },
  ties = { function(t) return sm.maximum(t.x, sm.minimum(t.y, t.x)) end, "torch.maximum(x, torch.minimum(y, x))" },
  maximum_sqrt = { function(t) return sm.maximum(t.x, 0):sqrt() end, "torch.maximum(x, 0 * x.detach()).sqrt()" },
  minimum_traced = { function(t)
    return sm.pointwise(function(x, y) return (-sm.minimum(x, -x * y * y)):sqrt() end)(t.x, t.y)
  end, "(-torch.minimum(x, -x * y * y)).sqrt()" },
  maximum_special = { function(t) return sm.maximum(t.z, t.z:flip(1)) end, "torch.maximum(z, z.flip(0))" },
  sign = { function(t) return t.x:sign() end, "x.sign()" },
  floor = { function(t) return (t.x * 4):floor() end, "(x * 4).floor()" },
  round = { function(t) return t.halves:round() end, "halves.round()" },
  isfinite = { function(t) return t.z:isfinite() end, "z.isfinite()" },
  any = { function(t) return t.z:any(1) end, "z.any(0)" },
  all = { function(t) return t.z:all() end, "z.all()" },
  sum_axes = { function(t) return t.x:sum { 1, -1 } end, "x.sum((0, -1))" },
  mean_axes = { function(t) return t.x:mean({ 1, 2 }, { keepdim = true }) end, "x.mean((0, 1), keepdim=True)" },
  max_keep = { function(t) return t.x:max(2, { keepdim = true }) end, "x.max(1, keepdim=True)[0]" },
  min = { function(t) return t.x:min(2) end, "x.min(1)[0]" },
  var = { function(t) return t.x:var { 1, 3 } end, "x.var((0, 2))" },
  var_biased = { function(t) return t.x:var(2, { unbiased = false }) end, "x.var(1, unbiased=False)" },
  std = { function(t) return t.x:std(-1, { keepdim = true }) end, "x.std(-1, keepdim=True)" },
  norm = { function(t) return t.x:norm { 2, 3 } end, "torch.linalg.vector_norm(x, dim=(1, 2))" },
  norm_zero = { function(t) return (t.x * 0):norm(2) end, "torch.linalg.vector_norm(x * 0, dim=1)" },
  std_zero = { function(t) return (t.x * 0):std(2) end, "(x * 0).std(1)" },
  var_apart = { function(t) return t.x:var({ 1, -1 }, { keepdim = true }) end, "x.var((0, -1), keepdim=True)" },
  var_one = { function(t) return t.z:narrow(1, 2, 1):var(1) end, "z[1:2].var(0)" },
  min_apart = { function(t) return t.x:min { 1, 3 } end, "x.amin((0, 2))" },
  max_special = { function(t) return t.z:max(2) end, "z.max(1)[0]" },
  prod = { function(t) return t.x:prod(2) end, "x.prod(1)" },
  prod_zeros = { function(t) return (t.x * t.x:gt(-0.7):to(runtime.real)):prod(-1, { keepdim = true }) end,
    "(x * (x > -0.7)).prod(-1, keepdim=True)" },
  prod_all = { function(t) return t.x:narrow(1, 1, 1):prod() end, "x[:1].prod()" },
  prod_twice = { function(t)
    local zeroed = t.x * t.x:gt(-0.7):to(runtime.real)
    return sm.grad((zeroed:prod(3) * t.y:sum(3)):sum(), zeroed, { create_graph = true })[1]
  end, "(lambda u: torch.autograd.grad((u.prod(2) * y.sum(2)).sum(), u, create_graph=True)[0])(x * (x > -0.7))" },
  cumsum = { function(t) return t.x:cumsum(2) end, "x.cumsum(1)" },
  cumsum_last = { function(t) return t.x:cumsum(-1) end, "x.cumsum(-1)" },
  logsumexp_empty = { function(t) return t.x:narrow(1, 1, 0):logsumexp(1) end, "x[:0].logsumexp(0)" },
  prod_empty = { function(t) return t.x:narrow(1, 1, 0):prod(1) end, "x[:0].prod(0)" },
  mean_empty = { function(t) return t.x:narrow(1, 1, 0):mean(1) end, "x[:0].mean(0)" },
  logsumexp = { function(t) return t.x:logsumexp { 1, 3 } end, "x.logsumexp((0, 2))" },
  logsumexp_special = { function(t) return t.z:logsumexp(2) end, "z.logsumexp(1)" },
  softmax_axis = { function(t) return t.x:softmax { axis = 2 } end, "x.softmax(1)" },
  softmax_axes = { function(t) return t.x:softmax { axis = { 1, 2 }, temperature = 0.7 } end,
    "(x / 0.7).flatten(0, 1).softmax(0).reshape(3, 4, 5)" },
  log_softmax = { function(t) return t.x:log_softmax { axis = 1 } end, "x.log_softmax(0)" },
  softmax_sizes = { function(t) return t.x:softmax { sizes = { 2, 3 }, temperature = 0.6, scale = true } end,
    "torch.cat([2 * (x[..., :2] / 0.6).softmax(-1), 3 * (x[..., 2:] / 0.6).softmax(-1)], -1)" },
  softmax_learnt = { function(t) return t.x:softmax { temperature = t.y[2][1][4]:exp() } end,
    "(x / y[1, 0, 3].exp()).softmax(-1)" },
  softmax_learnt_each = { function(t)
    return t.x:softmax { sizes = { 2, 3 }, temperature = t.y[2][1]:slice(2, 3):exp() }
  end,
    "torch.cat([(x[..., :2] / y[1, 0, 1].exp()).softmax(-1), (x[..., 2:] / y[1, 0, 2].exp()).softmax(-1)], -1)" },
  softmax_hard = { function(t) return t.x:softmax { hard = true } end,
    "x.softmax(-1) + (F.one_hot(x.argmax(-1), 5) - x.softmax(-1)).detach()" },
  softmax_off = { function(t) return t.x:softmax { off = true, axis = 2 } end,
    "torch.cat([x, 0 * x[:, :1]], 1).softmax(1)[:, :4]" },
  log_softmax_sizes = { function(t) return t.x:log_softmax { sizes = { 3, 2 }, temperature = 2 } end,
    "torch.cat([(x[..., :3] / 2).log_softmax(-1), (x[..., 3:] / 2).log_softmax(-1)], -1)" },
  log_softmax_infinite = { function(t) return sm.where(t.z:isfinite(), t.z, -inf):log_softmax { axis = 1 } end,
    "torch.where(z.isfinite(), z, torch.tensor(-float('inf'), dtype=z.dtype)).log_softmax(0)" },
  sparsemax = { function(t) return t.x:sparsemax { axis = 2 } end,
    "(lambda z: (lambda s: (lambda k: (z - (s.cumsum(1) - 1).gather(1, k - 1) / k).relu())"
    .. "(((1 + torch.arange(1, 5)[:, None] * s) > s.cumsum(1)).sum(1, keepdim=True)))"
    .. "(z.sort(1, descending=True)[0]))(x)" },
  kwta = { function(t) return t.x:kwta { k = 2 } end, "x * torch.zeros_like(x).scatter(-1, x.topk(2)[1], 1)" },
  maxout = { function(t) return t.x:transpose(2, 3):maxout { pieces = 2 } end,
    "x.transpose(1, 2).reshape(3, 5, 2, 2).max(-1)[0]" },
  group_entropy = { function(t) return t.x:softmax():group_entropy() end,
    "-(x.softmax(-1) * x.log_softmax(-1)).sum(-1)" },
  layer_norm = { function(t) return t.x:layer_norm { weight = t.y[1][2], bias = t.y[2][3], epsilon = 1e-3 } end,
    "F.layer_norm(x, (5,), y[0, 1], y[1, 2], 1e-3)" },
  layer_norm_axes = { function(t) return t.x:layer_norm { axis = { 2, 3 }, weight = t.y[1], bias = t.y[2] } end,
    "F.layer_norm(x, (4, 5), y[0], y[1])" },
  group_norm = { function(t)
    return t.x:permute(1, 3, 2):group_norm { groups = 2, weight = t.y[1]:sum(2), bias = t.y[3]:sum(2) }
  end, "F.group_norm(x, 2, y[0].sum(1), y[2].sum(1)).transpose(1, 2)" },
  batch_norm = { function(t) return (t.x:batch_norm { weight = t.y[1][2], bias = t.y[2][3], epsilon = 1e-3 }) end,
    "F.batch_norm(x.reshape(12, 5), None, None, y[0, 1], y[1, 2], True, 0, 1e-3).reshape(3, 4, 5)" },
  batch_norm_running = { function(t)
    return t.x:batch_norm { mean = t.y[1][1]:detach(), variance = t.y[3][1]:exp():detach(), weight = t.y[1][2] }
  end, "F.batch_norm(x.reshape(12, 5), y[0, 0].detach(), y[2, 0].exp().detach(), y[0, 1], None).reshape(3, 4, 5)" },
  sin = { function(t) return (t.x * 4):sin() end, "(x * 4).sin()" },
  cos = { function(t) return (t.x * 4):cos() end, "(x * 4).cos()" },
  erf = { function(t) return t.x:erf() end, "x.erf()" },
  expm1 = { function(t) return (t.x * 0.01):expm1() end, "(x * 0.01).expm1()" },
  log1p = { function(t) return (t.x * t.x * 0.01):log1p() end, "(x * x * 0.01).log1p()" },
  reciprocal = { function(t) return (t.x * t.x + 1):reciprocal() end, "(x * x + 1).reciprocal()" },
  rsqrt = { function(t) return (t.x * t.x + 1):rsqrt() end, "(x * x + 1).rsqrt()" },
  square = { function(t) return t.x:square() end, "x.square()" },
  clamp = { function(t) return t.x:clamp(-0.3, 0.7) end, "x.clamp(-0.3, 0.7)" },
  relu_special = { function(t) return t.x:log():relu() end, "x.log().relu()" },
  linear_special = { function(t) return t.x:log():linear(t.y[1]:transpose(), nil, true) end,
    "(x.log() @ y[0].t()).relu()" },
  clamp_special = { function(t) return t.z:clamp(-1, 2) end, "z.clamp(-1, 2)" },
  gelu = { function(t) return t.x:gelu() end, "F.gelu(x)" },
  gelu_tanh = { function(t) return (t.x * 2):gelu { approximate = "tanh" } end, "F.gelu(x * 2, approximate='tanh')" },
  silu = { function(t) return t.x:silu() end, "F.silu(x)" },
  mish = { function(t) return t.x:mish() end, "F.mish(x)" },
  leaky_relu = { function(t) return t.x:leaky_relu(0.2) end, "F.leaky_relu(x, 0.2)" },
  leaky_relu_default = { function(t) return t.z:leaky_relu() end, "F.leaky_relu(z)" },
  elu = { function(t) return t.x:elu(0.7) end, "F.elu(x, 0.7)" },
  elu_special = { function(t) return t.z:elu() end, "F.elu(z)" },
  celu = { function(t) return t.x:celu(0.7) end, "torch.where(x > 0, x, torch.expm1(x / 0.7) * 0.7)" },
  selu = { function(t) return t.x:selu() end, "F.selu(x)" },
  hardtanh = { function(t) return t.x:hardtanh(-0.5, 0.7) end, "F.hardtanh(x, -0.5, 0.7)" },
  relu6 = { function(t) return (t.x * 4):relu6() end, "F.relu6(x * 4)" },
  limits = { function(t) -- at them; what comes before passes a gradient of 1
    local x = t.x - t.x:detach() + t.x:detach():sign() * 3
    return x:hardtanh(-3, 3) + (x + 3):relu6() + x:hardsigmoid() + x
  end, "(lambda x: F.hardtanh(x, -3., 3.) + F.relu6(x + 3) + F.hardsigmoid(x) + x)"
    .. "(x - x.detach() + x.detach().sign() * 3)" },
  -- F.celu and F.hardsigmoid have gradients that are not exact in double.
  hardsigmoid = { function(t) return (t.x * 3):hardsigmoid() end, "(x * 3 + 3).clamp(0, 6) / 6" },
  hardswish = { function(t) return (t.x * 3):hardswish() end, "F.hardswish(x * 3)" },
  softsign = { function(t) return t.x:softsign() end, "F.softsign(x)" },
  logsigmoid = { function(t) return t.x:logsigmoid() end, "F.logsigmoid(x)" },
  tanhshrink = { function(t) return t.x:tanhshrink() end, "F.tanhshrink(x)" },
  softshrink = { function(t) return t.x:softshrink() end, "F.softshrink(x)" },
  hardshrink = { function(t) return t.x:hardshrink(0.3) end, "F.hardshrink(x, 0.3)" },
  hardshrink_special = { function(t) return t.z:hardshrink() end, "F.hardshrink(z)" },
  threshold = { function(t) return t.x:threshold(0.1, 20) end, "F.threshold(x, 0.1, 20)" },
  prelu = { function(t) return t.x:prelu(t.y[1][1]) end, "torch.where(x > 0, x, x * y[0, 0])" },
  mse = { function(t) return t.x:mse(t.y) end, "F.mse_loss(x, y)" },
  l1 = { function(t) return t.x:l1(t.y) end, "F.l1_loss(x, y)" },
  huber = { function(t) return t.x:huber(t.y, { delta = 0.6 }) end, "F.huber_loss(x, y, delta=0.6)" },
  bce_with_logits = { function(t) return t.x:bce_with_logits(t.y:sigmoid()) end,
    "F.binary_cross_entropy_with_logits(x, y.sigmoid())" },
  kl_div = { function(t) return t.x:log_softmax():kl_div(t.y:softmax()) end,
    "F.kl_div(x.log_softmax(-1), y.softmax(-1), reduction='batchmean')" },
  kl_div_none = { function(t) return t.x:log_softmax():kl_div(t.y:relu()) end,
    "F.kl_div(x.log_softmax(-1), y.relu(), reduction='batchmean')" },
  cross_entropy = { function(t) return t.x:cross_entropy(t.labels) end,
    "F.cross_entropy(x.permute(0, 2, 1), labels)" },
  cross_entropy_weight = { function(t) return t.x:cross_entropy(t.labels, { weight = t.w, label_smoothing = 0.2 }) end,
    "F.cross_entropy(x.permute(0, 2, 1), labels, weight=w, label_smoothing=0.2)" },
  cross_entropy_ignore = { function(t)
    return t.x:cross_entropy(t.labels, { weight = t.w, ignore = 4, label_smoothing = 0.1 })
  end, "F.cross_entropy(x.permute(0, 2, 1), labels, weight=w, label_smoothing=0.1, ignore_index=4)" },
  cross_entropy_weightless = { function(t)
    return t.x:cross_entropy(t.labels:eq(9), { weight = t.w * 0, label_smoothing = 0.1 })
  end, "F.cross_entropy(x.permute(0, 2, 1), labels * 0, weight=w * 0, label_smoothing=0.1)" },
  cross_entropy_ignored = { function(t) return t.x:cross_entropy(t.labels:eq(9), { ignore = 0 }) end,
    "F.cross_entropy(x.permute(0, 2, 1), labels * 0, ignore_index=0)" },
  cross_entropy_ignored_twice = { function(t)
    local loss = (t.x * t.y):cross_entropy(t.labels:eq(9), { ignore = 0 })
    return sm.grad(loss, t.x, { create_graph = true })[1]
  end, "torch.autograd.grad(F.cross_entropy((x * y).permute(0, 2, 1), labels * 0, ignore_index=0), x, "
    .. "create_graph=True)[0]" },
  cross_entropy_soft = { function(t)
    return t.x:cross_entropy(t.y:softmax(), { weight = t.w, label_smoothing = 0.1 })
  end, "F.cross_entropy(x.permute(0, 2, 1), y.softmax(-1).permute(0, 2, 1), weight=w, label_smoothing=0.1)" },
  nll = { function(t) return -t.x:log_softmax():pick(t.labels):mean() end,
    "F.nll_loss(x.log_softmax(-1).permute(0, 2, 1), labels)" },
  hinge = { function(t) return t.x:hinge(t.y:sign()) end, "(1 - x * y.sign()).relu().mean()" },
  cosine = { function(t) return t.x:cosine(t.y) end, "(1 - F.cosine_similarity(x, y, dim=-1)).mean()" },
  matmul_stack = { function(t) return t.x:matmul(t.y:transpose(2, 3)) end, "x @ y.transpose(1, 2)" },
  matmul_broadcast = { function(t) return t.x:unsqueeze(2):matmul(t.y:transpose(2, 3)) end,
    "x.unsqueeze(1) @ y.transpose(1, 2)" },
  matmul_matrix = { function(t) return t.x:matmul(t.y[1]:transpose()) end, "x @ y[0].t()" },
  matmul_left = { function(t) return t.y[1]:transpose():matmul(t.x) end, "y[0].t() @ x" },
  matmul_vectors = { function(t) return t.x:matmul(t.y[1][2]) end, "x @ y[0, 1]" },
  matmul_left_batch = { function(t) return t.x[1]:transpose():matmul(t.y) end, "x[0].t() @ y" },
  matmul_middle = { function(t) return t.x:unsqueeze(2):matmul(t.y:narrow(1, 1, 1):transpose(2, 3)) end,
    "x.unsqueeze(1) @ y[:1].transpose(1, 2)" },
  einsum_batch = { function(t) return sm.einsum("bij,bkj->bik", t.x, t.y) end, "torch.einsum('bij,bkj->bik', x, y)" },
  einsum_out = { function(t) return sm.einsum("bij,bkj->kbi", t.x, t.y) end, "torch.einsum('bij,bkj->kbi', x, y)" },
  einsum_apart = { function(t) return sm.einsum("bij,bik->jk", t.x, t.y) end, "torch.einsum('bij,bik->jk', x, y)" },
  einsum_implicit = { function(t) return sm.einsum("cbi, bai", t.x:permute(3, 1, 2), t.y:narrow(3, 1, 4)) end,
    "torch.einsum('cbi, bai', x.permute(2, 0, 1), y[:, :, :4])" },
  einsum_ellipsis = { function(t) return sm.einsum("...i,...i->...", t.x, t.y) end,
    "torch.einsum('...i,...i->...', x, y)" },
  einsum_dropped = { function(t) return sm.einsum("i...,i...->i", t.x, t.y) end, "torch.einsum('i...,i...->i', x, y)" },
  einsum_trace = { function(t) return sm.einsum("iji->j", t.x:narrow(3, 1, 3)) end,
    "torch.einsum('iji->j', x[:, :, :3])" },
  einsum_three = { function(t) return sm.einsum("bij,bkj,kl->bil", t.x, t.y, t.y[1]) end,
    "torch.einsum('bij,bkj,kl->bil', x, y, y[0])" },
  dot = { function(t) return t.x[2][1]:matmul(t.y[1][2]) end, "x[1, 0] @ y[0, 1]" },
  rnn = { function(t)
    local m = t.y:reshape(12, 5)
    return t.x:rnn(m:slice(1, 5), m:slice(6, 10), { bias = m[11], recurrent_bias = m[12] })
  end, "torch.rnn_tanh(x, x.new_zeros(1, 3, 5), (lambda m: [m[:5].t(), m[5:10].t(), m[10], m[11]])(y.reshape(12, 5)), "
    .. "True, 1, 0.0, False, False, True)[0]" },
  rnn_relu = { function(t)
    local m = t.y:reshape(12, 5)
    return t.x:rnn(m:slice(1, 5), m:slice(6, 10), { bias = m[11], h = t.x:narrow(2, 1, 1):squeeze(2),
      nonlinearity = "relu" })
  end, "torch.rnn_relu(x, x[:, 0].unsqueeze(0), (lambda m: [m[:5].t(), m[5:10].t(), m[10], 0 * m[11]])(y.reshape(12, "
    .. "5)), True, 1, 0.0, False, False, True)[0]" },
  gru = { function(t)
    local w, m, n = t.y:reshape(5, 12), t.y:reshape(-1), t.x:reshape(-1)
    return { t.x:gru(w, m:slice(1, 48):reshape(4, 12), { bias = m:slice(37, 48), recurrent_bias = m:slice(49, 60),
      h = n:slice(1, 12):reshape(3, 4), state = true }) }
  end, "(lambda m, h: (lambda o: (o[0], o[1][0]))(torch.gru(x, h.reshape(1, 3, 4), [y.reshape(5, 12).t(), "
    .. "m[:48].reshape(4, 12).t(), m[36:48], m[48:60]], True, 1, 0.0, False, False, True)))(y.reshape(-1), "
    .. "x.reshape(-1)[:12])" },
  lstm = { function(t)
    local w, m, n = t.y:reshape(5, 12), t.y:reshape(-1), t.x:reshape(-1)
    return { t.x:lstm(w, m:slice(1, 36):reshape(3, 12), { bias = m:slice(37, 48), recurrent_bias = m:slice(49, 60),
      h = n:slice(1, 9):reshape(3, 3), c = n:slice(10, 18):reshape(3, 3), state = true }) }
  end, "(lambda m, n: (lambda o: (o[0], o[1][0], o[2][0]))(torch.lstm(x, (n[:9].reshape(1, 3, 3), n[9:18].reshape(1, "
    .. "3, 3)), [y.reshape(5, 12).t(), m[:36].reshape(3, 12).t(), m[36:48], m[48:60]], True, 1, 0.0, False, False, "
    .. "True)))(y.reshape(-1), x.reshape(-1))" },
  lstm_cell = { function(t) -- through the last c alone, backwards in time
    local w, m = t.y:reshape(5, 12), t.y:reshape(-1)
    return { (select(3, t.x:lstm(w, m:slice(1, 36):reshape(3, 12), { reverse = true, state = true }))) }
  end, "torch.lstm(x.flip(1), (x.new_zeros(1, 3, 3), x.new_zeros(1, 3, 3)), [y.reshape(5, 12).t(), "
    .. "y.reshape(-1)[:36].reshape(3, 12).t()], False, 1, 0.0, False, False, True)[2][0]" },
  attention = { function(t) return sm.attention(t.x, t.y, t.y * t.y) end,
    "(x @ y.transpose(1, 2) / 5 ** 0.5).softmax(-1) @ (y * y)" },
  attention_causal = { function(t)
    return sm.attention(t.x:unsqueeze(2), t.y:unsqueeze(2), t.x:unsqueeze(2), { causal = true, scale = 2 })
  end, "((x @ y.transpose(1, 2) * 2) + torch.full((4, 4), -math.inf).triu(1)).softmax(-1).matmul(x).unsqueeze(1)" },
  multihead = { function(t)
    local m = t.y:reshape(-1)
    local packed = t.x:reshape(3, 5, 4):linear(m:slice(1, 48):reshape(12, 4):transpose(), m:slice(49, 60))
    return packed:self_attention { heads = 2 }:linear(m:slice(1, 16):reshape(4, 4):transpose(), m:slice(17, 20))
  end, "(lambda m, x: F.multi_head_attention_forward(x, x, x, 4, 2, m[:48].reshape(12, 4), m[48:60], None, None, "
    .. "False, 0.0, m[:16].reshape(4, 4), m[16:20], need_weights=False)[0].transpose(0, 1))(y.reshape(-1), "
    .. "x.reshape(3, 5, 4).transpose(0, 1))" },
  multihead_causal = { function(t)
    local m = t.y:reshape(-1)
    local packed = t.x:reshape(3, 5, 4):linear(m:slice(1, 48):reshape(12, 4):transpose(), m:slice(49, 60))
    return packed:self_attention { heads = 4, causal = true }:linear(m:slice(1, 16):reshape(4, 4):transpose())
  end, "(lambda m, x: F.multi_head_attention_forward(x, x, x, 4, 4, m[:48].reshape(12, 4), m[48:60], None, None, "
    .. "False, 0.0, m[:16].reshape(4, 4), None, need_weights=False, attn_mask=torch.full((5, 5), -math.inf).triu(1))"
    .. "[0].transpose(0, 1))(y.reshape(-1), x.reshape(3, 5, 4).transpose(0, 1))" },
  penalty = { function(t) -- a gradient of a gradient
    local g = sm.grad(((t.x:matmul(t.y[1]:transpose())):tanh() ^ 2):sum(), t.x, { create_graph = true })[1]
    return g:norm(-1)
  end, "torch.autograd.grad(((x @ y[0].t()).tanh() ** 2).sum(), x, create_graph=True)[0].norm(dim=-1)" },
  -- Windows: x and y as images {1, 3, 4, 5} and filters, PyTorch's with the channels before.
  conv2d_dilated = { function(t)
    return t.x:unsqueeze(1):conv2d(t.y:reshape(2, 3, 5, 2), { dilation = { 2, 1 }, padding = { 1, 0, 2, 1 } })
  end, "F.conv2d(F.pad(x.permute(2, 0, 1)[None], (0, 1, 1, 2)), y.reshape(2, 3, 5, 2).permute(3, 2, 0, 1), "
    .. "dilation=(2, 1)).permute(0, 2, 3, 1)" },
  conv2d_groups = { function(t)
    local o = { groups = 2, stride = { 2, 1 }, padding = { 1, 2 } }
    return t.x:reshape(1, 5, 3, 4):conv2d(t.y:reshape(3, 5, 2, 2), o)
  end, "F.conv2d(x.reshape(1, 5, 3, 4).permute(0, 3, 1, 2), y.reshape(3, 5, 2, 2).permute(3, 2, 0, 1), groups=2, "
    .. "stride=(2, 1), padding=(1, 2)).permute(0, 2, 3, 1)" },
  conv2d_depthwise = { function(t)
    return t.x:reshape(1, 4, 3, 5):conv2d(t.y:reshape(3, 2, 1, 10), { groups = 5, dilation = 2, padding = 2 })
  end, "F.conv2d(x.reshape(1, 4, 3, 5).permute(0, 3, 1, 2), y.reshape(3, 2, 1, 10).permute(3, 2, 0, 1), groups=5, "
    .. "dilation=2, padding=2).permute(0, 2, 3, 1)" },
  conv1d = { function(t)
    return t.x:reshape(2, 10, 3):conv1d(t.y:reshape(5, 3, 4), { stride = 2, padding = 2, dilation = 2 })
  end, "F.conv1d(x.reshape(2, 10, 3).permute(0, 2, 1), y.reshape(5, 3, 4).permute(2, 1, 0), stride=2, padding=2, "
    .. "dilation=2).permute(0, 2, 1)" },
  conv2d_transpose = { function(t)
    return t.x:reshape(1, 5, 3, 4):conv2d_transpose(t.y:reshape(3, 5, 1, 4), { groups = 2, stride = { 2, 3 },
      dilation = { 2, 1 }, padding = { 1, 0 }, size = { 12, 12 }, bias = t.x[1][1]:slice(1, 2) })
  end, "F.conv_transpose2d(x.reshape(1, 5, 3, 4).permute(0, 3, 1, 2), y.reshape(3, 5, 1, 4).permute(3, 2, 0, 1), x[0, "
    .. "0, :2], groups=2, stride=(2, 3), dilation=(2, 1), padding=(1, 0), output_padding=(1, 1)).permute(0, 2, 3, 1)" },
  unfold = { function(t)
    local patches = t.x:unsqueeze(1):unfold({ 2, 3 }, { stride = { 2, 1 }, padding = { 1, 2 }, dilation = { 1, 2 } })
    local shape = patches.shape
    return patches:reshape(1, shape[2] * shape[3], 6, 5):permute(1, 4, 3, 2):reshape(1, 30, -1)
  end, "F.unfold(x.permute(2, 0, 1)[None], (2, 3), stride=(2, 1), padding=(1, 2), dilation=(1, 2))" },
  upsample_nearest = { function(t) return t.x:unsqueeze(1):upsample2d { factor = { 2, 3 } } end,
    "F.interpolate(x.permute(2, 0, 1)[None], scale_factor=(2, 3)).permute(0, 2, 3, 1)" },
  upsample_size = { function(t) return t.x:unsqueeze(1):upsample2d { size = { 5, 3 } } end,
    "F.interpolate(x.permute(2, 0, 1)[None], size=(5, 3)).permute(0, 2, 3, 1)" },
  upsample_whole = { function(t) return t.x:unsqueeze(1):upsample2d { factor = { 1.24, 2.19 } } end,
    "F.interpolate(x.permute(2, 0, 1)[None], scale_factor=(1.24, 2.19)).permute(0, 2, 3, 1)" },
  upsample_same = { function(t) return t.x:unsqueeze(1):upsample2d { factor = { 1.3, 1.19 }, mode = "bilinear" } end,
    "F.interpolate(x.permute(2, 0, 1)[None], scale_factor=(1.3, 1.19), mode='bilinear').permute(0, 2, 3, 1)" },
  upsample_bilinear = { function(t) return t.x:unsqueeze(1):upsample2d { factor = { 2.5, 2 }, mode = "bilinear" } end,
    "F.interpolate(x.permute(2, 0, 1)[None], scale_factor=(2.5, 2), mode='bilinear').permute(0, 2, 3, 1)" },
  upsample_corners = { function(t)
    return t.x:unsqueeze(1):upsample2d { size = { 5, 7 }, mode = "bilinear", align_corners = true }
  end, "F.interpolate(x.permute(2, 0, 1)[None], size=(5, 7), mode='bilinear', align_corners=True)"
    .. ".permute(0, 2, 3, 1)" },
  maxpool_partial = { function(t) return t.x:unsqueeze(1):maxpool2d(2, { stride = { 2, 3 }, partial = true }) end,
    "F.max_pool2d(x.permute(2, 0, 1)[None], 2, (2, 3), ceil_mode=True).permute(0, 2, 3, 1)" },
  maxpool_dilated = { function(t)
    return t.x:unsqueeze(1):maxpool2d({ 2, 2 }, { stride = 1, dilation = { 2, 3 }, padding = 1, partial = true })
  end, "F.max_pool2d(x.permute(2, 0, 1)[None], 2, 1, padding=1, dilation=(2, 3), ceil_mode=True).permute(0, 2, 3, 1)" },
  avgpool_partial = { function(t)
    return t.x:unsqueeze(1):avgpool2d({ 2, 3 }, { stride = 2, padding = { 1, 1 }, partial = true })
  end, "F.avg_pool2d(x.permute(2, 0, 1)[None], (2, 3), 2, 1, ceil_mode=True, count_include_pad=False)"
    .. ".permute(0, 2, 3, 1)" },
  avgpool_counting = { function(t)
    return t.x:unsqueeze(1):avgpool2d({ 2, 3 }, { stride = 2, padding = 1, partial = true, count_padding = true })
  end, "F.avg_pool2d(x.permute(2, 0, 1)[None], (2, 3), 2, 1, ceil_mode=True).permute(0, 2, 3, 1)" },
  global_avgpool = { function(t) return t.x:unsqueeze(1):global_avgpool() end,
    "F.adaptive_avg_pool2d(x.permute(2, 0, 1)[None], 1).flatten(1)" },
  global_maxpool = { function(t) return t.x:unsqueeze(1):global_maxpool { keepdim = true } end,
    "F.adaptive_max_pool2d(x.permute(2, 0, 1)[None], 1).permute(0, 2, 3, 1)" },
  hessian_softmax = { function(t)
    return sm.grad((t.x:softmax { axis = 2 } * t.y):sum(), t.x, { create_graph = true })[1]
  end, "torch.autograd.grad((x.softmax(1) * y).sum(), x, create_graph=True)[0]" },
}

local function inputs()
  sm.seed(9)
  local special = { nan, 1, -inf, 0, 2, inf, -1, nan, 0, 1, inf, 3 }
  return {
    x = sm.randn(3, 4, 5), y = sm.randn(3, 4, 5), z = sm.tensor(special):reshape(6, 2),
    i = sm.tensor({ 5, 1, 1, 3 }, "int32"), p = sm.tensor({ 4, 0, 0, 2 }, "int32"),
    j = sm.tensor({ { { 4, 1, 1 }, { 2, 2, 2 } }, { { 1, 3, 1 }, { 1, 1, 4 } } }, "int32"),
    q = sm.tensor({ { { 3, 0, 0 }, { 1, 1, 1 } }, { { 0, 2, 0 }, { 0, 0, 3 } } }, "int32"),
    labels = sm.tensor({ { 0, 4, 2, 2 }, { 1, 1, 3, 0 }, { 4, 4, 0, 2 } }, "int32"),
    w = sm.tensor { 0.5, 2, 0.1, 0, 1.25 }, c = sm.randn(3, 4, 5):gt(0), halves = sm.arange(12) * 0.5 - 2.75,
  }
end

--- How far two tensors are from each other, relative to the largest finite number; infinite where shapes or NaN differ.
local function distance(a, b)
  if tostring(a.shape) ~= tostring(b.shape) then return inf end
  local ours, theirs = a:reshape(-1):totable(), b:reshape(-1):totable()
  local worst, scale = 0, 1e-3
  for _, value in ipairs(theirs) do
    if value - value == 0 then scale = math.max(scale, math.abs(value)) end
  end
  for k, value in ipairs(ours) do
    local same = value == theirs[k] or value ~= value and theirs[k] ~= theirs[k]
    local apart = math.abs(value - theirs[k]) / scale
    if not same then worst = math.max(worst, apart == apart and apart or inf) end
  end
  return worst
end

describe("PyTorch", function()
  local python
  for _, candidate in ipairs { "/usr/bin/python3", "python3" } do
    python = python or run(candidate .. " -c 'import torch, numpy'") and candidate
  end

  it("agrees on operations that are records and on their gradients", function()
    if not python then
      pending "python3-torch is not installed"
      return
    end
    local directory = os.tmpname()
    os.remove(directory)
    assert(run(("mkdir '%s'"):format(directory)))
    finally(function() run(("rm -r '%s'"):format(directory)) end)
    local function path(name) return ("%s/%s"):format(directory, name) end
    local given = inputs()
    for name, tensor in pairs(given) do sm.save(path(name .. ".npy"), tensor) end
    local list = assert(io.open(path "cases.txt", "w"))
    for name, case in pairs(CASES) do list:write(name, "\t", case[2], "\n") end
    list:close()
    assert.is_true(run(("%s tests/torch_records.py '%s'"):format(python, directory)), "the reference did not run")

    local allowed = runtime.real == "float64" and 1e-12 or 2e-6
    for name, case in pairs(CASES) do
      local t = inputs()
      local x, y = t.x:requires_grad(), t.y:requires_grad()
      local result = case[1](t)
      if sm.is_tensor(result) then result = { result } end
      for k, one in ipairs(result) do
        local theirs = sm.load(path(("torch-%s-%d.npy"):format(name, k)))
        local apart = distance(one, theirs)
        assert.is_true(apart <= allowed, ("%s, result %d: %g apart"):format(name, k, apart))
      end
      if result[1]:tracks() then
        local weights = {}
        for k = 1, #result[1]:reshape(-1) do weights[k] = math.cos(k - 1) end
        result[1]:backward(sm.tensor(weights):reshape(result[1].shape))
        for key, leaf in pairs { x = x, y = y } do
          local theirs = io.open(path(("grad-%s-%s.npy"):format(key, name)))
          if theirs then
            theirs:close()
            local apart = distance(leaf.grad, sm.load(path(("grad-%s-%s.npy"):format(key, name))))
            assert.is_true(apart <= allowed, ("%s, gradient of %s: %g apart"):format(name, key, apart))
          end
        end
      end
    end
  end)
end)
