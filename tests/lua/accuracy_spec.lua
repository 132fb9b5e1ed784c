local sm = require "sm"
local tiny = dofile "tests/lua/tiny_experiment.lua"

-- Labels {60}, and a model that gives {N, 4}: an autoencoder of its inputs, unless `changes` say otherwise.
local text = [[
local sm = require "sm"
sm.seed(3)
local labels = {}
for i = 1, 60 do labels[i] = i % 3 end
local x, y = sm.rand(60, 4), sm.tensor(labels, "int32")
return sm.experiment {
  data = sm.data.tensors { inputs = x, targets = y, validation = 20, test_inputs = x, test_targets = y },
  model = sm.nn.sequential { sm.nn.linear { 2 }, sm.nn.linear { 4 } },
  loss = function(output, _, input) return ((output - input) ^ 2):mean() end,
  optimizer = sm.optim.sgd { lr = 0.1 },
  schedule = { steps = 6, batch = 10, log = 2, evaluate = 2 },
}
]]

describe("accuracy", function()
  local workspace
  before_each(function() workspace = tiny.workspace() end)
  after_each(function() tiny.remove(workspace) end)

  local function run(changed, from, to)
    if from then
      local found
      changed, found = changed:gsub(from, (to:gsub("%%", "%%%%")))
      assert.equal(1, found)
    end
    tiny.write(workspace .. "/tiny.lua", changed)
    return tiny.run(workspace)
  end

  local function message_of(changed, from, to)
    local ok, message = pcall(run, changed, from, to)
    assert.is_false(ok)
    return message
  end

  it("is not shown of a loss function that has labels beside it and an output {N, k}", function()
    local printed, result = run(text)
    assert.is_nil(printed:find("accuracy", 1, true), printed)
    assert.truthy(printed:find("test loss", 1, true))
    for key in pairs(result.summary) do assert.is_nil(key:find("accuracy", 1, true), key) end
    for line in tiny.read(result.directory .. "/metrics.csv"):gmatch "\n([^\n]+)" do
      assert.matches("^%d+,%d+,[%d.e-]+,,[%d.e-]+,,", line)
    end
    local shown, figures = tiny.call("evaluate", result.directory)
    assert.is_nil(shown:find("accuracy", 1, true))
    assert.is_nil(figures.test.accuracy)
  end)

  it("does not choose the best step where it is not measured: the loss does", function()
    local _, result = run(text)
    local best
    for _, row in ipairs((require "sm.experiment.metrics".rows(result.directory .. "/metrics.csv"))) do
      if not best or row.validation_loss < best.validation_loss then best = row end
    end
    assert.equal(best.step, result.summary.best_validation_step)
    assert.equal(6, best.step)
  end)

  it("does not stop a network whose output is no row of scores for the labels", function()
    run(text, "i %% 3", "i % 40") -- an embedding of 4 numbers, and label 39
    run(text, "loss = [^\n]*", [[loss = function(output, labels) -- siamese: neighbours of one label lie together
      local other = output:slice(1, 5) - output:slice(6, 10)
      return (other ^ 2):mean() + output:sum() * 0 + labels:slice(1, 5):to(output.dtype):sum() * 0
    end,]])
  end)

  it("is measured where the loss classifies by name, or where metrics ask for it", function()
    local _, by_name = run(text, "loss = [^\n]*", 'loss = "cross_entropy",')
    local _, asked = run(text, "loss = [^\n]*",
      'loss = function(output, labels) return output:cross_entropy(labels) end, metrics = { "accuracy" },')
    local columns = {}
    for i, result in ipairs { by_name, asked } do
      assert.is_number(result.summary.best_validation_accuracy)
      columns[i] = tiny.metrics(result.directory)
      local shown, figures = tiny.call("evaluate", result.directory)
      assert.truthy(shown:find("accuracy", 1, true))
      assert.is_number(figures.test.accuracy)
    end
    assert.equal(columns[1], columns[2])
    assert.matches("^%d+,%d+,[%d.e-]+,[%d.e-]+,[%d.e-]+,[%d.e-]+,", columns[1]:match "\n([^\n]+)")
  end)

  it("is not measured of losses by name that compare numbers", function()
    for _, name in ipairs { "mse", "l1", "huber", "bce_with_logits", "kl_div", "hinge", "cosine" } do
      local _, result = run(text:gsub("targets = y", "targets = x"):gsub("targets = y", "targets = x"),
        "loss = [^\n]*", ('loss = "%s", name = "%s",'):format(name, name))
      assert.is_number(result.summary.test_loss)
      assert.is_nil(result.summary.test_accuracy)
    end
    local _, result = run(text:gsub("targets = y", "targets = x"), "loss = [^\n]*", 'loss = "cross_entropy",')
    assert.is_nil(result.summary.test_accuracy) -- probabilities are no labels
  end)

  it("stays what it was in a run that version 0.1.0 began", function()
    local _, result = run(text)
    local path = result.directory .. "/checkpoints/step-000006.safetensors"
    local tensors, metadata = sm.load(path)
    metadata.numbers = metadata.numbers .. "\nspent.training=1\nspent.wall=2\ntally.seconds=1"
    sm.save(path, tensors, metadata) -- without checksums, too
    local shown, figures = tiny.call("evaluate", result.directory)
    assert.matches("test +loss [%d.]+ +accuracy +%d+%.%d+ %%", shown)
    assert.is_number(figures.validation.accuracy)
  end)

  it("has a label for every position where the scores have one", function()
    local _, result = run(text:gsub("sm.tensor%(labels, \"int32\"%)", "%0:reshape(60, 1)"), "sm.nn.linear { 4 }",
      "sm.nn.linear { 4 }, sm.nn.fn(function(x) return x:reshape(#x, 1, 4) end)")
    assert.is_nil(result.summary.test_accuracy)
    _, result = run(text:gsub("sm.tensor%(labels, \"int32\"%)", "%0:reshape(60, 1)")
      :gsub("loss = [^\n]*", 'loss = "cross_entropy",'), "sm.nn.linear { 4 }",
      "sm.nn.linear { 4 }, sm.nn.fn(function(x) return x:reshape(#x, 1, 4) end)")
    assert.is_number(result.summary.test_accuracy)
  end)

  it("that is asked for and cannot be is refused before anything is written", function()
    local asked = 'metrics = { "accuracy" }, loss = function'
    assert.matches("^[^\n]*tiny%.lua:6: experiment: option 'metrics': \"accuracy\" needs a score for each of the 5 "
      .. "classes of tensors, but the model gives {N, 4}",
      message_of(text:gsub("loss = function", asked), "i %% 3", "i % 5"))
    assert.matches("tiny%.lua:6: .* \"accuracy\" needs integer labels {N, …} and a row of scores {N, …, classes} for "
      .. "each, but the targets are {N, 4} of " .. require "sm.runtime".real .. " and the model gives {N, 4}",
      message_of(text:gsub("loss = function", asked):gsub("test_targets = y", "test_targets = x"), "targets = y, ",
        "targets = x, "))
    assert.is_nil(require "lfs".attributes(workspace .. "/runs/tiny/default/params.json"))
  end)
end)

