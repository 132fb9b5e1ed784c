local lfs = require "lfs"
local compare = require "sm.study.compare"
local records = require "sm.study.records"
local statistics = require "sm.study.statistics"
local tabulate = require "sm.study.tables"
local tiny = dofile "tests/lua/tiny_experiment.lua"

local function near(expected, actual, tolerance)
  assert.is_true(math.abs(expected - actual) <= tolerance, ("expected %.9g, got %.9g"):format(expected, actual))
end

describe("statistics", function()
  it("has means, deviations, medians", function()
    assert.equal(2.5, statistics.mean { 1, 2, 3, 4 })
    near((5 / 3) ^ 0.5, statistics.deviation { 1, 2, 3, 4 }, 1e-12)
    assert.is_nil(statistics.deviation { 1 })
    assert.equal(3, statistics.median { 9, 1, 3 })
    assert.equal(2, statistics.median { 9, 1, 3, 1 })
    assert.is_nil(statistics.median {})
  end)

  it("has the quantiles of Student's t, as tables print them", function()
    for freedom, quantile in pairs { [1] = 12.7062, [2] = 4.3027, [3] = 3.1824, [4] = 2.7764, [9] = 2.2622,
      [30] = 2.0423, [120] = 1.9799 } do
      near(quantile, statistics.t_quantile(0.95, freedom), 1e-4)
    end
    near(63.6567, statistics.t_quantile(0.99, 1), 1e-3)
    near(4.6041, statistics.t_quantile(0.99, 4), 1e-4)
    near(8.6103, statistics.t_quantile(0.999, 4), 1e-3)
  end)

  it("has the quantiles of the normal distribution", function()
    near(1.959964, statistics.normal_quantile(0.95), 1e-5)
    near(2.575829, statistics.normal_quantile(0.99), 1e-5)
    near(3.290527, statistics.normal_quantile(0.999), 1e-5)
  end)

  it("widens intervals, so that all of several hold together", function()
    local alone = statistics.compare({ 1, 2, 3 }, { 2, 4, 6, 8 }, 1)
    -- 99 % each, with 4.0755 degrees of freedom: t = 4.546
    local fifth = statistics.compare({ 1, 2, 3 }, { 2, 4, 6, 8 }, 5)
    assert.equal(alone.difference, fifth.difference)
    near(-3 - 4.546 * 2 ^ 0.5, fifth.low, 2e-2)
    near(-3 + 4.546 * 2 ^ 0.5, fifth.high, 2e-2)
    local others = { 0.1, 0.3, -0.2, 0.2, 0.4 }
    local paired, one_of_six = statistics.compare({ 1, 2, 3, 4, 5 }, others, 1), statistics.compare({ 1, 2, 3, 4, 5 },
      others, 6)
    assert.is_true(one_of_six.low < paired.low and paired.high < one_of_six.high)
    near(4.8510 / 2.7764, (one_of_six.high - one_of_six.low) / (paired.high - paired.low), 0.2)
  end)

  it("compares over the same seeds by a bootstrap with Student's width", function()
    -- Of two differences the resampled means are 1, 2, 3 with chances 1/4, 1/2, 1/4.
    local result = statistics.compare({ [1] = 2, [2] = 5 }, { [1] = 1, [2] = 2 }, 1)
    local widening = 12.7062 * 2 ^ 0.5 / 1.959964
    assert.equal("paired", result.method)
    assert.equal(2, result.difference)
    near(2 - widening, result.low, 1e-3)
    near(2 + widening, result.high, 1e-3)
    -- Of 0, 0 and 3 they are 0 with chance 8/27 and 3 with chance 1/27; both are more than 2.5 %.
    result = statistics.compare({ [7] = 0, [8] = 0, [9] = 3 }, { [7] = 0, [8] = 0, [9] = 0 }, 1)
    widening = 4.30265 * 1.5 ^ 0.5 / 1.959964
    assert.equal(1, result.difference)
    near(1 - widening, result.low, 1e-3)
    near(1 + 2 * widening, result.high, 1e-3)
    assert.same(result, statistics.compare({ [7] = 0, [8] = 0, [9] = 3 }, { [7] = 0, [8] = 0, [9] = 0 }, 1))
  end)

  it("compares over other seeds by Welch's t", function()
    -- Variances 1 and 20/3; the square of the standard error is 2, with 4.0755 degrees of freedom: t = 2.7560.
    local result = statistics.compare({ 1, 2, 3 }, { 2, 4, 6, 8 }, 1)
    assert.equal("welch", result.method)
    assert.equal(-3, result.difference)
    near(-3 - 2.7560 * 2 ^ 0.5, result.low, 1e-3)
    near(-3 + 2.7560 * 2 ^ 0.5, result.high, 1e-3)
  end)

  it("claims nothing from one seed, nor from seeds without a spread", function()
    local one = statistics.compare({ 5 }, { 3, 4 }, 1)
    assert.same({ difference = 1.5, reason = "fewer than 2 seeds" }, one)
    local none = statistics.compare({ 0.3, 0.4 }, { 0.1, 0.2 }, 1)
    assert.is_nil(none.low)
    assert.equal("no spread over the seeds", none.reason)
  end)
end)

