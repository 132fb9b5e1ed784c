--- Runs of models with layers of one's own, layers in several places, frozen and loaded ones: they resume to the same
--- bits, and what such a layer computes tells one run from another.
local lfs = require "lfs"
local sm = require "sm"
local helpers = dofile "tests/lua/helpers.lua"

local text <const> = [[
local sm = require "sm"
local nn = sm.nn
local p = sm.params { steps = 8, seed = 3 }
local inputs = sm.randn(40, 5)

local function curved(power)
  return nn.layer {
    kind = "curved",
    layers = function() return { inner = nn.linear { 5 } } end,
    build_values = function(self, shape)
      self:make_parameter("gain", { shape[2] }, sm.ones)
      self:make_buffer("steps", sm.zeros(1))
      self:make_buffer("order", sm.randperm(shape[2]))
    end,
    forward = function(self, x)
      if self.training then
        sm.no_grad(function() self.steps:copy_(self.steps + 1) end)
      end
      return self.inner(x) * self.gain + x:index_select(2, self.order) * power
    end,
  }
end

local shared, first = curved(tonumber(io.open "power":read "a"))(), nn.linear { 5 }:build { 5 }
first:load { weight = sm.randn(5, 5), bias = sm.ones(5) }
return sm.experiment {
  data = sm.data.tensors { inputs = inputs, targets = sm.tensor(TARGETS, "int32"), validation = 10 },
  model = nn.sequential { first, shared, nn.relu(), nn.dropout { 0.2 }, shared, nn.linear { 5 } }:freeze "^linear1%.",
  loss = "cross_entropy", optimizer = sm.optim.adam { lr = 1e-2 },
  schedule = { steps = p.steps, batch = 6, evaluate = 4, checkpoint = 4, keep = 5 }, seed = p.seed,
}
]]

