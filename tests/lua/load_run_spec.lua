--- sm.load_run: a run's model, data and parameters for any script, which stays as it is.
local lfs = require "lfs"
local json = require "sm.json"
local helpers = dofile "tests/lua/helpers.lua"
local has, quote = helpers.has, helpers.quote

local here = lfs.currentdir()

local function every_absolute(paths)
  return (paths:gsub("[^;]+", function(path) return path:sub(1, 1) == "/" and path or here .. "/" .. path end))
end

local workspace

local function read(name)
  return helpers.read(workspace .. "/" .. name)
end

local function write(name, text)
  helpers.write(workspace .. "/" .. name, text)
end

local paths <const> = ("LUA_PATH=%s LUA_CPATH=%s lua5.4 "):format(quote("./?.lua;" .. every_absolute(package.path)),
  quote(every_absolute(package.cpath) .. ";;"))

--- Runs smrun, or another program, in the workspace.
local function run(words, program)
  return helpers.shell(workspace, (program or '"$SMRUN" ') .. words)
end

local function train(words)
  local status, _, err = run(words .. " --quiet")
  assert.equal("", err)
  assert.equal(0, status)
end

local teacher <const> = [[
local sm = require "sm"
local net = require "net"
local p = sm.params { width = 3, seed = 2, steps = 20 }
local labels = {}
for i = 1, 20 do labels[i] = i % p.width end
return sm.experiment {
  data = sm.data.tensors { inputs = sm.randn(20, 4), targets = sm.tensor(labels, "int32"), validation = 4 },
  model = net(p.width), optimizer = sm.optim.adam { lr = 0.01 }, seed = p.seed,
  schedule = { steps = p.steps, batch = 4, checkpoint = 10, log = 100 },
}
]]

local net <const> = [[
local sm = require "sm"
return function(width)
  return sm.nn.sequential {
    sm.nn.fn(function(x) return x * require("scale") end), sm.nn.linear { 8 }, sm.nn.dropout { 0.5 },
    sm.nn.linear { width },
  }
end
]]

