--- Which run is which: by its text and modules, its parameters, what it declares and its data; wherever it lies.
local lfs = require "lfs"
local json = require "sm.json"
local tiny = dofile "tests/lua/tiny_experiment.lua"

local experiment <const> = [[
local sm = require "sm"
local p = sm.params { seed = 1, lr = 0.1, note = "", stop = false }
local classes = require "net.blocks"
local inputs = sm.load "inputs.npy"
local labels = {}
for i = 1, 20 do labels[i] = i % 3 end
return sm.experiment {
  data = sm.data.tensors { inputs = inputs, targets = sm.tensor(labels, "int32"), validation = 5 },
  model = sm.nn.sequential { sm.nn.linear { classes } },
  loss = function(output, targets)
    local loss = output:cross_entropy(targets) * require "late"
    if p.stop and io.open "stop" then
      local pipe <close> = io.open "here"
      pipe:read "a"
    end
    return loss
  end,
  optimizer = sm.optim.sgd { lr = p.lr },
  schedule = { steps = 6, batch = 7, evaluate = 3, checkpoint = 2, log = 1 },
  seed = p.seed,
}
]]

local program = os.getenv "SMRUN" or "build/smrun"
if program:sub(1, 1) ~= "/" then program = lfs.currentdir() .. "/" .. program end

local workspace

--- Runs smrun in a directory below the workspace. The data of these runs lie in the workspace, which a run that goes
--- on reads where the person says so.
local function smrun_in(directory, arguments, environment)
  if arguments:find "^eval " or arguments:find "^resume " then
    arguments = ("%s --read '%s'"):format(arguments, workspace)
  end
  local pipe = io.popen(("cd '%s/%s' && %s '%s' %s 2>&1"):format(workspace, directory, environment or "", program,
    arguments))
  local output = pipe:read "a"
  local _, how, code = pipe:close()
  return output, how == "exit" and code or how
end

local function smrun(arguments, environment)
  return smrun_in(".", arguments, environment)
end

--- Runs smrun, which is told to stop when its experiment has taken its first step.
local function stopped(arguments, environment)
  return tiny.stopped { workspace = workspace, at = "", arguments = arguments, signal = "TERM",
    environment = environment }
end

local function works(arguments, environment)
  local output, code = smrun(arguments, environment)
  assert.equal(0, code, output)
  return output
end

local function has(text, output)
  assert.truthy(output:find(text, 1, true), ("expected '%s' in\n%s"):format(text, output))
end

local function write(name, content)
  tiny.write(workspace .. "/" .. name, content)
end

local function read(name)
  return tiny.read(workspace .. "/" .. name)
end

local function exists(name)
  return lfs.attributes(workspace .. "/" .. name) ~= nil
end

before_each(function()
  workspace = tiny.workspace()
  lfs.mkdir(workspace .. "/net")
  write("e.lua", experiment)
  write("net/blocks.lua", "return 3")
  write("late.lua", "return 1")
  local sm = require "sm"
  sm.save(workspace .. "/inputs.npy", sm.arange(80):reshape(20, 4) / 80)
end)
after_each(function() tiny.remove(workspace) end)

