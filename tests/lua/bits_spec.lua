--- The same weights, bit for bit, whatever the number of threads: whole short trainings through the command line.
local lfs = require "lfs"
local sm = require "sm"

local smrun = os.getenv "SMRUN" or "build/smrun"
local STEPS <const> = 8

local home

local function train(file, threads, parameters)
  local runs = ("%s/%s-%d"):format(home, file, threads)
  local command = ("'%s' --quiet --threads %d --runs '%s' experiments/%s.lua %s >/dev/null")
    :format(smrun, threads, runs, file, parameters)
  assert(os.execute(command), command)
  local folder = ("%s/%s"):format(runs, file)
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
  end)
  teardown(function() os.execute(("rm -r '%s'"):format(home)) end)

  local cases = {
    { "softmax_groups", "data=mnist_mini ease_in=4" },
    { "deep_mnist", "data=mnist_mini activation=relu optimizer=adam" },
    { "fashion", "data=mnist_mini groups=16 batch=7" },
    { "xor", "" },
  }
  for _, case in ipairs(cases) do
    it(case[1], function()
      local reference = train(case[1], 1, case[2] .. " steps=" .. STEPS)
      local count = 0
      for _, threads in ipairs { 2, 3 } do
        local other = train(case[1], threads, case[2] .. " steps=" .. STEPS)
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
