local lfs = require "lfs"
local compare = require "sm.experiment.compare"
local records = require "sm.experiment.records"
local statistics = require "sm.experiment.statistics"
local tabulate = require "sm.experiment.tabulate"
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
      near(quantile, statistics.t_quantile(freedom), 1e-4)
    end
  end)

  it("compares over the same seeds by a bootstrap with Student's width", function()
    -- Of two differences the resampled means are 1, 2, 3 with chances 1/4, 1/2, 1/4.
    local result = statistics.compare({ [1] = 2, [2] = 5 }, { [1] = 1, [2] = 2 })
    local widening = 12.7062 * 2 ^ 0.5 / 1.959964
    assert.equal("paired", result.method)
    assert.equal(2, result.difference)
    near(2 - widening, result.low, 1e-3)
    near(2 + widening, result.high, 1e-3)
    -- Of 0, 0 and 3 they are 0 with chance 8/27 and 3 with chance 1/27; both are more than 2.5 %.
    result = statistics.compare({ [7] = 0, [8] = 0, [9] = 3 }, { [7] = 0, [8] = 0, [9] = 0 })
    widening = 4.30265 * 1.5 ^ 0.5 / 1.959964
    assert.equal(1, result.difference)
    near(1 - widening, result.low, 1e-3)
    near(1 + 2 * widening, result.high, 1e-3)
    assert.same(result, statistics.compare({ [7] = 0, [8] = 0, [9] = 3 }, { [7] = 0, [8] = 0, [9] = 0 }))
  end)

  it("compares over other seeds by Welch's t", function()
    -- Variances 1 and 20/3; the square of the standard error is 2, with 4.0755 degrees of freedom: t = 2.7560.
    local result = statistics.compare({ 1, 2, 3 }, { 2, 4, 6, 8 })
    assert.equal("welch", result.method)
    assert.equal(-3, result.difference)
    near(-3 - 2.7560 * 2 ^ 0.5, result.low, 1e-3)
    near(-3 + 2.7560 * 2 ^ 0.5, result.high, 1e-3)
  end)

  it("claims nothing from one seed, nor from seeds without a spread", function()
    local one = statistics.compare({ 5 }, { 3, 4 })
    assert.same({ difference = 1.5, reason = "fewer than 2 seeds" }, one)
    local none = statistics.compare({ 0.3, 0.4 }, { 0.1, 0.2 })
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
    near(0.92, sixteen.test_accuracy.mean, 1e-12)
    near(0.01, sixteen.test_accuracy.deviation, 1e-12)
    assert.equal(4, sixteen.step_ms)
    local difference = comparison.differences[1]
    assert.equal("paired", difference.method)
    near(0.12, difference.difference, 1e-12)
    local text = tabulate.text(comparison)
    assert.truthy(text:find("  16           3   92.00 ± 1.00 %        99.00 ± 0.00 %   4.00 ms", 1, true), text)
    assert.truthy(text:find("groups=16   against   groups=2   +12.000   [", 1, true), text)
    assert.truthy(text:find("paired bootstrap", 1, true), text)
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
    local text = tabulate.text(of "e")
    assert.truthy(text:find("30 steps, 3.5 s (2 of 2)   30 steps, 4.0 s (1 of 2)   – (0 of 2)", 1, true), text)
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
    -- only what is different between the two
    assert.truthy(text:find("text=2,revision=bbbbbbb +against +text=1,revision=aaaaaaa +%-10%.000"), text)
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
