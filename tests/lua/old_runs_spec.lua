--- Runs that version 0.1.0 left, as they lie in tests/data/run_0_1_0: `waves` finished twice, interrupted after step
-- 17 (seed 3), once stopped by an error after step 23; `drawn`, whose data the file draws at random.
local lfs = require "lfs"
local cjson = require "cjson"
local tiny = dofile "tests/lua/tiny_experiment.lua"
local helpers = dofile "tests/lua/helpers.lua"
local has = helpers.has

-- What seed 3 came to in version 0.1.0 where nothing interrupted it.
local whole <const> = { steps = 40, validation_loss = 0.341527969, test_loss = 0.355020106, test_accuracy = 1,
  best_validation_step = 20, seed = 3, experiment = "waves" }

describe("a run that 0.1.0 left", function()
  local workspace, runs
  before_each(function()
    workspace = tiny.workspace()
    runs = workspace .. "/runs"
    os.execute(("cp -r tests/data/run_0_1_0 '%s'"):format(runs))
  end)
  after_each(function() tiny.remove(workspace) end)

  local function smrun(command)
    local output, code = tiny.smrun((command:gsub("RUNS", runs)))
    assert.equal(0, code, output)
    return output
  end

  local function summary(run)
    return cjson.decode(tiny.read(("%s/%s/summary.json"):format(runs, run)))
  end

  it("can be evaluated, with the figures that it had", function()
    for _, run in ipairs { "waves/default", "waves/seed=2", "drawn/default" } do
      local output, kept = smrun("eval RUNS/" .. run), summary(run)
      assert.truthy(output:find(("validation +loss %.4g"):format(kept.validation_loss)), output)
      if kept.test_loss then assert.truthy(output:find(("test +loss %.4g"):format(kept.test_loss)), output) end
    end
    has(smrun "eval RUNS/waves/seed=3", "after step 17")
    has(smrun "eval RUNS/waves/fail_at=24", "after step 20")
  end)

  it("can be compared, and is what it was called", function()
    local output = smrun "compare RUNS/waves"
    assert.truthy(output:find "waves +2 +100%.00", output) -- two seeds of one setting
    has(output, "unfinished, saved after step 17")
    has(output, "unfinished, saved after step 20")
    has(smrun "compare RUNS", "drawn")
  end)

  it("can be reported", function()
    smrun "report RUNS"
    local page = tiny.read(runs .. "/report.html")
    has(page, "waves")
    has(page, "drawn")
    has(page, "3 of 5 runs finished")
    smrun "report RUNS/waves/seed=3"
    has(tiny.read(runs .. "/waves/seed=3/report.html"), "at step 15")
  end)

  it("goes on to what it would have been", function()
    smrun "resume RUNS/waves/seed=3"
    local result = summary "waves/seed=3"
    for key, figure in pairs(whole) do
      if type(figure) == "string" then
        assert.equal(figure, result[key])
      else
        assert.is_true(math.abs(result[key] - figure) <= 5e-2 * math.abs(figure), -- rounding differs by processor
          ("%s: expected %.9g, got %.9g"):format(key, figure, result[key]))
      end
    end
    assert.truthy(smrun "compare RUNS/waves":find "waves +3 +100%.00")
  end)

  it("goes on from before the error that had stopped it", function()
    has(smrun "resume RUNS/waves/fail_at=24", "goes on after step 20 of 40")
    assert.equal(40, summary "waves/fail_at=24".steps)
  end)

  it("says that it is finished", function()
    has(smrun "resume RUNS/waves/default", "done before")
  end)

  it("is found wherever it lies", function()
    assert(lfs.mkdir(workspace .. "/elsewhere"))
    assert(os.rename(runs .. "/waves/default", workspace .. "/elsewhere/kept"))
    has(smrun(("eval '%s/elsewhere/kept'"):format(workspace)), "after step 40")
    has(smrun(("compare '%s/elsewhere/kept' RUNS/waves/seed=2"):format(workspace)), "waves")
  end)
end)
