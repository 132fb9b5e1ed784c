--- Fails the n-th allocation, for every n, of every case in tests/fault/cases.lua, and likewise the n-th call of the
-- system of those that touch files; and lets the address space grow by so much and no more. Each n has a process of its
-- own, a fork of one that has everything loaded. There the case must give its result or an error that says what is
-- missing, and end, without a signal. After it nothing may be left: no memory of tensors, no block taken outside Lua,
-- no growth of Lua's heap or registry, no descriptor, no temporary file; and the same call, with nothing failing, must
-- give what it gives elsewhere.
-- Usage: tests/fault/allocations.sh BUILD [case=PATTERN] [seconds=S] [seed=N] [length=N] [kind=memory|calls|room]
--   [most=N] [verbose]
--   seconds  time for all of it: then n are drawn, by the seed, as many as there is time for
--   length   how many fail in a row; every case is run with 1, 2 and all from the n-th on where it is not given
--   most     problems that are printed (100)
local inject = require "inject"
local lfs = require "lfs"

local settings = { case = "", seed = os.time() }
for _, word in ipairs(arg) do
  local key, value = word:match "^(%l+)=?(.*)$"
  settings[key] = tonumber(value) or value
end
math.randomseed(settings.seed)

local ALL <const> = 1 << 40
local SLACK <const> = 24 << 10 -- bytes by which Lua's heap may differ: sizes of its stack and of its table of strings
local SMALLEST_ROOM <const>, ROOMS <const> = 4096, 16 -- bytes; each is twice the one before
local LIMIT <const> = 20 -- seconds of the processor for one process
local SAID <const> = { "not enough memory", "out of memory", "error in error handling", "Cannot allocate memory" }

local home = os.tmpname()
os.remove(home)
assert(lfs.mkdir(home))

local support = dofile "tests/fault/support.lua"
local cases = dofile "tests/fault/cases.lua"(home, support)

local function collect()
  collectgarbage()
  collectgarbage()
end

local function registry_size()
  local size = 0
  for _ in pairs(debug.getregistry()) do size = size + 1 end
  return size
end

-- What is there after a collection.
local function standing()
  local runtime = package.loaded["sm.runtime"]
  collect()
  return { live = runtime and runtime.tensor.memory() or 0, descriptors = inject.descriptors(),
    registry = registry_size(), heap = math.floor(1024 * collectgarbage "count") }
end

