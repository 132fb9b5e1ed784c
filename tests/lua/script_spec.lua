--- An experiment's file that plain Lua runs, and a file whose experiment never reaches anybody.
local lfs = require "lfs"
local helpers = dofile "tests/lua/helpers.lua"
local quote, smrun = helpers.quote, helpers.smrun

local here = lfs.currentdir()

local function absolute(path)
  return path:sub(1, 1) == "/" and path or here .. "/" .. path
end

local function every_absolute(paths)
  return (paths:gsub("[^;]+", absolute))
end

local workspace

local function read(name)
  return helpers.read(workspace .. "/" .. name)
end

local function write(name, text)
  helpers.write(workspace .. "/" .. name, text)
end

--- Runs a shell command in the workspace, with $SMRUN set. The exit status, standard output, standard error.
local function shell(command)
  local _, _, status = os.execute(("cd %s && SMRUN=%s LUA_PATH=%s LUA_CPATH=%s sh -c %s >out 2>err </dev/null")
    :format(quote(workspace), quote(smrun), quote("./?.lua;" .. every_absolute(package.path)),
      quote(every_absolute(package.cpath) .. ";;"), quote(command)))
  return status, read "out", read "err"
end

local declaration <const> = [[
sm.experiment {
  data = sm.data.tensors { inputs = sm.ones(4, 2), targets = sm.tensor({ 0, 1, 1, 0 }, "int32") },
  model = sm.nn.sequential { sm.nn.linear { 2 } },
  optimizer = sm.optim.sgd { lr = 0.1 },
  schedule = { steps = p.steps, batch = 4, checkpoint = 100000, log = 100000 },
}
]]
local head <const> = 'local sm = require "sm"\nlocal p = sm.params { steps = 5 }\n'

local function has_run(path)
  return lfs.attributes(("%s/runs/%s/summary.json"):format(workspace, path)) ~= nil
end

--- The last row of a run's metrics: step, epoch and training loss.
local function figures(path)
  return read(path .. "/metrics.csv"):match "([^,\n]*,[^,\n]*,[^,\n]*),[^\n]*\n$"
end

local both <const> = { { "lua5.4" }, { '"$SMRUN"' } }

