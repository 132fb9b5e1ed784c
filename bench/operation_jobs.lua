-- Answers jobs from standard input, one a line, about operation_cases.lua: operations.lua asks them.
--   write NAME DIRECTORY  writes inputs, result and gradients as NAME-….npy, for PyTorch; answers 0
--   time NAME COUNT       median milliseconds of forward and back
--   compose NAME COUNT    the same of `composed`
local sm = require "sm"
local runtime = require "sm.runtime"
local training = require "training"

local cases = {}
for _, case in ipairs(require "operation_cases") do cases[case[1]] = case end

local function contains(names, name)
  return (" " .. (names or "") .. " "):find(" " .. name .. " ", 1, true) ~= nil
end

--- The inputs of a case by name, the same numbers every time.
local function inputs_of(case)
  local options, inputs, names = case[5] or {}, {}, {}
  for name in pairs(case[2]) do names[#names + 1] = name end
  table.sort(names)
  sm.seed(1)
  for _, name in ipairs(names) do
    local x = contains(options.positive, name) and sm.rand(case[2][name]) + 0.5 or sm.randn(case[2][name])
    if not contains(options.fixed, name) then x:requires_grad() end
    inputs[name] = x
  end
  for first, kind in pairs { [0] = options.labels or {}, options.positions or {} } do
    for name, labels in pairs(kind) do
      inputs[name] = ((sm.rand(labels[1]) * labels[2]):floor():clamp(0, labels[2] - 1) + first):to "int32"
    end
  end
  return inputs, names
end

--- A function that computes and differentiates, and its result's gradient.
local function work_of(case, f)
  local inputs, names = inputs_of(case)
  local y = f(inputs)
  local gy = #y.shape > 0 and sm.randn(y.shape) or sm.ones {}
  return function()
    for _, name in ipairs(names) do inputs[name].grad = nil end
    local result = f(inputs)
    if result:tracks() then result:backward(gy) end
    runtime.tensor.collect()
    return result
  end, gy, inputs, names
end

local function write(case, directory)
  local work, gy, inputs, names = work_of(case, case[3])
  local options = case[5] or {}
  local y = work()
  local function path(kind) return ("%s/%s-%s.npy"):format(directory, case[1], kind) end
  sm.save(path "y", y:detach())
  sm.save(path "gy", gy)
  local list = assert(io.open(("%s/%s.txt"):format(directory, case[1]), "w"))
  list:write(case[4], "\n", options.images or "", "\n", options.filters or "", "\n", options.fixed or "", "\n")
  for name in pairs(options.positions or {}) do list:write(name, " ") end
  list:write(options.random and "\nrandom\n" or "\n\n")
  for name, x in pairs(inputs) do
    list:write(name, " ")
    sm.save(path("in-" .. name), x:detach())
  end
  for _, name in ipairs(names) do
    if inputs[name].grad then sm.save(path("grad-" .. name), inputs[name].grad) end
  end
  list:write "\n"
  list:close()
end

local current = {} -- the job's text without its count, and the function that does it
for line in io.lines() do
  local kind, name, last = line:match "^(%S+) (%S+) (.*)$"
  local case = assert(cases[name], "no such case")
  if kind == "write" then
    write(case, last)
    print(0)
  else
    local what = kind .. name
    if what ~= current.what then
      current.work = nil
      collectgarbage()
      current.what, current.work = what, work_of(case, kind == "compose" and case[5].composed or case[3])
    end
    print(("%.4f"):format(training.time(current.work, math.tointeger(last))))
  end
  io.stdout:flush()
end
