--- The benchmark, in bench/: its networks train, compute what PyTorch computes (skipped by name where there is none),
-- and have a profile with floors and a report.
local helpers = dofile "tests/lua/helpers.lua"
package.path = "bench/?.lua;" .. package.path
local sm = require "sm"
local contestant = require "contestant"
local floors = require "floors"
local networks = require "networks"
local peers_of = require "peers"
local report = require "report"
local training = require "training"

local build <const> = helpers.smrun:match "^(.*)/"

describe("the benchmark", function()
  local peers, file

  setup(function()
    peers = peers_of.find(build)
    file = os.tmpname() .. ".npz"
  end)

  teardown(function() os.remove(file) end)

  it("has networks that give a score for each class", function()
    assert.is_true(#networks >= 14)
    for _, network in ipairs(networks) do
      local model = network.build(0):build(network.input, network.tokens and "int32")
      local x = sm.zeros(1, table.unpack(network.input))
      local shape = { 1, table.unpack(network.target) }
      shape[#shape + 1] = network.classes
      assert.same(shape, model(network.tokens and x:to "int32" or x).shape, network.name)
    end
  end)

  it("says which network there is not", function()
    helpers.has(helpers.error_of(training.new, "resnext", {}), "no such network: resnext")
  end)

  it("trains, and writes what a network computes", function()
    for _, name in ipairs { "lenet10", "lstm" } do
      peers_of.write(peers, name, file, 1)
      local found = sm.load(file)
      local count = 0
      for key, w in pairs(found) do
        if key:find "^w" then
          count = count + 1
          assert.same(w.shape, found[key:gsub("w", "g")].shape)
          assert.is_true(found[key:gsub("w", "g")]:abs():max():item() > 0, key)
        end
      end
      assert.is_true(count >= 7, name)
      assert.is_true(found.after:item() < found.loss:item(), name)
    end
  end)

  it("computes what PyTorch computes, and sees what differs", function()
    if not peers.python then return pending "PyTorch is not installed" end
    for _, name in ipairs { "lenet10", "lstm" } do
      peers_of.write(peers, name, file, 1)
      assert.is_nil(peers_of.difference(peers, name, file, 1))
    end
    local found, changed = sm.load(file), {}
    for key, x in pairs(found) do changed[key] = key == "g002" and x * 1.1 or x end
    sm.save(file, changed)
    helpers.has(peers_of.difference(peers, "lstm", file, 1), "lstm differs from PyTorch's (contiguous)")
  end)

  it("makes half of the weights, and what goes in, subnormal numbers", function()
    local one = training.new("lenet10", { subnormal = true, warm = 0 })
    local function share(x)
      local count, subnormal = math.min(#x:reshape(-1), 100), 0
      for i = 1, count do
        local size = math.abs(x:reshape(-1)[i]:item())
        if size > 0 and size < 1e-38 then subnormal = subnormal + 1 end
      end
      return subnormal / count
    end
    for name, w in pairs(one.model:parameters()) do
      if #w.shape > 1 then assert.is_true(share(w:detach()) > 0.3, name) end
    end
    assert.equal(1, share(one.x))
    one.step()
  end)

  -- With ones everywhere a convolution gives how many products each sum has.
  it("counts what a convolution has to do", function()
    for _, case in ipairs {
      { { 2, 7, 6, 4 }, { 3, 3, 4, 8 }, {} },
      { { 1, 9, 8, 4 }, { 3, 2, 2, 6 }, { stride = { 2, 1 }, groups = 2, padding = { 1, 0 } } },
      { { 1, 9, 9, 2 }, { 3, 3, 2, 3 }, { dilation = 2, padding = { 0, 1, 2, 3 }, stride = 2 } },
      { { 1, 8, 8, 6 }, { 5, 5, 1, 6 }, { groups = 6, padding = 2, dilation = { 1, 2 } } },
      { { 1, 8, 8, 3 }, { 5, 5, 3, 4 }, { padding = "valid", stride = 3 } },
      { { 1, 8, 7, 3 }, { 4, 4, 3, 4 }, { padding = "same", stride = 2 } },
    } do
      local x, w = sm.ones(case[1]), sm.ones(case[2])
      local y = x:conv2d(w, case[3])
      local expected <const> = 2 * y:sum():item()
      assert.equal(expected, floors.operations("conv2d", { x, w, nil, case[3] }, y))
      assert.equal(expected, floors.operations("conv2d_backward_data", { y, w, x.shape, case[3] }))
      assert.equal(expected, floors.operations("conv2d_backward_filter", { y, x, w.shape, case[3] }))
    end
    assert.equal(2 * 3 * 5 * 7, floors.operations("matmul", { sm.ones(3, 5), sm.ones(5, 7) }, sm.ones(3, 7)))
    assert.equal(0, floors.operations("relu", {}))
  end)

  it("tells where a step's time goes", function()
    local p = report.read_profile(contestant.must(
      "LUA_PATH='bench/?.lua;lua/?.lua;lua/?/init.lua;;' lua5.4 bench/profile.lua mobilenet 1 1"))
    local names, all = {}, 0
    for _, kernel in ipairs(p.kernels) do
      names[kernel[4]:match "^%S+"], all = true, all + kernel[2]
    end
    for _, name in ipairs { "conv2d", "conv2d_backward_filter", "normalise.forward", "normalise.backward", "matmul",
                            "cross_entropy", "adam" } do
      assert.is_true(names[name], name)
    end
    assert.is_true(p.whole > 0 and p.outside >= 0 and p.peak > 0 and p.floor > 0)
    helpers.has(report.profile("mobilenet", p), "| the whole step | ")
  end)

  --- What the whole program does with one network, and this as its Python: exit status, output, messages.
  local function run(python)
    local _, _, status = os.execute(("lua5.4 bench/run.lua %s quick rounds=1 lenet10 python=%s >%s 2>%s.err"):format(
      helpers.quote(build), helpers.quote(python), file, file))
    local output, messages = helpers.read(file), helpers.read(file .. ".err")
    os.remove(file .. ".err")
    return status, output, messages
  end

  it("ends where a network does not compute what PyTorch computes", function()
    local python = file .. ".sh"
    helpers.write(python, '#!/bin/sh\ncase "$*" in *check) echo contiguous 0 1 0 ;; *) echo 9.9 ;; esac\n')
    os.execute("chmod +x " .. python)
    local status, output, messages = run(python)
    os.remove(python)
    assert.same({ 1, "" }, { status, output })
    helpers.has(messages, "lenet10 differs from PyTorch's (contiguous)")
  end)

  it("times ours alone without PyTorch", function()
    local status, output = run "/bin/false"
    assert.equal(0, status)
    assert.matches("| lenet10 %(10%) | [%d.]+ | – | – | – | [%d.]+ | [%d.]+ %([%d.]+ %%%) | %d+ | – |", output)
    helpers.has(output, "| PyTorch | **absent**: python3-torch")
  end)

  local function network(name, ours, more)
    local n = { name = name, batch = 8, of_ten = true, ours = ours, floor = 1, outside = 0.5, whole = ours, peak = 50 }
    for key, value in pairs(more) do n[key] = value end
    return n
  end

  local function fixture()
    return {
      threads = 2, rounds = 7, torch = "1.13.1", machine = { { "processor", "one" } }, accuracy = 5, onednn = 20,
      subnormal = 1.5, networks = {
        network("tutorial", 10, { contiguous = 50, channels_last = 40, torch_peak = 200 }),
        network("mlp", 10, { contiguous = 10, torch_peak = 100 }),
        network("unet", 2, { contiguous = 8, channels_last = 6, of_ten = false, torch_peak = 100 }),
      },
    }
  end

  it("reports what was measured, and what of the aims was reached", function()
    local text = report.text(fixture())
    for _, line in ipairs {
      "| tutorial (8) | 10.0 | 50.0 | 40.0 | 4.00 | 1.00 | 0.500 (5.0 %) | 50 | 200 |",
      "| mlp (8) | 10.0 | 10.0 | – | 1.00 | 1.00 | 0.500 (5.0 %) | 50 | 100 |",
      "2 of the ten | 2.00 | ≥ 2.8 | **no** |", "mlp | 1.00 | ≥ 2 | **no** |", "unet | 3.00 | ≥ 2 | yes |",
      "network | 4.00 | ≥ 3.5 | yes |", "seconds | 5.00 | ≤ 6 | yes |", "| 0.500 | ≤ 0.6 | yes |",
      "| 1.50 | ≤ 1.05 | **no** |",
    } do helpers.has(text, line) end
    local newer = fixture()
    newer.torch, newer.networks[2].compiled = "2.11.0+cpu", 50
    text = report.text(newer)
    helpers.has(text, "| mlp (8) | 10.0 | 10.0 | – | 50.0 | 1.00 |")
    helpers.has(text, "2 of the ten | 2.00 | ≥ 1.8 | yes |")
  end)

  it("reports without PyTorch and oneDNN, and says so", function()
    local without = { facts = peers.facts }
    local text = report.text { threads = 2, rounds = 7, machine = report.machine(without),
      networks = { network("tutorial", 10, {}) } }
    helpers.has(text, "| tutorial (8) | 10.0 | – | – | – | 1.00 | 0.500 (5.0 %) | 50 | – |")
    helpers.has(text, "| PyTorch | **absent**: python3-torch")
    helpers.has(text, "| oneDNN | **absent**:")
  end)
end)
