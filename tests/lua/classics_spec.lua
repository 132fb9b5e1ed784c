--- The classics of experiments/classics: other people's examples, each one file that is shorter than theirs.
local json = require "sm.json"
local load = require "sm.experiment.load"
local runtime = require "sm.runtime"
local sm = require "sm"
local tiny = dofile "tests/lua/tiny_experiment.lua"

-- Of each the lines of the original, and parameters to try.
local CLASSICS <const> = {
  pytorch_mnist = { lines = 140, tries = { "" } },
  torch7_digits = { lines = 370, tries = { "model=convnet", "model=mlp", "model=linear momentum=0.9 l2=1e-4" } },
}

local function path_of(name) return ("experiments/classics/%s.lua"):format(name) end

describe("a classic", function()
  local workspace
  setup(function() workspace = tiny.workspace() end)
  teardown(function() tiny.remove(workspace) end)

  it("is listed here if it is there", function()
    for _, name in ipairs(tiny.list "experiments/classics") do
      assert.is_truthy(CLASSICS[name:match "^(.+)%.lua$"], name .. " is not listed in classics_spec.lua")
    end
  end)

  for name, about in pairs(CLASSICS) do
    it(name .. " is shorter than the original by more than half, and trains", function()
      local _, lines = tiny.read(path_of(name)):gsub("\n", "")
      assert.is_true(2 * lines < about.lines)
      for i, words in ipairs(about.tries) do
        local runs = ("%s/%s%d"):format(workspace, name, i)
        local output, code = tiny.smrun(("--runs '%s' --quiet %s %s steps=3"):format(runs, path_of(name), words))
        assert.equal(0, code, output)
        local run = ("%s/%s/%s"):format(runs, name, tiny.list(runs .. "/" .. name)[1])
        local summary = json.object(tiny.read(run .. "/summary.json"))
        assert.equal(3, summary.steps)
        assert.is_true(summary.test_accuracy >= 0 and summary.test_loss - summary.test_loss == 0)
        sm.png.save(workspace .. "/digit.png", sm.zeros({ 28, 28, 1 }, "uint8"))
        output, code = tiny.smrun(("predict '%s' '%s/digit.png'"):format(run, workspace))
        assert.equal(0, code, output)
        assert.is_true(output:find("%", 1, true) ~= nil, output)
      end
    end)
  end

  it("has Adadelta as PyTorch has it", function()
    local opt = load.file(path_of "pytorch_mnist", nil, {}).experiment.declaration.optimizer
    local w, square, moved, rate = { 0.5, -1.25 }, { 0, 0 }, { 0, 0 }, 1
    local x = sm.tensor(w):requires_grad()
    opt:add { x = x }
    for step = 1, 5 do
      local g = { 0.3 * step, -2 / step }
      opt:zero_grad()
      local loss = (x * sm.tensor(g)):sum()
      loss:backward()
      opt:step()
      for i = 1, 2 do -- the steps of torch.optim.Adadelta's page, with rho 0.9 and eps 1e-6
        square[i] = square[i] * 0.9 + g[i] ^ 2 * 0.1
        local delta = math.sqrt(moved[i] + 1e-6) / math.sqrt(square[i] + 1e-6) * g[i]
        moved[i] = moved[i] * 0.9 + delta ^ 2 * 0.1
        w[i] = w[i] - rate * delta
        assert.is_near(w[i], x[i]:item(), runtime.real == "float64" and 1e-12 or 1e-6)
      end
    end
  end)
end)
