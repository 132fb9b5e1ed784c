--- Every command of docs/results/study.md runs: on few images, for one step, sweeps cut down to one or two runs.
local lfs = require "lfs"
local json = require "cjson"
local tiny = dofile "tests/lua/tiny_experiment.lua"

--- The lines of the page that run an experiment, as {file=, words= of key=value and options}.
local function commands()
  local found, inside = {}, false
  for line in tiny.read "docs/results/study.md":gmatch "[^\n]+" do
    if line:find "^```" then inside = line == "```sh" end
    local file, rest = line:match "^[%w/]*smrun (experiments/[%w_]+%.lua)(.*)$"
    if inside and file then
      local words = {}
      for word in rest:gmatch "%S+" do words[#words + 1] = word end
      found[#found + 1] = { line = line, file = file, words = words }
    end
  end
  return found
end

--- The values of "1,2,4" or "1..5": the first, the second (the first where there is one alone) and the last.
local function some(values)
  local first, last = values:match "^(%d+)%.%.(%d+)$"
  if first then return first, tostring(first + 1), last end
  first, last = values:match "^[^,]*", values:match "[^,]*$"
  return first, values:match "^[^,]*,([^,]*)" or first, last
end

--- The arguments of a command that does the same in small, with one seed: of the first parameter that takes several
-- values the first and the last, of the others the first; or, where an earlier command has run the file, the second
-- of each. And those that only leave out seeds.
-- @param again whether an earlier command has run the file
-- @return text, number of runs, text
local function in_small(command, again)
  local words, all, runs = {}, {}, 1
  for _, word in ipairs(command.words) do
    local key, value = word:match "^([%w_]+)=(.*)$"
    if key and key ~= "data" and key ~= "steps" then
      local first, second, last = some(value)
      all[#all + 1] = key .. "=" .. (key == "seed" and first or value)
      if first ~= last and runs == 1 and key ~= "seed" and not again then
        runs, value = 2, first .. "," .. last
      else
        value = again and key ~= "seed" and second or first
      end
      words[#words + 1] = key .. "=" .. value
    end
  end
  return table.concat(words, " "), runs, table.concat(all, " ")
end

--- The lines that compare runs of an experiment by a figure, as {line=, experiment=, figure=}.
local function comparisons()
  local found = {}
  for line in tiny.read "docs/results/study.md":gmatch "[^\n]+" do
    local experiment, figure = line:match "^smrun compare runs/([%w_]+) %-%-figure ([%w_]+)$"
    if experiment then found[#found + 1] = { line = line, experiment = experiment, figure = figure } end
  end
  return found
end

local function is_experiment(file)
  return tiny.read(file):find("sm.experiment", 1, true) ~= nil
end

local function finite(value)
  return type(value) == "number" and value - value == 0
end

--- The run directories below a directory, those that have a summary: of one experiment, or of all.
local function runs_below(path, experiment, found)
  found = found or {}
  for _, name in ipairs(tiny.list(path)) do
    local inner = path .. "/" .. name
    if name == "summary.json" and (not experiment or path:match "([^/]+)/[^/]+$" == experiment) then
      found[#found + 1] = path
    end
    if lfs.attributes(inner, "mode") == "directory" then runs_below(inner, experiment, found) end
  end
  return found
end

describe("the study's commands", function()
  local workspace
  setup(function() workspace = tiny.workspace() end)
  teardown(function() tiny.remove(workspace) end)

  it("are there, and leave no experiment out", function()
    local files = {}
    for _, command in ipairs(commands()) do files[command.file] = true end
    for _, name in ipairs(tiny.list "experiments") do
      assert.is_true(files["experiments/" .. name] or name == "xor.lua" or not name:find "%.lua$",
        name .. " is in no command of the study")
    end
    assert.is_true(files["experiments/softmax_groups.lua"])
  end)

  local files_run = {}
  for number, command in ipairs(commands()) do
    local arguments, expected, settings = in_small(command, files_run[command.file])
    files_run[command.file] = true

    if is_experiment(command.file) then
      it(command.line .. " plans its runs", function()
        local output, code = tiny.smrun(("--dry-run --runs '%s/plan' %s data=mnist_mini %s"):format(workspace,
          command.file, settings))
        assert.equal(0, code, output)
        assert.is_nil(output:find "fails", output)
      end)

      it(command.line .. " runs in small", function()
        local runs = ("%s/%d"):format(workspace, number)
        local output, code = tiny.smrun(("--runs '%s' --jobs 2 --threads 1 %s %s data=mnist_mini steps=1"):format(runs,
          command.file, arguments))
        assert.equal(0, code, output)
        local directories = runs_below(runs)
        assert.equal(expected, #directories, output)
        for _, directory in ipairs(directories) do
          local summary = json.decode(tiny.read(directory .. "/summary.json"))
          assert.equal("finished", summary.status)
          assert.equal(1, summary.steps)
          assert.is_true(finite(summary.test_loss) and finite(summary.validation_loss), directory)
          assert.is_true(summary.test_accuracy >= 0 and summary.test_accuracy <= 1)
          for _, name in ipairs { "experiment.lua", "params.json", "environment.json", "metrics.csv", "log.txt",
                                  "checkpoints/step-000001.safetensors" } do
            assert.is_true((lfs.attributes(directory .. "/" .. name, "size") or 0) > 0, directory .. "/" .. name)
          end
          if tiny.read(command.file):find "view%." then
            assert.is_true(#tiny.list(directory .. "/plots") > 0, directory .. " has no picture")
          end
        end
      end)
    else
      it(command.line .. " prints finite figures", function()
        local output, code = tiny.smrun(command.file .. " " .. arguments)
        assert.equal(0, code, output)
        local figures = 0
        for figure in output:gmatch "%d%.%d+e[+-]%d+" do
          figures = figures + 1
          assert.is_true(tonumber(figure) < 1e-5, output)
        end
        assert.is_true(figures > 0, output)
      end)
    end
  end

  it("compare by figures, and some do", function() assert.is_true(#comparisons() > 3) end)

  for _, comparison in ipairs(comparisons()) do
    it(comparison.line .. " finds its figure", function()
      local runs = runs_below(workspace, comparison.experiment)
      assert.is_true(#runs > 0, "no run of " .. comparison.experiment)
      local output, code = tiny.smrun(("compare '%s' --figure %s"):format(table.concat(runs, "' '"), comparison.figure))
      assert.equal(0, code, output)
    end)
  end
end)
