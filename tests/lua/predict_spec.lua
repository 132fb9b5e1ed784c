--- smrun predict, eval --data and sm.load_run of a checkpoint: a trained network without its run directory or its data.
local lfs = require "lfs"
local json = require "sm.json"
local portable = require "sm.experiment.portable"
local runtime = require "sm.runtime"
local sm = require "sm"
local helpers = dofile "tests/lua/helpers.lua"
local has, quote = helpers.has, helpers.quote

local workspace, good

local function read(name) return helpers.read(workspace .. "/" .. name) end
local function write(name, text) helpers.write(workspace .. "/" .. name, text) end
local function run(words) return helpers.shell(workspace, '"$SMRUN" ' .. words) end

local function succeeds(words)
  local status, out, err = run(words)
  assert.equal("", err)
  assert.equal(0, status)
  return out
end

local function fails(words, part, code)
  local status, _, err = run(words)
  assert.equal(code or 1, status, err)
  has(err, part)
  assert.is_nil(err:find "attempt to", err)
end

local experiment <const> = [[
local sm = require "sm"
local net = require "net"
local p = sm.params { steps = 30, batch = 4, width = 6, seed = 1, own_loss = false, bright = false }
local data = sm.data.folder { train = "pictures", test = "pictures", validation = 6 }
local mean = p.bright and data.train.inputs:to "float32":mean():item() or 0
return sm.experiment {
  data = data, model = net(p.width, mean), optimizer = sm.optim.adam { lr = 0.05 }, seed = p.seed,
  loss = p.own_loss and function(output, target) return output:cross_entropy(target) end or nil,
  best = "validation_loss", schedule = { steps = p.steps, batch = p.batch, evaluate = 10, checkpoint = 20 },
}
]]
local net <const> = [[
local sm = require "sm"
return function(width, mean)
  local shift = mean / 255
  return sm.nn.sequential {
    sm.nn.flatten(), sm.nn.fn(function(x) return x - shift end), sm.nn.linear { width }, sm.nn.relu(),
    sm.nn.linear { 2 },
  }
end
]]

--- A picture of 6 by 6 pixels with a bar: "down" or "over", at a place.
local function bar(class, at, ink)
  local rows = {}
  for i = 1, 6 do
    rows[i] = {}
    for j = 1, 6 do rows[i][j] = (class == "down" and j or i) == at and ink or 0 end
  end
  return sm.tensor(rows):to "uint8"
end

local function save(name, x) sm.png.save(workspace .. "/" .. name, x) end

--- Another checkpoint: that of the run with other metadata.
local function altered(name, changes)
  local tensors, metadata = sm.load(good)
  for key, value in pairs(changes) do metadata[key] = value or nil end
  sm.save(workspace .. "/" .. name, tensors, metadata)
end

--- Each picture enlarged: every pixel so many times.
local function enlarged(x, times)
  local h, w = table.unpack(x.shape)
  return x:reshape(h, 1, w, 1):expand { h, times, w, times }:reshape(h * times, w * times)
end

