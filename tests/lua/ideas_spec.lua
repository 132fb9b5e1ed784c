--- The ideas of experiments/ideas: each is there, short and told, and is an experiment as any other: it trains, goes on
-- after an interruption with the same bits, and sweeps. Networks are small here, and steps are few.
local host = require "sm.cli.host"
local json = require "sm.json"
local load = require "sm.experiment.load"
local sorted_keys = require "sm.ordered".sorted_keys
local tiny = dofile "tests/lua/tiny_experiment.lua"

local most_lines <const>, steps <const>, stop <const> = 60, 4, 2

-- Of each idea the parameters of a small network.
local IDEAS <const> = {
  autoencoder = { hidden = 8 },
  capsules = { channels = 8, rounds = 2 },
  char_rnn = { size = 8, time = 16, sequences = 400, cell = "lstm" },
  densenet = { growth = 2, depth = 2 },
  distillation = { hidden = 8, dropout = 0.1 },
  gan = { noise = 4, hidden = 8, samples = 10 },
  gumbel_vae = { letters = 4, alphabet = 3, hidden = 8 },
  inception = { width = 2 },
  maxout_kwta = { hidden = 16, groups = 4, activation = "kwta" },
  mixture_of_experts = { experts = 3, hidden = 4 },
  mixup = { hidden = 8 },
  mobilenet = { width = 0.1 },
  rbm = { hidden = 4 },
  resnet = { blocks = 1, width = 2 },
  saliency = { filters = 2 },
  siamese = { filters = 2 },
  simplicial = { groups = 3, options = 32 },
  sparsemax_groups = { hidden = 96, groups = 32 },
  transformer = { size = 8, heads = 2, letters = 8, row = 6, sequences = 200, layers = 1 },
  unet = { width = 2 },
  vae = { codes = 2, hidden = 8 },
  vq_vae = { codes = 4, size = 2, channels = 4 },
  wgan_gp = { noise = 4, hidden = 8, samples = 10, critic_steps = 2 },
  word2vec = { kin = 3, sentences = 100, size = 4, noise = 2 },
}

local function path_of(idea) return ("experiments/ideas/%s.lua"):format(idea) end

--- The parameters of an idea as the command line has them. @param others table|nil further ones
local function overrides_of(idea, others)
  local all = { steps = tostring(steps), batch = "10", seed = "1" }
  for _, given in ipairs { IDEAS[idea], others } do
    for key, value in pairs(given) do all[key] = tostring(value) end
  end
  return all
end

--- Runs an idea in this process. @return table its result
local function run(idea, runs, others)
  local loaded = load.file(path_of(idea), nil, overrides_of(idea, others))
  return select(2, tiny.printed(loaded.experiment.run, loaded.experiment,
    { file = path_of(idea), source = loaded.source, params = loaded.params, runs = runs }))
end

local function checkpoint_of(directory)
  return tiny.read(("%s/checkpoints/step-%06d.safetensors"):format(directory, steps))
end

describe("an idea", function()
  local workspace
  local interrupted = host.interrupted
  setup(function() workspace = tiny.workspace() end)
  teardown(function() tiny.remove(workspace) end)
  after_each(function() host.interrupted = interrupted end)

  --- Runs an idea until it is interrupted, and then on. @return string its directory
  local function in_two_parts(idea, runs, others)
    local polls = stop
    host.interrupted = function()
      polls = polls - 1
      return polls < 0
    end
    local stopped = run(idea, runs, others)
    host.interrupted = interrupted
    assert.is_true(stopped.interrupted)
    local directory = run(idea, runs, others).directory
    assert.equal(stopped.directory, directory)
    return directory
  end

  it("is listed here if it is there, and there if it is listed", function()
    local there = {}
    for _, name in ipairs(tiny.list "experiments/ideas") do
      local idea = name:match "^(.+)%.lua$"
      assert.is_truthy(IDEAS[idea], name .. " is not listed in ideas_spec.lua")
      there[idea] = true
    end
    for idea in pairs(IDEAS) do assert.is_true(there[idea], path_of(idea) .. " is missing") end
  end)

  for _, idea in ipairs(sorted_keys(IDEAS)) do
    it(idea .. " is short, and says what it asks, whose it is, how it is run and what came out", function()
      local comment, code, begun = {}, 0, false
      for line in tiny.read(path_of(idea)):gmatch "([^\n]*)\n" do
        if not line:find "^%s*%-%-" then
          code, begun = code + 1, true
        elseif not begun then
          comment[#comment + 1] = line
        end
      end
      comment = table.concat(comment, "\n")
      assert.is_true(code <= most_lines, ("%s has %d lines that are no comment"):format(idea, code))
      assert.is_true(comment:find("Source: ", 1, true) and comment:find "%(%d%d%d%d%)" ~= nil, comment)
      assert.is_true(comment:find("smrun " .. path_of(idea), 1, true) ~= nil, comment)
      assert.is_true(comment:find("Reached", 1, true) ~= nil, comment)
    end)

    it(idea .. " trains, goes on with the same bits, and sweeps", function()
      local words = {}
      for key, value in pairs(overrides_of(idea, { seed = "1,2" })) do words[#words + 1] = key .. "=" .. value end
      local output, code = tiny.smrun(("--runs '%s/sweep' --jobs 2 --threads 1 '%s' %s"):format(workspace,
        path_of(idea), table.concat(words, " ")))
      assert.equal(0, code, output)

      local directory = in_two_parts(idea, workspace .. "/stopped")
      local whole = ("%s/sweep/%s/%s"):format(workspace, idea, directory:match "[^/]+$")
      assert.equal(checkpoint_of(whole), checkpoint_of(directory))
      assert.equal(tiny.metrics(whole), tiny.metrics(directory))
      for _, name in ipairs(tiny.list(("%s/sweep/%s"):format(workspace, idea))) do
        local summary = json.object(tiny.read(("%s/sweep/%s/%s/summary.json"):format(workspace, idea, name)))
        assert.equal("finished", summary.status)
        for key, value in pairs(summary) do
          if key:find "^test_" or key:find "^validation_" then
            assert.is_true(type(value) ~= "number" or value - value == 0, key)
          end
        end
      end
    end)
  end

  it("distillation learns from a run that there is", function()
    local teacher = run("distillation", workspace .. "/teacher", { hidden = 9 }).directory
    local whole = run("distillation", workspace .. "/whole", { teacher = teacher }).directory
    local parts = in_two_parts("distillation", workspace .. "/parts", { teacher = teacher })
    assert.equal(checkpoint_of(whole), checkpoint_of(parts))
    local alone = run("distillation", workspace .. "/alone").directory
    assert.not_equal(checkpoint_of(whole), checkpoint_of(alone))
  end)
end)