describe("a run that a script loads", function()
  before_each(function()
    workspace = os.tmpname()
    os.remove(workspace)
    assert(lfs.mkdir(workspace))
    write("teacher.lua", teacher)
    write("net.lua", net)
    write("scale.lua", "return 2\n")
    train "teacher.lua"
  end)

  after_each(function() os.execute("rm -rf " .. quote(workspace)) end)

  --- What a script prints, the same in smrun and in plain Lua.
  local function printed(text)
    write("use.lua", 'local sm = require "sm"\n' .. text)
    local status, out, err = run "use.lua"
    assert.same({ 0, "" }, { status, err })
    assert.same({ 0, out, "" }, { run("use.lua", paths) })
    return out
  end

  it("is a model in eval mode, data, parameters, and what is known of it", function()
    train "teacher.lua width=5"
    assert.equal("20 5 5 finished teacher width=5 runs/teacher/width=5 16 true\n", printed [[
local run = sm.load_run "runs/teacher/width=5/"
local x = sm.ones(1, 4)
local again = run.model(x):eq(run.model(x)):all():item() == 1 -- no dropout
io.write(table.concat({ run.step, run.params.width, run.model(x).shape[2], run.summary.status, run.name, run.variant,
  run.directory, #run.data.train, tostring(again) }, " "), "\n")]])
  end)

  it("has the weights of the checkpoint that is asked for", function()
    write("judged.lua", (teacher:gsub("log = 100 },", [[log = 100, evaluate = 10 },
      metrics = { ten = function(_, _, _, at) return at.step == 10 and 1 or 0 end },
      best = { "validation_ten", mode = "max" },]])))
    train "judged.lua"
    os.remove(workspace .. "/runs/judged/default/summary.json")
    assert.equal("20\t10\t10\t10\tnil\ttrue\tfalse\n", printed [[
local path <const> = "runs/judged/default"
local function load(which) return sm.load_run(path, { checkpoint = which }) end
local newest, ten, best, usual = load "newest", load(10), load "best", load()
local function same(a, b) return a.model:layer "linear1".weight:eq(b.model:layer "linear1".weight):all():item() == 1 end
print(newest.step, ten.step, best.step, usual.step, best.summary, same(ten, best), same(newest, best))]])
  end)

  it("has its own modules, also those that it requires later, and a script keeps its own", function()
    write("scale.lua", "return 3\n")
    write("net.lua", (net:gsub("8", "9")))
    train "teacher.lua"
    write("scale.lua", "return 100\n")
    write("net.lua", "return 'mine'\n")
    for _, before in ipairs { "", 'assert(require "net" == "mine" and require "scale" == 100)\n' } do
      assert.equal("8.0\t12.0\t8\t9\tmine\t100\n", printed(before .. [[
local one, two = sm.load_run "runs/teacher/default", sm.load_run "runs/teacher/default-2"
local x = sm.ones(1, 4)
print(one.model.layers[1](x):sum():item(), two.model.layers[1](x):sum():item(),
  one.model:layer "linear1".weight.shape[2], two.model:layer "linear1".weight.shape[2], require "net",
  (require "scale"))]]))
    end
  end)

  it("takes no random numbers of the script, and leaves its files to later ones", function()
    assert.equal("true\ttrue\n", printed [[
local function draw(f)
  sm.seed(4)
  local before = sm.rand(1):item()
  f()
  return before, sm.rand(1):item(), sm.nn.linear { 2 }:build { 3 }:parameters()["weight"]:sum():item()
end
local a, b, c = draw(function() end)
local d, e, f = draw(function() sm.load_run "runs/teacher/default" end)
print(a == d and b == e, c == f)]])
  end)

  local student <const> = [[
local sm = require "sm"
local before = sm.randn(20, 4)
local p = sm.params { steps = 20, width = 3 }
TEACHER
local net = require "net"
return sm.experiment {
  data = sm.data.tensors { inputs = before + sm.randn(20, 4), targets = sm.zeros(20, 3) },
  model = net(p.width), optimizer = sm.optim.adam { lr = 0.01 },
  loss = function(output, target, input)
    local wanted = teacher and sm.no_grad(function() return teacher.model(input) end) or target
    return output:mse(wanted)
  end,
  schedule = { steps = p.steps, batch = 4, checkpoint = 10, log = 100 },
}
]]

  local function write_student(text)
    write("student.lua", (student:gsub("TEACHER", function() return text end)))
  end

  local function environment(path)
    return assert(json.decode(read("runs/" .. path .. "/environment.json")))
  end

  it("is part of the experiment that loads it, which draws what it draws without", function()
    write_student "local teacher"
    train "student.lua"
    write_student 'local teacher = sm.load_run "runs/teacher/default"'
    train "student.lua steps=21 width=3"
    local alone, taught = environment "student/default", environment "student/steps=21"
    assert.equal(alone.data["train inputs"], taught.data["train inputs"])
    assert.same({}, alone.loaded)
    assert.matches("^step 20, checksum %x+$", taught.loaded["runs/teacher/default"])
    assert.equal(net, read "runs/student/steps=21/modules/net.lua")
    local status, out, err = run "student.lua steps=21 width=3"
    has(out, "done before")
    assert.same({ 0, "" }, { status, err })
    assert.equal(0, (run("student.lua steps=21 --runs plain --quiet", paths)))
    assert.equal(read "runs/student/steps=21/checkpoints/step-000021.safetensors",
      read "plain/student/steps=21/checkpoints/step-000021.safetensors")
  end)

  it("does not change unnoticed under the experiment that loads it", function()
    write_student 'local teacher = sm.load_run "runs/teacher/default"'
    train "student.lua"
    train "student.lua steps=30"
    os.remove(workspace .. "/runs/student/default/summary.json")
    os.remove(workspace .. "/runs/student/steps=30/summary.json")
    os.remove(workspace .. "/runs/student/steps=30/checkpoints/step-000030.safetensors")
    assert.equal(0, (run "resume runs/student/steps=30"))
    os.remove(workspace .. "/runs/teacher/default/checkpoints/step-000020.safetensors")
    local status, _, err = run "resume runs/student/default"
    assert.equal(1, status)
    has(err, "runs/student/default was run with the run runs/teacher/default of step 20, checksum ")
    has(err, ", and now that is of step 10, checksum ")
    status, _, err = run "student.lua --quiet"
    assert.same({ 0, "" }, { status, err })
    assert.is_not_nil(lfs.attributes(workspace .. "/runs/student/default-2/summary.json"))
  end)

  it("is noticed also where a step loads it", function()
    write_student 'local teacher'
    write("student.lua", (read "student.lua":gsub("    local wanted", [[
    teacher = teacher or sm.load_run "runs/teacher/default"
%0]])))
    train "student.lua steps=30"
    local path = workspace .. "/runs/student/steps=30/"
    assert.matches("^step 20, checksum", environment "student/steps=30".loaded["runs/teacher/default"])
    local finished = helpers.read(path .. "checkpoints/step-000030.safetensors")
    os.remove(path .. "summary.json")
    os.remove(path .. "checkpoints/step-000030.safetensors")
    assert.equal(0, (run "resume runs/student/steps=30"))
    assert.equal(finished, helpers.read(path .. "checkpoints/step-000030.safetensors"))
    os.remove(path .. "summary.json")
    os.remove(path .. "checkpoints/step-000030.safetensors")
    os.remove(workspace .. "/runs/teacher/default/checkpoints/step-000020.safetensors")
    local status, _, err = run "resume runs/student/steps=30"
    assert.equal(1, status)
    has(err, "the run runs/teacher/default that this one loads has changed: it was of step 20, checksum ")
  end)

  it("may come of a script that trains several, and of one that loads another", function()
    write("several.lua", [[
local sm = require "sm"
local net = require "net"
local done
for width = 3, 4 do
  local before = width == 4 and sm.load_run(done.directory) -- which is written otherwise where the script runs anew
  done = sm.experiment {
    name = "w" .. width,
    data = sm.data.tensors { inputs = sm.ones(20, 4), targets = sm.full({ 20 }, 2, "int32") },
    model = net(width), optimizer = sm.optim.adam { lr = 0.01 },
    loss = function(output, target) return output:cross_entropy(target) + (before and before.step or 0) end,
    schedule = { steps = 10, batch = 4, checkpoint = 10, log = 100 },
  }:run { file = arg[0], quiet = true }
end
]])
    assert.equal(0, (run "several.lua"))
    assert.matches("^step 10", environment "several/w4/default".loaded["runs/several/w3/default"])
    assert.is_nil(next(environment "several/w3/default".loaded))
    assert.equal("w4\t4\tw3\t3\n", printed [[
local two, one = sm.load_run "runs/several/w4/default", sm.load_run "runs/several/w3/default"
print(two.name, two.model.output_shape[1], one.name, one.model.output_shape[1])]])
  end)

  it("is refused in words where it is none", function()
    write("loop.lua", teacher .. "\n")
    write("loop.lua", 'local sm = require "sm"\nif io.open "loop" then sm.load_run "runs/loop/default" end\n'
      .. teacher:gsub("^[^\n]*\n", ""))
    train "loop.lua"
    write("loop", "")
    local path = workspace .. "/runs/teacher/default/"
    local good = helpers.read(path .. "checkpoints/step-000020.safetensors")
    local function refused(words, given)
      write("use.lua", ('local sm = require "sm"\nsm.load_run(%s)\n'):format(given or '"runs/teacher/default"'))
      for _, program in ipairs { '"$SMRUN" ', paths } do
        local status, _, err = run("use.lua", program)
        assert.equal(1, status)
        has(err, words)
        assert.is_nil(err:find "attempt to")
      end
    end
    refused("use.lua:2: sm.load_run: no such run directory 'nowhere'", '"nowhere"')
    refused("use.lua:2: sm.load_run: 'runs' is not a run directory: it has no experiment.lua", '"runs"')
    refused("use.lua:2: sm.load_run takes the path of a run directory, or of a checkpoint, got nil", "nil")
    refused("unknown option 'step'", '"runs/teacher/default", { step = 3 }')
    refused("there is no runs/teacher/default/checkpoints/step-000007.safetensors (checkpoints of the steps 20, 10)",
      '"runs/teacher/default", { checkpoint = 7 }')
    refused([[a checkpoint is "best", "newest" or the number of a step, got string "../../x"]],
      '"runs/teacher/default", { checkpoint = "../../x" }')
    refused("sm.load_run: runs/loop/default loads itself", '"runs/loop/default"')
    helpers.write(path .. "checkpoints/step-000020.safetensors", good:sub(1, -9))
    refused("checkpoints/step-000020.safetensors: ", '"runs/teacher/default", { checkpoint = 20 }')
    refused("checkpoints/step-000020.safetensors: ", '"runs/teacher/default"') -- and no older one in its place
    os.remove(path .. "checkpoints/step-000020.safetensors")
    assert(lfs.link("step-000010.safetensors", path .. "checkpoints/step-000020.safetensors", true))
    refused("step-000020.safetensors: expected a file, found a symbolic link",
      '"runs/teacher/default", { checkpoint = 20 }')
    helpers.write(path .. "modules/net.lua", "return 5")
    refused "runs/teacher/default/modules/net.lua is not the text that the run was trained with"
    os.remove(path .. "params.json")
    refused "'runs/teacher/default' is not a run directory: it has no params.json"
  end)
end)