local function remains(directory, found)
  for name in lfs.dir(directory) do
    local path = directory .. "/" .. name
    if name:find "%.tmp%-" then found[#found + 1] = path end
    if name ~= "." and name ~= ".." and lfs.symlinkattributes(path, "mode") == "directory" then
      remains(path, found)
    end
  end
  return found
end

local function says(message, what)
  for _, words in ipairs(what or {}) do
    if message:find(words) then return true end
  end
  return false
end

--- In a process of its own: the case twice, the first time with something failing.
--- @param expected table|nil what the same without a failure has given
--- @return string lines: how many of the kind there were, how many failed, and each thing that is wrong
local function attempt(case, kind, n, length, way, expected)
  local wrong = {}
  local function complain(format, ...) wrong[#wrong + 1] = (format:format(...):gsub("\n", "\\n")) end
  inject.limit(LIMIT)
  if case.settle then case.settle() end
  if case.before then case.before() end
  local before = standing()
  if kind == "room" and n > 0 then
    inject.arm("memory", 0)
    inject.room(math.floor(SMALLEST_ROOM * 2 ^ n))
  else
    inject.arm(kind == "calls" and kind or "memory", n, length, way)
  end
  local ok, result = pcall(case.run)
  inject.room()
  local made, failed, where = inject.disarm()
  if ok then
    result = support.digest(result)
    if expected and result ~= expected.result and not case.loose then
      complain("another result: %s", support.difference(result, expected.result))
    end
  else
    local message = tostring(type(result) == "table" and (result.message or support.digest(result)) or result)
    local said = kind == "calls" and message:find(case.file) or kind ~= "calls" and says(message, SAID)
      or says(message, case.also)
    if not expected then complain("without a failure: %s", message)
    elseif not said then complain("the error does not say it: %s", message) end
  end
  if kind ~= "calls" then
    for _, path in ipairs(remains(home, {})) do complain("a temporary file is left: %s", path) end
  end
  if case.after then
    local whole, problem = pcall(case.after, ok)
    if not whole then complain("after it: %s", problem) end
  end
  if case.before then case.before() end
  result = nil
  local again, problem = pcall(function() result = support.digest(case.run()) end)
  if not again and says(tostring(problem), case.lasting) then
    result = nil
  elseif not again then
    complain("the same call afterwards: %s", tostring(type(problem) == "table" and problem.message or problem))
  elseif expected and result ~= expected.result then
    complain("another result afterwards: %s", support.difference(result, expected.result))
  end
  local now = standing()
  for key, value in pairs(before) do now[key] = now[key] - value end
  if #remains(home, {}) > 0 then complain "a temporary file stays" end
  local held = inject.held()
  if not expected then
    return support.pack { made = made, wrong = wrong, now = now, held = held, result = result }
  end
  if now.live ~= expected.now.live then complain("%d bytes of tensors more", now.live - expected.now.live) end
  if now.descriptors ~= expected.now.descriptors then complain "descriptors stay open" end
  local registry, heap = now.registry - expected.now.registry, now.heap - expected.now.heap
  if registry > 0 and not case.cold then complain("%d more in the registry", registry) end
  if heap > SLACK then complain("Lua's heap has %d bytes more", heap) end
  for place, count in pairs(held) do
    local counted = place:find "sm_memory_take" or place:find "sm_lua_allocate" -- these are `live`, or Lua's heap
    local more = counted and 0 or count - (expected.held[place] or 0)
    local of_loader = case.cold and place:find "^ld%-"
    if more > 0 and not of_loader then complain("%d blocks of %s are not given back", more, place) end
  end
  return support.pack { made = made, failed = failed, where = where, wrong = wrong, raised = not ok }
end

--- The same from outside: whether it ended by itself, and what it said.
local function child(...)
  local given = table.pack(...)
  local output, how, code = inject.child(function() return attempt(table.unpack(given, 1, given.n)) end)
  if how == "exit" and code == 0 then return support.unpack(output) end
  return { made = 0, failed = 0, wrong = { ("%s %d %s"):format(how, code, output) } }
end

local WAYS <const> = {
  memory = { { 1 }, { 2 }, { ALL } },
  room = { { 1 } },
  calls = { { 1, "EIO" }, { ALL, "ENOSPC" }, { 1, "EINTR" }, { 1, "short" } },
}

local broken, tried, failed, raised, places, counted = 0, 0, 0, 0, 0, 0

local function complain(case, kind, n, way, problems)
  if #problems == 0 then return end
  broken = broken + 1
  if broken > (settings.most or 100) then return end
  print(("%s: %s %d, %s in a row%s:"):format(case.name, kind, n, way[1] == ALL and "all" or way[1],
    way[2] and ", " .. way[2] or ""))
  for _, problem in ipairs(problems) do print("    " .. problem) end
  io.stdout:flush()
end

--- The ways in which a case is to be tried, with how many places each has.
local function plan(case, plans)
  if case.prepare then case.prepare() end
  if not case.cold then
    if case.before then case.before() end
    case.run() -- loads what is loaded when it is first used
  end
  for kind, ways in pairs(WAYS) do
    if (kind ~= "calls" or case.file) and (not settings.kind or settings.kind == kind) then
      local expected = child(case, kind, 0, 0, nil, nil)
      complain(case, kind, 0, { 0 }, expected.wrong)
      counted = counted + 1
      if settings.verbose then print(("%s: %d %s"):format(case.name, expected.made, kind)) end
      for _, way in ipairs(#expected.wrong == 0 and ways or {}) do
        if not settings.length or settings.length == way[1] then
          plans[#plans + 1] = { case = case, kind = kind, way = way, expected = expected,
            count = kind == "room" and ROOMS or expected.made }
        end
      end
    end
  end
end

local function try(one, n)
  local got = child(one.case, one.kind, n, one.way[1], one.way[2], one.expected)
  tried, failed, raised = tried + 1, failed + got.failed, raised + (got.raised and 1 or 0)
  complain(one.case, one.kind, n, one.way, got.wrong)
end

-- What a process costs beside what it does, counted in allocations.
local FORK <const> = 200

--- Tries all places, or for so many seconds such as are drawn: each way of each case takes about as long as any other.
local function try_all(plans, seconds)
  local started = os.time()
  for _, one in ipairs(plans) do places = places + one.count end
  if not seconds then
    for _, one in ipairs(plans) do
      for n = 1, one.count do try(one, n) end
    end
    return
  end
  local spent = {}
  for i, one in ipairs(plans) do spent[i] = one.count > 0 and math.random() or math.huge end
  while #plans > 0 and os.time() - started < seconds do
    local next = 1
    for i in ipairs(plans) do
      if spent[i] < spent[next] then next = i end
    end
    local one = plans[next]
    try(one, math.random(one.count))
    spent[next] = spent[next] + FORK + one.expected.made
  end
end

-- What is to be loaded anew comes first.
for _, cold in ipairs { true, false } do
  local plans = {}
  for _, case in ipairs(cases) do
    if case.name:find(settings.case) and (case.cold or false) == cold then plan(case, plans) end
  end
  try_all(plans, settings.seconds and settings.seconds * (cold and 0.2 or 0.8))
end
local missed = settings.case == "" and dofile "tests/fault/coverage.lua".missed(cases) or {}
if #missed > 0 then print("no case calls " .. table.concat(missed, ", ")) end
support.remove(home)
print(("%d cases, seed %d: %d of %d places tried, %d allocations and calls failed, %d errors raised, %d broken")
  :format(counted, settings.seed, tried, places, failed, raised, broken))
os.exit(broken == 0 and tried > 0 and #missed == 0)
