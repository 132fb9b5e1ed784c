--- Runs whose data set has a transform: they resume to the same bits, and a transform tells one run from another.
local lfs = require "lfs"
local sm = require "sm"
local files = require "sm.files"
local helpers = dofile "tests/lua/helpers.lua"

local text <const> = [[
local sm = require "sm"
local function told(name)
  local file <close> = io.open(name)
  return file and file:read "a"
end
local kind = told "KIND" or "both"
local kinds = {
  none = nil,
  table = { shift = tonumber(told "SHIFT" or 2), rotation = 20, elastic = { alpha = 8, sigma = 2 }, cutout = 2 },
  own = function(x, y) return x + sm.randn(1) * 0.01, y end,
}
kinds.both = { kinds.table, kinds.own, { mixup = 0.4 } }
sm.seed(4)
local labels = {}
for i = 1, 40 do labels[i] = i % 5 end
return sm.experiment {
  data = sm.data.tensors { inputs = sm.randn(40, 6, 5, 1), targets = sm.tensor(labels, "int32"), validation = 10,
    transform = kinds[kind] },
  model = sm.nn.sequential { sm.nn.conv2d { 3, kernel = 3 }, sm.nn.relu(), sm.nn.flatten(), sm.nn.dropout { 0.2 },
    sm.nn.linear { 5 } },
  loss = "cross_entropy", optimizer = sm.optim.adam { lr = 1e-2 },
  schedule = { steps = 8, batch = 6, evaluate = 4, log = 1, checkpoint = 4, keep = 5 },
}
]]

describe("a run with a transform", function()
  local workspace = os.tmpname()
  os.remove(workspace)

  --- @param told table|nil texts by the names of the files that the experiment reads them from
  local function run(words, told)
    for _, name in ipairs { "KIND", "SHIFT" } do
      os.remove(workspace .. "/" .. name)
      if told and told[name] then helpers.write(workspace .. "/" .. name, told[name]) end
    end
    local status, out, err = helpers.shell(workspace, '"$SMRUN" ' .. words)
    assert.equal(0, status, err)
    return out
  end

  local function weights(directory, step)
    local kept = {}
    for name, tensor in pairs(sm.load(("%s/checkpoints/step-%06d.safetensors"):format(directory, step))) do
      kept[name] = tensor:totable()
    end
    return kept
  end

  before_each(function()
    assert(lfs.mkdir(workspace))
    helpers.write(workspace .. "/images.lua", text)
  end)
  after_each(function() os.execute("rm -r " .. helpers.quote(workspace)) end)

  it("resumes to the same bits, on any number of threads", function()
    run("images.lua --quiet --threads 1")
    local directory = workspace .. "/runs/images/default"
    local whole = weights(directory, 8)
    assert(os.remove(directory .. "/checkpoints/step-000008.safetensors"))
    assert(os.remove(directory .. "/summary.json"))
    run("resume runs/images/default --quiet --threads 2")
    assert.same(whole, weights(directory, 8))
  end)

  it("is evaluated on examples as they are, and trains on labels that are mixed", function()
    run("images.lua --quiet")
    local rows = helpers.read(workspace .. "/runs/images/default/metrics.csv")
    local names, step = rows:match "^([^\n]+)\n.-\n(4,[^\n]*)\n"
    assert.equal("step,epoch,train_loss,train_accuracy,validation_loss,validation_accuracy", names:match "^(.-),lr")
    assert.matches("^4,1,[%d.]+,,[%d.]+,[%d.]+,", step) -- of mixed labels there is no accuracy
    run("images.lua --quiet --again", { KIND = "table" })
    rows = helpers.read(workspace .. "/runs/images/default-2/metrics.csv")
    assert.matches("\n4,1,[%d.]+,[%d.]+,[%d.]+,[%d.]+,", rows)
  end)

  it("is another one where the transform differs", function()
    local function directories()
      local count = 0
      for name in lfs.dir(workspace .. "/runs/images") do count = count + (name:find "^default" and 1 or 0) end
      return count
    end
    run("images.lua --quiet", { KIND = "table", SHIFT = "2" })
    assert.equal(1, directories())
    run("images.lua --quiet", { KIND = "table", SHIFT = "2" })
    assert.equal(1, directories())
    run("images.lua --quiet", { KIND = "table", SHIFT = "1" })
    assert.equal(2, directories())
    run("images.lua --quiet", { KIND = "own" })
    assert.equal(3, directories())
    run("images.lua --quiet", { KIND = "none" })
    assert.equal(4, directories())
  end)

  it("goes on from a checkpoint that knew no transforms", function()
    run("images.lua --quiet", { KIND = "none" })
    local directory = workspace .. "/runs/images/default"
    local path, whole = directory .. "/checkpoints/step-000004.safetensors", weights(directory, 8)
    local tensors, metadata = files.load(path)
    local numbers, count = metadata.numbers:gsub("random%.transform=0\n", "")
    assert.equal(1, count)
    metadata.numbers = numbers
    files.save_checked(path, tensors, metadata)
    assert(os.remove(directory .. "/checkpoints/step-000008.safetensors"))
    assert(os.remove(directory .. "/summary.json"))
    run("resume runs/images/default --quiet --read .", { KIND = "none" })
    assert.same(whole, weights(directory, 8))
  end)
end)

describe("transform =", function()
  it("is an option of every data set", function()
    local path = os.tmpname()
    local specs = require "sm.check".specs
    for name in pairs(sm.data) do
      if name ~= "augment" then -- which makes no data set
        assert.is_table(specs["data." .. name].transform, name)
        assert.is_table(specs[("data.%s: transform"):format(name)], name)
      end
    end
    local function zero(x, y) return x * 0, y end
    local function largest(set) return set:stream(2):next():abs():max():item() end
    sm.save(path .. ".npy", sm.ones(3, 2, 2, 1))
    local file = path .. ".npy"
    assert.equal(7, largest(sm.data.npy { inputs = file, targets = file, transform = { cutout = 4, fill = 7 } }))
    os.remove(file)
    helpers.write(path, "a,b\n1,x\n2,y\n3,x\n")
    assert.equal(0, largest(sm.data.csv { file = path, target = "b", transform = zero }))
    local _, mixed = sm.data.csv { file = path, target = "b", transform = { mixup = 1 } }:stream(3):next()
    assert.same({ 3, 2 }, mixed.shape)
    os.remove(path)
    local set = sm.data.text { text = "abcdefgh", length = 2, transform = function(x, y) return y, x end }
    local plain = sm.data.text { text = "abcdefgh", length = 2 }
    sm.seed(1)
    local x = set:stream(2):next()
    sm.seed(1)
    assert.same(x:totable(), select(2, plain:stream(2):next()):totable())
    helpers.has(helpers.message(sm.data.text, { text = "abcdefgh", length = 2, transform = { shift = 1 } }),
      "got indices")
    assert(os.execute("mkdir -p " .. helpers.quote(path .. "/a") .. " " .. helpers.quote(path .. "/b")))
    for _, class in ipairs { "a", "b" } do sm.png.save(("%s/%s/1.png"):format(path, class), sm.ones(3, 3, 1)) end
    assert.equal(9, largest(sm.data.folder { train = path, transform = { cutout = 8, fill = 9 } }))
    os.execute("rm -r " .. helpers.quote(path))
  end)
end)
