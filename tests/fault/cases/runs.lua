-- Experiments: a run, its continuation, and what is made of its directory.
return function(add, home, support)
  local lfs = require "lfs"
  local file = home .. "/small.lua"
  local runs, run = home .. "/runs", home .. "/runs/small/default"
  local text = [[
local sm = require "sm"
local nn, optim = sm.nn, sm.optim
local p = sm.params { steps = 3, lr = 0.01, seed = 1 }
local labels = {}
for i = 1, 12 do labels[i] = i % 3 end
return sm.experiment {
  data = sm.data.tensors { inputs = sm.randn(12, 4), targets = sm.tensor(labels, "int32"), validation = 4,
    test_inputs = sm.ones(2, 4), test_targets = sm.tensor({ 0, 1 }, "int32") },
  model = nn.sequential { nn.linear { 3 }, nn.dropout { 0.3 }, nn.linear { 3 } },
  metrics = { zero = function(output) return output:sum():item() * 0 end },
  optimizer = optim.smorms3 { lr = p.lr, ease_in = 4 },
  schedule = { steps = p.steps, batch = 4, log = 1, evaluate = 2, checkpoint = 2, keep = 2 },
  seed = p.seed,
}
]]

  -- What the library prints is not looked at here.
  local silent = { write = function(self) return self end, flush = function() end, setvbuf = function() end,
    close = function() end }
  local function quietly(f, ...)
    local out, err = io.stdout, io.stderr
    rawset(io, "stdout", silent)
    rawset(io, "stderr", silent)
    local results = table.pack(pcall(f, ...))
    rawset(io, "stdout", out)
    rawset(io, "stderr", err)
    if not results[1] then error(results[2], 0) end
    return table.unpack(results, 2, results.n)
  end

  -- A stop after the second step, where `interrupted` is.
  local function train(interrupted)
    local loader = require "sm.experiment.load"
    local loaded = loader.file(file, nil, {})
    local looks = 0
    return loaded.experiment:run {
      file = file, source = loaded.source, params = loaded.params, runs = runs, quiet = true,
      interrupted = function()
        looks = looks + 1
        return interrupted == true and looks > 2
      end,
    }
  end

  local function call(method)
    local loaded = require "sm.experiment.load".run_directory(run)
    return loaded.experiment[method](loaded.experiment, { directory = run, source = loaded.source,
      params = loaded.params, quiet = true, file = run .. "/experiment.lua" })
  end

  -- What has the same bits whenever it was made.
  local function outcome()
    local sm = require "sm"
    local tensors = sm.load(run .. "/checkpoints/step-000003.safetensors")
    local rows = support.read(run .. "/metrics.csv"):gsub("(\n" .. ("[^,\n]*,"):rep(7) .. ")[^,\n]*", "%1")
    return { tensors, rows }
  end

  -- Every file is whole: what can be read says what it should.
  local function whole()
    local json, sm = require "sm.json", require "sm"
    for _, name in ipairs { "params.json", "environment.json", "summary.json", "spent.json" } do
      if lfs.attributes(run .. "/" .. name) then
        assert(json.object(support.read(run .. "/" .. name)), name .. " is no JSON any more")
      end
    end
    if lfs.attributes(run .. "/checkpoints") then
      for name in lfs.dir(run .. "/checkpoints") do
        if name:find "%.safetensors$" then sm.load(run .. "/checkpoints/" .. name) end
      end
    end
  end

  local function prepare()
    support.write(file, text)
  end

  -- The library keeps the experiment that a file declared last.
  local function settle()
    support.remove(runs)
    quietly(train)
  end

  local undisturbed
  add("train", function()
    quietly(train)
    return outcome()
  end, { file = ".", prepare = function()
    prepare()
    support.remove(runs)
    quietly(train)
    undisturbed = support.digest(outcome())
  end, settle = settle, before = function() support.remove(runs) end, after = function()
    whole()
    quietly(train) -- goes on, or begins anew
    assert(support.digest(outcome()) == undisturbed, "the run that goes on ends elsewhere")
  end })

  local function keep(directory, below, found)
    for name in lfs.dir(directory) do
      local path = directory .. "/" .. name
      if name ~= "." and name ~= ".." then
        if lfs.attributes(path, "mode") == "directory" then keep(path, below .. name .. "/", found)
        else found[below .. name] = support.read(path) end
      end
    end
    return found
  end

  -- A run that is there before each call as it was left once: prepare and before of a case.
  local function left(interrupted, more)
    local kept
    function more.prepare()
      prepare()
      support.remove(runs)
      quietly(train, interrupted)
      kept = keep(runs, "", {})
    end
    local before = more.before
    function more.before()
      support.remove(runs)
      lfs.mkdir(runs)
      for path, content in pairs(kept) do
        local at = runs
        for part in path:gmatch "([^/]+)/" do
          at = at .. "/" .. part
          lfs.mkdir(at)
        end
        support.write(runs .. "/" .. path, content)
      end
      if before then before() end
    end
    return more
  end

  add("resume", function()
    quietly(call, "resume")
    return outcome()
  end, left(true, { settle = settle, after = whole, file = "." }))

  add("eval", function()
    local result = quietly(call, "evaluate")
    return { type(result), support.read(run .. "/metrics.csv") }
  end, left(false, { file = "." }))

  add("load a run", function()
    local loaded = quietly(require "sm".load_run, run)
    return { loaded.step, loaded.params, loaded.model:parameters(), loaded.summary.steps }
  end, left(false, { file = "." }))

  add("report", function()
    local report = require "sm.report"
    report.write({ run }, home .. "/report.html")
    return (support.read(home .. "/report.html"):gsub("was written [%d:-]+ [%d:]+", ""))
  end, left(false, { before = function()
    support.write(home .. "/report.html", "old")
  end, file = ".", after = function(done)
    local content = support.read(home .. "/report.html")
    assert(content == "old" and not done or content:find "</html>%s*$", "half a report")
  end }))

  add("compare", function()
    local compare, tabulate = require "sm.study.compare", require "sm.study.tables"
    local comparison = compare.runs({ run, run }, nil, {})
    return { tabulate.csv(comparison), tabulate.text(comparison, 80) }
  end, left(false, { file = ".", loose = true })) -- a run may be left out

  add("params and experiments", function()
    local loaded = quietly(require "sm.experiment.load".file, file, nil, { lr = "0.5", seed = "3" })
    return { loaded.params.values, loaded.params.name, tostring(loaded.experiment) }
  end, { prepare = prepare })
end