describe("compare", function()
  local workspace

  local function write_run(name, seed, given)
    return tiny.write_run(workspace, name, seed, given)
  end

  before_each(function() workspace = tiny.workspace() end)
  after_each(function() tiny.remove(workspace) end)

  local function of(...)
    local found = {}
    for _, name in ipairs { ... } do records.find(workspace .. "/" .. name, found) end
    return compare.runs(found), found
  end

  it("finds runs in directories, each once", function()
    write_run("a/default", 1, { accuracy = 0.9 })
    write_run("a/seed=2", 2, { accuracy = 0.9 })
    write_run("b/deep/er/default", 1, { accuracy = 0.9 })
    lfs.link(workspace .. "/a", workspace .. "/b/again", true)
    local paths = {}
    assert.equal(2, records.find(workspace .. "/a", paths))
    assert.equal(3, records.find(workspace, paths)) -- those that were found before among them
    assert.equal(3, #paths)
    local _, found = of("a/seed=2/", "", "b")
    assert.equal(3, #found)
    assert.equal(workspace .. "/a/seed=2", found[1])
  end)

  it("groups runs by everything but the seed", function()
    for seed = 1, 3 do
      write_run("e/groups=16,seed=" .. seed, seed, { values = { groups = 16, lr = 0.1 }, accuracy = 0.9 + seed / 100 })
      write_run("e/groups=2,seed=" .. seed, seed, { values = { groups = 2, lr = 0.1 }, accuracy = 0.8 })
    end
    local comparison = of "e"
    assert.same({ "=groups" }, comparison.columns)
    assert.equal(2, #comparison.settings)
    local two, sixteen = table.unpack(comparison.settings) -- by size, not by letter
    assert.equal("2", two.traits["=groups"])
    assert.same({ 1, 2, 3 }, sixteen.seeds)
    near(0.92, sixteen.figures.test_accuracy.mean, 1e-12)
    near(0.01, sixteen.figures.test_accuracy.deviation, 1e-12)
    assert.equal(4, sixteen.step_ms)
    local difference = comparison.differences[1]
    assert.equal("paired", difference.method)
    near(0.12, difference.difference, 1e-12)
    local text = tabulate.text(comparison)
    assert.truthy(text:find("  16           3   92.00 ± 1.00 %        99.00 ± 0.00 %   4.00 ms", 1, true), text)
    assert.truthy(text:find("groups=16   against   groups=2   +12.000   [", 1, true), text)
    assert.truthy(text:find("(95 % interval; paired bootstrap", 1, true), text)
  end)

  it("keeps runs apart whose parameters have other names, as many or not", function()
    for i, names in ipairs { "b c d", "a c d", "b c e", "b d", "b c d", "a c d" } do
      local values = {}
      for name in names:gmatch "%a" do values[name] = 1 end
      write_run("e/" .. i, i, { values = values, accuracy = 0.9 })
    end
    local seeds = {}
    for _, setting in ipairs(of("e").settings) do seeds[#seeds + 1] = table.concat(setting.seeds, " ") end
    table.sort(seeds)
    assert.same({ "1 5", "2 6", "3", "4" }, seeds)
  end)

  local function write_three(validation)
    for i, groups in ipairs { 1, 2, 4 } do
      for seed = 1, 3 do
        write_run(("e/groups=%d,seed=%d"):format(groups, seed), seed, {
          values = { groups = groups }, accuracy = ({ 0.95, 0.9, 0.9 })[i] + seed * groups / 10000,
          validation = validation(i, seed),
        })
      end
    end
    return of "e"
  end

  it("chooses by validation data, and tells what test data say of the choice", function()
    local comparison = write_three(function(i, seed)
      return ('"validation_accuracy": %.9g'):format(({ 0.97, 0.98, 0.96 })[i] + seed / 1000)
    end)
    assert.same({ "2", "validation_accuracy", "test_accuracy" },
      { comparison.best.traits["=groups"], comparison.chosen_by, comparison.measure })
    assert.equal("best of 3 settings by validation accuracy: groups=2, test accuracy 90.04 ± 0.02 % (3 seeds)"
      .. "; lower than groups=1; not told apart from groups=4", tabulate.headline(comparison))
  end)

  it("chooses by the lowest validation loss where there is no accuracy", function()
    local comparison = write_three(function(i) return ('"validation_loss": %.9g'):format(({ 3, 2, 1 })[i]) end)
    assert.same({ "4", "validation_loss" }, { comparison.best.traits["=groups"], comparison.chosen_by })
    assert.truthy(tabulate.headline(comparison):find("by validation loss: groups=4, test accuracy 90.08", 1, true))
  end)

  it("chooses by what the tested weights are worth, where these are the best and not the last", function()
    local comparison = write_three(function(i)
      return ('"tested_weights": "best", "validation_accuracy": %.9g, "best_validation_accuracy": %.9g'):format(
        ({ 0.99, 0.5, 0.5 })[i], ({ 0.99, 0.995, 0.98 })[i])
    end)
    assert.equal("2", comparison.best.traits["=groups"])
    near(0.995, comparison.best.figures.validation_accuracy.mean, 1e-12)
  end)

  it("chooses none where there are no validation data", function()
    local comparison = write_three(function() return "" end)
    assert.is_nil(comparison.best)
    assert.equal("3 settings; none is chosen, since none has validation data", tabulate.headline(comparison))
  end)

  it("says of how many comparisons the intervals hold together", function()
    local comparison = write_three(function() return "" end)
    assert.equal(3, #comparison.differences)
    local text = tabulate.text(comparison)
    assert.truthy(text:find("(95 % intervals for 3 comparisons together, by Bonferroni's rule; paired", 1, true),
      text)
    local second = comparison.differences[1]
    local alone = statistics.compare({ 0.9002, 0.9004, 0.9006 }, { 0.9501, 0.9502, 0.9503 }, 1)
    near(second.difference, alone.difference, 1e-9)
    assert.is_true(second.low < alone.low and alone.high < second.high)
  end)

  it("leaves out a run whose figures cannot be read, and compares the others", function()
    write_run("e/a", 1, { accuracy = 0.9 })
    tiny.write(write_run("e/b", 2, { accuracy = 0.9 }) .. "/metrics.csv", "nothing")
    local comparison = of "e"
    assert.same({ 1 }, comparison.settings[1].seeds)
    assert.matches("expected a header", comparison.left_out[1].reason)
  end)

  it("tells when an accuracy was first reached", function()
    write_run("e/a", 1, { values = { lr = 1 }, metrics = "0,0,,,2.3,0.1,1,\n10,1,1,0.5,,,1,100\n"
      .. "20,1,1,0.5,0.1,0.985,1,200\n30,1,1,0.5,0.1,0.991,1,100\n40,1,1,0.5,0.1,0.98,1,100\n" })
    write_run("e/b", 2, { values = { lr = 1 }, metrics = "0,0,,,2.3,0.1,1,\n40,1,1,0.5,0.1,0.98,1,100\n" })
    local setting = of "e".settings[1]
    assert.equal(2, setting.times[0.98].steps.count)
    near(30, setting.times[0.98].steps.mean, 1e-9)      -- 20 and 40
    near(3.5, setting.times[0.98].seconds.mean, 1e-9)   -- 1 + 2, and 4
    assert.equal(1, setting.times[0.99].steps.count)
    near(4, setting.times[0.99].seconds.mean, 1e-9)
    assert.is_nil(setting.times[0.992].steps)
    local text = tabulate.text((of "e"))
    assert.truthy(text:find("30 steps, 3.5 s (2 of 2)   20 steps, 3.0 s (1 of 2)   30 steps, 4.0 s (1 of 2)", 1, true),
      text)
  end)

  it("says milliseconds where there is less than a tenth of a second", function()
    write_run("e/a", 1, { metrics = "0,0,,,2.3,0.1,1,\n10,1,1,0.5,0.1,0.985,1,2.81\n" })
    write_run("e/b", 2, { metrics = "0,0,,,2.3,0.1,1,\n10,1,1,0.5,0.1,0.991,1,2.81\n" })
    local text = tabulate.text((of "e"))
    assert.truthy(text:find("10 steps, 28.1 ms (2 of 2)", 1, true), text)
  end)

  local function write_reaching(name, values, ...)
    local rows = {}
    for i, accuracy in ipairs { ... } do rows[i] = ("%d,1,1,0.5,0.1,%.9g,1,100\n"):format(10 * i, accuracy) end
    write_run(name, 1, { values = values, metrics = table.concat(rows) })
  end

  it("chooses milestones that mean something for what was reached", function()
    write_reaching("a/x", {}, 0.8, 0.986, 0.99, 0.993)
    assert.same({ 0.985, 0.99, 0.992 }, (of "a").milestones)
    write_reaching("b/x", {}, 0.7, 0.81, 0.86, 0.91, 0.88)
    assert.same({ 0.8, 0.85, 0.9 }, (of "b").milestones)
    assert.truthy(tabulate.text((of "b")):find("  80 %", 1, true))
    write_reaching("c/x", {}, 0.05, 0.15, 0.25)
    assert.same({ 0.1, 0.2 }, (of "c").milestones)
    write_reaching("d/x", {}, 0.05)
    assert.same({}, (of "d").milestones)
    assert.is_nil(tabulate.text((of "d")):find("Steps and seconds", 1, true))
  end)

  it("leaves out milestones that say nothing: those of the first evaluation, and those that come together", function()
    write_reaching("a/x", {}, 0.92, 0.95) -- as 90 % of a data set of which one class has as much
    assert.same({ 0.94 }, (of "a").milestones)
    write_reaching("b/x", {}, 0.5, 0.75, 1) -- of four examples
    assert.same({ 0.7, 0.999 }, (of "b").milestones)
    write_reaching("c/1", { lr = 1 }, 0.95) -- soon there, and that is worth telling
    write_reaching("c/2", { lr = 2 }, 0.85, 0.95)
    assert.same({ 0.94 }, (of "c").milestones)
    write_reaching("d/1", { lr = 1 }, 0.5, 0.86, 0.9) -- one run tells two rungs apart
    write_reaching("d/2", { lr = 2 }, 0.5, 0.9)
    assert.same({ 0.85, 0.9 }, (of "d").milestones)
  end)

  it("chooses those that at least half of the settings reached", function()
    write_reaching("e/1", { lr = 1 }, 0.05, 0.6, 0.7, 0.8, 0.91)
    write_reaching("e/2", { lr = 2 }, 0.05, 0.81)
    write_reaching("e/3", { lr = 3 }, 0.05, 0.1) -- diverged
    assert.same({ 0.6, 0.7, 0.8 }, (of "e").milestones)
    write_reaching("e/4", { lr = 4 }, 0.05, 0.1)
    assert.same({ 0.6, 0.7, 0.8 }, (of "e").milestones)
    write_reaching("e/5", { lr = 5 }, 0.05, 0.1)
    assert.same({ 0.1 }, (of "e").milestones)
  end)

  it("has none where there is no accuracy, and keeps the columns that a table in CSV always has", function()
    write_run("e/a", 1, { metrics = "10,1,1,,0.1,,1,100\n", validation = '"validation_loss": 0.1' })
    local comparison = of "e"
    assert.same({}, comparison.milestones)
    assert.is_nil(tabulate.text(comparison):find("Steps and seconds", 1, true))
    for _, one in ipairs { "steps_to_0.98,seconds_to_0.98,reached_0.98", "steps_to_0.99", "seconds_to_0.992" } do
      assert.truthy(tabulate.csv(comparison):find(one, 1, true))
    end
    write_reaching("f/a", {}, 0.7, 0.81, 0.86, 0.91)
    local csv = tabulate.csv((of "f"))
    assert.truthy(csv:find("steps_to_0.98,.*steps_to_0.992,.*steps_to_0.8,seconds_to_0.8,reached_0.8,"), csv)
    assert.truthy(csv:find(",,0,,,0,,,0,20,2,1,30,3,1,40,4,1,", 1, true), csv)
  end)

  --- Adds to the record of an environment.
  local function record(path, addition)
    local environment = tiny.read(path .. "/environment.json")
    tiny.write(path .. "/environment.json", (environment:gsub("}$", ", " .. addition .. "}")))
  end

  it("keeps apart runs of other modules and of other data, with equal parameters", function()
    for seed = 1, 2 do
      record(write_run("e/a" .. seed, seed, { accuracy = 0.9 }),
        '"modules": {"net.lua": "11111111"}, "data": {"train inputs": "float32 {9} 00000001"}')
      record(write_run("e/b" .. seed, seed, { accuracy = 0.8 }),
        '"modules": {"net.lua": "22222222"}, "data": {"train inputs": "float32 {9} 00000001"}')
      record(write_run("e/c" .. seed, seed, { accuracy = 0.7 }),
        '"modules": {"net.lua": "11111111"}, "data": {"train inputs": "float32 {9} 00000002"}')
    end
    local comparison = of "e"
    assert.same({ "text", "data set" }, comparison.columns)
    assert.same({ 2, 2, 2 }, { #comparison.settings[1].seeds, #comparison.settings[2].seeds,
      #comparison.settings[3].seeds })
    assert.truthy(tabulate.text(comparison):find "text=2 +against +text=1")
    assert.truthy(tabulate.text(comparison):find "data set=2 +against +data set=1")
  end)

  it("takes data that the file itself drew as following the seed", function()
    for seed = 1, 2 do
      record(write_run("e/" .. seed, seed, { accuracy = 0.9 }),
        ('"drew": true, "data": {"train inputs": "float32 {9} 0000000%d"}'):format(seed))
    end
    assert.equal(1, #(of "e").settings)
    record(write_run("e/again", 2, { accuracy = 0.8 }),
      '"drew": true, "data": {"train inputs": "float32 {9} 00000003"}')
    assert.matches("e/2, but on other data$", (of "e").left_out[1].reason)
  end)

  it("tells runs of a loop in Lua by what they declared", function()
    for i, lr in ipairs { "0.1", "0.01" } do
      record(write_run("e/default-" .. i, 1, { accuracy = i / 10 }), ('"declaration": {"optimizer": "adam", '
        .. '"optimizer.lr": "%s", "seed": "1", "model value linear1.weight": "%d"}'):format(lr, i))
    end
    local comparison = of "e"
    assert.same({ "=optimizer.lr" }, comparison.columns)
    assert.equal("0.01", comparison.settings[1].traits["=optimizer.lr"])
  end)

  it("calls an experiment what its run recorded, wherever it lies", function()
    record(write_run("moved/a", 1, { accuracy = 0.9 }), '"experiment": "softmax"')
    record(write_run("moved/b", 2, { unfinished = true }), '"experiment": "softmax", "variant": "b", "seed": 7')
    local found = records.read_all { workspace .. "/moved/a", workspace .. "/moved/b" }
    assert.same({ "softmax", "softmax", 7 }, { found[1].name, found[2].name, found[2].seed })
  end)

  it("tells integers apart that a double does not", function()
    write_run("e/a", 9007199254740992, { values = { n = "9007199254740993" }, accuracy = 0.9 })
    write_run("e/b", 9007199254740993, { values = { n = "9007199254740993" }, accuracy = 0.8 })
    write_run("e/c", 9007199254740993, { values = { n = "9007199254740992" }, accuracy = 0.7 })
    local comparison = of "e"
    assert.same({ 9007199254740992, 9007199254740993 }, comparison.settings[2].seeds)
    assert.equal("9007199254740993", comparison.settings[2].traits["=n"])
    assert.same({}, comparison.left_out)
  end)

  it("fits into a terminal: columns do not touch, and nothing is lost", function()
    for i, name in ipairs { "softmax_over_everything", "relu" } do
      for seed = 1, 3 do
        local path = ("e/activation=%s,decay=%d,seed=%d"):format(name, i, seed)
        write_run(path, seed, { values = { activation = '"' .. name .. '"', decay = "0.000" .. i }, accuracy = i / 3,
          metrics = "1600,1,1,0.5,0.1,0.91,1,100\n" })
      end
    end
    write_run("e/unfinished", 4, { unfinished = true })
    local comparison = of "e"
    local wide = tabulate.text(comparison)
    for _, columns in ipairs { 100, 80, 60 } do
      local text = tabulate.text(comparison, columns)
      for line in text:gmatch "[^\n]+" do
        assert.is_true(utf8.len(line) <= columns, ("wider than %d: %s"):format(columns, line))
      end
      local function letters(one) -- in no order: what is broken stands in further lines
        local list = {}
        for letter in one:gmatch "%w" do list[#list + 1] = letter end
        table.sort(list)
        return table.concat(list)
      end
      assert.equal(letters(wide), letters(text))
    end
    assert.truthy(tabulate.text(comparison, 80):find "  relu  +0%.0002  +3  ")
    -- a figure is broken before ± alone
    assert.truthy(tabulate.text(comparison, 60):find " 33%.33 +99%.00 [^\n]*\n[^\n]* ± 0%.00 %% +± 0%.00 %%")
  end)

  it("averages no unfinished run in, nor a seed twice, and says so", function()
    write_run("e/default", 1, { accuracy = 0.9 })
    write_run("e/default-2", 1, { accuracy = 0.9 })
    write_run("e/seed=2", 2, { unfinished = true })
    local broken = write_run("e/seed=3", 3, { accuracy = 0.9 })
    tiny.write(broken .. "/params.json", "{")
    local comparison = of "e"
    assert.same({ 1 }, comparison.settings[1].seeds)
    assert.equal(3, #comparison.left_out)
    local text = tabulate.text(comparison)
    assert.truthy(text:find("e/default-2   the same setting and seed as " .. workspace .. "/e/default", 1, true), text)
    assert.truthy(text:find("e/seed=2      unfinished, nothing saved yet", 1, true), text)
    assert.truthy(text:find("params.json: expected a JSON object", 1, true), text)
    assert.is_nil(text:find "Difference")
  end)

  it("shows other experiments, texts and revisions as a difference, and other machines", function()
    write_run("e/a", 1, { accuracy = 0.9, revision = "aaaaaaaaaa" })
    write_run("e/b", 1, { accuracy = 0.8, revision = "bbbbbbbbbb", source = "return 2", threads = 2 })
    write_run("f/a", 1, { accuracy = 0.7, revision = "aaaaaaaaaa", values = { lr = 3 } })
    local comparison = of ""
    assert.same({ "experiment", "text", "revision", "=lr" }, comparison.columns)
    assert.equal(3, #comparison.settings)
    local text = tabulate.text(comparison)
    assert.truthy(text:find("experiment   text   revision   lr", 1, true), text)
    assert.truthy(text:find("e            2      bbbbbbb    –", 1, true), text)
    assert.truthy(text:find("fewer than 2 seeds: no claim can be made", 1, true), text)
    assert.truthy(text:find("different machines", 1, true), text)
    -- what is different between the two, then what is not
    local row <const> = "text=2,revision=bbbbbbb +against +text=1,revision=aaaaaaa %(both experiment=e%) +%-10%.000"
    assert.truthy(text:find(row), text)
  end)

  it("marks a revision with changes, and one of which that is not known", function()
    for seed, dirty in ipairs { "false", "true", "null" } do
      write_run("e/" .. dirty, seed, { accuracy = 0.9, revision = "aaaaaaaaaa", dirty = dirty })
    end
    local found = {}
    for _, setting in ipairs(of "".settings) do found[setting.traits.revision] = true end
    assert.same({ ["aaaaaaa"] = true, ["aaaaaaa+"] = true, ["aaaaaaa?"] = true }, found)
  end)

  it("compares many settings with the first alone", function()
    for groups = 1, 5 do
      for seed = 1, 2 do
        write_run(("e/%d-%d"):format(groups, seed), seed + groups % 2, { values = { groups = groups },
          accuracy = (groups + seed) / 10 })
      end
    end
    local comparison = of "e"
    assert.equal(4, #comparison.differences)
    assert.equal("welch", comparison.differences[1].method) -- seeds 2, 3 against 1, 2
    assert.equal("no spread over the seeds", comparison.differences[2].reason)
    for _, result in ipairs(comparison.differences) do assert.equal(comparison.settings[1], result.other) end
  end)

  it("compares another figure: the last one of a column, or one of the summary", function()
    for seed = 1, 2 do
      for lr = 1, 2 do
        local path = ("e/lr=%d,seed=%d"):format(lr, seed)
        write_run(path, seed, { values = { lr = lr }, accuracy = 0.9, columns = ",step_rms,times",
          metrics = ("10,,,,,,,,5,%d\n20,,,,,,,,%.9g,\n"):format(lr, lr + seed ^ 2 / 10) })
      end
    end
    local found = {}
    records.find(workspace .. "/e", found)
    local comparison = compare.runs(found, "step_rms")
    near(1.25, comparison.settings[1].figures.step_rms.mean, 1e-12)
    assert.equal("step_rms", comparison.measure)
    near(1, comparison.differences[1].difference, 1e-12)
    local text, csv = tabulate.text(comparison), tabulate.csv(comparison)
    assert.truthy(text:find("step rms    test accuracy", 1, true), text)
    assert.truthy(text:find("Difference in mean step rms", 1, true), text)
    assert.truthy(csv:find(",step_rms_mean,step_rms_deviation,compared,", 1, true), csv)
    assert.truthy(csv:find(",2.25,0.212132034,step_rms,1,", 1, true), csv)
    near(2, compare.runs(found, "times").settings[2].figures.times.mean, 1e-12) -- a column of any name
    assert.truthy(tabulate.text(compare.runs(found, "validation_accuracy")):find("validation accuracy    test accuracy",
      1, true))
    local output, code = tiny.smrun(("compare '%s/e' --figure stp_rms"):format(workspace))
    assert.same({ 1, "smrun: no run has a figure 'stp_rms' in its metrics.csv or summary.json; "
      .. "did you mean 'step_rms'?\n" }, { code, output })
    output, code = tiny.smrun(("compare '%s/e' --figure step_rms"):format(workspace))
    assert.same({ 0, text .. "\n" }, { code, output })
    output, code = tiny.smrun(("compare '%s/e' --figure test_acuracy"):format(workspace))
    assert.equal(1, code)
    assert.truthy(output:find("did you mean 'test_accuracy'?", 1, true), output)
  end)

  it("writes CSV that others read", function()
    write_run("e/a", 1, { values = { data = '"x,y"' }, accuracy = 0.5 })
    write_run("e/b", 1, { values = { data = '"z"' }, accuracy = 0.25 })
    local csv = tabulate.csv(of "e")
    local header, first, second = csv:match "^([^\n]*)\n([^\n]*)\n([^\n]*)\n$"
    assert.truthy(header:find("data,seeds,test_accuracy_mean,test_accuracy_deviation,", 1, true), header)
    assert.truthy(header:find(",compared,difference,difference_low,difference_high,method", 1, true), header)
    assert.equal('"x,y",1,0.5,,', first:sub(1, 13))
    assert.equal("z,1,0.25,,", second:sub(1, 10))
    assert.truthy(second:find(",test_accuracy,%-0%.25,,,$"), second)
  end)

  it("is a command", function()
    write_run("e/a", 1, { values = { lr = 1 }, accuracy = 0.5 })
    write_run("e/b", 1, { values = { lr = 2 }, accuracy = 0.25 })
    local output, code = tiny.smrun(("compare '%s/e' --csv '%s/out.csv'"):format(workspace, workspace))
    assert.equal(0, code)
    local comparison = of "e"
    assert.equal(tabulate.text(comparison) .. "\n", output)
    assert.equal(tabulate.csv(comparison), tiny.read(workspace .. "/out.csv"))
    output, code = tiny.smrun(("compare '%s/e' --csv -"):format(workspace))
    assert.same({ 0, tabulate.csv(comparison) }, { code, output })
    output, code = tiny.smrun(("compare '%s/e/c'"):format(workspace))
    assert.same({ 2, "smrun: no such run directory '" .. workspace .. "/e/c'" }, { code, output:match "^[^;\n]*" })
    output, code = tiny.smrun(("compare '%s/tiny.lua'"):format(workspace))
    assert.same({ 2, ("smrun: there is no run in '%s/tiny.lua'"):format(workspace) }, { code, output:match "^[^\n]*" })
    os.remove(workspace .. "/e/a/summary.json")
    os.remove(workspace .. "/e/b/summary.json")
    output, code = tiny.smrun(("compare '%s/e'"):format(workspace))
    assert.equal(1, code)
    assert.truthy(output:find("there is no finished run to compare", 1, true), output)
  end)
end)