describe("a run with layers of one's own", function()
  local workspace = os.tmpname()
  os.remove(workspace)
  local labels = {}
  for i = 1, 40 do labels[i] = i % 5 end

  local function run(words, power)
    helpers.write(workspace .. "/own.lua", (text:gsub("TARGETS", "{ " .. table.concat(labels, ", ") .. " }")))
    helpers.write(workspace .. "/power", tostring(power or 2))
    local status, out, err = helpers.shell(workspace, '"$SMRUN" ' .. words)
    assert.equal(0, status, err)
    return out
  end

  setup(function() assert(lfs.mkdir(workspace)) end)
  teardown(function() os.execute("rm -r " .. helpers.quote(workspace)) end)

  it("keeps all of it in its checkpoints, and resumes to the same bits", function()
    run "own.lua --quiet"
    local directory = workspace .. "/runs/own/default/"
    local whole = sm.load(directory .. "checkpoints/step-000008.safetensors")
    local names = {}
    for name in pairs(whole) do names[#names + 1] = name:match "^model%.(.*)" end
    table.sort(names)
    assert.same({ "curved1.gain", "curved1.inner.bias", "curved1.inner.weight", "curved1.order", "curved1.steps",
      "linear1.bias", "linear1.weight", "linear2.bias", "linear2.weight" }, names)
    assert.same({ 16 }, whole["model.curved1.steps"]:totable()) -- applied twice a step
    assert.equal("int32", whole["model.curved1.order"].dtype)
    assert.is_nil(whole["optimizer.linear1.weight.m"])
    assert.same({ 1, 1, 1, 1, 1 }, whole["model.linear1.bias"]:totable())
    assert(os.remove(directory .. "checkpoints/step-000008.safetensors"))
    assert(os.remove(directory .. "summary.json"))
    run "resume runs/own/default --quiet --read ."
    local resumed = sm.load(directory .. "checkpoints/step-000008.safetensors")
    for name, tensor in pairs(whole) do assert.same(tensor:totable(), resumed[name]:totable(), name) end
  end)

  it("is another one where what such a layer has captured differs", function()
    run("own.lua --quiet", 2)
    local first = lfs.attributes(workspace .. "/runs/own/default-2", "mode")
    run("own.lua --quiet", 3)
    assert.is_nil(first)
    assert.equal("directory", lfs.attributes(workspace .. "/runs/own/default-2", "mode"))
  end)

  it("loads from its checkpoint", function()
    local model = sm.nn.sequential { sm.nn.linear { 5 } }:build { 5 }
    local path = workspace .. "/runs/own/default/checkpoints/step-000008.safetensors"
    local _, report = model:load(path, { strict = false })
    assert.same({ 1, 1, 1, 1, 1 }, model:layer("linear1").bias:totable())
    assert.equal("curved1.gain", report.unexpected[1])
  end)
end)

it("runs are told apart by what a traced function computes, and not by whether it has been used", function()
  local workspace = os.tmpname()
  os.remove(workspace)
  assert(lfs.mkdir(workspace))
  helpers.write(workspace .. "/two.lua", [[
    local sm = require "sm"
    local power = tonumber(io.open "power":read "a")
    local swish = sm.pointwise(function(x) return x / (1 + (-power * x):exp()) end)
    for _, lr in ipairs { 0.05, 0.1 } do
      local run = sm.experiment {
        data = sm.data.tensors { inputs = sm.ones(20, 3), targets = sm.ones(20, 1) },
        model = sm.nn.sequential { sm.nn.linear { 4 }, sm.nn.fn(swish), sm.nn.fn(function(x) return swish(x) end),
          sm.nn.linear { 1 } }, loss = "mse",
        optimizer = sm.optim.sgd { lr = lr }, schedule = { steps = 3, batch = 5 },
      }:run { file = arg[0], quiet = true }
      print(run.directory)
    end
  ]])
  local function runs(power)
    helpers.write(workspace .. "/power", tostring(power))
    local status, out, err = helpers.shell(workspace, '"$SMRUN" two.lua')
    assert.equal(0, status, err)
    return out:gsub("done[^\n]*\n", ""):gsub("[^\n]*done before[^\n]*\n", "")
  end
  assert.equal("runs/two/default\nruns/two/default-2\n", (runs(2)))
  assert.equal("runs/two/default\nruns/two/default-2\n", (runs(2)))
  assert.equal("runs/two/default-3\nruns/two/default-4\n", (runs(3)))
  os.execute("rm -r " .. helpers.quote(workspace))
end)

it("a run's model may give a table, to a loss of one's own", function()
  local set = sm.data.tensors { inputs = sm.rand(20, 4), targets = sm.zeros({ 20 }, "int32"),
    validation = 8 }
  local function run(loss, metrics)
    local experiment = sm.experiment {
      data = set, model = sm.nn.branch { class = sm.nn.linear { 3 }, size = sm.nn.linear { 2 } }, loss = loss,
      metrics = metrics,
      optimizer = sm.optim.sgd { lr = 0.1 }, schedule = { steps = 2, batch = 5 },
    }
    local runs = os.tmpname()
    os.remove(runs)
    local ok, result = pcall(experiment.run, experiment, { file = "tests/lua/layers_runs_spec.lua", quiet = true,
      runs = runs })
    os.execute("rm -rf " .. helpers.quote(runs))
    return ok, result
  end
  local function loss(y, target) return y.class:cross_entropy(target) + (y.size * y.size):mean() end
  local seen
  local ok, result = run(loss, { share = function(y, target)
    seen = { y.class.shape, y.size.shape, target.shape }
    return y.class:accuracy(target)
  end })
  assert.is_true(ok, result)
  assert.same({ { 8, 3 }, { 8, 2 }, { 8 } }, seen) -- of all examples of the split, at once
  assert.matches("needs a row of scores for each example, {N, classes}, but the model gives several tensors",
    select(2, run "cross_entropy"))
end)
