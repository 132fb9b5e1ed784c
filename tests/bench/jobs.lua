-- Answers jobs from standard input, one a line, each with a median in milliseconds:
--   step ACTIVATION OPTIMIZER BATCH THREADS STEPS
--   evaluate BATCH THREADS TIMES
--   softmax GROUPS THREADS TIMES
-- A job that differs from the one before in its count alone goes on with the same tensors.
local runtime = require "sm.runtime"
local network = require "network"

local kinds <const> = {
  step = { words = 5, make = function(w) return network.stepper(w[1], w[2], math.tointeger(w[3])) end },
  evaluate = { words = 3, make = function(w) return network.evaluator(math.tointeger(w[1])) end },
  softmax = { words = 3, make = function(w) return network.softmax(math.tointeger(w[1])) end },
}

local current = {} -- the job's text without its count, and the function that does it
for line in io.lines() do
  local words = {}
  for word in line:gmatch "%S+" do words[#words + 1] = word end
  local kind = kinds[table.remove(words, 1)]
  if not kind or #words ~= kind.words then error(("not a job: '%s'"):format(line)) end
  local count = math.tointeger(words[#words])
  local what = line:match "^(.*)%s"
  if what ~= current.what then
    current.work = nil
    collectgarbage()
    runtime.system.set_threads(math.tointeger(words[#words - 1]))
    current.what, current.work = what, kind.make(words)
    current.work()
  end
  print(("%.3f"):format(network.time(current.work, count)))
  io.stdout:flush()
end
