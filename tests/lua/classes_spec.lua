-- What a classifier gets right by class: the numbers against slow references, the two sheets, and what runs keep.
local lfs = require "lfs"
local sm = require "sm"
local classes = require "sm.experiment.classes"
local classification = require "sm.view.classification"
local helpers = dofile "tests/lua/helpers.lua"
local json = require "sm.json"
local report = require "sm.report"
local schema = require "sm.experiment.schema"
local sheets = require "sm.view.classes_sheet"
local tiny = dofile "tests/lua/tiny_experiment.lua"

--- Scores and labels that are right more often than by chance.
local function some(count, number, seed)
  sm.seed(seed or 1)
  local labels = sm.randint(0, number, { count })
  return sm.randn(count, number) + sm.one_hot(labels, number) * 2, labels
end

local function tally_of(scores, labels, options)
  options = options or {}
  local tally = classification.new(options.data or {}, scores.shape[#scores.shape], options.logits ~= false)
  local batch = options.batch or 17
  for first = 1, scores.shape[1], batch do
    local count = math.min(batch, scores.shape[1] - first + 1)
    tally:add(scores:narrow(1, first, count), labels:narrow(1, first, count))
  end
  return tally:result()
end

--- The softmax of a list, and the position of its largest, in double.
local function softmax(row)
  local largest, sum, at, p = -math.huge, 0, nil, {}
  for i, x in ipairs(row) do
    if x > largest then largest, at = x, i end
  end
  for i, x in ipairs(row) do
    p[i] = math.exp(x - largest)
    sum = sum + p[i]
  end
  for i in ipairs(p) do p[i] = p[i] / sum end
  return p, at
end

describe("the tally of a classifier", function()
  for _, number in ipairs { 2, 10, 100 } do
    it(("counts what slow references count, of %d classes"):format(number), function()
      local scores, labels = some(500, number)
      local found, rows, truth = tally_of(scores, labels), scores:totable(), labels:totable()
      local matrix, examples, correct, bins, wrong, confidences = {}, {}, 0, {}, {}, 0
      for i = 1, number do
        matrix[i], examples[i] = {}, 0
        for k = 1, number do matrix[i][k] = 0 end
      end
      for b = 1, 15 do bins[b] = { 0, 0, 0 } end
      for i, row in ipairs(rows) do
        local p, at = softmax(row)
        local label = truth[i] + 1
        matrix[label][at], examples[label] = matrix[label][at] + 1, examples[label] + 1
        correct, confidences = correct + (at == label and 1 or 0), confidences + p[at]
        for b, bin in ipairs(bins) do
          if p[at] > (b - 1) / 15 and p[at] <= b / 15 then
            bin[1], bin[2], bin[3] = bin[1] + 1, bin[2] + (at == label and 1 or 0), bin[3] + p[at]
          end
        end
        if at ~= label then wrong[#wrong + 1] = { i, label - 1, at - 1, p[at], p[label] } end
      end
      assert.same(matrix, found.confusion)
      assert.equal(500, found.examples)
      assert.equal(correct, found.correct)
      assert.near(scores:accuracy(labels), found.correct / found.examples, 1e-12)
      local error_sum = 0
      for b, bin in ipairs(bins) do
        assert.same({ bin[1], bin[2] }, { found.calibration.bins[b].examples, found.calibration.bins[b].correct })
        if bin[1] > 0 then error_sum = error_sum + bin[1] / 500 * math.abs(bin[2] / bin[1] - bin[3] / bin[1]) end
      end
      assert.near(error_sum, found.calibration.error, 1e-6)
      assert.near(confidences / 500, found.calibration.confidence, 1e-6)
      table.sort(wrong, function(a, b) return a[5] < b[5] end)
      assert.equal(math.min(32, #wrong), #found.mistakes)
      for i, mistake in ipairs(found.mistakes) do
        assert.same({ wrong[i][1], wrong[i][2], wrong[i][3] }, { mistake.example, mistake.label, mistake.predicted })
        assert.near(wrong[i][4], mistake.probability, 1e-6)
        assert.near(-math.log(wrong[i][5]), mistake.loss, 1e-5)
      end
      local last = math.huge
      for _, pair in ipairs(found.pairs) do
        assert.equal(matrix[pair.label + 1][pair.predicted + 1], pair.count)
        assert.is_true(pair.label ~= pair.predicted and pair.count <= last and pair.count > 0)
        last = pair.count
      end
      for i, class in ipairs(found.classes) do
        assert.same({ examples[i], matrix[i][i] }, { class.examples, class.correct })
        local predicted = 0
        for k = 1, number do predicted = predicted + matrix[k][i] end
        assert.equal(predicted, class.predicted)
      end
    end)
  end

  it("has Wilson's intervals", function() -- as R's prop.test(…, correct = FALSE) gives them
    for _, case in ipairs { { 8, 10, 0.4901625, 0.9433178 }, { 0, 10, 0, 0.2775328 }, { 10, 10, 0.7224672, 1 } } do
      local low, high = classification.interval(case[1], case[2])
      assert.near(case[3], low, 1e-6)
      assert.near(case[4], high, 1e-6)
    end
    for _, p in ipairs { classification.interval(980, 1000) } do -- where the score test just rejects
      assert.near(1.959964, math.abs(0.98 - p) / math.sqrt(p * (1 - p) / 1000), 1e-5)
    end
  end)

  it("comes to the same in batches of any size", function()
    local scores, labels = some(300, 4)
    local whole = json.encode(tally_of(scores, labels, { batch = 300 }))
    for _, batch in ipairs { 1, 7, 299 } do
      assert.equal(whole, json.encode(tally_of(scores, labels, { batch = batch })))
    end
  end)

  it("takes labels of every position of an example, and then names no examples", function()
    local scores, labels = some(240, 3)
    local flat, shaped = tally_of(scores, labels), tally_of(scores:reshape(10, 4, 6, 3), labels:reshape(10, 4, 6))
    assert.same(flat.confusion, shaped.confusion)
    assert.same(flat.calibration, shaped.calibration)
    assert.is_nil(shaped.mistakes)
  end)

  it("says nothing of probabilities where scores are no logits, and goes by margins", function()
    local found = tally_of(sm.tensor { { 1, 3, 2 }, { 5, 0, 1 }, { 0, 0, 9 } }, sm.tensor({ 0, 1, 2 }, "uint8"),
      { logits = false })
    assert.is_nil(found.calibration)
    assert.same({ { example = 2, label = 1, predicted = 0, margin = 5 },
      { example = 1, label = 0, predicted = 1, margin = 2 } }, { table.unpack(found.mistakes) })
  end)

  it("counts a row without a largest score as wrong, in no column, as accuracy does", function()
    local nan = 0 / 0
    local scores = sm.tensor { { 1, 2 }, { nan, 1 }, { 3, 1 }, { 2, nan }, { math.huge, 0 } }
    local labels = sm.tensor({ 1, 1, 0, 0, 0 }, "int32")
    local found = tally_of(scores, labels)
    assert.equal(2, found.undecided)
    assert.near(scores:accuracy(labels), found.correct / found.examples, 1e-12)
    assert.same({ { 2, 0 }, { 0, 1 } }, found.confusion)
    assert.is_nil(found.calibration)
    assert.truthy(json.encode(found))
  end)

  it("takes the first of equal scores, and of equal losses the first example", function()
    local found = tally_of(sm.tensor { { 1, 1 }, { 1, 1 }, { 1, 1 } }, sm.tensor({ 1, 0, 1 }, "int32"))
    assert.same({ { 1, 0 }, { 2, 0 } }, found.confusion)
    assert.same({ 1, 3 }, { found.mistakes[1].example, found.mistakes[2].example })
  end)

  it("lists pairs alone of more than 100 classes", function()
    local scores, labels = some(400, 150)
    local found = tally_of(scores, labels)
    assert.is_nil(found.confusion)
    assert.is_true(#found.pairs > 0 and #found.pairs <= 50)
    assert.equal(150, #found.classes)
  end)
end)

describe("view.confusion and view.mistakes", function()
  local workspace
  before_each(function() workspace = tiny.workspace() end)
  after_each(function() tiny.remove(workspace) end)

  local function size_of(path)
    local bytes = tiny.read(path)
    assert.equal("\137PNG\r\n\26\n", bytes:sub(1, 8))
    return (">I4I4"):unpack(bytes, 17)
  end

  local function model_and_data(number, shape)
    sm.seed(1)
    local labels = sm.randint(0, number, { 200 })
    local data = sm.data.tensors { inputs = sm.rand { 200, table.unpack(shape) }, targets = labels, validation = 150 }
    return sm.nn.sequential { sm.nn.flatten(), sm.nn.linear { number } }:build(shape), data
  end

  for _, number in ipairs { 2, 10, 100, 300 } do
    it(("draw %d classes, pictures and numbers"):format(number), function()
      for _, shape in ipairs(number == 10 and { { 9, 9, 1 }, { 9, 9, 3 }, { 5 } } or { { 9, 9, 1 } }) do
        local model, data = model_and_data(number, shape)
        for name, view in pairs { confusion = sm.view.confusion {}, mistakes = sm.view.mistakes {} } do
          assert.equal(name, view.name)
          view:check(model, data)
          view:draw(model, workspace .. "/x.png", { step = 3, data = data })
          local width, height = size_of(workspace .. "/x.png")
          assert.is_true(width > 300 and height > 150)
        end
      end
    end)
  end

  it("look at the model once at one evaluation, and leave its mode and the random numbers alone", function()
    local model, data = model_and_data(3, { 5 })
    local calls = 0
    local counting = sm.nn.sequential { sm.nn.fn(function(x) calls = calls + 1 return x end), model }:build { 5 }
    counting:train()
    local moment, before = { step = 1, data = data, row = {} }, require "sm.random".state()
    sm.view.confusion {}:draw(counting, workspace .. "/a.png", moment)
    local once = calls
    sm.view.mistakes {}:draw(counting, workspace .. "/b.png", moment)
    assert.equal(once, calls)
    sm.view.mistakes { examples = 20 }:draw(counting, workspace .. "/b.png", moment)
    sm.view.mistakes {}:draw(counting, workspace .. "/b.png", { step = 1, data = data, row = {} })
    assert.is_true(calls > once + 1)
    assert.is_true(counting.training)
    assert.same(before, require "sm.random".state())
  end)

  it("say what they cannot be drawn of", function()
    local model, data = model_and_data(3, { 5 })
    local function refused(view, of, targets)
      local ok, message = pcall(view.check, view, of, targets)
      assert.is_false(ok)
      return message
    end
    local real = sm.data.tensors { inputs = sm.rand(8, 5), targets = sm.rand(8, 3), name = "real" }
    helpers.has(refused(sm.view.confusion {}, model, real), "the targets of 'real' are no integer labels")
    local pairs_of_labels = sm.data.tensors { inputs = sm.rand(8, 2, 5), targets = sm.randint(0, 3, { 8, 2 }) }
    helpers.has(refused(sm.view.confusion {}, model, pairs_of_labels), "each label needs a row of scores")
    helpers.has(refused(sm.view.mistakes {}, sm.nn.sequential { sm.nn.linear { 3 } }:build { 2, 5 }, pairs_of_labels),
      "here each has 2 labels")
    helpers.has(refused(sm.view.confusion {}, sm.nn.sequential { sm.nn.linear { 1001 } }:build { 5 }, data),
      "tells 1001 classes apart, and this is for at most 1000")
    helpers.has(helpers.error_of(sm.view.confusion, { exampels = 3 }), "did you mean 'examples'?")
  end)

  it("draw a sheet where nothing is wrong", function()
    local found = tally_of(sm.tensor { { 3, 0 }, { 0, 3 } }, sm.tensor({ 0, 1 }, "int32"))
    local split = sm.data.tensors { inputs = sm.rand(2, 4), targets = sm.tensor({ 0, 1 }, "int32") }.train
    sheets.mistakes(workspace .. "/x.png", found, split, { split = "test", lines = { "step 1" } })
    assert.is_true(size_of(workspace .. "/x.png") > 100)
  end)
end)

-- The tiny experiment with a loss that takes scores for logits.
local classifying <const> = tiny.text:gsub("loss = function.-\n  end,\n  metrics = { \"accuracy\" },",
  'loss = "cross_entropy",')
assert(classifying ~= tiny.text)

describe("a run that classifies", function()
  local workspace, base
  before_each(function()
    workspace = tiny.workspace()
    base = workspace .. "/runs/tiny/default"
  end)
  after_each(function() tiny.remove(workspace) end)

  --- Runs tiny.lua with parts of its text replaced. @return what classes.json says, its text
  local function run(text, overrides)
    tiny.write(workspace .. "/tiny.lua", text)
    local _, result = tiny.run(workspace, overrides)
    return classes.read(result.directory), tiny.read(result.directory .. "/classes.json")
  end

  it("keeps what the test set says, with two pictures", function()
    local found = run(classifying)
    local summary = json.object(tiny.read(base .. "/summary.json"))
    assert.same({ "test", 12, "last", 60 }, { found.split, found.step, found.weights, found.examples })
    assert.near(summary.test_accuracy, found.correct / found.examples, 1e-8)
    assert.is_table(found.calibration)
    for _, name in ipairs { "confusion", "mistakes" } do
      assert.equal("\137PNG", tiny.read(("%s/plots/test-%s.png"):format(base, name)):sub(1, 4))
    end
    local page = report.page { base }
    helpers.has(page, '<section id="classes">')
    helpers.has(page, 'class="confusion"')
    helpers.has(page, "<h3>The worst mistakes</h3>")
    helpers.has(page, "As a picture, with the reliability diagram")
    for _, name in ipairs { "confusion", "mistakes" } do
      helpers.has(page, require "sm.runtime".io.base64(tiny.read(("%s/plots/test-%s.png"):format(base, name))))
    end
    helpers.has(page, "Expected calibration error (ECE)")
  end)

  it("has the same sheets of the validation data while it trains", function()
    local text = classifying:gsub("views = { picture }",
      "views = { sm.view.confusion {}, sm.view.mistakes { name = \"wrong\" } }")
    run(text)
    for _, name in ipairs { "confusion-000004", "confusion-000012", "confusion", "wrong-000008", "wrong" } do
      assert.truthy(lfs.attributes(("%s/plots/%s.png"):format(base, name)), name)
    end
    local logits = {}
    for i, loss in ipairs { "cross_entropy", function(output, target) return output:cross_entropy(target) end } do
      local seen = {}
      local view = { name = "v", check = function() end, draw = function(_, _, path, moment)
        seen[#seen + 1] = moment.logits
        helpers.write(path, "")
      end }
      local data = sm.data.tensors { inputs = sm.rand(20, 2), targets = sm.randint(0, 2, { 20 }), validation = 8 }
      local experiment = sm.experiment { data = data, model = sm.nn.sequential { sm.nn.linear { 2 } },
        loss = loss, optimizer = sm.optim.sgd { lr = 0.1 }, schedule = { steps = 1, batch = 4 }, views = { view } }
      experiment:run { file = workspace .. "/tiny.lua", runs = workspace .. "/other" .. i, quiet = true }
      logits[i] = seen[1]
    end
    assert.same({ true, false }, logits)
  end)

  it("says nothing of probabilities with a loss of one's own", function()
    local found = run(tiny.text)
    assert.is_nil(found.calibration)
    helpers.has(report.page { base }, "Nothing is said of calibration")
  end)

  it("keeps what the validation data say where there are no test data, and looks at them once", function()
    local text = tiny.text:gsub(", test_inputs = inputs, test_targets = targets", "")
      :gsub("may_stop \"loss\"\n", "io.stdout:write \"<loss>\"\n", 1)
    tiny.write(workspace .. "/tiny.lua", text)
    local printed = tiny.run(workspace)
    assert.equal(12 + 3, select(2, printed:gsub("<loss>", "")))
    local found = classes.read(base)
    assert.same({ "validation", 12, 12 }, { found.split, found.step, found.examples })
    assert.near(json.object(tiny.read(base .. "/summary.json")).validation_accuracy,
      found.correct / found.examples, 1e-8)
    assert.truthy(lfs.attributes(base .. "/plots/validation-mistakes.png"))
  end)

  it("is told the same once more where it was stopped before its conclusion", function()
    for _, parts in ipairs { { "", "" }, { ", test_inputs = inputs, test_targets = targets", "" },
      { ", test_inputs = inputs, test_targets = targets", "best = \"validation_accuracy\"," },
      { "", "best = \"validation_accuracy\"," }, { ", test_inputs = inputs, test_targets = targets", "", "ema = 0.9," },
    } do
      local text = classifying:gsub(parts[1], ""):gsub("seed = p.seed,\n}", parts[2] .. "%0")
        :gsub("steps = p.steps,", "%0 " .. (parts[3] or ""))
      local _, whole = run(text)
      local pictures = tiny.list(base .. "/plots")
      os.remove(base .. "/summary.json")
      os.remove(base .. "/classes.json")
      tiny.call("resume", base)
      assert.equal(whole, tiny.read(base .. "/classes.json"))
      assert.same(pictures, tiny.list(base .. "/plots"))
      if parts[2] ~= "" and parts[1] == "" then assert.equal("best", classes.read(base).weights) end
      tiny.remove(workspace .. "/runs")
    end
  end)

  it("keeps the evaluation that ended it where it stops early", function()
    local text = classifying:gsub(", test_inputs = inputs, test_targets = targets", "")
      :gsub("steps = p.steps,", "%0 patience = 1,")
    local found = run(text, { lr = "1e-12" })
    local summary = json.object(tiny.read(workspace .. "/runs/tiny/lr=1e-12/summary.json"))
    assert.equal("patience", summary.stopped)
    assert.equal(summary.steps, found.step)
    assert.near(summary.validation_accuracy, found.correct / found.examples, 1e-8)
  end)

  it("is one of many on a page", function()
    local paths = {}
    for seed = 1, 2 do
      tiny.run(workspace, { seed = tostring(seed) })
      paths[#paths + 1] = workspace .. "/runs/tiny/" .. (seed == 1 and "default" or "seed=2")
    end
    local first, second = report.page { paths[1] }, report.page(paths)
    helpers.has(first, '<section id="classes">')
    assert.equal(select(2, first:gsub("<caption>", "")), select(2, second:gsub("<caption>", ""))) -- one setting
    tiny.run(workspace, { lr = "0.5" })
    paths[3] = workspace .. "/runs/tiny/lr=0.5"
    helpers.has(report.page(paths), '<details data-key="classes of ')
  end)

  it("keeps nothing where no accuracy is measured", function()
    local text = tiny.text:gsub('metrics = { "accuracy" },', "")
    tiny.write(workspace .. "/tiny.lua", text)
    tiny.run(workspace)
    assert.is_nil(classes.read(base))
    assert.is_nil(lfs.attributes(base .. "/plots/test-confusion.png"))
    assert.is_nil((report.page { base }):find('id="classes"', 1, true))
  end)

  it("prints the accuracy of each class when it is evaluated, and writes nothing", function()
    run(classifying)
    local before = tiny.list(base .. "/plots")
    os.remove(base .. "/classes.json")
    local printed, result = tiny.call("evaluate", base)
    assert.is_nil(lfs.attributes(base .. "/classes.json"))
    assert.same(before, tiny.list(base .. "/plots"))
    assert.equal(60, result.test.classes.examples)
    local first = result.test.classes.classes[1]
    assert.truthy(printed:find(("\n0 .- of +%d\n"):format(first.examples)), printed)
    helpers.has(printed, "calibration error (ECE)")
  end)

  it("has names of its own for the pictures, which views do not take", function()
    tiny.write(workspace .. "/tiny.lua", (tiny.text:gsub('name = "picture"', 'name = "test-confusion"')))
    helpers.has(helpers.error_of(tiny.run, workspace), 'a view has another one, { name = "…" }; got "test-confusion"')
  end)

  it("is stopped before its end by a picture that cannot be written, and goes on", function()
    tiny.write(workspace .. "/tiny.lua", (classifying:gsub("function picture:draw%(model, path, moment%)\n",
      "%0  os.execute(\"mkdir -p '\" .. path:match \"^.*/\" .. \"test-mistakes.png'\")\n")))
    helpers.has(helpers.error_of(tiny.run, workspace), "plots/test-mistakes.png: expected a file to replace")
    assert.is_nil(lfs.attributes(base .. "/summary.json"))
    assert(lfs.rmdir(base .. "/plots/test-mistakes.png"))
    tiny.call("resume", base)
    assert.truthy(lfs.attributes(base .. "/summary.json"))
    helpers.has(report.page { base }, "<h3>The worst mistakes</h3>")
  end)
end)

describe("a classes.json", function()
  local workspace, base, good
  setup(function()
    workspace = tiny.workspace()
    base = workspace .. "/runs/tiny/default"
    tiny.write(workspace .. "/tiny.lua", classifying)
    tiny.run(workspace)
    good = tiny.read(base .. "/classes.json")
  end)
  teardown(function() tiny.remove(workspace) end)

  --- The message for a file in which f has changed something.
  local function message(f)
    local object = json.object(good)
    f(object)
    tiny.write(base .. "/classes.json", json.encode(object))
    local told = helpers.error_of(classes.read, base)
    helpers.has(told, base .. "/classes.json: ")
    helpers.has(report.page { base }, "classes.json: ") -- which goes on
    return told
  end

  local cases <const> = {
    { "'split' must be a string, got 1", function(o) o.split = 1 end },
    { "'split' must be \"test\" or \"validation\", got \"../x\"", function(o) o.split = "../x" end },
    { "there is no 'split'", function(o) o.split = nil end },
    { "there are no 'classes'", function(o) o.classes = nil end },
    { "'classes' must have from 1 to 1000 entries, got 0", function(o) o.classes = json.array {} end },
    { "'classes.1.correct' must be at most", function(o) o.classes[1].correct = 61 end },
    { "there is no 'name'", function(o) o.classes[2].name = nil end },
    { "'examples' is 61, but its classes have 60", function(o) o.examples = 61 end },
    { "but its classes have", function(o) o.correct = o.correct + 1 end },
    { "'confusion' must have a row for each of 3 classes", function(o) o.confusion[3] = nil end },
    { "'confusion.2' must have 3 numbers, got 2", function(o) o.confusion[2][3] = nil end },
    { "'confusion.1.2' must be at most 20, the examples of the class, got 400", function(o)
      o.confusion[1][2] = 400
    end },
    { "of at least 0", function(o) o.confusion[1][2] = -1 end, "from 0 to 2^53" },
    { "'pairs.1.label' must be at most 2, the last label, got 3", function(o) o.pairs[1].label = 3 end },
    { "there is no 'count'", function(o) o.pairs[1].count = nil end },
    { "'mistakes' must have at most 32 entries, got 33", function(o)
      for i = 1, 33 do o.mistakes[i] = o.mistakes[1] end
    end },
    { "'calibration.bins' must have 15 entries, got 14", function(o) o.calibration.bins[15] = nil end },
    { "'error' must be from 0 to 1, got 2", function(o) o.calibration.error = 2 end, "number from 0 to 1" },
    { "'mistakes.1.probability' must be", function(o) o.mistakes[1].probability = "x" end, "must be a number" },
  }
  for _, case in ipairs(cases) do
    it("is refused where " .. case[1], function()
      helpers.has(message(case[2]), case[3] or case[1])
    end)
  end

  it("is refused where it is no JSON, a link, or what a later version would add is left alone", function()
    tiny.write(base .. "/classes.json", "{")
    helpers.has(helpers.error_of(classes.read, base), "expected a JSON object")
    os.remove(base .. "/classes.json")
    lfs.link("/etc/passwd", base .. "/classes.json", true)
    helpers.has(report.page { base }, "classes.json")
    assert.is_nil((report.page { base }):find("root:", 1, true))
    os.remove(base .. "/classes.json")
    local object = json.object(good)
    object.later = { 1 }
    tiny.write(base .. "/classes.json", json.encode(object))
    assert.equal("test", classes.read(base).split)
    assert.truthy(schema.decode("x", good, schema.classes))
  end)

  it("cannot put markup or control characters into a page", function()
    local object = json.object(good)
    object.classes[1].name = "<script>\27[1m"
    tiny.write(base .. "/classes.json", json.encode(object))
    local page = report.page { base }
    assert.is_nil(page:find("<script>\27", 1, true))
    assert.is_nil(page:find("\27", 1, true))
  end)
end)

describe("classes.json", function()
  it("is the same file on 1, 2 and 3 threads, from a confined run", function()
    local workspace <const> = tiny.workspace()
    tiny.write(workspace .. "/digits.lua", [[
local sm = require "sm"
local nn = sm.nn
return sm.experiment {
  data = sm.data.mnist_mini { validation = 5000 },
  model = nn.sequential { nn.conv2d { 8, kernel = 5, stride = 2 }, nn.relu(), nn.flatten(), nn.linear { 10 } },
  loss = "cross_entropy", optimizer = sm.optim.adam { lr = 1e-3 }, schedule = { steps = 20, batch = 20 },
}
]])
    local first
    for threads = 1, 3 do
      local output, code = tiny.smrun(("--quiet --threads %d --runs '%s/%d' '%s/digits.lua'"):format(threads, workspace,
        threads, workspace))
      assert.equal(0, code, output)
      local directory = ("%s/%d/digits/default"):format(workspace, threads)
      local texts = { tiny.read(directory .. "/classes.json"), tiny.read(directory .. "/plots/test-confusion.png"),
        tiny.read(directory .. "/plots/test-mistakes.png") }
      first = first or texts
      assert.same(first, texts)
    end
    tiny.remove(workspace)
  end)
end)