describe("a trained network", function()
  setup(function()
    workspace = os.tmpname()
    os.remove(workspace)
    for _, name in ipairs { "", "/pictures", "/pictures/down", "/pictures/over", "/friend", "/some" } do
      assert(lfs.mkdir(workspace .. name))
    end
    write("bars.lua", experiment)
    write("net.lua", net)
    for i = 0, 23 do
      for _, class in ipairs { "down", "over" } do
        save(("pictures/%s/%02d.png"):format(class, i), bar(class, i % 6 + 1, 255 - 4 * i))
      end
    end
    succeeds "bars.lua --quiet"
    good = workspace .. "/runs/bars/default/checkpoints/best.safetensors"
    helpers.write(workspace .. "/friend/model.safetensors", helpers.read(good))
    save("friend/one.png", bar("down", 2, 230))
    save("friend/large.png", enlarged(bar("down", 2, 230), 3))
    save("friend/negative.png", (255 - bar("down", 2, 230):to "float32") / 255)
    save("friend/grey_in_colour.png", bar("down", 2, 230):reshape(6, 6, 1):expand { 6, 6, 3 })
    local red = bar("down", 2, 230):reshape(6, 6, 1)
    save("friend/red.png", sm.cat({ red, sm.zeros({ 6, 6, 2 }, "uint8") }, 3))
    save("friend/clear.png", sm.cat({ red, red, red, sm.full({ 6, 6, 1 }, 200, "uint8") }, 3))
  end)
  teardown(function() os.execute("rm -rf -- " .. quote(workspace)) end)

  local function of_friend(words)
    return helpers.shell(workspace .. "/friend", '"$SMRUN" predict model.safetensors ' .. words)
  end

  it("predicts from its checkpoint alone, as from its run", function()
    local status, out, err = of_friend "one.png --csv one.csv"
    assert.same({ 0, "" }, { status, err })
    has(out, "model   checkpoint, after step")
    has(out, "pictures   6 × 6, grey, bytes as 0 to 1")
    local table_text = helpers.read(workspace .. "/friend/one.csv")
    local class, value = table_text:match "^file,class,probability\none.png,(%a+),([%d.e-]+)\none.png,over,"
    assert.equal("down", class)
    assert(tonumber(value) > 0.8)
    local _, shown, said = run "predict runs/bars/default friend/one.png --csv -"
    assert.equal(table_text, (shown:gsub("friend/", "")))
    has(said, "best weights, after step")
    local named = succeeds "predict runs/bars/default friend/one.png --top 1"
    has(named, "bars   best weights, after step")
    assert.is_nil(named:find "over")
    local last = succeeds "predict runs/bars/default/checkpoints/step-000030.safetensors friend/one.png"
    has(last, "checkpoint, after step 30")
    for line in out:gmatch "[^\n]+" do assert(utf8.len(line) <= 80) end
  end)

  it("predicts directories, and says how many are right where they are classes", function()
    local out = succeeds "predict runs/bars/default pictures"
    local right = tonumber(out:match "accuracy [%d.]+ %%   (%d+) of 48")
    assert(right > 40)
    local _, wrong = out:gsub("\n× ", "")
    assert.equal(48 - right, wrong)
    has(succeeds "eval runs/bars/default --data pictures", ("accuracy %8s"):format(("%.2f %%"):format(right / 0.48)))
    has(succeeds "eval friend/model.safetensors --data pictures", "pictures: 48 pictures of 2 classes")
    assert(lfs.mkdir(workspace .. "/some/dwon"))
    save("some/dwon/1.png", bar("down", 1, 200))
    fails("predict runs/bars/default some", "'dwon' is no class that bars knows; did you mean 'down'?")
    fails("eval runs/bars/default --data some", "'dwon' is no class that bars knows")
    lfs.mkdir(workspace .. "/loose")
    write("loose/a.png", read "friend/one.png")
    fails("eval runs/bars/default --data loose", "'loose' has pictures ('a.png'), but of which class they are", 2)
    write("one.jpg", "\xff\xd8\xff\xe0")
    fails("predict runs/bars/default one.jpg", "'one.jpg' is no PNG file; other pictures must be converted to PNG", 2)
    fails("eval runs/bars/default --data runs/bars/default/checkpoints --read .", "this run's data are data.folder")
  end)

  it("takes pictures of another kind where it is asked to, and says so", function()
    local function values(words)
      local status, out, err = of_friend(words .. " --csv other.csv")
      assert.same({ 0, "" }, { status, err })
      local text, list = helpers.read(workspace .. "/friend/other.csv"), {}
      for class, value in text:gmatch ",(%a+),([%d.e+-]+)\n" do list[class] = tonumber(value) end
      return list, out
    end
    local function refused(words, part)
      local status, _, err = of_friend(words)
      assert.equal(1, status)
      has(err, part)
    end
    local expected = values "one.png"
    local function same(words, said)
      local got, out = values(words)
      for class, value in pairs(expected) do assert(math.abs(value - got[class]) < 1e-5, words) end
      if said then has(out, said) end
    end
    same("grey_in_colour.png")
    same("large.png --resize", "(resized from 18 × 18)")
    same("negative.png --invert", "(inverted)")
    has(select(2, of_friend "negative.png"), "as bright as a negative of what it was trained on: --invert?")
    refused("large.png", "large.png: expected 6 × 6 pixels, got 18 × 18 (width × height); --resize makes it fit")
    refused("red.png", "red.png: expected a grey picture, got one in colour; --grey makes it grey")
    refused("clear.png --grey", "clear.png: it has transparent pixels")
    has(select(2, of_friend "red.png --grey"), "(made grey)")
    helpers.write(workspace .. "/friend/no.png", "no picture")
    refused("no.png", "no.png")
    local status, _, err = of_friend "two.png"
    assert.equal(2, status)
    has(err, "no such file or directory 'two.png'")
  end)

  it("resizes by means and by straight lines", function()
    local picture = require "sm.data.picture"
    local wanted = picture.wanted { made_by = "idx", inputs = { { shape = { 2, 3 }, kind = "pixels" } } }
    save("some/steps.png", sm.tensor { { 0, 51, 102, 255 }, { 102, 153, 204, 51 } }:to "uint8")
    local x, done = picture.read(workspace .. "/some/steps.png", wanted, { resize = true })
    assert.equal("resized from 4 × 2, which changes its proportions", done)
    local rows = { { 0.05, 0.3, 0.85 }, { 0.45, 0.7, 0.35 } } -- each the mean of 4/3 pixels
    for i, row in ipairs(x:totable()) do
      for j, value in ipairs(row) do assert(math.abs(value - rows[i][j]) < 1e-6) end
    end
    wanted = picture.wanted { made_by = "idx", inputs = { { shape = { 2, 8 }, kind = "pixels" } } }
    local first = picture.read(workspace .. "/some/steps.png", wanted, { resize = true }):totable()[1]
    for j, value in ipairs { 0, 0.05, 0.15, 0.25, 0.35, 0.55, 0.85, 1 } do assert(math.abs(first[j] - value) < 1e-6) end
  end)

  it("reads the numbers of its data only where they are, and says when they are others", function()
    succeeds "bars.lua bright=true --quiet"
    local path = "runs/bars/bright=true/checkpoints/best.safetensors"
    has(succeeds("predict " .. path .. " friend/one.png --read ."), "down")
    helpers.write(workspace .. "/friend/bright.safetensors", read(path))
    local status, _, err = helpers.shell(workspace .. "/friend", '"$SMRUN" predict bright.safetensors one.png')
    assert.equal(1, status)
    has(err, "pictures")
    assert(lfs.mkdir(workspace .. "/friend/pictures"))
    for _, class in ipairs { "down", "over" } do
      assert(lfs.mkdir(workspace .. "/friend/pictures/" .. class))
      for i = 1, 8 do save(("friend/pictures/%s/%d.png"):format(class, i), bar(class, i % 6 + 1, 9)) end
    end
    local _, out = helpers.shell(workspace .. "/friend", '"$SMRUN" predict bright.safetensors one.png --read .')
    has(out, "was trained on other data: its ")
  end)

  it("shows outputs as what they are where they are no probabilities", function()
    succeeds "bars.lua own_loss=true --quiet"
    local _, out, err = run "predict runs/bars/own_loss=true friend/one.png --csv -"
    has(out, "file,class,score\nfriend/one.png,down,")
    has(err, "its loss is a function, so these are its outputs and no probabilities")
    write("words.lua", [[
      local sm = require "sm"
      return sm.experiment { data = sm.data.text { text = ("abcab"):rep(20), length = 4 }, seed = 1,
        model = sm.nn.sequential { sm.nn.embedding { 3, 4 }, sm.nn.linear { 3 } },
        optimizer = sm.optim.sgd { lr = 0.1 }, schedule = { steps = 2, batch = 2 } }]])
    has(succeeds "words.lua", "next       ")
    write("again.lua", [[
      local sm = require "sm"
      local nn = sm.nn
      return sm.experiment { data = sm.data.mnist_mini { validation = 5000 }, seed = 1,
        model = nn.sequential { nn.flatten(), nn.linear { 784 }, nn.reshape { 28, 28, 1 } },
        loss = function(output, _, input) return output:mse(input) end,
        optimizer = sm.optim.sgd { lr = 0.1 }, schedule = { steps = 1, batch = 2 } }]])
    local ended = succeeds "again.lua"
    has(ended, "next       ")
    assert.is_nil(ended:find("predict", 1, true), ended)
    fails("predict runs/words/default friend/one.png", "words gives {4, 3} for each picture")
    write("use.lua", [[
      local sm = require "sm"
      local run = sm.load_run "runs/words/default/checkpoints/step-000002.safetensors"
      print(run.data.decode(run.data.encode "abc"), run.step, run.model(run.data.encode("abca"):reshape(1, 4)).shape)
      print(pcall(function() return run.data.train.inputs end))]])
    local said = succeeds "use.lua"
    has(said, "abc\t2\t{1, 4, 3}")
    has(said, "the numbers of the data set text are not there")
  end)

  it("serves a new experiment from a checkpoint alone", function()
    write("tune.lua", [[
      local sm = require "sm"
      local run = sm.load_run "friend/model.safetensors"
      assert(run.params.width == 6 and run.data.class_names[2] == "over" and #run.data.train == 42)
      local data = sm.data.folder { train = "pictures" }
      run.model:train()
      return sm.experiment { data = data, model = run.model, optimizer = sm.optim.adam { lr = 0.001 }, seed = 3,
        schedule = { steps = 3, batch = 4 } }]])
    succeeds "tune.lua --quiet --read friend"
    local loaded = json.decode(read "runs/tune/default/environment.json").loaded
    assert.matches("^step %d+, checksum %x+$", loaded["friend/model.safetensors"])
  end)

  it("has its text run confined", function()
    write("friend/secret.txt", "secret")
    write("private.txt", "private")
    for _, code in ipairs { 'assert(io.open "private.txt")', 'assert(io.open("secret.txt", "a"))',
      'assert(io.open("new.txt", "w"))', 'os.execute "touch new.txt"' } do
      altered("friend/evil.safetensors", { source = code .. "\n" .. experiment })
      local status, out = helpers.shell(workspace .. "/friend", '"$SMRUN" predict evil.safetensors one.png')
      assert.equal(1, status, code)
      assert.is_nil(out:find "private")
      assert.is_nil(lfs.attributes(workspace .. "/friend/new.txt"))
    end
    assert.equal("secret", read "friend/secret.txt")
  end)

  it("is refused in words where its checkpoint does not say what it needs", function()
    local about = json.decode(select(2, sm.load(good)).about)
    local function with(change)
      local copy = json.decode(json.encode(about))
      change(copy)
      return json.encode(copy)
    end
    local cases = {
      { false, "carries no description of its data" },
      { "{", "expected a JSON object" }, { "[]", "expected a JSON object" }, { "{}", "there is no 'modules'" },
      { with(function(a) a.modules["net.lua"] = 3 end), "'modules.net.lua' must be a string" },
      { with(function(a) a.modules = {} end), "module 'net' not found" },
      { with(function(a) a.sets = json.array {} end), "the run that was kept asked for 0 data sets" },
      { with(function(a) a.sets[1].made_by = "mnist" end), "the run that was kept asked for data.mnist here" },
      { with(function(a) a.sets[1].inputs[1].shape[1] = -1 end), "must be an integer of at least 0" },
      { with(function(a) a.sets[1].inputs[1].shape[1] = 1 << 40 end), "a size must be at most" },
      { with(function(a) a.sets[1].inputs[1].shape[1] = 7 end), "'model.linear1.weight' is a tensor {36, 6}" },
      { with(function(a) a.sets[1].inputs[1].dtype = "complex" end), "expected real, uint8 or int32, got 'complex'" },
      { with(function(a) a.sets[1].inputs[1].kind = "voxels" end), "expected pixels, indices or numbers" },
      { with(function(a) a.sets[1].inputs = json.array {} end), "expected at least one" },
      { with(function(a) a.data.targets = "none" end), "must be an array" },
      { with(function(a) a.data.brightness = 2 end), "must be a number from 0 to 1" },
      { json.encode { lacks = "a script trained it" }, "a script trained it; its run directory has the rest" },
    }
    for _, case in ipairs(cases) do
      altered("some/bad.safetensors", { about = case[1] })
      has(helpers.error_of(sm.load_run, workspace .. "/some/bad.safetensors"), case[2])
    end
    altered("some/bad.safetensors", { params = '{"values": {"width": {}}}' })
    has(helpers.error_of(sm.load_run, workspace .. "/some/bad.safetensors"), "bad.safetensors: params")
    altered("some/bad.safetensors", { source = "return 1", params = '{"values": {}}' })
    has(helpers.error_of(sm.load_run, workspace .. "/some/bad.safetensors"), "expected the file to return an")
    altered("some/bad.safetensors", { step = "many" })
    fails("predict some/bad.safetensors friend/one.png", "its step is 'many'")
    assert(lfs.mkdir(workspace .. "/old"))
    os.execute(("cp -r %s/runs/bars/default %s/old/run"):format(quote(workspace), quote(workspace)))
    altered("old/run/checkpoints/best.safetensors", { about = false })
    has(succeeds "predict old/run friend/one.png --read .", "best weights, after step")
  end)

  it("is read or refused, and nothing else, whatever its description says", function()
    local about = select(2, sm.load(good)).about
    local tensors, metadata = sm.load(good)
    local state = 7
    local function chance(n)
      state = (state * 1103515245 + 12345) & 0x7fffffff
      return (state >> 8) % n + 1
    end
    local refused = 0
    for _ = 1, 80 do
      local at = chance(#about)
      local piece = ({ "", "1e999", '"', "null", "{", "]", "-1", "4294967296", "\\u0000", "true" })[chance(10)]
      metadata.about = about:sub(1, at - 1) .. piece .. about:sub(at + chance(3))
      sm.save(workspace .. "/some/bad.safetensors", tensors, metadata)
      local ok, problem = pcall(portable.read, workspace .. "/some/bad.safetensors")
      if not ok then
        refused = refused + 1
        has(tostring(problem), "bad.safetensors")
        assert.is_nil(tostring(problem):find "attempt to")
      end
    end
    assert(refused > 40)
  end)
end)

describe("a finished run", function()
  setup(function()
    workspace = os.tmpname()
    os.remove(workspace)
    assert(lfs.mkdir(workspace))
    write("plain.lua", [[
      local sm = require "sm"
      local p = sm.params { steps = 20, lr = 0.01, batch = 4, width = 3, noise = 1.0, seed = 1 }
      local x = sm.randn(20, 4) * p.noise
      local labels = {}
      for i = 1, 20 do labels[i] = i % 3 end
      return sm.experiment {
        data = sm.data.tensors { inputs = x, targets = sm.tensor(labels, "int32"), validation = 5 },
        model = sm.nn.sequential { sm.nn.linear { p.width }, sm.nn.dropout { 0.3 }, sm.nn.linear { 3 } },
        optimizer = sm.optim.adam { lr = p.lr }, seed = p.seed, best = "validation_accuracy",
        schedule = { steps = p.steps, batch = p.batch, evaluate = 5, log = 5, checkpoint = 10 },
      }]])
    has(succeeds "plain.lua", "resume runs/plain/default steps=40")
  end)
  teardown(function() os.execute("rm -rf -- " .. quote(workspace)) end)

  it("goes on with more steps, in a directory of its own, with the bits of one run", function()
    local before = read "runs/plain/default/summary.json"
    has(succeeds "resume runs/plain/default steps=30", "goes on from runs/plain/default after step 20.")
    assert.equal(before, read "runs/plain/default/summary.json")
    local record = json.decode(read "runs/plain/steps=30/environment.json").continued
    assert.equal(20, record.step)
    assert.matches("/runs/plain/default$", record.run)
    assert.matches("^%x+$", record.checksum)
    has(succeeds "resume runs/plain/default steps=30", "done before: runs/plain/steps=30")
    succeeds "plain.lua steps=30 --quiet" -- the other one does not pass for it
    for _, name in ipairs { "best", "step-000030" } do
      local paths = {}
      for i, variant in ipairs { "steps=30", "steps=30-2" } do
        paths[i] = ("%s/runs/plain/%s/checkpoints/%s.safetensors"):format(workspace, variant, name)
      end
      local a, b = sm.load(paths[1]), sm.load(paths[2])
      for key, tensor in pairs(b) do
        assert.equal(runtime.io.checksum(tensor), runtime.io.checksum(a[key]), name .. " " .. key)
      end
    end
    local function columns(name)
      return (read(name .. "/metrics.csv"):gsub("(\n[^,]*,[^,]*,[^,]*,[^,]*,[^,]*,[^,]*,[^,]*),[^,\n]*", "%1"))
    end
    assert.equal(columns "runs/plain/steps=30-2", columns "runs/plain/steps=30")
    assert.equal(20, json.decode(read "runs/plain/steps=30/summary.json").continued_step)
    has(read "runs/plain/steps=30/report.html", "smrun resume runs/plain/default steps=30")
    succeeds "resume runs/plain/steps=30 steps=35 --trust --quiet"
    has(succeeds "eval runs/plain/steps=35", "after step")
  end)

  it("is not gone on with where that would be another one", function()
    fails("resume runs/plain/default stepz=30", "has no parameter 'stepz'; did you mean 'steps'?", 2)
    fails("resume runs/plain/default epochs=3", "A file that says `local p = sm.params { epochs = … }`", 2)
    fails("resume runs/plain/default steps=many", "parameter 'steps' must be an integer", 2)
    fails("resume runs/plain/default steps=30,40", "one value for each parameter", 2)
    fails("resume runs/plain/default steps=10", "has done 20 steps, and the new schedule ends after 10; steps=40 is")
    fails("resume runs/plain/default lr=0.1", "has done 20 steps, and the new schedule ends after 20; steps=40 is")
    write("counted.lua", (read "plain.lua":gsub("steps = p%.steps", "steps = 20")))
    succeeds "counted.lua steps=0 --quiet"
    fails("resume runs/counted/steps=0 lr=0.1", "`schedule = { steps = p.steps }`")
    fails("resume runs/plain/default steps=30 width=5", "a run goes on with the model")
    fails("resume runs/plain/default steps=30 batch=5", "was run with schedule.batch 4, and here it is 5")
    fails("resume runs/plain/default steps=30 seed=2", "was run with seed 1, and here it is 2")
    fails("resume runs/plain/default steps=30 noise=2", "was trained on other data: its train inputs")
    write("script.lua", read "plain.lua":gsub("return sm.experiment {", "local e = sm.experiment {")
      .. "\ne:run { file = arg[0] }\n")
    succeeds "script.lua --quiet"
    fails("resume runs/script/default steps=30", "was trained by a script", 2)
    os.remove(workspace .. "/runs/plain/default/summary.json")
    fails("resume runs/plain/default steps=30", "is not finished", 2)
  end)
end)
