--- Fails or shortens each call of the system that concerns a run's files, one after the other: of a run from its
--- beginning, and of one that goes on. The program must end by itself, say what happened, and leave what it had saved;
--- and the run that goes on from there must end with the same bytes.
-- Usage: tests/fault/disk.sh BUILD calls [seconds=S] [seed=N] [part=I/N]
-- Without seconds every call in every way, or the I-th of N parts of them; else as many as there is time for, chosen by
-- the seed.
local runs = dofile "tests/fault/disk_runs.lua"
local support = runs.support

local settings = { seed = os.time() }
for _, word in ipairs(arg) do
  local key, value = word:match "^(%l+)=(.*)$"
  settings[key] = tonumber(value) or value
end
math.randomseed(settings.seed)

local ways = { -- how a call fails, how many in a row, and what the program then says
  { "EIO", 1, "Input/output error" }, { "EDQUOT", 1, "Disk quota exceeded" },
  { "ENOSPC", 1 << 40, "No space left on device" }, -- from then on
  { "EINTR", 1, "Interrupted system call", harmless = true }, { "short", 1, harmless = true },
}

local home = runs.workspace()
local processes = runs.processes()
runs.clear()

assert(runs.start(runs.train()) == 0, "the whole run failed")
local expected = runs.outcome(runs.run)

local halfway = runs.stopped(expected, processes[1])

local begin = { "begins", words = runs.train(), prepare = runs.clear }
local resume = { "goes on", words = ("resume '%s'"):format(runs.run), prepare = function() runs.copy(halfway) end }

--- What may stay of a run that ended well although a call has failed: what could not be removed.
local function leftover(place)
  return place == "spent.json" or place:find "^checkpoints/" or place:find "%.tmp%-"
end

--- What may stay once the run has gone on: nothing is written where it is finished, but for its report.
local function kept_time(place)
  return place == "spent.json"
end

--- @return string|nil what is wrong
local function try(part, way, n, which)
  part.prepare()
  local fail <const> = ("%d %d %s"):format(n, way[2], way[1])
  local code, output, result = runs.start(part.words, { fail = fail, process = which })
  if result.failed == 0 then return nil, code, result end
  local wrong
  if code == 0 then
    wrong = runs.difference(expected, runs.run, leftover)
  elseif code ~= 1 then
    wrong = "it ended with " .. code
  elseif way.harmless then
    wrong = "it did not go on"
  elseif not output:find(way[3], 1, true) or not output:find(runs.disk, 1, true) then
    wrong = "it does not say what happened"
  end
  wrong = wrong or runs.lost(runs.run, runs.said(output), expected)
  if not wrong and result.open > 0 then wrong = result.open .. " descriptors are open" end
  if not wrong then
    local again, said = runs.start(runs.train())
    if again ~= 0 then wrong, output = "it does not go on: " .. again, said end
    wrong = wrong or runs.difference(expected, runs.run, code == 0 and leftover or kept_time)
    wrong = wrong and "then " .. wrong
  end
  return wrong and ("%s\n%s"):format(wrong, output:sub(1, 2000)), code, result
end

local tried, broken, ended, started = 0, 0, 0, os.time()
local function attempt(part, way, n, which)
  local wrong, code, result = try(part, way, n, which)
  tried, ended = tried + 1, ended + (code == 0 and 0 or 1)
  if not wrong then return result end
  broken = broken + 1
  print(("%s, %s %d, call %d of %s, %s: %s"):format(part[1], way[1], way[2], n, which, result.where, wrong))
  return result
end

local cases, calls = {}, 0
for _, which in ipairs(processes) do
  for _, part in ipairs { begin, resume } do
    for _, way in ipairs(ways) do
      part.prepare()
      local _, _, counted = runs.start(part.words, { fail = "0 1 " .. way[1], process = which })
      calls = calls + counted.made
      for n = 1, counted.made do cases[#cases + 1] = { part, way, n, which } end
    end
  end
end
if settings.seconds then
  for i = #cases, 2, -1 do
    local j = math.random(i)
    cases[i], cases[j] = cases[j], cases[i]
  end
end
local own, parts = tostring(settings.part):match "^(%d+)/(%d+)$"
for i, case in ipairs(cases) do
  if settings.seconds and os.time() - started >= settings.seconds then break end
  if not own or i % parts == own % parts then attempt(table.unpack(case)) end
end
support.remove(home)
print(("%d of %d calls and ways tried, seed %d: %d ended the run, %d broken"):format(tried, calls, settings.seed, ended,
  broken))
os.exit(broken == 0 and tried > 0)
