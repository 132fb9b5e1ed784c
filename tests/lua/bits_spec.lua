--- The same weights, bit for bit, whatever the number of threads: whole short trainings through the command line.
local lfs = require "lfs"
local sm = require "sm"

local smrun = os.getenv "SMRUN" or "build/smrun"
local STEPS <const> = 8

-- The networks of softmax_groups.lua and deep_mnist.lua on a few images, so that most of the time goes into training.
local NETWORKS = [[
local sm = require "sm"
local nn, optim, data = sm.nn, sm.optim, sm.data
local p = sm.params { activation = "softmax", groups = 4, optimizer = "smorms3", batch = 50, steps = 8 }
local mini = data.mnist_mini {}.train
local function activation(groups) return p.activation == "relu" and nn.relu() or nn.softmax { groups = groups } end
return sm.experiment {
  data = data.tensors {
    inputs = mini.inputs:slice(1, 220), targets = mini.targets:slice(1, 220), validation = 20,
    test_inputs = mini.inputs:slice(221, 240), test_targets = mini.targets:slice(221, 240),
  },
  model = nn.sequential {
    nn.conv2d { 32, kernel = 5 }, activation(1), nn.maxpool2d { 2 },
    nn.conv2d { 64, kernel = 5 }, activation(p.groups), nn.maxpool2d { 2 },
    nn.flatten(), nn.linear { 1024 }, nn.relu(), nn.dropout { 0.5 }, nn.linear { 10 },
  },
  loss = "cross_entropy",
  optimizer = p.optimizer == "adam" and optim.adam { lr = 1e-3 } or optim.smorms3 { lr = 1e-3, ease_in = 4 },
  schedule = { steps = p.steps, batch = p.batch },
}
]]

local home

local function train(file, threads, parameters)
  local runs = ("%s/runs-%d"):format(home, threads)
  local command = ("'%s' --quiet --again --threads %d --runs '%s' '%s' %s >/dev/null")
    :format(smrun, threads, runs, file, parameters)
  assert(os.execute(command), command)
  local folder = ("%s/%s"):format(runs, file:match "([^/]+)%.lua$")
  for name in lfs.dir(folder) do
    local path = ("%s/%s/checkpoints/step-%06d.safetensors"):format(folder, name, STEPS)
    if lfs.attributes(path, "mode") == "file" then return (sm.load(path)) end
  end
  error("no checkpoint of step " .. STEPS .. " in " .. folder)
end

local function bytes(tensor)
  return table.concat(tensor:reshape(-1):totable(), " ")
end

describe("weights and optimizer memory are the same bits with 1, 2 and 3 threads:", function()
  setup(function()
    home = os.tmpname()
    os.remove(home)
    assert(lfs.mkdir(home))
    local file <close> = assert(io.open(home .. "/networks.lua", "w"))
    file:write(NETWORKS)
  end)
  after_each(function() os.execute(("rm -r '%s'/runs-*"):format(home)) end)
  teardown(function() os.execute(("rm -r '%s'"):format(home)) end)

  local cases = {
    { "networks", "groups=4" },
    { "networks", "activation=relu optimizer=adam" },
    { "networks", "groups=16 batch=7" },
    { "xor", "" },
  }
  for _, case in ipairs(cases) do
    it(case[1] .. " " .. case[2], function()
      local file = case[1] == "xor" and "experiments/xor.lua" or home .. "/networks.lua"
      local reference = train(file, 1, case[2] .. " steps=" .. STEPS)
      local count = 0
      for _, threads in ipairs { 2, 3 } do
        local other = train(file, threads, case[2] .. " steps=" .. STEPS)
        for name, tensor in pairs(reference) do
          count = count + 1
          assert.same(tensor.shape, other[name].shape)
          -- The largest tensors are compared by difference, which is quick; the others by their digits too.
          assert.equal(0, (tensor - other[name]):abs():max():item(), name)
          if #tensor:reshape(-1) < 2000 then assert.equal(bytes(tensor), bytes(other[name]), name) end
        end
      end
      assert.is_true(count > 8)
    end)
  end
end)