describe("a file's experiment", function()
  before_each(function()
    workspace = os.tmpname()
    os.remove(workspace)
    assert(lfs.mkdir(workspace))
    write("e.lua", head .. "return " .. declaration)
  end)

  after_each(function() os.execute("rm -rf " .. quote(workspace)) end)

  it("cannot be left by a yield", function()
    write("e.lua", head .. "local _ = " .. declaration:gsub("schedule", "loss = function(x, t) coroutine.yield() "
      .. "return x:cross_entropy(t) end,\n  schedule") .. 'print "went on"\nreturn _\n')
    for _, command in ipairs { "lua5.4", '"$SMRUN"' } do
      local status, out, err = shell(command .. " e.lua --quiet")
      assert.equal(1, status)
      assert.matches("^smrun: attempt to yield", err)
      assert.is_false(has_run "e/default")
      assert.equal("went on\n", out)
    end
  end)

  it("is trained by plain Lua as by smrun", function()
    write("width.lua", "return 2\n")
    write("e.lua", 'local width = require "width"\n' .. head .. 'local noise = sm.randn(4, 2)\n' .. "return "
      .. declaration:gsub("{ 2 }", "{ width }"):gsub("sm.ones%(4, 2%)", "noise"))
    local status, out, err = shell "lua5.4 e.lua --quiet steps=7 && mv runs plain && \"$SMRUN\" e.lua --quiet steps=7"
    assert.same({ 0, "" }, { status, err })
    assert.equal(("done after 7 steps in 0.1 s   runs/e/steps=7\n"):rep(2), (out:gsub("in %S+ s", "in 0.1 s")))
    local one, two = figures "plain/e/steps=7", figures "runs/e/steps=7"
    assert.truthy(one:find "^7,%d", one)
    assert.equal(one, two)
    assert.equal(read "plain/e/steps=7/modules/width.lua", read "runs/e/steps=7/modules/width.lua")
    assert.equal(read "plain/e/steps=7/experiment.lua", read "runs/e/steps=7/experiment.lua")
    status, out = shell "lua5.4 e.lua steps=7"
    assert.equal(0, status)
    assert.truthy(out:find("done before: runs/e/steps=7", 1, true), out)
  end)

  it("may begin with the modules that it needs, and come from another file", function()
    assert(lfs.mkdir(workspace .. "/lab"))
    write("lab/width.lua", "return 2\n")
    write("lab/e.lua", 'local width = require "width"\n' .. head .. "return " .. declaration:gsub("{ 2 }", "{ width }"))
    for _, form in ipairs(both) do
      local status, _, err = shell("rm -rf runs; LUA_PATH=\"lab/?.lua;$LUA_PATH\" " .. form[1] .. " lab/e.lua --quiet")
      assert.same({ 0, "" }, { status, err })
      assert.is_true(has_run "e/default")
    end
    write("other.lua", 'return dofile "lab/e.lua"\n')
    local status, _, err = shell 'LUA_PATH="lab/?.lua;$LUA_PATH" lua5.4 other.lua --quiet'
    assert.same({ 0, "" }, { status, err })
    assert.is_true(has_run "other/default")
  end)

  it("takes smrun's options and parameters under plain Lua, and refuses what it refuses", function()
    local status, out, err = shell "lua5.4 e.lua --dry-run --threads 1 --runs elsewhere"
    assert.same({ 0, "" }, { status, err })
    assert.truthy(out:find("seed 1, 1 thread\n", 1, true) and out:find("elsewhere/e/default", 1, true), out)
    for words, message in pairs {
      ["stesp=3"] = "smrun: unknown parameter 'stesp'; did you mean 'steps'?\n",
      ["steps"] = "smrun: unexpected argument 'steps'; parameters are given as key=value\n",
      ["--steps 3"] = "smrun: unknown option '--steps'; parameters are given as steps=3\n",
      ["steps=3,4"] = "smrun: more than one value is a sweep; ",
      ["steps=x"] = "smrun: parameter 'steps' must be an integer like its default 5, got 'x'\n",
    } do
      status, out, err = shell("lua5.4 e.lua " .. words)
      assert.same({ 2, "" }, { status, out })
      assert.equal(message, err:sub(1, #message))
      assert.truthy(err:find(" --help\n$"), err)
    end
    status, out = shell "lua5.4 e.lua --help"
    assert.equal(0, status)
    assert.truthy(out:find("Usage:", 1, true), out)
    assert.is_nil(lfs.attributes(workspace .. "/runs"))
  end)

  it("reports errors under plain Lua as smrun does", function()
    write("bad.lua", head .. "local wrong = sm.nn.linear { }\nreturn " .. declaration)
    local status, out, err = shell "lua5.4 bad.lua"
    assert.same({ 1, "" }, { status, out })
    local _, _, of_smrun = shell '"$SMRUN" bad.lua'
    assert.equal(of_smrun, err)
    assert.truthy(err:find "^smrun: bad%.lua:3: [^\n]+\nstack traceback:\n\tbad%.lua:3: in main chunk\n$", err)
  end)

  it("saves at Ctrl-C under plain Lua, and goes on", function()
    local status, out, err = shell [[env --default-signal lua5.4 e.lua steps=100000000 & run=$!
      until [ -s "runs/e/steps=100000000/log.txt" ]; do sleep 0.05; done
      sleep 0.3; kill -INT $run; wait $run]]
    assert.same({ 130, "" }, { status, err })
    assert.truthy(out:find("; saved. To go on:\n  ", 1, true), out)
    local saved = 0
    for name in lfs.dir(workspace .. "/runs/e/steps=100000000/checkpoints") do
      if name:find "safetensors$" then saved = saved + 1 end
    end
    assert.equal(1, saved)
  end)

  it("is named where nobody gets it", function()
    for _, form in ipairs(both) do
      write("forgot.lua", head .. "local e = " .. declaration)
      local status, out, err = shell(form[1] .. " forgot.lua")
      assert.same({ 1, "" }, { status, out })
      assert.equal("smrun: forgot.lua:3 declares an experiment, but the file does not return it: write "
        .. "`return sm.experiment { … }`\n", err)
      write("made.lua", head .. "local function make()\n  return " .. declaration .. "end\nmake()\nmake()\n")
      status, out, err = shell(form[1] .. " made.lua")
      assert.same({ 1, "" }, { status, out })
      assert.truthy(err:find("made.lua:4 declares an experiment, but", 1, true), err)
    end
    assert.is_nil(lfs.attributes(workspace .. "/runs"))
  end)

  it("is the one that is returned, or run, where there are two", function()
    write("two.lua", head .. "local a = " .. declaration .. "local b = " .. declaration .. "return a\n")
    write("own.lua", head .. "local a = " .. declaration .. "local b = " .. declaration
      .. 'print(a:run { file = "own.lua", quiet = true }.directory)\n')
    for _, form in ipairs(both) do
      local status, _, err = shell("rm -rf runs; " .. form[1] .. " two.lua --quiet")
      assert.same({ 0, "" }, { status, err })
      assert.is_true(has_run "two/default")
      local out
      status, out, err = shell(form[1] .. " own.lua --quiet")
      assert.same({ 0, "" }, { status, err })
      assert.truthy(out:find("\nruns/own/default\n", 1, true), out)
    end
  end)

  it("is its caller's where another file runs it", function()
    write("driver.lua", 'made = dofile "e.lua"\nprint(#arg, made ~= nil)\n')
    write("code.lua", 'print(require "e" ~= nil)\n')
    local status, out, err = shell "lua5.4 driver.lua its own words && lua5.4 code.lua"
    assert.same({ 0, "3\ttrue\ntrue\n", "" }, { status, out, err })
    status, out, err = shell [[lua5.4 -e 'print(dofile "e.lua" ~= nil)']]
    assert.same({ 0, "true\n", "" }, { status, out, err })
    write("some_spec.lua", 'describe("e", function() it("loads", function() assert.truthy(dofile "e.lua") end) end)\n')
    status, out, err = shell 'lua5.4 "$(command -v busted)" -o TAP some_spec.lua'
    assert.equal(0, status, out .. err)
    assert.is_nil(lfs.attributes(workspace .. "/runs"))
  end)

  it("that ships trains under plain Lua", function()
    local status, out, err = shell(("lua5.4 %s --quiet steps=20"):format(quote(absolute "experiments/xor.lua")))
    assert.same({ 0, "" }, { status, err })
    assert.truthy(out:find("runs/xor/steps=20", 1, true), out)
  end)
end)
