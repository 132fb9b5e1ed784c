local lfs = require "lfs"
local board = require "sm.terminal.board"
local settings = require "sm.cli.settings"
local usage = require "sm.usage"
local tiny = dofile "tests/lua/tiny_experiment.lua"

describe("the words of a sweep", function()
  --- The values of the parameters x and y in every combination: "1 a;1 b;2 a;2 b".
  local function combinations(...)
    local parts = {}
    for i, setting in ipairs((settings.read({ "file", ... }, 2))) do
      parts[i] = (setting.x or "") .. (setting.y and " " .. setting.y or "")
    end
    return table.concat(parts, ";")
  end

  local function wrong(...)
    local ok, problem = pcall(settings.read, { "file", ... }, 2)
    assert.is_false(ok)
    assert.is_true(usage.is(problem), tostring(problem))
    return problem.message
  end

  it("are lists and ranges in every combination, the last one fastest", function()
    assert.equal("", combinations())
    assert.equal("4", combinations "x=4")
    assert.equal("1;2;4", combinations "x=1,2,4")
    assert.equal("1;2;3;7", combinations "x=1..3,7")
    assert.equal("-2;-1;0", combinations "x=-2..0")
    assert.equal("relu a;relu b;softmax a;softmax b", combinations("x=relu,softmax", "y=a,b"))
    assert.same({ "x" }, select(2, settings.read({ "file", "x=1,2", "y=3" }, 2)))
  end)

  it("may have commas and dots in a value", function()
    assert.equal("a,b", combinations [[x=a\,b]])
    assert.equal("a,b;c", combinations [[x=a\,b,c]])
    assert.equal("1..3", combinations [[x=1\..3]])
    assert.equal([[a\b]], combinations [[x=a\b]])
    assert.equal([[\;b]], combinations [[x=\\,b]])
    assert.equal("../x;1.5..2", combinations "x=../x,1.5..2")
    assert.equal("", combinations "x=")
    for _, value in ipairs { "a,b", "1..3", "-1..-3", [[1\..3]], "../x", "0.5", [[\,]], [[a\\.]], "" } do
      assert.equal(value, combinations(settings.word("x", value)))
    end
  end)

  it("are refused when they make no sense", function()
    assert.equal([[a value is missing between the commas of 'x=1,,2'; a comma in a value is written '\,']],
      wrong "x=1,,2")
    assert.equal("the range '5..1' must go from an integer up to another; got 5 to 1", wrong "x=5..1")
    assert.equal("the range '1..20000' has more than 10000 values", wrong "x=1..20000")
    assert.equal("these are more than 10000 runs", wrong("x=1..101", "y=1..100"))
    assert.equal("parameter 'x' is given the value '2' twice", wrong "x=1..3,2")
    assert.equal("parameter 'x' is given twice", wrong("x=1", "x=2"))
  end)
end)

describe("the live table", function()
  it("has the runs that matter, within the window", function()
    local runs = {}
    for i = 1, 40 do
      runs[i] = { label = ("x=%d"):format(i), state = i < 30 and "finished" or "waiting", steps = 1000, saved = 0 }
      if i < 30 then runs[i].summary = { steps = 1000, validation_accuracy = 0.5, test_accuracy = 0.25 } end
    end
    runs[3] = { label = "x=3", state = "failed", steps = 1000, saved = 0, problem = ("ä"):rep(200) .. "\nmore" }
    runs[30].state, runs[30].step, runs[30].accuracy, runs[30].pace = "running", 600, 0.975, 0.1
    local plain = { terminal = true, paint = function(_, _, text) return text end }
    local output = (tiny.printed(function() board.new(runs, plain, 1):update() end):gsub("\27%[%a", ""))
    local _, lines = output:gsub("\n", "\n")
    assert.equal(23, lines) -- of the usual 24, of which one is the cursor's
    for line in output:gmatch "[^\n]+" do assert.is_true(utf8.len(line) <= 79, line) end
    for _, text in ipairs { "x=3   failed", "x=30  running          600/1,000    97.50 %  40 s left\n",
      "x=29  finished             1,000    50.00 %  test accuracy 25.00 %\n",
      "28 finished, 1 failed, 1 running, 10 waiting   about" } do
      assert.truthy(output:find(text, 1, true), text .. " in\n" .. output)
    end
    assert.is_nil(output:find("x=1 ", 1, true)) -- what finished long ago gives room
  end)
end)

