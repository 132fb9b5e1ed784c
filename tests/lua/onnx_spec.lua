--- Models as ONNX files: checked by ONNX's own checker, and run in Python, where python3-onnx is, and with it ONNX's
--- reference implementation (since 1.13) or python3-torch.
local helpers = dofile "tests/lua/helpers.lua"
local forms = require "sm.onnx.forms"
local lfs = require "lfs"
local records = require "sm.ops.records"
local runtime = require "sm.runtime"
local sm = require "sm"
local nn = sm.nn

local python
local has_what_runs <const> = [[ -c 'from importlib.util import find_spec
exit(not (find_spec("onnx") and (find_spec("torch") or find_spec("onnx.reference"))))' 2>/dev/null]]
for _, candidate in ipairs { "/usr/bin/python3", "python3" } do
  python = python or os.execute(candidate .. has_what_runs) and candidate
end

local directory <const> = os.tmpname()

--- Writes a model's file, and what it gives for inputs by name.
local function write(name, model, inputs, ...)
  local path, arrays = directory .. "/" .. name, {}
  model:eval()
  local said = sm.export(path .. ".onnx", model, { like = inputs })
  local given = sm.is_tensor(inputs) and { input = inputs } or inputs
  for key, x in pairs(given) do arrays["in:" .. key] = x end
  local gave = { sm.no_grad(model, select("#", ...) > 0 and ... or inputs) }
  for i, y in ipairs(gave) do
    local one = gave[2] and "output" .. i or "output"
    for key, x in pairs(sm.is_tensor(y) and { [one] = y } or y) do arrays["out:" .. key] = x end
  end
  sm.save(path .. ".npz", arrays)
  return said
end

--- Has Python check and run files; fails with what it says of those that are wrong, or where fewer could be run.
local function check(names, least)
  local paths, out = {}, os.tmpname()
  for i, name in ipairs(names) do paths[i] = helpers.quote(directory .. "/" .. name) end
  local fine = os.execute(("%s tests/onnx_reference.py %s >%s 2>&1"):format(python, table.concat(paths, " "), out))
  local said, wrong, ran = helpers.read(out), {}, 0
  os.remove(out)
  for line in said:gmatch "[^\n]+" do
    wrong[#wrong + 1] = not line:find "^ok " and line or nil
    ran = ran + (line:find "^ok %S+ $" and 1 or 0)
  end
  assert(fine and #wrong == 0, table.concat(wrong, "\n", 1, math.min(#wrong, 40)))
  assert(ran >= least, ("%d of %d were run"):format(ran, #names))
end

describe("sm.export", function()
  setup(function()
    os.remove(directory)
    assert(lfs.mkdir(directory))
    sm.seed(4)
  end)
  teardown(function() os.execute("rm -r " .. helpers.quote(directory)) end)

  local function python_or_pending()
    if not python then pending "python3-onnx is not installed, or has no onnx.reference, without python3-torch" end
    return python
  end

  local swish = sm.pointwise(function(x, beta) return x * (x * beta):sigmoid() end)
  local learned = nn.layer {
    kind = "learned_swish",
    build_values = function(self, shape) self:make_parameter("beta", { shape[#shape] }, sm.ones) end,
    forward = function(self, x) return swish(x, self.beta) end,
  }
  local function own(x)
    local zeros = sm.zeros(x.shape[1], 3)
    local parts = x:split({ 2, 3 }, 2)
    return sm.cat({ parts[2], zeros, x:narrow(1, 1, x.shape[1]):flip(2), parts[1]:cumsum(2):detach() }, 2)
  end

  --- Networks with an example of what they take.
  local networks <const> = {
    digits = { nn.sequential {
      nn.conv2d { 8, kernel = 5 }, nn.softmax { groups = 2, temperature = 0.5, scale = true }, nn.maxpool2d { 2 },
      nn.conv2d { 6, kernel = { 3, 2 }, padding = { 0, 1, 2, 0 }, stride = 2, dilation = { 1, 2 }, groups = 2 },
      nn.relu(), nn.batchnorm {}, nn.maxpool2d { 3, stride = 2, partial = true }, nn.flatten(), nn.dropout { 0.4 },
      nn.linear { 20 }, nn.softmax { sizes = { 4, 16 }, off = true, temperature = "learned" }, nn.linear { 10 },
    }, sm.randn(7, 28, 28, 1) },
    resnet = { nn.sequential {
      nn.conv2d { 8, kernel = 3 }, nn.residual { nn.conv2d { 8, kernel = 3 }, nn.groupnorm { groups = 2 }, nn.gelu() },
      nn.concat { nn.avgpool2d { 3, stride = 1, padding = "same" }, nn.identity() }, nn.add { nn.mish(), nn.elu() },
      nn.conv2d_transpose { 4, kernel = 5, stride = 2, groups = 2 }, nn.upsample2d { factor = 2 },
      nn.upsample2d { factor = 1.5, mode = "bilinear" }, nn.layernorm(), nn.maxout { pieces = 2 },
      nn.global_avgpool(), nn.reshape { 2, 1 }, nn.flatten(),
    }, sm.randn(6, 6, 5, 3) },
    reader = { nn.sequential {
      nn.embedding { 20, 8 }, nn.lstm { 6, layers = 2, bidirectional = true },
      nn.attention { heads = 2, causal = true },
      nn.gru { 5, reverse = true }, nn.conv1d { 6, kernel = 3 }, nn.maxpool1d { 2 },
      nn.rnn { 4, last = true },
    }, sm.randint(0, 20, { 6, 9 }) },
    branches = { nn.sequential {
      nn.linear { 6 }, nn.branch { digit = nn.linear { 3 }, size = nn.sequential { nn.linear { 2 }, nn.sigmoid() } },
    }, sm.randn(4, 5) },
    own = { nn.sequential { nn.linear { 5 }, learned(), nn.fn(own), nn.fn(function(x) return x:topk(3) end) },
      sm.randn(5, 4) },
    mean = { nn.fn(function(x) return x:sum(1, { keepdim = true }):expand(x.shape) / x.shape[1] end),
      sm.randn(5, 4) },
    tables = { nn.fn(function(given) return given.image:reshape(#given.image, -1) * given.weight end),
      { image = sm.randn(5, 2, 3), weight = sm.randn(5, 1) } },
    winners = { nn.sequential {
      nn.kwta { k = 2, groups = 2 }, nn.sparsemax { groups = 3 }, nn.softmax { axis = { 2, 3 } },
      nn.softmax { groups = 2, hard = true, off = true },
    }, sm.randn(4, 2, 3, 6) },
  }

  it("writes networks that ONNX's checker takes, and that compute elsewhere what they compute here", function()
    if not python_or_pending() then return end
    local names = {}
    for name, case in pairs(networks) do
      names[#names + 1] = name
      local model, x = case[1], case[2]
      model(x)
      write(name, model, x)
    end
    check(names, 4)
  end)

  it("has forms of operations that compute what the operations compute", function()
    if not python_or_pending() then return end
    local s = {
      real = function(...) return (sm.rand(...) - 0.5) * 4 end,
      int32 = function(x, ...) return type(x) == "table" and sm.tensor(x, "int32") or sm.zeros({ x, ... }, "int32") end,
      uint8 = function(x, ...) return type(x) == "table" and sm.tensor(x, "uint8") or sm.zeros({ x, ... }, "uint8") end,
      tensor = sm.tensor,
    }
    local names, zero, tried = {}, sm.zeros(3, 1), 0
    local function is_plain(x)
      return not sm.is_tensor(x) or runtime.tensor.count(x) > 0 and runtime.math.is_finite(x:to(runtime.real))
    end

    --- What an operation gives for a sample of which a tensor depends on the input, by an addend that is 0.
    local function outputs(operation, sample, z)
      local given = table.move(sample, 1, #sample, 1, {})
      for k = 1, #sample do
        if sm.is_tensor(sample[k]) and sample[k].dtype == runtime.real then
          given[k] = sample[k] + z[1][1]
          break
        end
      end
      local gave = { operation.f(table.unpack(given)) }
      if not sm.is_tensor(gave[1]) then gave = gave[1] end
      for position, y in ipairs(gave) do gave[position] = #y.shape < 8 and y:unsqueeze(1) or y end
      return gave
    end

    --- Writes samples as one network, whose outputs are those of each. @return whether all have a form
    local function wrote(name, operation, samples)
      local model = nn.fn(function(z)
        local all = {}
        for _, sample in ipairs(samples) do
          local gave = outputs(operation, sample, z)
          table.move(gave, 1, #gave, #all + 1, all)
        end
        return table.unpack(all)
      end)
      model(zero)
      local written, problem = pcall(write, name, model, zero)
      if not written then
        assert.matches("has no form in an ONNX graph", tostring(problem), name)
        return false
      end
      names[#names + 1], tried = name, tried + #samples
      return true
    end

    for _, operation in ipairs(records) do
      local samples = {}
      for _, sample in ipairs(forms[operation.name] and operation.samples(s) or {}) do
        local plain, any = true, false
        for k = 1, #sample do
          plain = plain and is_plain(sample[k])
          any = any or sm.is_tensor(sample[k]) and sample[k].dtype == runtime.real
        end
        if plain and any then samples[#samples + 1] = sample end
      end
      if #samples > 0 and not wrote(operation.name, operation, samples) then
        for i, sample in ipairs(samples) do wrote(operation.name .. i, operation, { sample }) end
      end
    end
    assert.is_true(tried > 300, tried .. " samples were tried")
    check(names, 140)
  end)

  it("says by layer and operation what it cannot write", function()
    local function refused(words, f, kind)
      local model = nn.sequential { nn.linear { 4 }, nn.fn { f, name = "mine" } }:build { 3 }
      assert.error_matches(function() sm.export(directory .. "/no." .. (kind or "onnx"), model) end, words)
    end
    refused("layer 'mine'.*operation 'unfold' has no form", function(x) return x:reshape(-1, 2, 2, 1):unfold(2) end)
    refused("layer 'mine'.*'item' of what is computed", function(x)
      return x:sum():item() > 0 and x:relu() or x:tanh()
    end)
    refused("layer 'mine'.*'totable' of what is computed", function(x) return x + sm.tensor(x:totable()) end)
    local calls = 0
    refused("layer 'mine'.*something else for another input", function(x)
      calls = calls + 1
      return calls % 2 == 0 and x:relu() or x:tanh()
    end)
    refused("layer 'mine'.*becomes number .* for another input", function(x)
      calls = calls + 1
      return x * calls
    end)
    -- Sizes that no multiple of the examples is: a square, a third, at most eight.
    for _, f in ipairs { function(n) return n * n end, function(n) return n // 3 end,
      function(n) return math.min(n, 8) end } do
      refused("layer 'mine'.*becomes number .* for another input", function(x) return x / f(x.shape[1]) end)
    end
    refused("layer 'mine'.*a size is 9 for 3 examples, 25 for 5 and 121 for 11", function(x)
      return x:matmul(x:transpose(1, 2)):reshape(-1)
    end)
    refused("layer 'mine'.*no operation that can be traced", function(x) return x + sm.randn(4) end)
    refused("layer 'mine'.*operation 'dropout' has no form", function(x) return x:dropout(0.5) end)
    refused("layer 'mine'.*gradients", function(x)
      x = x:detach():requires_grad()
      return sm.grad(sm.enable_grad(function() return x:relu():sum() end), { x })[1]
    end)
    refused("layer 'mine'.*'copy_' of", function(x) return sm.zeros(x.shape):copy_(x) end)
    refused("ends in .onnx or .npz", function(x) return x end, "pt")
    assert.is_nil(lfs.attributes(directory .. "/no.onnx"))
  end)

  it("writes parameters and buffers that NumPy opens, and leaves modes and random numbers alone", function()
    local model = nn.sequential { nn.linear { 4 }, nn.batchnorm {} }:build { 3 }
    sm.seed(9)
    local before = sm.randn(1):item()
    sm.seed(9)
    assert.equal("input {N, 3} → output {N, 4}", sm.export(directory .. "/net.onnx", model))
    assert.equal(before, sm.randn(1):item())
    assert.is_true(model.training)
    assert.equal("6 arrays", sm.export(directory .. "/net.npz", model))
    local names = {}
    for name in pairs(sm.load(directory .. "/net.npz")) do names[#names + 1] = name end
    table.sort(names)
    assert.same({ "batchnorm1.bias", "batchnorm1.mean", "batchnorm1.variance", "batchnorm1.weight", "linear1.bias",
      "linear1.weight" }, names)
  end)
end)
