--- smrun export: a run or a checkpoint as a file for other programs.
local helpers = dofile "tests/lua/helpers.lua"
local lfs = require "lfs"
local sm = require "sm"
local has = helpers.has

local workspace <const> = os.tmpname()

local function run(words) return helpers.shell(workspace, '"$SMRUN" ' .. words) end

local function is_there(name) return lfs.symlinkattributes(workspace .. "/" .. name, "mode") ~= nil end

local text <const> = [[
local sm = require "sm"
local p = sm.params { choice = false }
local function mine(x)
  return p.choice and x:reshape(-1, 2, 2, 1):unfold(2):reshape(-1, 4) or x:tanh()
end
return sm.experiment {
  data = sm.data.tensors { inputs = sm.randn(20, 4), targets = sm.randint(0, 3, { 20 }), validation = 4 },
  model = sm.nn.sequential { sm.nn.linear { 4 }, sm.nn.fn { mine, name = "mine" }, sm.nn.linear { 3 } },
  optimizer = sm.optim.adam { lr = 0.01 }, best = "validation_accuracy",
  schedule = { steps = 4, batch = 4, evaluate = 2, checkpoint = 2, log = 100 },
}
]]

describe("smrun export", function()
  setup(function()
    os.remove(workspace)
    assert(lfs.mkdir(workspace))
    helpers.write(workspace .. "/net.lua", text)
    assert.equal(0, (run "net.lua --quiet"))
    assert.equal(0, (run "net.lua choice=true --quiet"))
  end)
  teardown(function() os.execute("rm -r " .. helpers.quote(workspace)) end)

  it("writes a graph or the numbers, from a run or a checkpoint alone, and says which weights they are", function()
    local status, out, err = run "export runs/net/default --format onnx"
    assert.equal("", err)
    assert.equal(0, status)
    has(out, "best weights, after step")
    has(out, "input {N, 4} → output {N, 3}")
    local graph = helpers.read(workspace .. "/net.onnx")
    assert.equal(0, (run "export runs/net/default/checkpoints/best.safetensors --out best.onnx"))
    assert.equal(graph, helpers.read(workspace .. "/best.onnx"))
    assert.equal(0, (run "export --trust runs/net/default --out trusted.onnx"))
    assert.equal(graph, helpers.read(workspace .. "/trusted.onnx"))
    assert.equal(0, (run "export runs/net/choice=true --format npz"))
    local arrays = sm.load(workspace .. "/net-choice=true.npz")
    assert.same({ 4, 3 }, { table.unpack(arrays["linear2.weight"].shape) })
  end)

  it("overwrites nothing unasked, and refuses what it cannot do before it begins", function()
    helpers.write(workspace .. "/mine.onnx", "mine")
    local function refused(words, part)
      local status, _, err = run("export " .. words)
      assert.equal(2, status)
      has(err, part)
    end
    refused("runs/net/default --out mine.onnx", "'mine.onnx' is there already; --again")
    assert.equal("mine", helpers.read(workspace .. "/mine.onnx"))
    assert.equal(0, (run "export runs/net/default --out mine.onnx --again"))
    assert.not_equal("mine", helpers.read(workspace .. "/mine.onnx"))
    refused("runs/net/default", "needs --format npz or --format onnx")
    refused("runs/net/default --format pt", "must be npz or onnx, got 'pt'")
    refused("runs/net/default --format npz --out a.onnx", "ends in .npz, got 'a.onnx'")
    refused("runs/net/default --out nowhere/a.onnx", "'nowhere' is no directory")
    assert(os.execute("ln -s /nowhere " .. helpers.quote(workspace .. "/link.onnx")))
    refused("runs/net/default --out link.onnx --again", "is no file")
  end)

  it("leaves nothing behind where a network has no graph", function()
    local status, out, err = run "export runs/net/choice=true --out no.onnx"
    assert.equal(1, status)
    has(err, "layer 'mine' (fn, declared at")
    has(err, "'unfold' has no form")
    assert.is_nil(out:find("written", 1, true))
    assert.is_false(is_there "no.onnx")
    for name in lfs.dir(workspace) do assert.is_nil(name:find "^%.new") end
  end)
end)
