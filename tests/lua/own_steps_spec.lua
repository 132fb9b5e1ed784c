-- Steps of one's own, several optimizers, and what is evaluated in place of the last weights.
local host = require "sm.cli.host"
local metrics = require "sm.experiment.metrics"
local json = require "sm.json"
local sm = require "sm"
local tiny = dofile "tests/lua/tiny_experiment.lua"

local HEAD <const> = [[
local sm = require "sm"
local nn, optim = sm.nn, sm.optim
local p = sm.params { steps = 12, checkpoint = 4, seed = 1, flag = "" }
sm.seed(5)
local labels = {}
for i = 1, 40 do labels[i] = i % 3 end
local inputs, targets = sm.randn(40, 4), sm.tensor(labels, "int32")
local data = sm.data.tensors { inputs = inputs, targets = targets, validation = 10, test_inputs = inputs,
  test_targets = targets }
local schedule = { steps = p.steps, batch = 6, log = 2, evaluate = 2, checkpoint = p.checkpoint, keep = 9 }
]]

local PAIR <const> = HEAD .. [[
local pair = nn.layer {
  kind = "pair",
  layers = function()
    return { one = nn.linear { 5 }, two = nn.sequential { nn.dropout { 0.2 }, nn.linear { 3 } } }
  end,
  forward = function(self, x) return self.two(self.one(x):relu()) end,
}
return sm.experiment {
  data = data, model = pair {}, seed = p.seed, schedule = schedule,
  optimizer = { one = optim.adam { lr = 0.01 }, two = optim.sgd { lr = 0.1, momentum = 0.5 } },
  metrics = { "accuracy", shift = { mean = function(output, target, input, at)
    assert(not at.training and at.model.one and #output == #input and #target == #input)
    assert(not output:tracks() and sm.enable_grad(at.model, input):tracks())
    return output:mean()
  end } },
  train = function(at, batch)
    assert(at.training and at.data == data and at.model.two.training)
    local noisy = batch.input + sm.randn(batch.input.shape) / 10
    local loss = at.model(noisy):cross_entropy(batch.target)
    if p.flag == "infinite" and at.step == 5 then return loss * 1e38 * 1e38 end
    loss:backward()
    if p.flag == "gradient" and at.step == 5 then at.model.one.weight.grad = sm.zeros(4, 5) / 0 end
    if p.flag == "text" then return { one = "much" } end
    if p.flag == "two" then return loss, loss end
    if p.flag == "list" then return { loss } end
    if p.flag == "set" then at.count = 1 end
    if p.flag == "misspelt" then return at.modle end
    at.optimizer.one:step()
    at.model:eval()
    if at.step % 3 == 0 then at.optimizer.two:step() end
    if at.step > 4 then return { loss = loss, late = at.step } end
    return loss
  end,
}
]]

local function text_of(source, changes)
  for from, to in pairs(changes or {}) do
    local first, last = source:find(from, 1, true)
    source = source:sub(1, first - 1) .. to .. source:sub(last + 1)
  end
  return source
end

describe("a step of one's own", function()
  local workspace
  local interrupted = host.interrupted
  before_each(function() workspace = tiny.workspace() end)
  after_each(function()
    host.interrupted = interrupted
    tiny.remove(workspace)
  end)

  --- Runs a text; what it printed, and its result.
  local function run(source, overrides, options)
    tiny.write(workspace .. "/tiny.lua", source)
    return tiny.run(workspace, overrides, options)
  end

  local function refused(source, overrides)
    local ok, message = pcall(run, source, overrides)
    assert.is_false(ok)
    return tostring(message)
  end

  local function rows(result) return (metrics.rows(result.directory .. "/metrics.csv")) end
  local function summary(result) return json.object(tiny.read(result.directory .. "/summary.json")) end
  local function checkpoint(result, name) return tiny.read(result.directory .. "/checkpoints/" .. name) end

  it("makes the step, and what it returns becomes columns", function()
    local printed, result = run(PAIR)
    local all = rows(result)
    assert.equal(6, #all)
    assert.is_nil(all[1].train_late)
    assert.equal((5 + 6) / 2, all[3].train_late)
    assert.equal(11.5, all[6].train_late)
    assert.is_true(all[6].train_loss > 0 and all[6].validation_accuracy >= 0)
    assert.is_nil(all[1].validation_loss)      -- none was declared
    assert.is_nil(all[1].train_accuracy)
    assert.is_number(all[1].validation_shift)
    assert.equal(0.1, all[1].two_lr)
    assert.is_nil(all[1].two_step_rms)         -- its first step is the third
    assert.is_true(all[3].two_step_rms > 0 and all[3].one_step_rms > 0)
    assert.is_number(summary(result).test_shift)
    assert.truthy(printed:find("train loss", 1, true) and printed:find("late 11.5", 1, true), printed)
  end)

  it("goes on with the same bits", function()
    local _, whole = run(PAIR, nil, { runs = workspace .. "/whole" })
    for _, polls in ipairs { 1, 4, 5, 11 } do
      local left = polls
      host.interrupted = function()
        left = left - 1
        return left < 0
      end
      local _, result = run(PAIR)
      host.interrupted = interrupted
      assert.is_true(result.interrupted)
      tiny.call("resume", result.directory)
      for _, name in ipairs { "step-000004.safetensors", "step-000012.safetensors" } do
        assert.equal(checkpoint(whole, name), checkpoint(result, name))
      end
      assert.equal(tiny.metrics(whole.directory), tiny.metrics(result.directory))
      tiny.remove(workspace .. "/runs")
    end
  end)

  it("says which step, which number and which gradient is not finite", function()
    assert.matches("step 5: the loss is inf; every layer's output is finite; the last good checkpoint is .*%-000004",
      refused(PAIR, { flag = "infinite" }))
    assert.matches("tiny.lua:%d+: step 5: the gradient of 'one%.weight' is not finite; the last good checkpoint is ",
      refused(PAIR, { flag = "gradient" }))
  end)

  it("refuses what it cannot show, and what no checkpoint would keep", function()
    assert.matches('step 1: train must return a loss, .* got string "much" at \'one\'; it is defined at',
      refused(PAIR, { flag = "text" }))
    assert.matches("train must return .* got 2 values; it is defined at", refused(PAIR, { flag = "two" }))
    assert.matches("got one called '1', and names are letters, digits and _", refused(PAIR, { flag = "list" }))
    assert.matches("tiny.lua:%d+: at%.count cannot be set: .* buffer of a layer", refused(PAIR, { flag = "set" }))
    assert.matches("`at` has no 'modle'; did you mean 'model'%?", refused(PAIR, { flag = "misspelt" }))
    assert.matches("tiny.lua:%d+: a batch has no 'inputs'; did you mean 'input'%?",
      refused(text_of(PAIR, { ["batch.input +"] = "batch.inputs +" })))
    assert.matches("tiny.lua:%d+: at%.optimizer has no 'step'; it has optimizers by name: one, two",
      refused(text_of(PAIR, { ["at.optimizer.one:step()"] = "at.optimizer:step()" })))
  end)

  it("names what does not go together", function()
    for change, message in pairs {
      ["one = optim.adam { lr = 0.01 }"] = { "other = optim.adam { lr = 0.01 }",
        "the optimizer 'other' moves the layer of that name, but the model has no layer 'other'" },
      ["two = optim.sgd { lr = 0.1, momentum = 0.5 }"] = { "two = 5",
        "option 'optimizer.two' must be an optimizer" },
      ["schedule = schedule,"] = { "schedule = { steps = 2, batch = 2, accumulate = 2 },", "'accumulate' is for" },
      ["seed = p.seed,"] = { "seed = p.seed, best = 'validation_loss',", "there is no validation loss" },
      ["metrics = {"] = { "best = 'validation_shift', metrics = {", "say which 'validation_shift' is best" },
      ["data = data,"] = { "data = data, best = 'validation_shaft',", "did you mean 'validation_shift'" },
      ["shift = {"] = { "step = print, shift = {", "no metric is called 'step'" },
      ["one = nn.linear { 5 }"] = { "one = nn.relu()", "'one' has nothing to move: the layer has no parameters" },
    } do
      local text = refused(text_of(PAIR, { [change] = message[1] }))
      assert.truthy(text:find(message[2], 1, true), text)
    end
    local both = text_of(PAIR, { ["local pair ="] = "local shared = nn.linear { 4 }\nlocal pair =",
      ["one = nn.linear { 5 }"] = "one = shared", ["nn.dropout { 0.2 }"] = "shared" })
    assert.matches("the optimizers 'one' and 'two' would both move 'one%.weight'", refused(both))
    local built = text_of(PAIR, { ["return sm.experiment {"] = "local made = pair {}\nmade:build { 4 }\n"
      .. "return sm.experiment {", ["model = pair {}"] = "model = made",
      ["one = optim.adam { lr = 0.01 }"] = "train = optim.adam {}:add(made.one.weight)" })
    assert.matches("the optimizer cannot have the column 'train_lr': so is called what `train` returns",
      refused(built))
  end)

  it("follows a loss with several optimizers, each of which has something to do", function()
    local steps = "train = function(at, batch)\n    assert(at.training and at.data == data and at.model.two.training)"
    local plain = text_of(PAIR, { [steps] = "views = {}, loss = function(output, target)\n    do return "
      .. "output:cross_entropy(target) end", ["return sm.experiment {"] = "local made = pair {}\nmade:build { 4 }\n"
      .. "return sm.experiment {", ["model = pair {}"] = "model = made",
      ["one = optim.adam { lr = 0.01 }, two = optim.sgd { lr = 0.1, momentum = 0.5 }"] = -- each has its 'parameter1'
        "one = optim.adam {}:add(made.one.weight), other = optim.sgd { lr = 0.1 }:add(made.two.layers[2].weight)" })
    local _, result = run(plain)
    assert.is_true(rows(result)[6].other_step_rms > 0)
    assert.matches("the loss depends on no parameter that the optimizer 'one' moves",
      refused(text_of(plain, { ["self.one(x):relu()"] = "self.one(x):relu():detach()" })))
  end)

  it("has an evaluation in which nothing is measured", function()
    local _, result = run((PAIR:gsub("metrics = %b{},", "")))
    assert.equal(12, summary(result).steps)
    assert.matches("validation +nothing is measured\ntest +nothing is measured\n", (tiny.call("evaluate",
      result.directory)))
  end)

  it("needs no optimizer where it moves the weights itself", function()
    local _, result = run(text_of(PAIR, {
      ["local noisy ="] = "assert(not at.model.one.weight.grad, 'the last step\\'s gradient')\nlocal noisy =",
      ["optimizer = { one = optim.adam { lr = 0.01 }, two = optim.sgd { lr = 0.1, momentum = 0.5 } },"] = "",
      ["at.optimizer.one:step()"] = "sm.no_grad(function() for _, w in pairs(at.model:parameters()) do "
        .. "if w.grad then w:copy_(w - 0.1 * w.grad) end end end)",
      ["at.optimizer.two:step()"] = "",
    }))
    local all = rows(result)
    assert.is_true(all[6].train_loss < all[1].train_loss)
  end)
end)

local PLAIN <const> = HEAD .. [[
return sm.experiment {
  data = data, model = nn.sequential { nn.linear { 8 }, nn.batchnorm(), nn.relu(), nn.linear { 3 } }, seed = p.seed,
  optimizer = optim.adam { lr = 0.05 }, schedule = schedule,
}
]]

describe("the best weights", function()
  local workspace
  before_each(function() workspace = tiny.workspace() end)
  after_each(function() tiny.remove(workspace) end)

  local function run(changes, overrides)
    tiny.write(workspace .. "/tiny.lua", text_of(PLAIN, changes))
    local _, result = tiny.run(workspace, overrides)
    return result, json.object(tiny.read(result.directory .. "/summary.json"))
  end

  it("are kept, tested and named", function()
    local result, summary = run { ["schedule = schedule,"] = "schedule = schedule, best = 'validation_loss'," }
    local best, step = math.huge, nil
    for _, row in ipairs((metrics.rows(result.directory .. "/metrics.csv"))) do
      if row.validation_loss < best then best, step = row.validation_loss, row.step end
    end
    assert.equal(step, summary.tested_step)
    assert.equal("best", summary.tested_weights)
    assert.equal(best, summary.best_validation_loss)
    local kept, metadata = sm.load(result.directory .. "/checkpoints/best.safetensors")
    assert.equal(tostring(step), metadata.step)
    local evaluated = select(2, tiny.call("evaluate", result.directory))
    assert.equal(step, evaluated.step)
    assert.is_true(math.abs(evaluated.test.loss - summary.test_loss) < 1e-7)
    -- A run that ends at that step has these weights.
    local short = run({ ["schedule = schedule,"] = "schedule = schedule, name = 'short'," },
      { steps = step, checkpoint = step })
    local last = sm.load(("%s/checkpoints/step-%06d.safetensors"):format(short.directory, step))
    for name, tensor in pairs(kept) do assert.same(last[name]:totable(), tensor:totable()) end
  end)

  it("end the training where no better ones come", function()
    local result, summary = run({
      ["schedule = schedule,"] = "schedule = { steps = 400, batch = 6, evaluate = 2, checkpoint = 100, "
        .. "patience = 3 },\n  metrics = { still = function(_, _, _, at) return -math.abs(at.step - 6) end },\n"
        .. "  best = { 'validation_still', mode = 'max' },",
    })
    assert.equal(12, summary.steps)       -- 6 was best; 8, 10 and 12 were not
    assert.equal("patience", summary.stopped)
    assert.equal(6, summary.tested_step)
    assert.same({ "best.safetensors", "step-000012.safetensors" }, tiny.list(result.directory .. "/checkpoints"))
    local printed = tiny.smrun(("--runs '%s/runs' '%s/tiny.lua'"):format(workspace, workspace))
    assert.truthy(printed:find("done before", 1, true) and printed:find("stopped early", 1, true), printed)
  end)

  it("are read before a run goes on, and what is wrong with them is said", function()
    local best = { ["schedule = schedule,"] = "schedule = schedule,\n  metrics = { still = function(_, _, _, at) if "
      .. "at.step == 8 and not io.open(arg[0]:match '.*/' .. 'on') then error 'stop' end return -at.step end },\n"
      .. "  best = { 'validation_still', mode = 'max' }," }
    assert.is_false(pcall(run, best))
    local directory = workspace .. "/runs/tiny/default"
    local path = directory .. "/checkpoints/best.safetensors"
    local function resumed(change, name, value)
      local tensors, metadata = sm.load(path)
      local all = {}
      for key, tensor in pairs(tensors) do all[key] = tensor end
      if change == "metadata" then metadata[name] = value else all[name] = value end
      local kept = tiny.read(path)
      sm.save(path, all, metadata)
      local ok, message = pcall(tiny.call, "resume", directory)
      tiny.write(path, kept)
      return not ok and tostring(message)
    end
    assert.matches("best.safetensors: its step is '1', expected one from 2 to 12", resumed("metadata", "step", "1"))
    assert.matches("best.safetensors: its step is '13', expected", resumed("metadata", "step", "13"))
    assert.matches("best.safetensors: it was saved by a different text", resumed("metadata", "source", "return"))
    assert.matches("best.safetensors: tensor 'model.linear1.bias' is not finite",
      resumed("tensors", "model.linear1.bias", sm.zeros(8) / 0))
    os.rename(path, path .. ".kept")
    assert.matches("best.safetensors: cannot open: No such file",
      select(2, pcall(tiny.call, "resume", directory)))
    os.rename(path .. ".kept", path)
    tiny.write(directory .. "/on", "")
    local printed = tiny.smrun(("resume '%s'"):format(directory))
    assert.truthy(printed:find("with the best weights (of step 2) after 12 steps", 1, true), printed)
  end)

  it("are none where nothing says what is better", function()
    local result, summary = run {
      ["schedule = schedule,"] = "schedule = schedule, metrics = { at = function(_, _, _, at) return at.step end },\n"
        .. "  train = function() end,",
    }
    assert.equal(12, summary.validation_at)
    assert.equal(12, summary.test_at)
    assert.is_nil(summary.best_validation_at)
    assert.is_nil(summary.best_validation_step)
    local printed, evaluated = tiny.call("evaluate", result.directory)
    assert.equal(12, evaluated.test.metrics.at)
    assert.truthy(printed:find("at 12", 1, true), printed)
    local report = tiny.read(result.directory .. "/report.html")
    assert.truthy(report:find("<td>test at</td><td class=\"figure\">12</td>", 1, true))
    local compared = tiny.smrun(("compare '%s'"):format(result.directory))
    assert.matches("experiment +seeds +test at +step\n +tiny +1 +12 ", compared)
  end)

  it("need validation data", function()
    local ok, message = pcall(run, { ["validation = 10, "] = "", ["seed = p.seed,"] = "best = 'validation_loss'," })
    assert.is_false(ok)
    assert.matches("option 'best' compares evaluations of the validation data, and tensors has none", message)
  end)
end)

describe("a schedule", function()
  local workspace
  before_each(function() workspace = tiny.workspace() end)
  after_each(function() tiny.remove(workspace) end)

  local function run(changes, name)
    tiny.write(workspace .. "/tiny.lua", text_of(PLAIN, changes))
    local _, result = tiny.run(workspace, nil, { runs = workspace .. "/" .. name })
    return result
  end

  local function weights(result, name)
    return (sm.load(("%s/checkpoints/%s.safetensors"):format(result.directory, name or "step-000012")))
  end

  it("adds up the gradients of several batches", function()
    local plain = "nn.sequential { nn.linear { 8 }, nn.relu(), nn.linear { 3 } }"
    local layers = "nn.sequential { nn.linear { 8 }, nn.batchnorm(), nn.relu(), nn.linear { 3 } }"
    local one = run({ [layers] = plain, ["batch = 6"] = "batch = 6" }, "one")
    local three = run({ [layers] = plain, ["batch = 6"] = "batch = 2, accumulate = 3" }, "three")
    assert.equal(#metrics.rows(one.directory .. "/metrics.csv"), #metrics.rows(three.directory .. "/metrics.csv"))
    local a, b = weights(one), weights(three)
    for name, tensor in pairs(a) do
      if name:find "^model" then assert.is_true((tensor - b[name]):abs():max():item() < 1e-4, name) end
    end
    local losses = {}
    for i, result in ipairs { one, three } do
      losses[i] = metrics.rows(result.directory .. "/metrics.csv")[6].train_loss
    end
    assert.is_true(math.abs(losses[1] - losses[2]) < 1e-4)
  end)

  it("averages the weights, and evaluates the average", function()
    local decay <const> = 0.75
    local all = { ["keep = 9"] = "keep = 20", ["checkpoint = p.checkpoint"] = "checkpoint = 1" }
    local plain = run(all, "plain")
    all["keep = 9"] = "keep = 20, ema = 0.75"
    local averaged = run(all, "averaged")
    local expected, share = {}, 0
    for step = 1, 12 do
      local weight, file = decay ^ (12 - step), ("step-%06d"):format(step)
      share = share + weight
      local same = weights(averaged, file)
      for name, tensor in pairs(weights(plain, file)) do
        if name:find "^model" then
          assert.same(same[name]:totable(), tensor:totable()) -- the training itself is as it was
          expected[name] = (expected[name] or 0) + tensor * weight
        end
      end
    end
    for name, tensor in pairs(weights(averaged)) do
      local own = name:match "^average%.(.+)$"
      if own then assert.is_true((tensor - expected[own] / share):abs():max():item() < 1e-5, name) end
    end
    local rows = metrics.rows(averaged.directory .. "/metrics.csv")
    local others = metrics.rows(plain.directory .. "/metrics.csv")
    assert.equal(others[6].train_loss, rows[6].train_loss)
    assert.equal(others[6].step_rms, rows[6].step_rms)
    assert.not_equal(others[6].validation_loss, rows[6].validation_loss)
    local evaluated = select(2, tiny.call("evaluate", averaged.directory))
    assert.is_true(math.abs(evaluated.validation.loss - rows[6].validation_loss) < 1e-6)
  end)
end)

describe("a metric", function()
  it("sees all outputs, targets and inputs of a split, and `at`", function()
    local workspace = tiny.workspace()
    tiny.write(workspace .. "/tiny.lua", text_of(PLAIN, { ["seed = p.seed,"] = [[seed = p.seed,
      loss = function(output, target, input, at)
        assert(#input == #target and at.step >= 1 and at.model and (at.training or #input == 10 or #input == 40))
        return output:cross_entropy(target)
      end,
      metrics = { rows = function(output, target, input, at)
        assert(#output == #target and #input == #target and not at.training)
        return #input * 1000 + at.step
      end },]] }))
    local _, result = tiny.run(workspace)
    local all = metrics.rows(result.directory .. "/metrics.csv")
    assert.equal(10002, all[1].validation_rows)
    assert.equal(40012, json.object(tiny.read(result.directory .. "/summary.json")).test_rows)
    tiny.remove(workspace)
  end)

  it("is the accuracy where it is called so", function()
    local workspace = tiny.workspace()
    local function run(metric)
      tiny.write(workspace .. "/tiny.lua", text_of(PLAIN, { ["seed = p.seed,"] =
        "seed = p.seed, loss = function(y, t) return y:cross_entropy(t) end, best = 'validation_accuracy',\n"
        .. "metrics = { " .. metric .. ", other = function() return 7 end }," }))
      return pcall(tiny.run, workspace)
    end
    local _, printed, result = run "accuracy = function(_, _, _, at) return at.step / 16 end"
    local all = metrics.rows(result.directory .. "/metrics.csv")
    assert.equal(0.25, all[2].validation_accuracy)
    assert.equal(7, all[2].validation_other)
    local summary = json.object(tiny.read(result.directory .. "/summary.json"))
    assert.equal(0.75, summary.test_accuracy)
    assert.equal(12, summary.tested_step)
    assert.truthy(printed:find("accuracy  25.00 %", 1, true), printed)
    for metric, message in pairs {
      ["accuracy = function() return 1.5 end"] = "the metric 'accuracy' is a share, from 0 to 1, got 1.5",
      ["'accuracy', accuracy = function() return 1 end"] = "has \"accuracy\" and a function of that name",
    } do
      local _, refused = run(metric)
      assert.truthy(tostring(refused):find(message, 1, true), tostring(refused))
    end
    tiny.remove(workspace)
  end)

  it("and a loss and a step may take gradients of gradients, which nothing warns of", function()
    local workspace = tiny.workspace()
    tiny.write(workspace .. "/tiny.lua", text_of(PLAIN, {
      ["return sm.experiment"] = [[
local function slope(x, at, options)
  x = x:detach():requires_grad()
  return sm.grad(at.model(x):sum(), { x }, options)[1]:norm(2)
end
return sm.experiment]],
      ["seed = p.seed,"] = [[seed = p.seed,
      loss = function(output, target, input, at)
        return output:cross_entropy(target) + (slope(input, at, { create_graph = true }) - 1):square():mean()
      end,
      metrics = { slope = function(_, _, input, at) return slope(input, at):mean() end },
      train = function(at, batch)
        local loss = at.model(batch.input):cross_entropy(batch.target)
          + (slope(batch.input, at, { create_graph = true }) - 1):square():mean()
        loss:backward()
        at.optimizer:step()
        return loss
      end,]] }))
    local printed, result = tiny.run(workspace)
    local last = metrics.rows(result.directory .. "/metrics.csv")[6]
    assert.is_true(last.validation_slope > 0 and last.validation_loss > 0)
    assert.is_nil(printed:find("warning", 1, true), printed)
    tiny.remove(workspace)
  end)
end)