describe("the modules of an experiment", function()
  it("are kept in its run, those loaded late too, and make it another where they change", function()
    works "e.lua"
    assert.equal("return 3", read "runs/e/default/modules/net/blocks.lua")
    assert.equal("return 1", read "runs/e/default/modules/late.lua")
    has("done before: runs/e/default", works "e.lua")
    write("late.lua", "return 2")
    has("runs/e/default was run with a different text of its module late.lua; this run goes to runs/e/default-2",
      works "e.lua")
    write("net/blocks.lua", "return 4")
    has("different text of its module net/blocks.lua; this run goes to runs/e/default-3", works "e.lua")
    assert.is_false(exists "runs/e/default-3-2")
    has("done before: runs/e/default-3", works "e.lua")
    write("late.lua", "return 1")
    write("net/blocks.lua", "return 3")
    has("done before: runs/e/default (", works "e.lua")
  end)

  it("are replayed by eval and resume from any directory, not those beside the file", function()
    write("e.lua", (experiment:gsub("inputs.npy", workspace .. "/%0")))
    works "e.lua --runs whole stop=true"
    local _, code = stopped "e.lua stop=true"
    assert.equal(130, code)
    write("net/blocks.lua", "return 5")
    write("late.lua", "return 7")
    local run = workspace .. "/runs/e/stop=true"
    local output
    output, code = smrun_in("..", ("eval '%s'"):format(run))
    assert.equal(0, code, output)
    output, code = smrun_in("..", ("resume '%s'"):format(run))
    assert.equal(0, code, output)
    assert.equal(tiny.metrics(workspace .. "/whole/e/stop=true"), tiny.metrics(run))
    assert.equal("return 1", read "runs/e/stop=true/modules/late.lua")
  end)

  it("that a run directory keeps are not changed unseen", function()
    works "e.lua"
    write("runs/e/default/modules/late.lua", "return 9")
    local output, code = smrun "eval runs/e/default"
    assert.equal(1, code)
    has("runs/e/default/modules/late.lua is not the text that the run was trained with", output)
    tiny.remove(workspace .. "/runs/e/default/modules/late.lua")
    output, code = smrun "eval runs/e/default"
    assert.equal(1, code)
    has("runs/e/default/modules/late.lua is missing", output)
    write("runs/e/default/modules/late.lua", "return 1")
    write("runs/e/default/modules/net/blocks.lua", "error 'it was run'")
    for _, command in ipairs { "eval", "resume" } do
      output, code = smrun(command .. " runs/e/default")
      assert.equal(1, code)
      has("runs/e/default/modules/net/blocks.lua is not the text that the run was trained with", output)
    end
  end)

  it("are found beside the file whatever its directory is called, and beside what a link points to", function()
    for _, name in ipairs { "a;b", "a?b", "a b'c", "%a" } do
      lfs.mkdir(workspace .. "/" .. name)
      tiny.write(workspace .. "/" .. name .. "/m.lua", "return 'found'")
      tiny.write(workspace .. "/" .. name .. "/s.lua", "print((require 'm'))")
      local path = ("%s/%s/s.lua"):format(workspace, name)
      local output = tiny.smrun("'" .. path:gsub("'", "'\\''") .. "'")
      assert.equal("found\n", output)
    end
    lfs.mkdir(workspace .. "/links")
    lfs.link("../e.lua", workspace .. "/links/linked.lua", true)
    lfs.link("linked.lua", workspace .. "/links/twice.lua", true)
    local output, code = smrun "links/twice.lua"
    assert.equal(0, code, output)
    assert.is_true(exists "runs/twice/default/modules/net/blocks.lua")
    output, code = smrun_in("links", "./../links/../e.lua --dry-run --runs ../runs")
    assert.equal(1, code, output) -- its data file is not there
    has("inputs.npy", output)
  end)

  it("come after those of the library, which need not fear a file in the working directory", function()
    for _, name in ipairs { "sm", "lfs", "argparse" } do write(name .. ".lua", "error 'the wrong one'") end
    works "e.lua"
    has("done before", works "e.lua")
    works "eval runs/e/default"
    works "compare runs"
  end)

  it("may come from the working directory, and are kept as well", function()
    lfs.mkdir(workspace .. "/sub")
    write("sub/s.lua", experiment)
    has("an experiment has the Lua files beside it, and sm", (smrun "sub/s.lua"))
    works "sub/s.lua --read ."
    assert.equal("return 1", read "runs/s/default/modules/late.lua")
    write("late.lua", "return 2")
    has("different text of its module late.lua", works "sub/s.lua --read .")
    for _, how in ipairs { "--read .", "--trust" } do has("done before", works("sub/s.lua " .. how)) end
  end)

  it("are kept where the file's own package.path finds them, and replayed from anywhere", function()
    lfs.mkdir(workspace .. "/parts")
    write("parts/inner.lua", "return 3")
    write("e.lua", 'package.path = "./parts/?.lua;" .. package.path\nassert(require "inner" > 2)\n'
      .. experiment:gsub("inputs.npy", workspace .. "/%0"))
    works "e.lua"
    assert.equal("return 3", read "runs/e/default/modules/parts/inner.lua")
    os.remove(workspace .. "/parts/inner.lua")
    assert.equal(0, (select(2, smrun_in("net", "eval ../runs/e/default"))))
    write("parts/inner.lua", "return 4")
    has("different text of its module parts/inner.lua", works "e.lua")
  end)

  it("tell their errors with their own file and line", function()
    write("late.lua", "\n\nerror 'in line three'")
    local output = smrun "e.lua"
    has("./late.lua:3: in line three", output)
    write("late.lua", "\nreturn return")
    output = smrun "e.lua"
    has("late.lua:2: ", output)
    write("s.lua", "require 'nowhere.at.all'")
    output = smrun "s.lua"
    has("module 'nowhere.at.all' not found", output)
    has("no file './nowhere/at/all.lua'", output)
    assert.is_nil(output:find("/usr/", 1, true), output)
  end)
end)

describe("files that an experiment runs by dofile and loadfile", function()
  it("are modules too", function()
    write("net/part.lua", "return 2")
    write("e.lua", (experiment:gsub("local labels", [[
      local here = arg[0]:match "^(.*/)" or ""
      assert(dofile(here .. "net/part.lua") == 2 and assert(loadfile "net/part.lua")() == 2)
      %0]]):gsub("inputs.npy", workspace .. "/%0")))
    works "e.lua"
    assert.equal("return 2", read "runs/e/default/modules/net/part.lua")
    write("net/part.lua", "return 1 + 1")
    has("different text of its module net/part.lua", works "e.lua")
    write("net/part.lua", "return 3")
    works "eval runs/e/default"
    local output, code = smrun_in("..", ("eval '%s/runs/e/default'"):format(workspace))
    assert.equal(0, code, output)
    output = smrun "e.lua"
    has("e.lua:6: assertion failed", output)
  end)
end)