describe("metrics", function()
  local function refusal(metrics)
    local ok, message = pcall(sm.experiment, {
      data = sm.data.tensors { inputs = sm.zeros(4, 2), targets = sm.zeros({ 4 }, "int32") },
      model = sm.nn.sequential { sm.nn.linear { 2 } }, optimizer = sm.optim.sgd { lr = 0.1 },
      schedule = { steps = 1, batch = 2 }, metrics = metrics,
    })
    assert.is_false(ok)
    assert.matches("accuracy_spec.lua:%d+: experiment: ", message)
    return message
  end

  it("are checked by name", function()
    assert.matches("there is no \"acuracy\"; did you mean 'accuracy'%?", refusal { "acuracy" })
    assert.matches("takes names and named functions, such as { \"accuracy\", f1 = function%b() … end }, "
      .. "got 1 = number 3", refusal { 3 })
    assert.matches("got f1 = string \"f1\"", refusal { f1 = "f1" })
    assert.matches("got a/b = function", refusal { ["a/b"] = print })
    assert.matches("option 'metrics' must be a table, got string \"accuracy\"", refusal "accuracy")
  end)

  local workspace
  before_each(function() workspace = tiny.workspace() end)
  after_each(function() tiny.remove(workspace) end)

  local function run(metrics)
    tiny.write(workspace .. "/tiny.lua", (text:gsub("loss = function", "metrics = { " .. metrics .. " },\n  %0")))
    return tiny.run(workspace)
  end

  it("that are functions see the outputs and targets of a whole split, and have columns of their own", function()
    local printed, result = run [[
      rows = function(output, target) assert(#output == #target) return #output end,
      error = function(output, target) return (output:mean(2) - target:to(output.dtype)):abs():max() end,
      nothing = function() end]]
    local csv = tiny.read(result.directory .. "/metrics.csv")
    assert.matches(",step_ms,validation_error,validation_nothing,validation_rows,step_rms\n", csv)
    assert.matches("\n2,[^\n]*,[%d.]+,,20,[%d.e-]+\n", csv)
    assert.equal(20, result.summary.validation_rows)
    assert.equal(60, result.summary.test_rows)
    assert.is_nil(result.summary.test_nothing)
    assert.is_nil(result.summary.test_accuracy)
    assert.matches("validation loss [%d.]+ +error [%d.]+ +rows 20", printed)
    local shown, figures = tiny.call("evaluate", result.directory)
    assert.matches("test +loss [%d.]+ +error [%d.]+ +rows 60", shown)
    assert.equal(60, figures.test.metrics.rows)
    assert.is_near(result.summary.test_error, figures.test.metrics.error, 1e-6)
  end)

  it("must give a finite number, and take no other's column", function()
    for value, words in pairs { ["'x'"] = "string \"x\"", ["0 / 0"] = "number nan", ["{}"] = "table",
      ["sm.zeros(2)"] = "tensor {2}" } do
      local ok, message = pcall(run, "f1 = function() return " .. value .. " end")
      assert.is_false(ok)
      assert.matches("the metric 'f1' must give a finite number, or nothing, got " .. words
        .. "; it is defined at [^\n]*tiny%.lua:9", message)
    end
    local ok, message = pcall(run, "loss = function() return 1 end")
    assert.is_false(ok)
    assert.matches("the metric 'loss' cannot have the column 'validation_loss' in metrics%.csv: every run has it",
      message)
  end)
end)
