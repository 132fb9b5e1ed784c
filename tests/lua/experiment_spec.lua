local cjson = require "cjson"
local lfs = require "lfs"
local sm = require "sm"
local tiny = dofile "tests/lua/tiny_experiment.lua"

local function json(path)
  return cjson.decode(tiny.read(path))
end

local function exists(path)
  return lfs.attributes(path) ~= nil
end

describe("an experiment's run", function()
  local workspace, base
  before_each(function()
    workspace = tiny.workspace()
    base = workspace .. "/runs/tiny/default"
  end)
  after_each(function() tiny.remove(workspace) end)

  it("leaves the whole run directory", function()
    local printed, result = tiny.run(workspace)
    assert.equal(base, result.directory)
    assert.same({ "checkpoints", "classes.json", "environment.json", "experiment.lua", "log.txt", "metrics.csv",
      "params.json", "plots", "report.html", "summary.json" }, tiny.list(base))
    assert.equal(tiny.text, tiny.read(base .. "/experiment.lua"))
    assert.same({ "step-000010.safetensors", "step-000012.safetensors" }, tiny.list(base .. "/checkpoints"))
    assert.same({ "picture-000000.png", "picture-000004.png", "picture-000008.png", "picture-000012.png",
      "picture.png", "test-confusion.png", "test-mistakes.png" }, tiny.list(base .. "/plots"))
    assert.matches("tiny 12$", tiny.read(base .. "/plots/picture.png"))
    assert.truthy(printed:find("test accuracy", 1, true))
    assert.truthy(printed:find(base, 1, true))
    assert.is_nil(printed:find("\27", 1, true))
    assert.truthy(tiny.read(base .. "/log.txt"):find "^%d%d%d%d%-%d%d%-%d%d %d%d:%d%d:%d%d")
  end)

  it("writes a row every log steps and at every evaluation", function()
    tiny.run(workspace)
    local text = tiny.read(base .. "/metrics.csv")
    assert.equal("step,epoch,train_loss,train_accuracy,validation_loss,validation_accuracy,lr,step_ms,step_rms,"
      .. "cap_share,mem_p10,mem_p50,mem_p90", text:match "^[^\n]*")
    local steps, evaluated = {}, {}
    for line in text:gmatch "\n([^\n]+)" do
      local cells = {}
      for cell in (line .. ","):gmatch "([^,]*)," do cells[#cells + 1] = cell end
      assert.equal(13, #cells)
      for i = 9, 13 do assert.not_equal("", cells[i]) end
      steps[#steps + 1] = tonumber(cells[1])
      if cells[5] ~= "" then evaluated[#evaluated + 1] = tonumber(cells[1]) end
      assert.not_equal("", cells[3])
      assert.equal(cells[5] == "", cells[6] == "")
    end
    assert.same({ 3, 4, 6, 8, 9, 12 }, steps)
    assert.same({ 4, 8, 12 }, evaluated)
  end)

  it("before the first step evaluates nothing, saves nothing and draws only what shows something then", function()
    tiny.write(workspace .. "/tiny.lua", (tiny.text:gsub("views = { picture }", [[
      views = { picture, setmetatable({ name = "later", initially = false }, { __index = picture }) }]])))
    assert.equal(137, select(2, tiny.stopped { workspace = workspace, at = "loss 1", arguments = "tiny.lua" }))
    assert.same({ "picture-000000.png", "picture.png" }, tiny.list(base .. "/plots"))
    assert.same({}, tiny.list(base .. "/checkpoints"))
    assert.equal(1, select(2, tiny.read(base .. "/metrics.csv"):gsub("\n", "")))
    assert.is_false(exists(base .. "/report.html"))
    tiny.run(workspace)
    assert.same({ "later-000004.png", "later-000008.png", "later-000012.png", "later.png" },
      { table.unpack(tiny.list(base .. "/plots"), 1, 4) })
    assert.is_true(exists(base .. "/plots/picture-000012.png"))
  end)

  it("takes further columns from views, at evaluations, and none from an optimizer that has none", function()
    local text = tiny.text:gsub("function picture:check%(%) end", [[
function picture:check() end
function picture:metric_names(model) return { "weight_sum", "images" } end
function picture:measure(model, data)
  return { weight_sum = model:layer("linear1").weight:sum():item(), images = #data.validation }
end]]):gsub("return sm.experiment", "local plain = optim.sgd { lr = p.lr }\nplain.telemetry_names = nil\n%0")
      :gsub("optimizer = [^\n]*", "optimizer = plain,")
    tiny.write(workspace .. "/tiny.lua", text)
    tiny.run(workspace)
    local csv = tiny.read(base .. "/metrics.csv")
    assert.matches(",step_ms,weight_sum,images\n", csv)
    assert.matches("\n3,[^\n]*,,\n4,[^\n]*,[%d.e-]+,12\n", csv)
  end)

  it("refuses columns that are taken, and figures that nobody declared or that are none", function()
    local function message_of(names, figures)
      tiny.write(workspace .. "/tiny.lua", (tiny.text:gsub("function picture:check%(%) end",
        "%0 function picture:metric_names() return { " .. names .. " } end "
        .. "function picture:measure() return { " .. figures .. " } end")))
      local ok, message = pcall(tiny.run, workspace)
      assert.is_false(ok)
      return type(message) == "table" and message.message or message
    end
    assert.matches("view 'picture' cannot have the column 'validation_loss' in metrics%.csv: every run has it",
      message_of("'validation_loss'", "validation_loss = 1"))
    assert.is_false(exists(base .. "/metrics.csv")) -- before anything was written
    assert.matches("view 'picture' measured 'hight', which is none of its metric_names; did you mean 'height'%?",
      message_of("'height'", "height = 1, hight = 1"))
    for _, value in ipairs { "'high'", "0 / 0", "1 / 0", "{}" } do
      assert.matches("view 'picture' must measure a finite number for the column 'height', or nothing, got ",
        message_of("'height'", "height = " .. value))
    end
  end)

  it("evaluates a loss that draws random numbers without a trace in training", function()
    tiny.write(workspace .. "/tiny.lua", (tiny.text:gsub("return p.blow_up",
      "loss = loss * (1 + sm.rand(1):sum())\n%0")))
    local metrics = require "sm.experiment.metrics"
    local found = {}
    for i, evaluate in ipairs { "4", "12" } do
      local _, result = tiny.run(workspace, { evaluate = evaluate })
      local rows = metrics.rows(result.directory .. "/metrics.csv")
      found[i] = sm.load(result.directory .. "/checkpoints/step-000012.safetensors")["model.linear1.weight"]:totable()
      assert.is_number(rows[#rows].validation_loss)
    end
    assert.same(found[1], found[2])
  end)

  it("records parameters, environment and summary", function()
    local _, result = tiny.run(workspace, { lr = "0.02", seed = "3" })
    assert.equal(workspace .. "/runs/tiny/lr=0.02,seed=3", result.directory)
    local params = json(result.directory .. "/params.json")
    assert.equal(0.02, params.values.lr)
    assert.equal(0.01, params.defaults.lr)
    assert.same({ "lr", "seed" }, params.differing)
    local environment = json(result.directory .. "/environment.json")
    for _, key in ipairs {
      "smrun", "lua", "real", "cores", "threads", "instruction_set", "blas", "started",
    } do
      assert.is_not_nil(environment[key], key)
    end
    local summary = json(result.directory .. "/summary.json")
    assert.equal("finished", summary.status)
    assert.equal(12, summary.steps)
    assert.equal(4 * 9 + 9 + 2 * 9 + 9 * 3 + 3, summary.parameters)
    for _, key in ipairs { "test_accuracy", "test_loss", "validation_accuracy", "validation_loss",
      "best_validation_accuracy", "best_validation_loss", "best_validation_step", "wall_seconds",
      "training_seconds", "median_step_ms" } do
      assert.is_number(summary[key], key)
    end
  end)

  it("records the revision of the file's repository, and whether it was changed", function()
    local git = ("git -C %s -c user.name=n -c user.email=e "):format(workspace)
    if not os.execute(git .. "init -q 2>/dev/null") then return pending "git is not here" end
    assert(os.execute(("%sadd tiny.lua && %scommit -q -m first"):format(git, git)))
    local _, result = tiny.run(workspace)
    local kept = json(result.directory .. "/environment.json").git
    assert.truthy(kept.revision:find "^%x+$")
    assert.is_false(kept.dirty)
    tiny.write(workspace .. "/tiny.lua", tiny.text .. "\n")
    _, result = tiny.run(workspace)
    assert.is_true(json(result.directory .. "/environment.json").git.dirty)
  end)

  it("writes checkpoints that hold the experiment", function()
    tiny.run(workspace)
    local tensors, metadata = sm.load(base .. "/checkpoints/step-000012.safetensors")
    assert.same({ 4, 9 }, tensors["model.linear1.weight"].shape)
    assert.is_not_nil(tensors["optimizer.linear1.weight.mem"])
    assert.equal(tiny.text, metadata.source)
    assert.equal("12", metadata.step)
    assert.equal(tiny.read(base .. "/params.json"), metadata.params)
  end)

  it("gives the same numbers again, and others for another seed", function()
    local _, first = tiny.run(workspace)
    local _, second = tiny.run(workspace, nil, { again = true })
    local _, third = tiny.run(workspace, { seed = "2" })
    assert.equal(base .. "-2", second.directory)
    assert.equal(tiny.metrics(first.directory), tiny.metrics(second.directory))
    assert.not_equal(tiny.metrics(first.directory), tiny.metrics(third.directory))
    local a = tiny.read(first.directory .. "/checkpoints/step-000012.safetensors")
    local b = tiny.read(second.directory .. "/checkpoints/step-000012.safetensors")
    local function weights(text) return text:sub(9 + ("<I8"):unpack(text)) end
    assert.equal(weights(a), weights(b))
  end)

  it("is not trained twice", function()
    tiny.run(workspace)
    local before = tiny.read(base .. "/metrics.csv")
    local printed, result = tiny.run(workspace)
    assert.truthy(printed:find("done before: " .. base, 1, true))
    assert.truthy(printed:find("test accuracy", 1, true))
    assert.equal("finished", result.summary.status)
    assert.equal(before, tiny.read(base .. "/metrics.csv"))
    assert.same({ "default" }, tiny.list(workspace .. "/runs/tiny"))
    assert.truthy(tiny.call("resume", base):find("done before", 1, true))
  end)

  it("goes to a sibling when the text of the file differs, and says why", function()
    tiny.run(workspace)
    tiny.write(workspace .. "/tiny.lua", tiny.text .. "-- another line\n")
    local printed, result = tiny.run(workspace)
    assert.equal(base .. "-2", result.directory)
    assert.truthy(printed:find(base .. " was run from a different text of this file", 1, true))
  end)

  it("writes nothing in a dry run", function()
    local printed, result = tiny.run(workspace, nil, { dry_run = true })
    assert.equal(base, result.directory)
    assert.truthy(printed:find("linear1", 1, true))
    assert.is_false(exists(workspace .. "/runs"))
  end)

  it("prints one line when quiet", function()
    local printed = tiny.run(workspace, nil, { quiet = true })
    assert.truthy(printed:find "^test accuracy [^\n]*\n$", printed)
  end)

  it("is refused while another process trains in the directory", function()
    tiny.run(workspace, { steps = "1" })
    local directory = workspace .. "/runs/tiny/steps=1"
    os.remove(directory .. "/summary.json")
    local log <close> = assert(io.open(directory .. "/log.txt", "a"))
    assert(lfs.lock(log, "w"))
    local output, code = tiny.smrun(("resume '%s'"):format(directory))
    assert.truthy(output:find(directory .. " is being trained by another process", 1, true), output)
    assert.equal(1, code)
  end)

  it("stops at a loss that is not finite, names the step, keeps the last checkpoint", function()
    local ok, message = pcall(tiny.run, workspace, { blow_up = "8" })
    assert.is_false(ok)
    -- the loss is called for one validation before the seventh step is done
    assert.truthy(message:find("step 7: the loss is inf; every layer's output is finite", 1, true), message)
    local directory = workspace .. "/runs/tiny/blow_up=8"
    local kept = directory .. "/checkpoints/step-000005.safetensors"
    assert.truthy(message:find("the last good checkpoint is " .. kept, 1, true), message)
    assert.truthy(tiny.read(directory .. "/log.txt"):find("stopped: .*step 7: the loss is inf"))
    assert.is_false(exists(directory .. "/summary.json"))
  end)

  it("names the parameter, the layer or the gradient that is not finite", function()
    local function replace(from, to)
      local text = tiny.text:gsub(from, to)
      assert.not_equal(tiny.text, text)
      tiny.write(workspace .. "/tiny.lua", text)
      local ok, message = pcall(tiny.run, workspace)
      assert.is_false(ok)
      return message
    end
    local message = replace("nn.batchnorm%(%)", "nn.fn(function(x) return x:log() end)")
    assert.truthy(message:find "step 1: the loss is %-?nan; ", message)
    assert.truthy(message:find("the first layer whose output is not finite is 'fn1'; there is no checkpoint yet", 1,
      true), message)
    message = replace("local loss = output:cross_entropy%(targets%)", [[
      local zero = output * 0 -- and its gradient overflows
      for _ = 1, 12 do zero = zero * 1e30 end
      local loss = output:cross_entropy(targets) + zero:sum()]])
    assert.truthy(message:find("step 1: the gradient of 'linear1.weight' is not finite; there is no checkpoint",
      1, true), message)
    message = replace("sm.randn%(60, 4%)", "sm.randn(60, 4) / 0")
    assert.truthy(message:find("the batch itself is not finite", 1, true), message)
  end)

  it("hands indices to the model as they are, from its building on", function()
    tiny.write(workspace .. "/tiny.lua", [[
      local sm = require "sm"
      local tokens, labels = {}, {}
      for i = 1, 40 do tokens[i], labels[i] = { i % 5, 4 - i % 5, 300 }, i % 5 end
      local x, y = sm.tensor(tokens, "int32"), sm.tensor(labels, "int32")
      local function one_hot(indices)
        assert(indices.dtype == "int32" and (indices.shape[1] == 1 or indices[1][3]:item() == 300))
        local apart = indices:to(sm.zeros(0).dtype):reshape(#indices, 3, 1) - sm.arange(5):reshape(1, 1, 5)
        return (1 - apart:abs()):relu()
      end
      return sm.experiment {
        data = sm.data.tensors { inputs = x, targets = y, validation = 10, test_inputs = x, test_targets = y },
        model = sm.nn.sequential { sm.nn.fn { one_hot, name = "one_hot" }, sm.nn.flatten(), sm.nn.linear { 5 } },
        optimizer = sm.optim.adam { lr = 0.1 },
        schedule = { steps = 40, batch = 10, evaluate = 20 },
      }]])
    local printed, result = tiny.run(workspace)
    assert.equal(1, result.summary.test_accuracy)
    assert.matches("\ninput +int32 +{N, 3}\n", printed)
    assert.matches("test examples of {3}, indices, 5%s+classes\n", printed)
  end)

  it("has no accuracy where the targets are no labels", function()
    tiny.write(workspace .. "/tiny.lua", [[
      local sm = require "sm"
      local x = sm.tensor { { 0, 0 }, { 0, 1 }, { 1, 0 }, { 1, 1 } }
      return sm.experiment {
        data = sm.data.tensors { inputs = x, targets = sm.tensor { { 0 }, { 1 }, { 1 }, { 0 } } },
        model = sm.nn.sequential { sm.nn.linear { 1 } },
        loss = function(y, t) return ((y - t) ^ 2):mean() end,
        optimizer = sm.optim.sgd { lr = 0.1 },
        schedule = { steps = 4, batch = 4, log = 2 },
      }]])
    local _, result = tiny.run(workspace)
    assert.is_nil(result.summary.test_accuracy)
    assert.is_nil(result.summary.validation_loss)
    assert.truthy(tiny.read(result.directory .. "/metrics.csv"):find("\n2,%d+,[%d.e-]+,,,,0.1,"))
  end)
end)

describe("sm.experiment", function()
  local function declaration(changes)
    local given = {
      data = sm.data.tensors { inputs = sm.zeros(4, 2), targets = sm.zeros({ 4 }, "int32") },
      model = sm.nn.sequential { sm.nn.linear { 2 } },
      optimizer = sm.optim.sgd { lr = 0.1 },
      schedule = { steps = 1, batch = 2 },
    }
    for key, value in pairs(changes) do given[key] = value end
    return given
  end

  local function refuses(changes, text)
    local ok, message = pcall(sm.experiment, declaration(changes))
    assert.is_false(ok)
    assert.truthy(message:find(text, 1, true), message)
    assert.truthy(message:find("experiment_spec.lua:%d+:"), message)
  end

  it("accepts a complete declaration", function()
    assert.is_function(sm.experiment(declaration {}).run)
  end)

  it("names an unknown key and what may have been meant", function()
    refuses({ optimiser = 1 }, "unknown option 'optimiser'; did you mean 'optimizer'?")
    refuses({ schedule = { steps = 1, batch = 1, evalute = 3 } }, "'evalute'; did you mean 'evaluate'?")
  end)

  it("names the key, what was expected and what was given", function()
    refuses({ schedule = { steps = 1 } }, "schedule: option 'batch' is missing")
    refuses({ schedule = { steps = "many", batch = 1 } },
      "option 'steps' must be an integer, got string \"many\"")
    refuses({ schedule = { steps = 0, batch = 1 } }, "option 'steps' must be at least 1, got 0")
    refuses({ seed = "x" }, "option 'seed' must be an integer, got string \"x\"")
    refuses({ model = { 1 } }, "option 'model' must be a model of sm.nn, got table")
    refuses({ model = { one = sm.nn.relu() } }, "got table; several networks are one layer that holds them: nn.layer")
    refuses({ data = "mnist" }, "option 'data' must be a data set of sm.data, got string \"mnist\"")
    refuses({ optimizer = sm.optim.sgd },
      "option 'optimizer' must be an optimizer of sm.optim, got function; call it with its options in { }")
    refuses({ optimizer = sm.nn }, "option 'optimizer' must be an optimizer of sm.optim, got table")
    refuses({ loss = "crossentropy" }, "did you mean 'cross_entropy'?")
    refuses({ views = sm.view.filters "conv1" }, "got one view: write { … } around it")
    refuses({ views = { 3 } }, "option 'views' must be a list of views of sm.view, got 1 = number 3")
  end)

  it("refuses a loss that is not one number", function()
    local experiment = sm.experiment(declaration { loss = function(y) return y end })
    local workspace = tiny.workspace()
    local ok, message = pcall(experiment.run, experiment,
      { file = workspace .. "/tiny.lua", runs = workspace .. "/runs", quiet = true })
    tiny.remove(workspace)
    assert.is_false(ok)
    assert.truthy(message:find("the loss function must return a tensor with one number", 1, true), message)
    assert.truthy(message:find("it is defined at tests/lua/experiment_spec.lua:", 1, true), message)
  end)

  --- What a run of this declaration raises.
  local function failure(changes)
    local workspace = tiny.workspace()
    local experiment = sm.experiment(declaration(changes))
    local ok, message = pcall(experiment.run, experiment,
      { file = workspace .. "/tiny.lua", runs = workspace .. "/runs", quiet = true })
    tiny.remove(workspace)
    assert.is_false(ok)
    return message
  end

  it("refuses a loss that no parameter moves", function()
    assert.matches("step 1: the loss depends on no parameter of the model",
      failure { loss = function() return sm.tensor(1) end })
    local elsewhere = sm.ones(2):requires_grad()
    assert.matches("step 1: the loss depends on no parameter of the model",
      failure { loss = function() return elsewhere:sum() end })
  end)

  it("refuses a model whose scores do not suit the classes", function()
    local three = sm.data.tensors { inputs = sm.zeros(4, 2), targets = sm.tensor({ 0, 1, 2, 0 }, "int32") }
    assert.matches("the model gives 2 scores for each example, but tensors has 3 classes", failure { data = three })
    local image = sm.data.tensors { inputs = sm.zeros(4, 2, 2, 1), targets = sm.zeros({ 4 }, "int32") }
    assert.matches("but the model gives {N, 2, 2, 1}",
      failure { data = image, model = sm.nn.sequential { sm.nn.relu() } })
  end)

  it("refuses to begin with what another run has made of its model, and evaluates it", function()
    local workspace = tiny.workspace()
    local given = declaration { optimizer = sm.optim.sgd { lr = 0.1 } }
    local first, second = sm.experiment(given), sm.experiment(given)
    local function run(experiment, runs)
      return experiment:run { file = workspace .. "/tiny.lua", runs = workspace .. runs, quiet = true }
    end
    local _, result = tiny.printed(run, first, "/one")
    local ok, message = pcall(tiny.printed, run, second, "/other")
    assert.is_false(ok)
    assert.matches("experiment_spec.lua:%d+: experiment: another run has trained this model already", message)
    tiny.printed(first.evaluate, first, { directory = result.directory, file = workspace .. "/tiny.lua" })
    tiny.remove(workspace)
  end)

  it("refuses a name that is no name of a directory", function()
    for _, name in ipairs { "../x", "a/b", "", ".." } do
      refuses({ name = name }, "option 'name' is letters, digits, _ . + and -, beginning with a letter")
    end
  end)

  it("finds the line of a file that ends in `return sm.experiment`", function()
    local chunk = load("local sm = ...\n\nreturn sm.experiment { dta = 1 }", "@file.lua")
    local ok, message = pcall(chunk, sm)
    assert.is_false(ok)
    assert.matches("^file%.lua:3: experiment: unknown option 'dta'; did you mean 'data'%?", message)
  end)
end)
