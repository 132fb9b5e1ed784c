-- Single operations against PyTorch, forward and back: what both compute is compared first, then both are timed in
-- turns, and a table of medians is written.
--   lua5.4 bench/operations.lua BUILD [NAME…] [threads=2] [rounds=5] [times=20]
-- operation_cases.lua has the list. A result that differs ends it with exit status 1. Without PyTorch ours are timed
-- alone.
local here <const> = arg[0]:match "^(.*)/[^/]*$" or "."
local build <const> = arg[1]
  or error("usage: operations.lua BUILD [NAME…] [threads=2] [rounds=5] [times=20]", 0)
package.path = here .. "/?.lua;lua/?.lua;lua/?/init.lua;" .. package.path
package.cpath = build .. "/lib/?.so;" .. package.cpath

local contestant = require "contestant"
local median = require "report".median
local peers_of = require "peers"
local must, quote = contestant.must, contestant.quote

local ALLOWED <const> = 1e-4 -- distance in parts of the largest number

local settings, wanted = { threads = 2, rounds = 5, times = 20 }, {}
for i = 2, #arg do
  local name, value = arg[i]:match "^(%w+)=([1-9]%d*)$"
  if settings[name] then settings[name] = math.tointeger(value) else wanted[#wanted + 1] = arg[i] end
end

local cases, known = require "operation_cases", {}
for _, case in ipairs(cases) do known[case[1]] = case end
for _, name in ipairs(wanted) do
  if not known[name] then error(("operations: '%s' is not in operation_cases.lua"):format(name), 0) end
end

local peers = peers_of.find(build)
local directory = os.tmpname()
os.remove(directory)
must("mkdir " .. quote(directory))

local ours = contestant.start("smrun", peers_of.ours(peers, settings.threads, "operation_jobs.lua"))
local theirs = peers.python and contestant.start("PyTorch", ("env OMP_NUM_THREADS=%d %s"):format(settings.threads,
  peers_of.theirs(peers, "torch_operations.py " .. quote(directory))))

--- The better of PyTorch's memory formats, where there are two.
local function ask_theirs(case)
  local job = ("%s %d"):format(case[1], settings.times)
  local options = case[5] or {}
  local least = theirs:ask("time contiguous " .. job)
  return options.images and math.min(least, theirs:ask("time channels_last " .. job)) or least
end

local failed = false

local function measure(case)
  local name, composed = case[1], (case[5] or {}).composed
  ours:ask(("write %s %s"):format(name, directory))
  local apart = theirs and theirs:ask("check " .. name) or 0
  if apart > ALLOWED or apart ~= apart then
    failed = true
    return ("| %s | differs by %g of the largest | | | | |"):format(name, apart)
  end
  local times = { ours = {}, theirs = {}, composed = {} }
  for round = 1, settings.rounds do
    times.ours[round] = ours:ask(("time %s %d"):format(name, settings.times))
    if theirs then times.theirs[round] = ask_theirs(case) end
    if composed then times.composed[round] = ours:ask(("compose %s %d"):format(name, settings.times)) end
  end
  local own = median(times.ours)
  local function compared(list)
    if #list == 0 then return "", "" end
    return ("%.3f"):format(median(list)), ("%.2f"):format(median(list) / own)
  end
  local torch, torch_ratio = compared(times.theirs)
  local single, single_ratio = compared(times.composed)
  return ("| %s | %.3f | %s | %s | %s | %s |"):format(name, own, torch, torch_ratio, single, single_ratio)
end

print(("%d threads, median milliseconds of forward and back; a ratio above 1: ours is faster"):format(settings.threads))
print "\n| operation | ours | PyTorch | ratio | composed | ratio |\n|---|--:|--:|--:|--:|--:|"
for _, case in ipairs(cases) do
  local chosen = #wanted == 0
  for _, name in ipairs(wanted) do chosen = chosen or name == case[1] end
  if chosen then
    print(measure(case))
    io.stdout:flush()
  end
end
ours:stop()
if theirs then theirs:stop() end
must("rm -r " .. quote(directory))
os.exit(not failed)
