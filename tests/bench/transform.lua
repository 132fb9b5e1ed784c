--- What a transform of the whole MNIST (shift, rotation, elastic) costs of the step that it feeds, that of the
-- tutorial's network at batch 50. Rounds with and without it alternate. Prints medians over the rounds: milliseconds of
-- a step and of getting its batch, by the clock and of all threads' processor time, and the share of the transform.
-- Usage, in the source's directory: build/smrun tests/bench/transform.lua, with OMP_NUM_THREADS for other threads.
package.path = "tests/bench/?.lua;" .. package.path
local sm = require "sm"
local runtime = require "sm.runtime"
local network = require "network"

local rounds <const>, steps <const>, batch <const> = 30, 20, 50
local now <const> = runtime.system.now

local model = network.build "relu"
local optimizer = network.optimizer("adam", model)

local function stream_of(transform)
  return sm.data.mnist { validation = 5000, transform = transform }:stream(batch)
end

local streams <const> = {
  plain = stream_of(nil),
  changed = stream_of { shift = 2, rotation = 15, elastic = { alpha = 34, sigma = 4 } },
}
local found <const> = { plain = {}, changed = {} } -- lists of {step, batch, step's processor time, batch's}

--- Milliseconds of a step in a round of them, in the order that `found` has.
local function round(stream)
  local getting, processor = 0, 0
  local began, began_processor = now(), os.clock()
  for _ = 1, steps do
    local before, before_processor = now(), os.clock()
    local x, y = stream:next()
    getting, processor = getting + (now() - before), processor + (os.clock() - before_processor)
    optimizer:zero_grad()
    model(x):cross_entropy(y):backward()
    optimizer:step()
    runtime.tensor.collect()
  end
  local spent = { now() - began, getting, os.clock() - began_processor, processor }
  for i, seconds in ipairs(spent) do spent[i] = 1e3 * seconds / steps end
  return spent
end

local function median(list, column)
  local values = {}
  for i, row in ipairs(list) do values[i] = row[column] end
  table.sort(values)
  return values[#values // 2 + 1]
end

for _, name in ipairs { "plain", "changed" } do round(streams[name]) end -- warm
for _ = 1, rounds do
  for name, list in pairs(found) do list[#list + 1] = round(streams[name]) end
end

for _, name in ipairs { "plain", "changed" } do
  local list = found[name]
  print(("%-8s step %.3f ms, batch %.3f ms; processor %.3f and %.3f ms"):format(name, median(list, 1), median(list, 2),
    median(list, 3), median(list, 4)))
end
for _, of in ipairs { { "by the clock", 1 }, { "of processor time", 3 } } do
  local words, column = table.unpack(of)
  local more = median(found.changed, column + 1) - median(found.plain, column + 1)
  print(("transform %.3f ms %s, %.1f %% of a step"):format(more, words, 100 * more / median(found.plain, column)))
end
