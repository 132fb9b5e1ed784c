--- Makes many runs that look like those of one sweep, without training: what a run leaves, with made-up figures.
-- As a program: lua5.4 tests/lua/many_runs.lua DIRECTORY [COUNT]
local lfs = require "lfs"

local M = {}

local LEARNING_RATES <const> = { "0.0003", "0.001", "0.003", "0.01", "0.03" }
local ROWS <const> = 12

--- The same numbers on every machine: from 0 to 1, for a run and a place in it.
local function noise(run, place)
  return (run * 7919 + place * 104729) * 2654435761 % 4294967296 / 4294967296
end

local PARAMS <const> = [[{
  "defaults": { "batch": 50, "groups": 4, "lr": 0.001, "seed": 1, "steps": 1200, "unit": "softmax" },
  "differing": [ "groups", "lr", "seed", "batch" ],
  "values": { "batch": %d, "groups": %d, "lr": %s, "seed": %d, "steps": 1200, "unit": "softmax" }
}
]]

local ENVIRONMENT <const> = [[{
  "blas": { "config": "OpenBLAS 0.3.21 DYNAMIC_ARCH", "kernel": "Haswell", "path": "/usr/lib/libopenblas.so" },
  "cores": 2,
  "data": { "classes": "10", "dtype": "float32", "name": "mnist", "train inputs": "uint8 {55000, 28, 28, 1} 5b4f727f" },
  "declaration": {
    "loss": "cross_entropy", "model": "sequential", "model.conv1": "conv2d", "model.conv1.1": "32",
    "model.softmax1.groups": "%d", "optimizer": "adam", "optimizer.lr": "%s", "schedule.batch": "%d",
    "schedule.evaluate": "100", "schedule.keep": "2", "schedule.log": "100", "schedule.steps": "1200", "seed": "%d"
  },
  "drew": false,
  "experiment": "%s",
  "file": "experiments/%s.lua",
  "git": { "dirty": false, "revision": "1a877cf4298adcfb9cf809b9c11b0e1c418591ad" },
  "host": "a", "instruction_set": "x86-64-v4", "loaded": {}, "lua": "Lua 5.4", "modules": {}, "processor": "a core",
  "real": "float32",
  "seed": %d,
  "sessions": [ { "cores": 2, "smrun": "0.2.0", "started": "2026-11-%02dT%02d:%02d:%02dZ", "threads": 2 } ],
  "smrun": "0.2.0",
  "started": "2026-11-%02dT%02d:%02d:%02dZ",
  "threads": 2,
  "variant": "%s"
}
]]

local SUMMARY <const> = [[{
  "best_validation_accuracy": %.4f, "best_validation_loss": %.6f, "best_validation_step": 1100,
  "experiment": "%s", "median_step_ms": %.8f, "parameters": 101770, "seed": %d, "status": "finished", "steps": 1200,
  "test_accuracy": %.4f, "test_loss": %.6f, "tested_step": 1200, "tested_weights": "last",
  "training_seconds": %.6f, "validation_accuracy": %.4f, "validation_loss": %.6f, "wall_seconds": %.6f
}
]]

local HEADER <const> = "step,epoch,train_loss,train_accuracy,validation_loss,validation_accuracy,lr,step_ms,step_rms\n"

local function write(path, ...)
  local file <close> = assert(io.open(path, "wb"))
  file:write(...)
end

--- The rows of metrics.csv up to a step.
local function rows(number, quality, lr, last)
  local lines = { HEADER }
  for i = 1, ROWS do
    local left = math.exp(-i * (0.3 + quality))
    if i > last then break end
    lines[#lines + 1] = ("%d,%d,%.9g,%.4f,%.9g,%.4f,%s,%.9g,%.9g\n"):format(i * 100, i, 2.3 * left,
      math.max(0, 1 - left), 2.4 * left + 0.01, math.max(0, 0.996 - left - 0.004 * noise(number, i)), lr,
      5 + noise(number, 20 + i), 0.001)
  end
  return table.concat(lines)
end

--- Makes the run of a number, counting from 0.
--- @param directory string where runs lie: it becomes directory/NAME/VARIANT
--- @param of table|nil {name=(of the experiment), seeds=(of each setting), unfinished=(whether it has no summary)}
--- @return string the run directory
function M.make(directory, number, of)
  of = of or {}
  local name, seeds = of.name or "many", of.seeds or 5
  local seed, setting = number % seeds + 1, number // seeds
  local lr, groups, batch = LEARNING_RATES[setting % #LEARNING_RATES + 1], 2 + setting // #LEARNING_RATES % 20,
    10 + setting // (20 * #LEARNING_RATES)
  local variant = ("groups=%d,lr=%s,seed=%d,batch=%d"):format(groups, lr, seed, batch)
  local path = ("%s/%s/%s"):format(directory, name, variant)
  lfs.mkdir(directory)
  lfs.mkdir(directory .. "/" .. name)
  for _, place in ipairs { path, path .. "/checkpoints", path .. "/plots" } do assert(lfs.mkdir(place)) end
  local quality = 0.2 * noise(setting, 1) + 0.02 * noise(number, 2)
  local accuracy = 0.96 + 0.15 * quality + 0.004 * noise(number, 3)
  local day, hour, minute, second = 1 + number // 86400, number // 3600 % 24, number // 60 % 60, number % 60
  write(path .. "/experiment.lua", "local sm = require \"sm\"\n", of.text or ("-- a line of its text\n"):rep(100))
  write(path .. "/params.json", PARAMS:format(batch, groups, lr, seed))
  write(path .. "/environment.json", ENVIRONMENT:format(groups, lr, batch, seed, name, name, seed,
    day, hour, minute, second, day, hour, minute, second, variant))
  write(path .. "/metrics.csv", rows(number, quality, lr, of.unfinished and 5 or ROWS))
  if of.unfinished then
    write(path .. "/checkpoints/step-000500.safetensors", "not read here")
  else
    write(path .. "/summary.json", SUMMARY:format(accuracy - 0.001, 0.05, name, 5 + noise(number, 4), seed, accuracy,
      0.04 + 0.01 * noise(number, 5), 6.4, accuracy - 0.002, 0.05 + 0.01 * noise(number, 6), 7.1))
  end
  return path
end

--- Makes runs 0 to count - 1.
--- @return table their paths
function M.make_all(directory, count, of)
  local paths = {}
  for number = 0, count - 1 do paths[number + 1] = M.make(directory, number, of) end
  return paths
end

if arg and arg[0] and arg[0]:find "many_runs%.lua$" then
  M.make_all(arg[1], tonumber(arg[2] or 10000))
end

return M
