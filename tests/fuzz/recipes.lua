--- What each function of the interface takes, so that calls get through its checks: function → words, each of which
-- says what one argument is. "?word" is left out half of the time; what has no recipe gets anything.
local Hostile = require "hostile"
local Samples = require "samples"
local sm = require "sm"

local Recipes = {}

local WORD

local OPTIONS = {
  softmax = function(g)
    return g:chance(0.5) and { groups = g:pick { 1, 2, 4 }, temperature = g:pick { 0.5, 1, 2 } }
      or { sizes = { 1, 3 }, scale = g:chance(0.5), off = g:chance(0.5) }
  end,
  conv = function(g)
    return { stride = g:below(3), padding = g:pick { "same", "valid", 0, 1, 2 },
      bias = g:chance(0.5) and g:tensor "vector" or nil }
  end,
  plan = function(g)
    local n = g:pick { 2, 3, 4 }
    return { n, n, n, g:below(2) - 1, g:below(2) - 1, n, n, n, g:pick { 0, 1 }, g:pick { 0, 0, 1 }, g:below(3), n, n,
      n }
  end,
  turned = function(g)
    return { stride = g:below(3), padding = g:pick { "same", "valid", 0, 1 },
      size = g:chance(0.3) and { g:below(12), g:below(12) } or nil }
  end,
  pool = function(g)
    return { stride = g:pick { 1, 2, { 1, 2 } }, padding = g:pick { "same", "valid", 0, 1, { 1, 0 } } }
  end,
  window = function(g)
    return { stride = g:below(3), padding = g:pick { "same", "valid", 0, 1 } }
  end,
  nn_conv = function(g)
    return { g:pick { 1, 4, 8 }, kernel = g:below(3), stride = g:below(2), padding = g:pick { "same", "valid", 1 } }
  end,
  nn_linear = function(g) return { g:pick { 1, 4, 10 }, bias = g:chance(0.5), init = g:object "init" } end,
  nn_pool = function(g) return { g:below(3), stride = g:below(3) } end,
  nn_fn = function(g) return { g:pick { function(x) return x end, Hostile.func(g) }, name = "own" } end,
  layers = function(g)
    local make = { function() return sm.nn.relu() end, function() return sm.nn.linear { g:below(5) } end,
      function() return sm.nn.dropout { 0.5 } end, function() return sm.nn.batchnorm {} end,
      function() return sm.nn.conv2d { 2, kernel = 3 } end }
    local layers = {}
    for i = 1, g:below(4) do layers[i] = g:pick(make)() end
    return layers
  end,
  rate = function(g)
    return { lr = g:pick { 0.1, 1e-3, g:object "schedule" }, clip_norm = g:chance(0.3) and 1 or nil }
  end,
  stairs = function(g) return { lr = 0.1, every = g:below(9), factor = 0.5 } end,
  cosine = function(g) return { lr = 0.1, steps = g:below(9) } end,
  warmup = function(g) return { steps = g:below(9), after = g:pick { 0.1, g:object "schedule" } } end,
  tensors = function(g)
    return { inputs = g:tensor "matrix", targets = g:labels(), validation = g:pick { 0, 1, 2 }, classes = 4,
      transform = g:pick { false, { mixup = 0.5 }, function(x, y) return x, y end, { {}, Hostile.func(g) } } or nil }
  end,
  mini = function(g)
    return { validation = g:pick { 0, 50 }, transform = g:pick { false, { shift = 2, rotation = 30, fill = 1 },
      { flip = true, scale = 0.2, elastic = { alpha = 3, sigma = 2 } }, { cutout = 2, mixup = 0.5 } } or nil }
  end,
  idx = function() return { images = "images.idx", labels = "labels.idx" } end,
  parameters = function(g) return { w = sm.ones(2, 2):requires_grad(), v = g:tensor "vector" } end,
  op = function(g)
    local b = Hostile.func(g)
    return { name = "mine", forward = function(_, x) return x * 1 end, backward = b }
  end,
  paint = function() return { pairs = { { 0, 1 } } } end,
  filters = function(g) return g:pick { "conv1", { "conv1" }, { "conv1", by = "gradient" } } end,
  groups = function(g) return g:pick { "conv1", { "conv1", control = 2 } } end,
  named = function(g) return { a = g:tensor(), b = g:tensor() } end,
  texts = function() return { note = "x" } end,
  numbers = function(g) return { { 1, g:pick { 2, 2.5, 0 } }, { 3, 4 } } end,
  epochs = function(g) return { epochs = g:below(3) } end,
  look = function(g)
    return { fill = "#ff0000", stroke = g:chance(0.5) and "#00ff0080" or nil, radius = g:below(5), thickness = 1 }
  end,
  ink = function() return { colour = "#0000ff", thickness = 2 } end,
  font = function(g) return { size = g:pick { 8, 12 }, bold = g:chance(0.5) } end,
  writing = function(g) return { size = 8, align = g:pick { "left", "centre", "right" }, colour = "#000000" } end,
  range = function() return { low = 0, high = 1, map = { "#000000", "#ffffff" } } end,
  points = function() return { 1, 1, 10, 10, 20, 5 } end,
  step = function()
    return { lr = 0.1, momentum = 0, decay = 0.9, epsilon = 1e-8, beta1 = 0.9, beta2 = 0.99, step = 1 }
  end,
  change = function(g)
    return { down = g:below(3), right = 1, flip_horizontal = g:chance(0.5), least_angle = -1, most_angle = 1,
      least_scale = g:pick { 0.5, 1 }, alpha = g:pick { 0, 3, 1e30 }, sigma = g:pick { 0.1, 2, 1000 },
      cutout = g:below(4) - 1, fill = g:pick { 0, 1 } }
  end,
  given = function(g) return g:declaration() end,
  run = function(g)
    return { file = "experiment.lua", runs = "runs", quiet = true, dry_run = g:chance(0.7), again = g:chance(0.5) }
  end,
  finished = function(g) -- a run of the experiment that is asked
    local ok, result = pcall(g.receiver.run, g.receiver, { file = "experiment.lua", runs = "runs", quiet = true })
    return { directory = ok and result.directory or "runs/none", file = "experiment.lua", quiet = true }
  end,
  reshaped = function(g) return g:pick { { 16 }, { 2, 8 }, { -1, 4 }, { 4, -1 } } end,
  moment = function(g) return { step = 1, title = "title", data = WORD.pictures(g) } end,
  state = function(g)
    local state = {}
    for name, x in pairs(g:object "optimizer":state()) do state[name] = x end
    return state
  end,
  looked = function() return { { sm.ones(4), sm.ones(4), sm.ones(4), { cap = 1, epsilon = 1e-8 } } } end,
  versions = function(g) return require "sm.runtime".tape.versions(g:tensor(), g:tensor()) end,
  stood = function(g) return g:object "stream":state() end,
  square = function() return { 2, 2 } end,
  sized = function(g) return { g:pick { 1, 2, 4 } } end,
  grouped = function(g) return { groups = g:pick { 1, 2, 4 } } end,
  nn_window = function(g)
    return { g:pick { 1, 4 }, kernel = g:below(3), stride = g:below(2), bias = g:chance(0.5) }
  end,
  nn_embedding = function(g) return { g:pick { 4, 9 }, g:below(4) } end,
  nn_recurrent = function(g)
    return { g:below(4), last = g:chance(0.3), reverse = g:chance(0.5), bias = g:chance(0.7) }
  end,
  nn_attention = function(g)
    return { heads = g:pick { 1, 2 }, causal = g:chance(0.5), dropout = g:pick { 0, 0.5 } }
  end,
  nn_kwta = function(g) return { k = g:below(2), groups = g:pick { 1, 2 } } end,
  nn_threshold = function() return { 0.1, 20 } end,
  nn_upsample = function(g) return { factor = g:below(3), mode = g:pick { "nearest", "bilinear" } } end,
  nn_branch = function(g) return { a = g:object "model", b = sm.nn.relu() } end,
  nn_layer = function(g)
    return { kind = "own", options = { size = { type = "integer", default = 2 } },
      layers = g:chance(0.3) and function() return { inner = sm.nn.linear { 4 } } end or nil,
      build_values = function(self, shape) self:make_parameter("gain", { shape[#shape] }, sm.ones) end,
      forward = g:chance(0.7) and function(self, x) return x * self.gain end or Hostile.func(g) }
  end,
  optimizer = function(g)
    return { name = "own", state = function(shape) return { mean = sm.zeros(shape) } end,
      step = g:chance(0.7) and function(w, gradient, state, at)
        state.mean = 0.9 * state.mean + gradient
        return w - at.lr * state.mean
      end or Hostile.func(g) }
  end,
  weights = function(g)
    local weights = {}
    for name, x in pairs(g.receiver:parameters()) do weights[name] = x:detach() end
    return weights
  end,
  shape = function(g) return g:pick { { 2, 3 }, { 4 }, {}, { 1, 4 }, { 2, 2, 2, 2 } } end,
  like = function() return { 4, 4 } end,
  imagelike = function() return { 2, 6, 6, 4 } end,
  filterlike = function() return { 3, 3, 4, 4 } end,
  batchlike = function(g) return g:pick { { 4 }, { 6, 6, 1 } } end,
  defaults = function(g) return { steps = g:below(9), name = "x", flag = true } end,
}

WORD = {
  int = function(g) return g:below(4) end,
  zero = function() return 0 end,
  big = function(g) return g:pick { 10, 100, 1000 } end,
  axis = function(g) return g:pick { 1, 2, -1, -2 } end,
  num = function(g) return g:pick { 0, 1, -1, 0.5, 2.5, 1e3 } end,
  prob = function(g) return g:pick { 0, 0.1, 0.5, 0.9 } end,
  bool = function(g) return g:chance(0.5) end,
  dtype = function(g) return g:pick { "float32", "uint8", "int32" } end,
  intdtype = function(g) return g:pick { "uint8", "int32" } end,
  str = function(g) return g:pick { "text", "a longer text\nof two lines", "é" } end,
  twelve = function(g) return g:name(sm.rand(4, 12), "t", "sm.rand(4, 12)") end, -- numbers for each of 4 images
  npy = function() return "x.npy" end,
  safe = function() return "x.safetensors" end,
  png = function() return "x.png" end,
  readable = function(g) return g:pick { "kept.npy", "kept.safetensors" } end,
  colour = function() return "#00ff00" end,
  path = function(g) return g:pick { "conv1", "linear1", "softmax1" } end,
  operand = function(g) return g:chance(0.7) and g:tensor(g:pick { "matrix", "vector", "row" }) or g:below(3) end,
  best = function(g)
    local x, positions = require "sm.runtime".math.max(g:tensor "matrix", 1)
    return g:name(positions, "t", "positions of the largest of %s", g:text(x))
  end,
  won = function(g)
    local _, which = require "sm.runtime".conv.maxpool2d(g:tensor "image", 1, { stride = 1, padding = "valid" }, false,
      true)
    return g:name(which, "t", "positions of the largest")
  end,
  pictured = function(g)
    local model = sm.nn.sequential { sm.nn.conv2d { 4, kernel = 3, stride = 2 }, sm.nn.softmax { groups = 2 },
      sm.nn.flatten(), sm.nn.linear { 12 } }
    return g:name(model:build { 6, 6, 1 }, "mod", "nn.sequential { nn.conv2d { 4, kernel = 3, stride = 2 }, "
      .. "nn.softmax { groups = 2 }, nn.flatten(), nn.linear { 12 } }:build { 6, 6, 1 }")
  end,
  pictures = function(g)
    return g:name(sm.data.tensors { inputs = sm.full({ 12, 6, 6, 1 }, 9, "uint8"), targets = sm.arange(0, 12, 1,
      "int32"), classes = 12, validation = 4 }, "dat", "sm.data.tensors of 12 images { 6, 6, 1 } of 12 classes")
  end,
  layer = function() return sm.nn.relu() end,
  all = function(g) return g:pick { "", "weight$", "^linear1" } end,
  file = function(g) return g:name(io.tmpfile(), "file", "io.tmpfile()") end,
  loss = function(g)
    local x = g:name(sm.ones(4, 4):requires_grad(), "t", "sm.ones(4, 4):requires_grad()")
    return g:name((x * g:tensor "matrix"):sum(), "t", "(%s * …):sum()", g:text(x))
  end,
  runs = function() return "runs" end,
  entry = function(g) return g:pick { "a", "b/c", "d.txt" } end,
  key = function(g) return g:pick { "grad", "shape", 1 } end,
  w = function() return "w" end,
  F32 = function() return "F32" end,
  sixteen = function() return 16 end,
  idxfile = function(g) return g:pick { "images.idx", "labels.idx" } end,
  kept = function() return "kept.safetensors" end,
  f = function(g) return g:chance(0.5) and g:name(function(x) return x * x end, "f", "function(x) return x * x end")
    or Hostile.func(g) end,
  any = function(g) return Hostile.value(g) end,
  tensor = function(g) return g:tensor() end,
  labels = function(g) return g:labels() end,
  index = function(g) return g:name(sm.tensor({ 3, 0, 1 }, "int32"), "t", 'sm.tensor({ 3, 0, 1 }, "int32")') end,
  bytes = function(g) return g:tensor("matrix", "uint8") end,
  ints = function(g) return g:tensor("matrix", "int32") end,
}
for name, make in pairs(OPTIONS) do WORD["@" .. name] = make end

local RECIPE <const> = {
  ["sm.tensor"] = "@numbers ?dtype", ["sm.zeros"] = "int ?int ?int", ["sm.ones"] = "@shape ?dtype",
  ["sm.full"] = "@shape num ?dtype", ["sm.arange"] = "int ?big ?int", ["sm.randn"] = "int ?int", ["sm.rand"] = "@shape",
  ["sm.is_tensor"] = "any", ["sm.seed"] = "int", ["sm.no_grad"] = "f ?tensor", ["sm.op"] = "@op",
  ["sm.gradcheck"] = "f vector", ["sm.save"] = "npy tensor", ["sm.load"] = "readable", ["sm.params"] = "@defaults",
  ["sm.experiment"] = "@given",
  ["sm.nn.sequential"] = "@layers", ["sm.nn.residual"] = "@layers", ["sm.nn.linear"] = "@nn_linear",
  ["sm.load_run"] = "runs", ["sm.nn.conv2d"] = "@nn_conv", ["sm.nn.maxpool2d"] = "@nn_pool",
  ["sm.nn.maxpool1d"] = "int", ["sm.nn.avgpool1d"] = "int", ["sm.nn.identity"] = "", ["sm.nn.avgpool2d"] = "@nn_pool",
  ["sm.nn.conv1d"] = "@nn_window", ["sm.nn.conv2d_transpose"] = "@nn_window", ["sm.nn.embedding"] = "@nn_embedding",
  ["sm.nn.rnn"] = "@nn_recurrent", ["sm.nn.gru"] = "@nn_recurrent", ["sm.nn.lstm"] = "@nn_recurrent",
  ["sm.nn.attention"] = "@nn_attention", ["sm.nn.kwta"] = "@nn_kwta", ["sm.nn.threshold"] = "@nn_threshold",
  ["sm.nn.upsample2d"] = "@nn_upsample", ["sm.nn.branch"] = "@nn_branch", ["sm.nn.concat"] = "@layers",
  ["sm.nn.add"] = "@layers", ["sm.nn.layer"] = "@nn_layer", ["sm.nn.groupnorm"] = "@grouped",
  ["sm.nn.sparsemax"] = "?@grouped", ["sm.nn.gumbel_softmax"] = "?@grouped", ["sm.nn.maxout"] = "?@sized",
  ["sm.nn.layernorm"] = "", ["sm.nn.prelu"] = "", ["sm.nn.reshape"] = "@like",
  ["sm.nn.global_avgpool"] = "", ["sm.nn.global_maxpool"] = "", ["sm.pointwise"] = "f",
  ["model:load"] = "@weights", ["model:freeze"] = "?all ?bool",
  ["sm.nn.softmax"] = "?@softmax", ["sm.nn.dropout"] = "prob", ["sm.nn.fn"] = "@nn_fn",
  ["sm.nn.init.constant"] = "num", ["sm.nn.init.normal"] = "prob", ["sm.nn.init.truncated_normal"] = "prob",
  ["sm.optim.sgd"] = "@rate", ["sm.optim.adam"] = "@rate", ["sm.optim.adamw"] = "@rate", ["sm.optim.rmsprop"] = "@rate",
  ["sm.optim.smorms3"] = "@rate", ["sm.optim.lion"] = "@rate", ["sm.optim.muon"] = "@rate",
  ["sm.optim.define"] = "@optimizer", ["sm.optim.constant"] = "prob", ["sm.optim.step"] = "@stairs",
  ["sm.optim.cosine"] = "@cosine", ["sm.optim.warmup"] = "@warmup",
  ["sm.data.tensors"] = "@tensors", ["sm.data.mnist_mini"] = "@mini", ["sm.data.idx"] = "@idx",
  ["sm.view.filters"] = "@filters", ["sm.view.groups"] = "@groups", ["sm.view.paint"] = "@paint",
  ["tensor:reshape"] = "@reshaped", ["tensor:select"] = "int", ["tensor:slice"] = "int ?int", ["tensor:to"] = "dtype",
  ["tensor:copy_"] = "matrix", ["tensor:clamp"] = "num num", ["tensor:matmul"] = "matrix",
  ["tensor:linear"] = "matrix ?vector", ["tensor:conv2d"] = "filters ?@conv",
  ["tensor:conv2d_transpose"] = "filters ?@turned", ["tensor:maxpool2d"] = "int ?@pool",
  ["tensor:maxpool1d"] = "int", ["tensor:avgpool1d"] = "int",
  ["tensor:avgpool2d"] = "int ?@pool",
  ["tensor:softmax"] = "?@softmax", ["tensor:dropout"] = "prob", ["tensor:cross_entropy"] = "labels",
  ["tensor:accuracy"] = "labels", ["tensor:sum"] = "?axis", ["tensor:mean"] = "?axis", ["tensor:max"] = "?axis",
  ["tensor:argmax"] = "?axis", ["tensor:backward"] = "", ["tensor:requires_grad"] = "?bool",
  ["tensor.__index"] = "int", ["tensor.grad"] = "matrix", ["tensor.__concat"] = "any", ["tensor.__eq"] = "tensor",
  ["model:build"] = "@batchlike ?dtype", ["model.__call"] = "matrix", ["model:activations"] = "matrix",
  ["model:layer"] = "path", ["optimizer:add"] = "@parameters", ["optimizer:restore"] = "@state int",
  ["dataset:batches"] = "int ?@epochs", ["dataset:stream"] = "int", ["split:batches"] = "int", ["stream:next"] = "?int",
  ["split:slice"] = "int int", ["split:gather"] = "index zero int", ["schedule.__call"] = "big",
  ["init.__call"] = "@like int int", ["op.__call"] = "matrix", ["batches.__call"] = "",
  ["canvas.new"] = "big big colour", ["canvas.measure"] = "str @font", ["canvas:rect"] = "num num int int @look",
  ["canvas:line"] = "@points @ink", ["canvas:text"] = "num num str @writing", ["canvas:save"] = "png",
  ["canvas:image"] = "num num big big matrix @range", ["experiment:run"] = "@run", ["experiment:plan"] = "@run",
  ["experiment:resume"] = "@finished", ["experiment:evaluate"] = "@finished",
  ["view:check"] = "pictured pictures", ["view:draw"] = "pictured png @moment",
  ["view:measure"] = "pictured pictures", ["view:metric_names"] = "pictured", ["view:layer"] = "pictured",
  ["model:apply"] = "matrix", ["model:forward"] = "matrix", ["stream:restore"] = "@stood", ["stream:straddle"] = "int",
  ["tensor:add"] = "operand", ["tensor:sub"] = "operand", ["tensor:mul"] = "operand", ["tensor:div"] = "operand",
  ["tensor:pow"] = "operand", ["tensor.__add"] = "operand", ["tensor.__sub"] = "operand",
  ["tensor.__mul"] = "operand", ["tensor.__div"] = "operand", ["tensor.__pow"] = "operand",
  ["tensor.__newindex"] = "key matrix", ["tensor.item"] = "one",
  ["tensor.limits"] = "dtype", ["tape.changed"] = "@versions",
  ["tape.node"] = "tensor", ["io.lock"] = "file", ["io.is_locked"] = "file", ["optim.smorms3_look"] = "@looked prob",
  ["reader:read"] = "w F32 @square zero sixteen", ["reader:checksum"] = "zero int", ["writer:header"] = "str",
  ["writer:write"] = "tensor",
  ["tensor.full"] = "@shape ?num ?dtype", ["tensor.range"] = "num num int ?dtype", ["tensor.place"] = "row @like int",
  ["tensor.gather"] = "matrix index zero int", ["tensor.gather_bytes"] = "bytes index zero int num",
  ["tensor.copy_"] = "matrix matrix", ["tensor.tensor"] = "@numbers ?dtype", ["tensor.same_shape"] = "tensor tensor",
  ["tensor.set_gradient"] = "matrix matrix", ["tensor.reshape"] = "matrix @reshaped", ["tensor.select"] = "tensor int",
  ["tensor.slice"] = "tensor int int", ["tensor.to"] = "tensor dtype",
  ["tape.set_node"] = "tensor bool", ["tape.set_overwritten"] = "tensor bool", ["tape.versions"] = "tensor tensor",
  ["math.sum_to"] = "batch @like",
  ["math.sum"] = "tensor ?axis", ["math.mean"] = "tensor ?axis", ["math.max"] = "matrix axis",
  ["math.contract"] = "matrix matrix @square @plan",
  ["math.norm"] = "tensor ?axis", ["math.logsumexp"] = "tensor ?axis", ["math.squares"] = "tensor ?axis",
  ["math.prod"] = "tensor ?axis", ["math.prod_backward"] = "vector matrix axis", ["math.cumsum"] = "matrix axis ?bool",
  ["math.min"] = "matrix axis", ["math.argmin"] = "matrix ?axis", ["math.argmax"] = "matrix ?axis",
  ["math.extremes_backward"] = "vector best @like axis",
  ["math.spread"] = "vector @like axis num", ["math.matmul"] = "matrix matrix ?bool ?bool", ["math.rounded"] = "num",
  ["conv.conv2d"] = "image filters ?vector @window", ["conv.conv2d_backward_data"] = "image filters @imagelike @window",
  ["conv.conv2d_backward_filter"] = "image image @filterlike @window ?bool",
  ["conv.conv2d_transpose"] = "image filters @window", ["conv.maxpool2d"] = "image int @pool ?bool ?bool",
  ["conv.maxpool2d_backward"] = "image won @imagelike int @window", ["conv.avgpool2d"] = "image int @pool",
  ["conv.avgpool2d_backward"] = "image @imagelike int @pool",
  ["conv.conv2d_maxpool2d"] = "image filters ?vector @window int @pool ?bool ?bool",
  ["conv.methods"] = "@imagelike @filterlike @window",
  ["softmax.softmax"] = "matrix int num bool bool", ["softmax.softmax_backward"] = "matrix matrix int num bool bool",
  ["loss.cross_entropy"] = "matrix labels ?vector prob ?int",
  ["loss.cross_entropy_backward"] = "scalar vector num matrix labels ?vector prob ?int",
  ["loss.correct"] = "matrix labels ?int",
  ["optim.sgd"] = "matrix matrix ?matrix @step", ["optim.rmsprop"] = "matrix matrix matrix @step",
  ["optim.adam"] = "matrix matrix matrix matrix @step", ["optim.smorms3"] = "matrix matrix matrix matrix matrix @step",
  ["optim.lion"] = "matrix matrix matrix @step",
  ["optim.squared_change"] = "matrix matrix",
  ["random.uniform"] = "@shape int int int", ["random.normal"] = "@shape int int int",
  ["random.truncated"] = "@shape int int int", ["random.permutation"] = "big int int int",
  ["random.integers"] = "@shape int int int int int", ["random.exponential"] = "@shape int int int",
  ["random.gumbel"] = "@shape int int int", ["random.bernoulli"] = "matrix int int int",
  ["random.multinomial"] = "matrix int int int int int",
  ["random.augment"] = "grey twelve int int int @change",
  ["random.dropout"] = "matrix prob int int int", ["random.bits"] = "int int int",
  ["system.set_threads"] = "int", ["system.width"] = "big", ["system.is_terminal"] = "int",
  ["io.read_npy"] = "readable", ["io.read_idx"] = "idxfile", ["io.write_npy"] = "npy tensor",
  ["io.read_png"] = "readable int", ["io.read_pngs"] = "readable int", ["io.write_png"] = "npy tensor",
  ["io.read_piece"] = "readable int big", ["io.read_npz"] = "readable str int big big bool big",
  ["io.npy_front"] = "tensor",
  ["io.write_durably"] = "npy str", ["io.base64"] = "str", ["io.checksum"] = "tensor",
  ["io.open_safetensors"] = "kept", ["io.create"] = "safe",
  ["tensor.labels_outside"] = "tensor num num",
  ["beneath.read"] = "runs entry big", ["beneath.write"] = "runs entry str",
  ["beneath.open"] = "runs entry str", ["beneath.status"] = "runs entry", ["beneath.list"] = "runs entry",
  ["beneath.make"] = "runs entry", ["beneath.remove"] = "runs entry",
  ["runtime.raise"] = "str", ["runtime.traced"] = "f int f",
}
-- What works on one kind of tensor alone gets that as its receiver.
local RECEIVER <const> = {
  conv2d = "image", conv2d_transpose = "image", maxpool2d = "image", avgpool2d = "image",
  matmul = "matrix", linear = "matrix", cross_entropy = "matrix", accuracy = "matrix", copy_ = "matrix",
  transpose = "matrix", backward = "loss", reshape = "matrix", softmax = "matrix", dropout = "matrix", item = "one",
}

--- One argument for a word.
function Recipes.argument(g, word)
  local optional = word:match "^%?(.*)$"
  if optional then
    if g:chance(0.5) then return nil end
    word = optional
  end
  if WORD[word] then return WORD[word](g) end
  local of_kind = word == "model" or word == "dataset"
  return of_kind and g:object(word) or g:tensor(word)
end

--- What a function may be called with: a table with `n`.
-- @param entry of the catalogue
function Recipes.arguments(g, entry)
  local words, arguments = RECIPE[entry.name], { n = 0 }
  local sample = g:chance(words and 0.3 or 0.8) and Samples.arguments(g, entry.name)
  if sample then return sample end
  local function add(value)
    arguments.n = arguments.n + 1
    arguments[arguments.n] = value
  end
  if entry.kind then
    local kind = RECEIVER[entry.key]
    add(entry.kind ~= "tensor" and g:object(entry.kind) or kind and g:chance(0.9) and Recipes.argument(g, kind)
      or g:tensor())
    g.receiver = arguments[1]
  end
  if entry.name == "sm.grad" then -- a loss, and what it depends on
    local x = g:name(sm.ones(4, 4):requires_grad(), "t", "sm.ones(4, 4):requires_grad()")
    add(g:name((x * x * g:tensor "matrix"):sum(), "t", "(%s ^ 2 * …):sum()", g:text(x)))
    add { x }
    add(g:chance(0.5) and { create_graph = true } or nil)
  elseif words then
    for word in words:gmatch "%S+" do add(Recipes.argument(g, word)) end
  elseif entry.kernel then -- one that has no recipe takes tensors of one shape
    for _ = 1, g:below(4) do add(g:tensor "matrix") end
  elseif not entry.kind or g:chance(0.3) then
    for _ = 1, g:below(4) - 1 do add(Hostile.value(g)) end
  end
  return arguments
end

--- Spoils arguments: replaces, adds, leaves out, curses; also within a table of options.
function Recipes.spoil(g, arguments, first)
  for _ = 1, g:below(2) do
    local at = first + g:below(arguments.n - first + 2) - 1
    local value, way = arguments[at], g:below(10)
    if type(value) == "table" and not getmetatable(value) and not g.names[value] and way <= 7 then
      local keys = {}
      for key in next, value do keys[#keys + 1] = key end
      table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
      if way <= 2 or #keys == 0 then
        if way == 1 then Hostile.curse(g, value) else rawset(value, g:pick { "name", "x", 1, 3, 2.5, "type" },
          Hostile.value(g)) end
      else
        value[g:pick(keys)] = Hostile.value(g)
      end
    elseif way == 8 and arguments.n > first then
      arguments.n = arguments.n - 1
    else
      arguments[at] = Hostile.value(g)
      arguments.n = math.max(arguments.n, at)
    end
  end
end

Recipes.known = RECIPE

return Recipes
