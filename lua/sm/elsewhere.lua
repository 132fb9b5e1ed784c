--- What names of PyTorch and Torch7 are called here, for messages. docs/guide/09-from-pytorch.md and
--- 09-from-torch7.md have the same, as a test sees to.
-- @module sm.elsewhere
local M = {}

--- By room: a name there → what it is here.
M.names = {
  tensor = {
    view = "x:reshape(2, -1)", flatten = "x:reshape(2, -1)", resize = "x:reshape(2, -1)", size = "x.shape",
    dim = "#x.shape", ndim = "#x.shape", type = "x.dtype", T = "x:transpose()", t = "x:transpose()",
    tolist = "x:totable()", ["repeat"] = "x:tile(2, 3)", repeatTensor = "x:tile(2, 3)", chunk = "x:split(n, axis)",
    mm = "a:matmul(b)", bmm = "a:matmul(b)", float = 'x:to "float32"', long = 'x:to "int32"', int = 'x:to "int32"',
    masked_fill = "sm.where(mask, v, x)", maskedFill = "sm.where(m, v, x)", index = "x:index_select(axis, i)",
    requires_grad_ = "x:requires_grad()", interpolate = "x:upsample2d { factor = 2 }", copy = "x:copy_(y)",
    adaptive_avg_pool2d = "x:global_avgpool()", binary_cross_entropy_with_logits = "x:bce_with_logits(target)",
    nll_loss = "x:cross_entropy(labels)", smooth_l1_loss = "x:huber(target)", swish = "x:silu()",
    numpy = "x:totable()", zero_ = "x:copy_(y)", fill_ = "x:copy_(y)", add_ = "x:copy_(y)", mul_ = "x:copy_(y)",
    cpu = "x", cuda = "x", contiguous = "x",
  },
  sm = {
    concat = "sm.cat(list, axis)", zeros_like = "sm.zeros(x.shape)", ones_like = "sm.ones(x.shape)",
    manual_seed = "sm.seed(n)", manualSeed = "sm.seed(n)", range = "sm.arange(1, n + 1)",
    autograd = "sm.grad(y, { x })",
    jit = "sm.pointwise(f)", compile = "sm.pointwise(f)", linspace = "sm.arange(0, 1.1, 0.1)",
    eye = 'sm.one_hot(sm.arange(n, "int32"), n)', from_numpy = "sm.load(path)",
  },
  ["sm.nn"] = {
    Module = "nn.layer { … }", Identity = "nn.identity()",
    MultiheadAttention = "nn.attention { heads = 4 }", ConvTranspose2d = "nn.conv2d_transpose { 8, kernel = 3 }",
    Upsample = "nn.upsample2d { factor = 2 }", AdaptiveAvgPool2d = "nn.global_avgpool()",
    CrossEntropyLoss = "x:cross_entropy(labels)", MSELoss = "x:mse(target)", L1Loss = "x:l1(target)",
    BCEWithLogitsLoss = "x:bce_with_logits(target)", ConcatTable = "nn.branch { … }", CAddTable = "nn.add { … }",
    SpatialConvolution = "nn.conv2d { 32, kernel = 5 }", SpatialMaxPooling = "nn.maxpool2d { 2 }",
    LookupTable = "nn.embedding { n, size }", View = "nn.flatten()", CrossEntropyCriterion = "x:cross_entropy(labels)",
    MSECriterion = "x:mse(target)",
  },
  model = {
    state_dict = "model:parameters()", named_parameters = "model:parameters()", getParameters = "model:parameters()",
    named_buffers = "model:buffers()", load_state_dict = "model:load(path)", zero_grad = "opt:zero_grad()",
    zeroGradParameters = "opt:zero_grad()", evaluate = "model:eval()", cuda = "model", cpu = "model",
  },
  ["sm.optim"] = {
    StepLR = "optim.step { lr = …, every = …, factor = … }", CosineAnnealingLR = "optim.cosine { lr = …, steps = … }",
  },
}

--- Options: a name there → here, where there is that option.
M.options = {
  dim = "axis", tau = "temperature", ceil_mode = "partial", correction = "unbiased",
  count_include_pad = "count_padding", num_groups = "groups", is_causal = "causal", attn_mask = "mask",
  ignore_index = "ignore", learning_rate = "lr", learningRate = "lr", weightDecay = "weight_decay", eps = "epsilon",
  elementwise_affine = "affine", keepdims = "keepdim",
}

--- Options that say how large a layer's input is.
M.inputs = {
  ["in"] = true, in_features = true, in_channels = true, input_size = true, input_dim = true, num_features = true,
  num_channels = true, normalized_shape = true, embed_dim = true,
}

--- Names of other languages → what it is in Lua.
M.globals = {
  None = "nil", null = "nil", NULL = "nil", True = "true", False = "false", elif = "elseif", len = "#x",
  str = "tostring(x)", range = "for i = 1, n do … end", abs = "math.abs(x)", min = "math.min(a, b)",
  max = "math.max(a, b)", torch = 'local sm = require "sm"', np = 'local sm = require "sm"',
}

--- Modules of Torch7 → where their functions are.
M.modules = {
  torch = 'local sm = require "sm"', nn = 'require "sm".nn', optim = 'require "sm".optim', image = 'require "sm".png',
}

local function hint(here) return here and "; here it is " .. here end

--- What a name is here, as the end of a message.
-- @param room of M.names
-- @return `"; here it is x:reshape(2, -1)"`, or nil
function M.hint(room, name) return hint(M.names[room][name]) end

--- The same of a global.
function M.global_hint(name) return hint(M.globals[name]) end

--- The same of a module.
function M.module_hint(name) return hint(M.modules[name]) end

return M
