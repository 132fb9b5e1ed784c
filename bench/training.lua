--- One network of networks.lua, ready to be trained on a fixed random batch.
local sm = require "sm"
local runtime = require "sm.runtime"
local networks = require "networks"

local M = {}

local now <const> = runtime.system.now
local WARM <const>, FEW <const> = 3, 5
local RATE <const> = 1e-4
local TINY <const> = 1e-39 -- a subnormal number

local function batch_of(network)
  local n = network.batch
  local function integers(shape, below) return sm.randint(0, below, n, table.unpack(shape)) end
  local x = network.tokens and integers(network.input, network.tokens) or sm.rand(n, table.unpack(network.input))
  return x, integers(network.target, network.classes)
end

--- @param name string of the network
--- @param o table {dropout = 0.5, subnormal = false, warm = 3}
--- @return table {model, x, y, step}: step() is one training step with Adam, and warm
function M.new(name, o)
  local network = networks[name] or error("no such network: " .. name, 0)
  sm.seed(1)
  local model = network.build(o.dropout or 0.5):build(network.input, network.tokens and "int32")
  local x, y = batch_of(network)
  if o.subnormal then
    x = x * TINY
    for _, w in pairs(model:parameters()) do
      local values = w:detach()
      values:copy_(#w.shape == 1 and sm.zeros(w.shape) or sm.where(values:lt(0), values * TINY, values))
    end
  end
  local optimizer = sm.optim.adam { lr = o.subnormal and 0 or RATE }
  optimizer:add(model:parameters())
  model:train()

  local function loss() return model(x):cross_entropy(y) end
  local function step()
    optimizer:zero_grad()
    loss():backward()
    optimizer:step()
    runtime.tensor.collect()
  end
  for _ = 1, o.warm or WARM do step() end
  return { model = model, x = x, y = y, step = step, loss = loss }
end

-- Seconds of calls that are not timed: while others were asked, this program's threads slept, and a virtual machine may
-- wake them all on one core before it spreads them.
local SETTLE <const> = 0.1

--- Median milliseconds of `count` calls, once the program is awake.
function M.time(work, count)
  local times, until_then = {}, now() + SETTLE
  while now() < until_then do work() end
  for i = 1, count do
    local before = now()
    work()
    times[i] = (now() - before) * 1e3
  end
  table.sort(times)
  return times[#times // 2 + 1]
end

--- What a network computes, without dropout, to a file that step.py reads.
--- @param path string of an .npz
function M.write(name, path)
  local one = M.new(name, { dropout = 0, warm = 0 })
  local found, i = { x = one.x, y = one.y }, 0
  local loss = one.loss()
  loss:backward()
  found.loss = loss:detach()
  for _, w in pairs(one.model:parameters()) do
    i = i + 1
    found[("w%03d"):format(i)], found[("g%03d"):format(i)] = w:detach():clone(), w.grad:clone()
  end
  for _ = 1, FEW do one.step() end
  found.after = one.loss():detach()
  sm.save(path, found)
end

return M
