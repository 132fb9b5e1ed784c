-- Optimizers, schedules, data.
return function(add, home, support)
  local sm, optim, x, y

  local function prepare()
    sm = require "sm"
    optim = sm.optim
    sm.seed(5)
    x, y = sm.randn(4, 3), sm.tensor({ 0, 1, 1, 0 }, "int32")
  end

  local function case(name, run, more)
    more = more or {}
    more.prepare = more.prepare or prepare
    add(name, run, more)
  end

  local made = {
    sgd = function() return optim.sgd { lr = 0.1, momentum = 0.9, clip_norm = 1 } end,
    rmsprop = function() return optim.rmsprop { lr = optim.warmup { steps = 2, after = 1e-2 }, clip_value = 0.5 } end,
    adam = function() return optim.adam { lr = optim.cosine { lr = 0.1, floor = 0.01, steps = 9 } } end,
    adamw = function()
      return optim.adamw { lr = optim.step { lr = 0.1, every = 2, factor = 0.5 }, weight_decay = 0.01 }
    end,
    smorms3 = function() return optim.smorms3 { lr = optim.constant(1e-2), ease_in = 3 } end,
    lion = function() return optim.lion { lr = 1e-2 } end,
    muon = function() return optim.muon { lr = 1e-2, clip_norm = 1 } end,
    define = function()
      return optim.define {
        name = "heavy", state = function(shape) return { v = sm.zeros(shape) } end,
        step = function(w, g, state, at)
          state.v = 0.9 * state.v + g
          return w - at.lr * state.v
        end,
      } { lr = 0.1, weight_decay = 0.1 }
    end,
  }
  for name, make in pairs(made) do
    case("optimizer " .. name, function()
      sm.seed(1)
      local model = sm.nn.sequential { sm.nn.linear { 4 }, sm.nn.relu(), sm.nn.linear { 2 } }
      local opt = make()
      opt:add(model:parameters())
      opt:add(sm.ones(2):requires_grad(), { weight_decay = 0.1 })
      for _ = 1, 2 do
        opt:zero_grad()
        model(x):cross_entropy(y):backward()
        opt:watch()
        opt:step()
      end
      local state = {}
      for key, tensor in pairs(opt:state()) do state[#state + 1] = { key, tensor } end
      local parameters = {}
      for key, tensor in pairs(opt:parameters()) do parameters[#parameters + 1] = { key, tensor } end
      opt:restore(opt:state(), opt.steps)
      return { parameters, state, opt:telemetry(), tostring(opt), opt:rate(), opt.steps, opt:places() }
    end)
  end

  local opt, leaf
  case("a step that fails", function()
    opt:step()
    return { leaf[1], leaf[2], opt.steps, opt:state() }
  end, { before = function()
    opt, leaf = optim.adam { lr = 0.1 }, { sm.ones(3):requires_grad(), sm.ones(2):requires_grad() }
    opt:add { a = leaf[1], b = leaf[2] };
    (leaf[1]:sum() + leaf[2]:sum()):backward()
  end, after = function(done)
    if done then return end
    local first, second = leaf[1][1]:item() ~= 1, leaf[2][1]:item() ~= 1
    assert(first == second, "the step was made in part")
    assert(first == (opt.steps == 1), "the step was made and not counted")
  end })

  case("data in batches", function()
    sm.seed(1)
    local set = sm.data.tensors {
      inputs = sm.arange(0, 60, 1, "int32"):reshape(20, 3), targets = sm.full({ 20 }, 1, "int32"),
      kind = "indices", validation = 4,
    }
    local out = { tostring(set) }
    for a, b in set:batches(5, { epochs = 2 }) do out[#out + 1] = { a, b } end
    for a, b in set.validation:batches(3) do out[#out + 1] = { a, b } end
    local bytes = sm.data.tensors { inputs = sm.ones({ 4, 2, 2, 1 }, "uint8"), targets = y, kind = "pixels" }
    for a in bytes:batches(2) do out[#out + 1] = a end
    out[#out + 1] = sm.data.augment(sm.ones(2, 4, 4, 1), { shift = 1, elastic = { alpha = 2, sigma = 1 } })
    return out
  end)

  local images, labels = home .. "/images-idx3-ubyte", home .. "/labels-idx1-ubyte"
  case("data in idx files", function()
    local set = sm.data.idx { images = images, labels = labels, test_images = images .. ".gz", test_labels = labels }
    local out = { tostring(set) }
    for a, b in set.test:batches(4) do out[#out + 1] = { a, b } end
    return out
  end, { file = "idx", prepare = function()
    prepare()
    local pixels = {}
    for i = 1, 8 * 36 do pixels[i] = string.char(i * 37 % 256) end
    support.write(images, ("\0\0\8\3" .. (">I4I4I4"):pack(8, 6, 6) .. table.concat(pixels)))
    support.write(labels, "\0\0\8\1" .. (">I4"):pack(8) .. ("\0\1\2\1"):rep(2))
    assert(os.execute(("gzip -kf '%s'"):format(images)))
  end })

  local own = home .. "/own"
  case("data in files of one's own", function()
    local folder = sm.data.folder { train = own .. "/pictures", validation = 1 }
    local csv = sm.data.csv { file = own .. "/table.csv", target = "y", standardise = true }
    local text = sm.data.text { file = own .. "/table.csv", length = 3 }
    local npy = sm.data.npy { inputs = { a = own .. "/x.npy" }, targets = own .. "/x.npy" }
    local pair = sm.data.tensors { inputs = { a = x, b = x }, targets = { c = x } }
    local out = { tostring(folder), folder.train.inputs, csv.train.inputs, csv.train.targets, tostring(npy),
      text.decode(text.encode "y1,"), text.train.targets }
    for a, b in pair.train:batches(4) do out[#out + 1] = { a, b } end
    return out
  end, { file = "own", prepare = function()
    prepare()
    assert(os.execute(("mkdir -p '%s/pictures/a' '%s/pictures/b'"):format(own, own)))
    for _, name in ipairs { "a/1", "a/2", "b/1" } do
      sm.png.save(("%s/pictures/%s.png"):format(own, name), sm.full({ 2, 3 }, 0.5))
    end
    support.write(own .. "/table.csv", "x,y\n1,ox\n2,\"co\"\"w\"\n3,ox\n")
    sm.save(own .. "/x.npy", x)
  end })

  case("data by name", function()
    local set = sm.data.mnist_mini { validation = 5000 }
    return { tostring(set), set.validation.targets }
  end, { file = "mnist" })
end