describe("a sweep", function()
  local workspace

  before_each(function() workspace = tiny.workspace() end)
  after_each(function() tiny.remove(workspace) end)

  --- Runs smrun in the workspace, standard output and errors together.
  local function smrun(arguments, environment)
    local program = os.getenv "SMRUN" or "build/smrun"
    if program:sub(1, 1) ~= "/" then program = lfs.currentdir() .. "/" .. program end
    local pipe = io.popen(("cd '%s' && { %s '%s' --threads 2 %s; } 2>&1 </dev/null"):format(workspace,
      environment or "", program, arguments))
    local output = pipe:read "a"
    local _, how, code = pipe:close()
    return output, how == "exit" and code or how
  end

  local function assert_has(text, output)
    assert.truthy(output:find(text, 1, true), ("expected '%s' in\n%s"):format(text, output))
  end

  it("lists what it would do, and writes nothing", function()
    local output, code = smrun "tiny.lua seed=1..2 lr=0.1,0.2 --dry-run"
    assert.equal(0, code)
    assert_has("tiny.lua: 4 runs, 4 to do, 1 at once with 2 threads each\n", output)
    assert_has("seed=1,lr=0.1   new   runs/tiny/lr=0.1\n", output)
    assert_has("seed=2,lr=0.2   new   runs/tiny/lr=0.2,seed=2\n", output)
    assert.is_nil(lfs.attributes(workspace .. "/runs"))
  end)

  it("runs every combination as an ordinary run, skips what is done, and compares", function()
    local output, code = smrun "tiny.lua seed=1 lr=0.1,0.2 --jobs 2"
    assert.equal(0, code)
    assert.same({ "lr=0.1", "lr=0.2" }, tiny.list(workspace .. "/runs/tiny"))
    local alone = tiny.workspace()
    tiny.run(alone, { lr = "0.2" }, { quiet = true })
    assert.equal(tiny.metrics(alone .. "/runs/tiny/lr=0.2"), tiny.metrics(workspace .. "/runs/tiny/lr=0.2"))
    tiny.remove(alone)
    assert_has("2 at once with 1 thread each\n", output)
    assert_has("lr=0.1   begins\n", output)
    assert_has("fewer than 2 seeds: no claim can be made", output)
    assert_has("\ntiny.lua: 2 finished\n", output)

    output, code = smrun "tiny.lua seed=1..2 lr=0.1,0.2 --jobs 2"
    assert.equal(0, code)
    assert_has("seed=1,lr=0.1   done before: runs/tiny/lr=0.1\n", output)
    assert_has("Mean ± standard deviation over seeds", output)
    assert_has("\ntiny.lua: 2 done before, 2 finished\n", output)

    output, code = smrun "tiny.lua seed=1..2 lr=0.1,0.2 --quiet"
    assert.same({ 0, "tiny.lua: 4 done before\n" }, { code, output })
  end)

  it("lists failures and goes on with the others", function()
    local output, code = smrun "tiny.lua blow_up=0,4 seed=1..2"
    assert.equal(1, code)
    assert_has("blow_up=4,seed=1   failed: step 4: the loss is inf; every layer's output is finite", output)
    assert_has("smrun: blow_up=4,seed=2: step 4: the loss is inf; every layer's output is finite", output)
    assert_has("\ntiny.lua: 2 finished, 2 failed\n", output)

    output, code = tiny.stopped { workspace = workspace, at = "loss 12", arguments = "tiny.lua seed=3..4",
      whom = "child" } -- each
    assert.equal(1, code)
    assert_has("seed=3   failed: killed by signal 9\n", output)
    assert_has("\ntiny.lua: 2 failed\n", output)
    output = smrun "tiny.lua seed=3..4 --dry-run"
    assert_has("seed=3   resume after step 5   runs/tiny/seed=3\n", output)
    output, code = smrun "tiny.lua seed=3..4"
    assert.equal(0, code)
    assert_has("seed=3   goes on after step 5\n", output)
    assert_has("\ntiny.lua: 2 finished\n", output)
  end)

  it("tells before it starts what cannot be", function()
    local output, code = smrun "tiny.lua seed=1,x"
    assert.equal(2, code)
    assert_has("smrun: parameter 'seed' must be an integer like its default 1, got 'x'\n", output)
    output, code = smrun "tiny.lua lr=0.1,1e-1"
    assert.equal(2, code)
    assert_has("smrun: 'lr=0.1' and 'lr=1e-1' are the same run\n", output)
    tiny.write(workspace .. "/script.lua", "local p = require 'sm'.params { x = 1 }\nreturn nil\n")
    output, code = smrun "script.lua x=1,2"
    assert.equal(2, code)
    assert_has("smrun: script.lua is a plain script; a sweep needs a file that returns an experiment\n", output)
    output, code = smrun "tiny.lua seed=1..2 --jobs 0"
    assert.equal(2, code)
    assert_has("smrun: option '--jobs' must be an integer from 1 to 1024, got '0'\n", output)
    assert.is_nil(lfs.attributes(workspace .. "/runs"))
  end)

  it("passes values with commas on, and reads modules beside the file for every run", function()
    tiny.write(workspace .. "/own.lua", "return require 'sm'.params { name = 'a,b', seed = 1 }\n")
    tiny.write(workspace .. "/words.lua", [[
      local sm = require "sm"
      local p = require "own"
      return sm.experiment {
        data = sm.data.tensors { inputs = sm.ones(4, 2), targets = sm.zeros({ 4 }, "int32"), classes = 2 },
        model = sm.nn.sequential { sm.nn.linear { 2 } }, optimizer = sm.optim.sgd { lr = 0.1 },
        schedule = { steps = #p.name, batch = 4 }, seed = p.seed,
      }
    ]])
    local output, code = smrun [[words.lua 'name=c\,d,1\..3' --quiet]]
    assert.same({ 0, "words.lua: 2 finished\n" }, { code, output })
    assert.same({ "name=1..3", "name=c%2Cd" }, tiny.list(workspace .. "/runs/words"))
  end)

  it("saves and stops when it is told to, and goes on later", function()
    -- The sweep is told so in the middle of the second run; the third never begins.
    local output, code = tiny.stopped { workspace = workspace, at = "loss 30", signal = "TERM",
      arguments = "tiny.lua seed=1..3 steps=12,200" }
    assert.equal(130, code)
    assert_has("seed=1,steps=12   test accuracy", output)
    assert_has("seed=1,steps=200   interrupted\n", output)
    assert_has("tiny.lua: 1 finished, 1 interrupted, 4 waiting; the same command goes on\n", output)
    output, code = smrun "tiny.lua seed=1 steps=12,200"
    assert.equal(0, code)
    assert.truthy(output:find "steps=200   goes on after step %d+\n", output)
    local whole = tiny.metrics(workspace .. "/runs/tiny/steps=200")
    local alone = tiny.workspace()
    tiny.run(alone, { steps = "200" }, { quiet = true })
    assert.equal(tiny.metrics(alone .. "/runs/tiny/steps=200"), whole)
    tiny.remove(alone)
  end)

  it("leaves no run behind when it is killed", function()
    local _, code = tiny.stopped { workspace = workspace, at = "loss 30", arguments = "tiny.lua seed=1..2 steps=2000" }
    assert.equal(137, code)
    local log, waited = "", 0
    while not log:find "interrupted after step" and waited < 50 do
      os.execute "sleep 0.1"
      waited, log = waited + 1, tiny.read(workspace .. "/runs/tiny/steps=2000/log.txt")
    end
    assert_has("interrupted after step", log)
    assert.same({ "steps=2000" }, tiny.list(workspace .. "/runs/tiny"))
  end)

  it("keeps to the text that it began with", function()
    local text = "local file <close> = io.open('edits.lua', 'a')\nfile:write '-- edited\\n'\n" .. tiny.text
    tiny.write(workspace .. "/edits.lua", text)
    local output, code = smrun "edits.lua seed=1..2 --quiet --write ."
    assert.same({ 0, "edits.lua: 2 finished\n" }, { code, output })
    assert.same({ "default", "seed=2" }, tiny.list(workspace .. "/runs/edits"))
    for _, name in ipairs { "default", "seed=2" } do
      assert.equal(text, tiny.read(workspace .. "/runs/edits/" .. name .. "/experiment.lua"))
    end
    assert.not_equal(text, tiny.read(workspace .. "/edits.lua"))
  end)
end)