describe("a sweep", function()
  it("has one text, whatever is edited, renamed or removed meanwhile", function()
    write("e.lua", (experiment:gsub('local loss = output', [[
      local late = require "late"
      if io.open "edit" then
        for name, text in pairs { ["net/blocks.lua"] = "return 99", ["late.lua"] = "return 'none'" } do
          local file = io.open(name, "w")
          file:write(text)
          file:close()
        end
        os.rename("e.lua", "renamed.lua")
      end
      local loss = output]])))
    write("edit", "")
    local output, code = smrun "e.lua seed=1..3 --write ."
    assert.equal(0, code, output)
    for _, name in ipairs { "default", "seed=2", "seed=3" } do
      assert.equal("return 1", read("runs/e/" .. name .. "/modules/late.lua"))
      assert.equal("return 3", read("runs/e/" .. name .. "/modules/net/blocks.lua"))
    end
    assert.same({ "e" }, tiny.list(workspace .. "/runs"))
  end)

  it("needs no temporary directory but its own", function()
    local output, code = smrun("e.lua seed=1,2 --quiet", "TMPDIR=/nowhere")
    assert.equal(0, code, output)
    assert.same({ "e" }, tiny.list(workspace .. "/runs"))
  end)

  it("takes the path of a run directory for one value", function()
    works "e.lua lr=0.2 seed=3"
    write("s.lua", "local p = require 'sm'.params { run = '' } print(p.run)")
    assert.equal("runs/e/lr=0.2,seed=3\n", works "s.lua run=runs/e/lr=0.2,seed=3")
    local output, code = smrun_in("runs/e", "../../s.lua run=lr=0.2,seed=3")
    assert.equal(0, code)
    assert.equal("lr=0.2,seed=3\n", output)
    assert.equal(2, select(2, smrun "s.lua run=runs/e/lr=0.2,seed=4"))
  end)
end)

