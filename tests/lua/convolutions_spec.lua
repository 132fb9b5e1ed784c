--- What environment.json says of the methods of a run's convolutions, and runtime.conv.methods, which it asks.
local lfs = require "lfs"
local json = require "sm.json"
local runtime = require "sm.runtime"
local convolutions = require "sm.experiment.convolutions"
local sm = require "sm"
local helpers = dofile "tests/lua/helpers.lua"

local text <const> = [[
local sm = require "sm"
local nn = sm.nn
local fixed = sm.ones(1, 1, 16, 8)
local labels = {}
for i = 1, 60 do labels[i] = i % 10 end
local conv = nn.conv2d
return sm.experiment {
  data = sm.data.tensors { inputs = sm.randn(60, 12, 12, 1), targets = sm.tensor(labels, "int32"), classes = 10 },
  model = nn.sequential { conv { 16, kernel = 5 }, nn.relu(), nn.maxpool2d { 2 }, conv { 16, kernel = 3 }, nn.relu(),
    conv { 16, kernel = 3 }, nn.conv2d_transpose { 16, kernel = 2, stride = 2 },
    conv { 16, kernel = { 3, 2 }, groups = 16, stride = { 2, 1 }, bias = false },
    nn.fn(function(x) return x:conv2d(fixed, { dilation = 2 }):reshape(-1, 72, 8) end), nn.conv1d { 4, kernel = 5 },
    nn.flatten(), nn.linear { 10 } },
  optimizer = sm.optim.sgd { lr = 1e-3 }, schedule = { steps = 4, batch = 20, checkpoint = 2, keep = 3 },
}
]]

describe("the methods of convolutions in environment.json", function()
  local workspace = os.tmpname()
  os.remove(workspace)
  setup(function() assert(lfs.mkdir(workspace)) end)
  teardown(function() os.execute("rm -r " .. helpers.quote(workspace)) end)

  local directory <const> = workspace .. "/runs/several/default/"

  local function run(words)
    helpers.write(workspace .. "/several.lua", text)
    local status, _, err = helpers.shell(workspace, words)
    assert.equal(0, status, err)
    return json.object(helpers.read(directory .. "environment.json"))
  end

  it("are those of every pass of a step, also of functions, on any number of threads", function()
    local list = run('OMP_NUM_THREADS=1 "$SMRUN" several.lua --quiet').convolutions
    local shapes = {}
    for i, entry in ipairs(list) do
      shapes[i] = ("%s %s %s %s"):format(entry.images, entry.filters, entry.groups, entry.weights)
    end
    assert.same({
      "{20, 12, 12, 1} {5, 5, 1, 16} 1 conv1.weight",
      "{20, 6, 6, 16} {3, 3, 16, 16} 1 conv2.weight, conv3.weight",
      "{20, 12, 12, 16} {2, 2, 16, 16} 1 transpose1.weight",
      "{20, 12, 12, 16} {3, 2, 1, 16} 16 conv4.weight",
      "{20, 6, 12, 16} {1, 1, 16, 8} 1 nil",
      "{20, 1, 72, 8} {1, 5, 8, 4} 1 conv1d1.weight",
    }, shapes)
    assert.is_nil(list[1].data_gradient) -- nobody wants that of the data
    assert.is_nil(list[5].filter_gradient)
    assert.equal("{2, 1}", list[4].stride)
    assert.equal("{2, 2}", list[5].dilation)
    for _, pass in ipairs { "forward", "data_gradient", "filter_gradient" } do
      assert.equal("channelwise", list[4][pass])
      assert.equal(runtime.conv.methods({ 20, 6, 6, 16 }, { 3, 3, 16, 16 }, { stride = { 1, 1 }, padding = "same",
        dilation = { 1, 1 } })[pass], list[2][pass])
    end
    assert.same(list, run('OMP_NUM_THREADS=3 "$SMRUN" several.lua --quiet --again').convolutions)
  end)

  it("are a session's own where it goes on by others", function()
    local function go_on(setting)
      assert(os.remove(directory .. "checkpoints/step-000004.safetensors"))
      assert(os.remove(directory .. "summary.json"))
      return run(setting .. ' "$SMRUN" resume runs/several/default --quiet')
    end
    local before = json.object(helpers.read(directory .. "environment.json")).convolutions
    local after = go_on ""
    assert.same(before, after.convolutions)
    assert.is_nil(after.sessions[2].convolutions)
    after = go_on "SMRUN_CONV=direct"
    assert.same(before, after.convolutions)
    assert.is_nil(after.sessions[2].convolutions)
    assert.equal(#before, #after.sessions[3].convolutions)
    assert.equal("direct", after.sessions[3].convolutions[2].forward)
  end)

  it("are heard of in a step alone, also where it fails", function()
    local kernels, told = {}, nil
    for name, kernel in pairs(runtime.conv) do kernels[name] = kernel end
    local x, w = sm.randn(1, 4, 4, 1), sm.randn(3, 3, 1, 2)
    local function step() return x:conv2d(w), x:conv2d(w) end
    local first, second = convolutions.heard({ ["a.weight"] = w }, function(list) told = list end, step)
    assert.same(x:conv2d(w):totable(), first:totable())
    assert.same(first:totable(), second:totable())
    assert.equal(1, #told)
    assert.equal("a.weight", told[1].weights)
    told = nil
    assert.error(function()
      convolutions.heard({}, function(list) told = list end, function()
        step()
        error "stopped"
      end)
    end)
    assert.is_nil(told)
    for name, kernel in pairs(runtime.conv) do assert.equal(kernels[name], kernel, name) end
  end)
end)

describe("runtime.conv.methods", function()
  it("refuses what cannot be planned", function()
    local options = { stride = { 1, 1 }, dilation = { 1, 1 }, padding = "valid", where = "conv2d" }
    helpers.has(helpers.error_of(runtime.conv.methods, { 1, 2, 2, 1 }, { 3, 3, 1, 1 }, options), "is larger than")
    helpers.has(helpers.error_of(runtime.conv.methods, { 1, 2, 2, 1 }, { 3, 3, 2, 1 }, options), "expected 2 channels")
    helpers.has(helpers.error_of(runtime.conv.methods, {}, {}, options), "expected images")
  end)
end)