describe("what a script passes", function()
  local loop <const> = [[
    local sm = require "sm"
    local function train(lr, loss, dropout, batch)
      local inputs, labels = sm.ones(20, 4), {}
      for i = 1, 20 do labels[i] = i % 2 end
      return sm.experiment {
        data = sm.data.tensors { inputs = inputs, targets = sm.tensor(labels, "int32"), validation = 5 },
        model = sm.nn.sequential { sm.nn.linear { 2 }, sm.nn.dropout { dropout or 0.5 } }, loss = loss,
        optimizer = sm.optim.sgd { lr = lr }, schedule = { steps = 4, batch = batch or 4 },
      }:run { file = arg[0], quiet = true }.directory
    end
    local function weighted(weight)
      local function inner(loss) return loss * weight end
      return function(output, targets) return inner(output:cross_entropy(targets)) end
    end
    print(train(0.1), train(0.2), train(0.1), train(0.1, nil, 0.25), train(0.1, nil, nil, 5))
    print(train(0.1, weighted(1)), train(0.1, weighted(2)), train(0.1, weighted(1)))
    print(train(sm.optim.cosine { lr = 0.1, steps = 4 }), train(sm.optim.cosine { lr = 0.1, steps = 5 }))
  ]]

  local function directories(output)
    local found = {}
    for directory in (" " .. output):gmatch "%f[^%s]runs/loop/default[%d-]*%f[%s]" do
      found[#found + 1] = directory:match "default(.*)"
    end
    return table.concat(found, " ")
  end

  it("makes runs of their own, and the same runs again", function()
    write("loop.lua", loop)
    local output = works "loop.lua"
    output = output:gsub("[^\n]*steps in[^\n]*\n", ""):gsub("done before[^\n]*\n", "")
    assert.equal(" -2  -3 -4 -5 -6 -5 -7 -8", directories(output))
    has("runs/loop/default was run with optimizer.lr 0.1, and here it is 0.2", read "runs/loop/default-2/log.txt")
    local again = works "loop.lua":gsub("[^\n]*steps in[^\n]*\n", ""):gsub("done before[^\n]*\n", "")
    assert.equal(" -2  -3 -4 -5 -6 -5 -7 -8", directories(again))
  end)

  it("tells functions of one line apart, what a table has by default, and every key of one", function()
    write("loop.lua", (loop:gsub("print%(train%(0.1%), .*$", [[
      local same, other = function() return 1 end, function() return 2 end
      for _, f in ipairs { same, other } do
        local function by_function(output, targets) return output:cross_entropy(targets) * f() end
        print(train(0.1, by_function))
      end
      for factor = 1, 2 do
        local text = "return function(output, targets) return output:cross_entropy(targets) * " .. factor .. " end"
        print(train(0.1, load(text)()))
        local settings = setmetatable({}, { __index = { factor = factor } })
        print(train(0.1, function(output, targets) return output:cross_entropy(targets) * settings.factor end))
        local truths = { [true] = factor }
        print(train(0.1, function(output, targets) return output:cross_entropy(targets) * truths[true] end))
        local deep = { { { { { { { { { { { factor } } } } } } } } } } }
        print(train(0.1, function(output, targets)
          return output:cross_entropy(targets) * deep[1][1][1][1][1][1][1][1][1][1][1]
        end))
      end
    ]])))
    for _ = 1, 2 do
      works "loop.lua"
      assert.equal(10, #tiny.list(workspace .. "/runs/loop"))
    end
  end)

  it("is told by what the script was given, too, and each is found again by eval and resume", function()
    write("loop.lua", "local p = require 'sm'.params { weight = 1 }\nlocal late = require 'late'\n"
      .. loop:gsub("print%(train%(0.1%), .*$", [[
      for _, lr in ipairs { 0.1, 0.2 } do
        print(pcall(train, lr, function(output, targets) return output:cross_entropy(targets) * p.weight * late end))
      end]]))
    works "loop.lua"
    works "loop.lua weight=3"
    local output = works "compare runs"
    has("arg.weight   optimizer.lr", output)
    write("late.lua", "return 7") -- the runs keep theirs
    lfs.mkdir(workspace .. "/empty")
    for _, variant in ipairs { "default", "default-2", "default-3", "default-4" } do
      local loss = json.decode(read("runs/loop/" .. variant .. "/summary.json")).validation_loss
      local shown, code = smrun_in("empty", "eval ../runs/loop/" .. variant)
      assert.equal(0, code, shown)
      has(("loss %.4g"):format(loss), shown)
      has("done before: ../runs/loop/" .. variant, (smrun_in("empty", "resume ../runs/loop/" .. variant)))
    end
    assert.same({}, tiny.list(workspace .. "/empty"))
    local checkpoint = "runs/loop/default-3/checkpoints/step-000004.safetensors"
    local bits = read(checkpoint)
    os.remove(workspace .. "/runs/loop/default-3/summary.json")
    os.remove(workspace .. "/" .. checkpoint)
    works "eval runs/loop/default-4" -- the one before it has no result, and the script can bear that
    assert.equal(0, (select(2, smrun_in("empty", "resume ../runs/loop/default-3"))))
    assert.equal(bits, read(checkpoint))
    assert.equal(4, #tiny.list(workspace .. "/runs/loop"))
  end)

  it("may be evaluated by the script that has trained it, which finds nothing changed", function()
    write("loop.lua", (loop:gsub("%}:run (%b{}).directory", [[}
      local path = e:run %1.directory
      e:evaluate { directory = path, quiet = true }
      return path]]):gsub("return sm.experiment", "local e = sm.experiment"):gsub("print%(train%(0.1%), .*$",
      "print(train(0.1))")))
    local output = works "loop.lua"
    assert.is_nil(output:find("was run with", 1, true), output)
  end)

  it("tells initialisers, schedules and losses of the library apart", function()
    local declared = require "sm.experiment.declared"
    local sm = require "sm"
    local function lines(change)
      local given = {
        data = sm.data.tensors { inputs = sm.ones(20, 4), targets = sm.zeros({ 20 }, "int32") },
        model = sm.nn.sequential { sm.nn.linear { 2, init = change.init } },
        optimizer = sm.optim.sgd { lr = change.lr or 0.1 }, loss = change.loss, schedule = { steps = 1, batch = 1 },
      }
      return declared.declaration(sm.experiment(given).declaration, false)
    end
    local init, optim, ops = sm.nn.init, sm.optim, {}
    for _, operation in ipairs(require "sm.ops.records") do ops[operation.name] = operation.f end
    local seen = {}
    for _, make in ipairs {
      function() return { init = init.glorot_normal() } end,
      function() return { init = init.normal(0.1) } end, function() return { init = init.normal(0.2) } end,
      function() return { lr = optim.cosine { lr = 0.1, steps = 3 } } end,
      function() return { lr = optim.cosine { lr = 0.10000001, steps = 3 } } end,
      function() return { lr = optim.warmup { steps = 2, after = optim.cosine { lr = 0.1, steps = 3 } } } end,
      function() return { lr = optim.warmup { steps = 2, after = optim.cosine { lr = 0.1, steps = 4 } } } end,
      function() return { loss = ops.cross_entropy } end, function() return { loss = ops.sum } end,
      function() return {} end,
    } do
      local once, again = json.encode(lines(make())), json.encode(lines(make()))
      assert.equal(once, again)
      assert.is_nil(seen[once], once)
      seen[once] = true
    end
  end)

  it("may be drawn in the loop, and is the same whether or not the runs before were finished", function()
    write("loop.lua", (loop:gsub("sm.ones%(20, 4%)", "sm.randn(20, 4)"):gsub("print%(train%(0.1, weighted.*$",
      "print(math.random() == math.random())")))
    local output = works "loop.lua"
    has("false", output)
    local count = #tiny.list(workspace .. "/runs/loop")
    assert.equal(5, count)
    works "loop.lua"
    assert.equal(count, #tiny.list(workspace .. "/runs/loop"))
  end)

  it("does so under plain lua5.4, with modules", function()
    write("loop.lua", "local weight = require 'late'\n" .. loop)
    local root = lfs.currentdir()
    local command = ("cd '%s' && LUA_PATH='%s/lua/?.lua;%s/lua/?/init.lua;;' LUA_CPATH='%s/lib/?.so;;' "
      .. "lua5.4 loop.lua 2>&1"):format(workspace, root, root, program:match "^(.*)/[^/]*$")
    os.execute(command .. " > /dev/null")
    assert.equal("return 1", read "runs/loop/default/modules/late.lua")
    local before = #tiny.list(workspace .. "/runs/loop")
    os.execute(command .. " > /dev/null")
    assert.equal(before, #tiny.list(workspace .. "/runs/loop"))
    write("late.lua", "return 2")
    os.execute(command .. " > /dev/null")
    assert.is_true(#tiny.list(workspace .. "/runs/loop") > before)
  end)
end)

describe("what the surroundings say", function()
  it("makes a run of its own, and none goes on with something else", function()
    local function say(rate) write("rate", rate) end
    write("e.lua", (experiment:gsub("lr = p.lr", "lr = tonumber(io.open 'rate':read 'a')")))
    say "0.5"
    works "e.lua"
    has("done before", works "e.lua")
    say "0.25"
    has("runs/e/default was run with optimizer.lr 0.5, and here it is 0.25; this run goes to runs/e/default-2",
      works "e.lua")
    say "0.5"
    local _, code = stopped "e.lua stop=true"
    assert.equal(130, code)
    say "0.25"
    local output
    output, code = smrun "resume runs/e/stop=true"
    assert.equal(1, code)
    has("runs/e/stop=true was run with optimizer.lr 0.5, and here it is 0.25", output)
    say "0.5"
    works "resume runs/e/stop=true"
  end)

  it("hold variables of the environment for a trusted file alone", function()
    write("e.lua", (experiment:gsub("lr = p.lr", "lr = tonumber(os.getenv 'RATE' or 1)")))
    works("e.lua --trust", "RATE=0.5")
    has("optimizer.lr 0.5, and here it is 0.25; this run goes to", works("e.lua --trust", "RATE=0.25"))
    has("optimizer.lr 0.25, and here it is 1; this run goes to", works("e.lua", "RATE=0.5"))
  end)
end)

describe("the data of a run", function()
  it("are other data where bytes are taken for numbers", function()
    local sm, told = require "sm", require "sm.experiment.declared".data
    local bytes, labels = sm.zeros({ 4, 2 }, "uint8"), sm.zeros({ 4 }, "int32")
    local function places(inputs, kind)
      return told(sm.data.tensors { inputs = inputs, targets = labels, kind = kind })
    end
    assert.is_nil(places(bytes)["train inputs as"])
    assert.same(places(bytes), places(bytes, "pixels"))
    assert.equal("numbers", places(bytes, "numbers")["train inputs as"])
    local pair = { one = bytes, two = bytes }
    assert.equal("numbers", places(pair, { one = "numbers", two = "pixels" })["train inputs.one as"])
    assert.is_nil(places(pair, { one = "numbers", two = "pixels" })["train inputs.two as"])
  end)

  local function other_data()
    local sm = require "sm"
    sm.save(workspace .. "/inputs.npy", sm.ones(20, 4))
  end

  it("is part of it: other content is another run, and nothing goes on with it", function()
    works "e.lua"
    local _, code = stopped "e.lua stop=true"
    assert.equal(130, code)
    other_data()
    has("runs/e/default was run on other data: its train inputs are not the same", works "e.lua")
    local output
    output, code = smrun "resume runs/e/stop=true"
    assert.equal(1, code)
    has("runs/e/stop=true was trained on other data: its train inputs have changed since", output)
    output, code = smrun "eval runs/e/default --quiet"
    assert.equal(0, code, output)
    has("runs/e/default was trained on other data", output)
  end)

  it("is also what a loss function has at hand", function()
    write("e.lua", (experiment:gsub("local labels", "local extra = sm.load 'extra.npy'\n%0"):gsub("local loss = ",
      "%0extra:sum() + ")))
    local sm = require "sm"
    sm.save(workspace .. "/extra.npy", sm.ones(2))
    works "e.lua"
    has("done before", works "e.lua")
    sm.save(workspace .. "/extra.npy", sm.zeros(2))
    has("runs/e/default was run with loss:extra float", works "e.lua")
  end)

  it("is read beside its file by a run that goes on where the person grants it, or trusts the run", function()
    works "e.lua"
    local output, code = smrun " eval runs/e/default"
    assert.equal(1, code)
    has(("inputs.npy: this experiment may not read there; `--read DIR` grants more (the run was begun from %s)"):format(
      workspace), output)
    for _, how in ipairs { "--read .", "--trust" } do works((" eval %s runs/e/default"):format(how)) end
  end)

  it("is the same where only the file's time is another", function()
    works "e.lua"
    os.execute(("touch '%s/inputs.npy'"):format(workspace))
    has("done before", works "e.lua")
  end)
end)

describe("a run's integers", function()
  it("are exact from the command line to every reader", function()
    for _, seed in ipairs { "9007199254740993", "9007199254740992", "-9223372036854775808", "9223372036854775807" } do
      local _, code = stopped(("e.lua stop=true seed=%s --quiet"):format(seed))
      assert.equal(130, code)
      local output = works(("resume 'runs/e/seed=%s,stop=true'"):format(seed))
      has("test", output .. "test")
      assert.equal(math.tointeger(tonumber(seed)),
        json.decode(read(("runs/e/seed=%s,stop=true/summary.json"):format(seed))).seed)
    end
    has("4 runs", works "compare runs" .. "4 runs")
    local records = require "sm.study.records".read_all(require "sm.cli.paths".runs { workspace .. "/runs" })
    local settings = require "sm.study.compare".settings(records, {})
    assert.equal(1, #settings)
    local seeds = 0
    for _ in pairs(settings[1].runs) do seeds = seeds + 1 end
    assert.equal(4, seeds)
  end)

  it("are read from JSON as they stand there", function()
    local text = '{"a\\"1": [9007199254740993, -9007199254740993, 1, 0.5, 1e300, "9007199254740993, 2"]}'
    assert.same({ 9007199254740993, -9007199254740993, 1, 0.5, 1e300, "9007199254740993, 2" },
      json.decode(text)['a"1'])
    assert.equal("integer", math.type(json.decode "[9007199254740993]"[1]))
    assert.equal(9007199254740993, json.decode(json.encode { x = 9007199254740993 }).x)
    assert.equal("-0.0", tostring(json.decode "[-0.0]"[1]))
    for _, wrong in ipairs { '{"a', '["\\', "[1", "", '"a\\"' } do
      local value, at, reason = json.decode(wrong)
      assert.is_nil(value)
      assert.equal("integer", math.type(at))
      assert.is_nil(reason:find "%.lua")
    end
  end)

  it("leave a float a float", function()
    write("f.lua", (experiment:gsub("lr = 0.1", "lr = 1.0"):gsub("inputs.npy", workspace .. "/%0")))
    works "f.lua"
    works "eval runs/f/default"
    local loaded = require "sm.experiment.load".run_directory(workspace .. "/runs/f/default")
    assert.equal("float", math.type(loaded.params.values.lr))
  end)
end)

describe("a run directory", function()
  it("knows its names and its seed wherever it lies and however it is called", function()
    local _, code = stopped "e.lua seed=2 stop=true"
    assert.equal(130, code)
    os.rename(workspace .. "/runs/e", workspace .. "/runs/renamed")
    os.rename(workspace .. "/runs/renamed/seed=2,stop=true", workspace .. "/runs/renamed/moved")
    local records = require "sm.study.records"
    assert.equal("e", records.read(workspace .. "/runs/renamed/moved").name)
    assert.equal(2, records.read(workspace .. "/runs/renamed/moved").seed)
    local output
    output, code = smrun_in("runs/renamed/moved", "resume .")
    assert.equal(1, code) -- the data file is beside the experiment
    has("inputs.npy", output)
    os.execute(("cp '%s/inputs.npy' '%s/runs/renamed/moved'"):format(workspace, workspace))
    output, code = smrun_in("runs/renamed/moved", "resume .")
    assert.equal(0, code, output)
    assert.equal("e", json.decode(read "runs/renamed/moved/summary.json").experiment)
  end)

  it("remembers every session", function()
    local _, code = stopped "e.lua stop=true"
    assert.equal(130, code)
    local first = json.decode(read "runs/e/stop=true/environment.json")
    works "resume runs/e/stop=true"
    local record = json.decode(read "runs/e/stop=true/environment.json")
    assert.equal(2, #record.sessions)
    assert.equal(first.started, record.started)
    assert.equal(first.started, record.sessions[1].started)
    assert.is_string(record.sessions[2].host)
  end)

  it("that lacks a part is named with it, and is left alone", function()
    works "e.lua"
    for _, name in ipairs { "params.json", "experiment.lua" } do
      os.rename(workspace .. "/runs/e/default/" .. name, workspace .. "/kept")
      has(("runs/e/default has no %s, so that nobody can tell what it is; this run goes to "):format(name),
        works "e.lua")
      local output, code = smrun "resume runs/e/default"
      assert.equal(2, code)
      has("it has no " .. name, output)
      os.rename(workspace .. "/kept", workspace .. "/runs/e/default/" .. name)
      tiny.remove(workspace .. "/runs/e/default-2")
    end
  end)

  it("in which a run failed at once is used again by the next text", function()
    write("late.lua", "error 'wrong'")
    local _, code = smrun "e.lua"
    assert.equal(1, code)
    write("late.lua", "return 1")
    has("and was stopped before its first checkpoint; this run begins anew in runs/e/default", works "e.lua")
    assert.same({ "default" }, tiny.list(workspace .. "/runs/e"))
    assert.equal("return 1", read "runs/e/default/modules/late.lua")
    write("e.lua", experiment .. "-- edited")
    has("this run goes to runs/e/default-2", works "e.lua")
  end)

  it("whose rows were measured before the first checkpoint keeps them", function()
    write("e.lua", (experiment:gsub("checkpoint = 2", "checkpoint = 6"):gsub("local loss", [[
      calls = calls + 1
      if calls == 5 then error "late" end
      local loss]]):gsub("local inputs", "local calls = 0\nlocal inputs")))
    local _, code = smrun "e.lua"
    assert.equal(1, code)
    write("e.lua", experiment)
    works "e.lua"
    assert.same({ "default" }, tiny.list(workspace .. "/runs/e"))
    assert.truthy(read "runs/e/default/metrics-before.csv":find "\n3,")
  end)

  it("is not taken from a process that trains in it", function()
    write("first.lua", (experiment:gsub("local loss", "if io.open 'wait' then io.open 'here':read 'a' end %0"):gsub(
      "checkpoint = 2", "checkpoint = 6")))
    write("second.lua", experiment)
    local pipe = io.popen(([[cd '%s' && mkfifo here && cp first.lua e.lua && touch wait || exit
      '%s' e.lua --quiet >one.txt 2>&1 & first=$!
      exec 3>here # which waits for the first step
      rm wait
      cp second.lua e.lua
      '%s' e.lua 2>&1
      ls runs/e/default/summary.json 2>&1
      exec 3>&-
      wait $first
      ls runs/e/default/summary.json 2>&1]]):format(workspace, program, program))
    local output = pipe:read "a"
    pipe:close()
    has("this run goes to runs/e/default-2", output)
    local _, listed = output:gsub("\nruns/e/default/summary.json", "") -- not before the first may go on
    assert.equal(1, listed)
  end)

  it("without a lock, where the file system has none, says so and is used", function()
    local runtime = require "sm.runtime"
    local lock = runtime.io.lock
    runtime.io.lock = function() return nil, "No locks available" end
    local printed = tiny.run(workspace)
    runtime.io.lock = lock
    has("the file system gives no lock (No locks available)", printed)
  end)
end)

describe("what version 0.1.0 left", function()
  --- Makes a run look as that version left it.
  local function age(name)
    tiny.remove(workspace .. "/runs/" .. name .. "/modules")
    write("runs/" .. name .. "/environment.json", '{"smrun": "0.1.0", "real": "float32", "threads": 1}')
  end

  it("is the same run where nothing else is known, and goes on", function()
    tiny.smrun(("'%s/tiny.lua' --runs '%s/runs' --quiet"):format(workspace, workspace))
    age "tiny/default"
    has("done before", works "tiny.lua")
    works "eval runs/tiny/default"
    works "compare runs"
    works "report runs/tiny"
    local _, code = tiny.stopped { workspace = workspace, at = "loss 7", arguments = "tiny.lua seed=2",
      signal = "TERM" }
    assert.equal(130, code)
    age "tiny/seed=2"
    has("goes on after step", works "resume runs/tiny/seed=2")
    assert.equal(2, #json.decode(read "runs/tiny/seed=2/environment.json").sessions)
  end)

  it("draws in its file what it drew then", function()
    local text = experiment:gsub('sm.load "inputs.npy"', "sm.randn(20, 4) print(inputs[1][1]:item())")
    write("e.lua", text)
    local now = works "e.lua seed=3"
    write("plain.lua", "print((require 'sm'.randn(20, 4)[1][1]:item()))")
    local then_drawn = works "plain.lua"
    assert.is_nil(now:find(then_drawn, 1, true))
    write("runs/e/seed=3/environment.json", '{"smrun": "0.1.0", "real": "float32", "threads": 1}')
    has(then_drawn, works "eval runs/e/seed=3")
    has("an earlier version", works "e.lua seed=3")
  end)
end)

describe("names and values", function()
  it("that are no UTF-8 are refused before anything is trained", function()
    local output, code = smrun "e.lua note=caf\xe9"
    assert.equal(2, code)
    has([[parameter 'note' must be UTF-8, as the record of a run is; byte 4 of 'caf\233' is not]], output)
    write("latin.lua", "-- caf\xe9\n" .. experiment)
    output, code = smrun "latin.lua"
    assert.equal(1, code)
    has("byte 7 is not UTF-8", output)
    write("caf\xe9.lua", experiment)
    output, code = smrun "caf\xe9.lua"
    assert.equal(1, code)
    has([[caf\233.lua must be UTF-8]], output)
    assert.is_false(exists "runs")
  end)

  it("of the directory around that are no UTF-8 spoil no record", function()
    lfs.mkdir(workspace .. "/d\xE9")
    for _, name in ipairs { "e.lua", "late.lua", "net/blocks.lua", "inputs.npy" } do
      lfs.mkdir(workspace .. "/d\xE9/net")
      write("d\xE9/" .. name, read(name))
    end
    for _, arguments in ipairs { "e.lua", "eval runs/e/default", "compare runs" } do
      local output, code = smrun_in("d\xE9", arguments)
      assert.equal(0, code, output)
    end
    has("/d\\233/e.lua", json.decode(read "d\xE9/runs/e/default/environment.json").file)
  end)

  it("that are too long for a file system are cut, the same in a plan and in a run", function()
    for _, note in ipairs { ("x"):rep(260), ("x"):rep(259) .. "y", ("字"):rep(30), ("é"):rep(40) } do
      local plan = works(("e.lua note=%s --dry-run"):format(note))
      local path = plan:match "run%s+(runs/e/note=%S*)%s+%(new%)"
      assert.is_true(#path:match "[^/]*$" <= 255, path)
      works(("e.lua note=%s --quiet"):format(note))
      assert.is_true(exists(path .. "/summary.json"), path)
      has("done before: " .. path, works(("e.lua note=%s"):format(note)))
    end
    assert.equal(4, #tiny.list(workspace .. "/runs/e"))
    local long = ("n"):rep(240)
    write(long .. ".lua", experiment)
    works(long .. ".lua --quiet")
  end)

  it("that are odd have directories that are found", function()
    for _, note in ipairs { "", ".", "..", "-x", "/abs", "a/b", "a\nb", "\27[31m" } do
      works(("e.lua 'note=%s' --quiet --runs runs///"):format(note:gsub("%.", "\\.")))
    end
    assert.equal(8, #require "sm.cli.paths".runs { workspace .. "/runs" })
    for _, name in ipairs { ".hidden.lua", "..lua", ".lua", "a\nb.lua" } do
      write(name, experiment)
      works(("'%s' --quiet --runs odd"):format(name))
    end
    assert.equal(4, #require "sm.cli.paths".runs { workspace .. "/odd" })
  end)

  it("are shown on one line, without control characters", function()
    local output, code = smrun "e.lua 'lr=a\n\27[31mb'"
    assert.equal(2, code)
    has([[got 'a\n\27[31mb']], output)
    output, code = smrun "e.lua 'note=a\n\27[31mb' seed=1,2 --dry-run"
    assert.equal(0, code, output)
    assert.is_nil(output:find("\27", 1, true))
    output = works "e.lua 'note=a\n\27[31mb,c' --quiet"
    assert.is_nil(output:find("\27", 1, true))
  end)
end)

describe("a file", function()
  it("may begin with a byte-order mark, have the other line ends, and both", function()
    write("bom.lua", "\xef\xbb\xbf" .. experiment)
    works "bom.lua"
    works "eval runs/bom/default"
    write("crlf.lua", "\xef\xbb\xbf#!/usr/bin/smrun\r\n" .. experiment:gsub("\n", "\r\n"))
    works "crlf.lua"
    write("wrong.lua", "\xef\xbb\xbf\n\nerror 'third'")
    has("wrong.lua:3: third", (smrun "wrong.lua"))
    write("late.lua", "\xef\xbb\xbf#!\nreturn 1")
    works "e.lua"
  end)

  it("that cannot be looked at is told from one that is not there", function()
    lfs.link("two.lua", workspace .. "/one.lua", true)
    lfs.link("one.lua", workspace .. "/two.lua", true)
    local output, code = smrun "one.lua"
    assert.equal(2, code)
    has("cannot open 'one.lua': Too many levels of symbolic links", output)
    output = smrun "e.lua/x.lua"
    has("no such file 'e.lua/x.lua'", output)
  end)

  it("in a git repository leaves its index alone and runs nothing that it configures", function()
    if not os.execute "command -v git >/dev/null" then return pending "git is not installed" end
    local function git(arguments)
      os.execute(("cd '%s' && git -c user.name=x -c user.email=x@x %s > /dev/null 2>&1"):format(workspace, arguments))
    end
    git "init -q ."
    git "add e.lua late.lua"
    git "commit -q -m first"
    git "config core.fsmonitor 'touch ran; false'"
    local index = read ".git/index"
    os.execute(("touch -d '2001-01-01' '%s/e.lua'"):format(workspace))
    local modified = lfs.attributes(workspace .. "/.git/index", "modification")
    os.execute(("touch -d '@%d' '%s/.git/index'"):format(modified - 100, workspace))
    works "e.lua"
    assert.equal(index, read ".git/index")
    assert.equal(modified - 100, lfs.attributes(workspace .. "/.git/index", "modification"))
    assert.is_false(exists "ran")
    local record = json.decode(read "runs/e/default/environment.json")
    assert.is_string(record.git.revision)
    assert.is_false(record.git.dirty)
  end)
end)
