--- Runs every C test and every Lua spec against the builds named on the command line, the C tests also with the core
-- for lesser processors, and closes with "N passed, N failed". The exit status is 1 if anything failed, or if a
-- program ended without saying what it ran. The first build takes all specs; a build of another real type takes the
-- numerical ones.
-- Usage: lua5.4 tests/run.lua BUILD…      environment: SPECS="pattern" picks specs, PRELOAD=library for lua5.4
local lfs = require "lfs"

local passed, failed = 0, 0
local NUMERICAL = { autograd = true, graphs = true, inplace = true, ops = true, nn = true, optim = true, tensor = true, torch = true }

local function files(directory, pattern)
  local found = {}
  for name in lfs.dir(directory) do
    if name:find(pattern) then found[#found + 1] = name end
  end
  table.sort(found)
  return found
end

--- Runs a command and returns its output and whether it exited with 0.
local function run(command)
  local lines = {}
  local wrapped = '{ %s; } 2>&1; echo "exit $?"'
  local pipe <close> = assert(io.popen(wrapped:format(command), "r"))
  for line in pipe:lines() do lines[#lines + 1] = line end
  local status = table.remove(lines)
  return table.concat(lines, "\n"), status == "exit 0"
end

local function count(title, good, bad, output, started)
  passed, failed = passed + good, failed + bad
  print(("%-44s %4d passed %4d failed %6.1f s"):format(title, good, bad, os.time() - started))
  if bad > 0 then print(output) end
  io.stdout:flush()
end

--- @param core {name=, directory=}|nil the core to test, instead of the one for this processor
local function c_test(path, core)
  local started = os.time()
  local library = core and ("LD_LIBRARY_PATH='%s' "):format(core.directory) or ""
  local output, success = run(("%s'%s'"):format(library, path))
  local function tests(outcome) -- of all the groups that the program ran
    local sum = 0
    for number in output:gmatch("%[  " .. outcome .. "  %] (%d+) test") do sum = sum + math.tointeger(number) end
    return sum
  end
  local good, bad = tests "PASSED", tests "FAILED"
  if bad == 0 and (not success or good == 0) then bad = 1 end
  count(path .. (core and " (" .. core.name .. ")" or ""), good, bad, output, started)
end

--- The cores of a build that are not this processor's best.
local function lesser_cores(build)
  local best = run(("'%s/smrun' --version -v"):format(build)):match "instruction set%s+(%S+)"
  local levels, found = build .. "/lib/glibc-hwcaps", {}
  if best == "base" or not lfs.attributes(levels) then return found end
  local base = build .. "/tests/base" -- a directory without better ones beside it, where the loader would look
  lfs.mkdir(base)
  lfs.link("../../lib/libsmrun.so", base .. "/libsmrun.so", true)
  found[1] = { name = "base", directory = base }
  for _, name in ipairs(files(levels, "^[^.]")) do
    if name < best then found[#found + 1] = { name = name, directory = levels .. "/" .. name } end
  end
  return found
end

local function spec(build, name)
  local started = os.time()
  local environment = ("LUA_PATH='lua/?.lua;lua/?/init.lua;;' LUA_CPATH='%s/lib/?.so;;' SMRUN='%s/smrun'")
    :format(build, build)
  local preload = os.getenv "PRELOAD"
  if preload then
    environment = ('%s LD_PRELOAD="%s" ASAN_OPTIONS="$ASAN_OPTIONS:detect_leaks=0"'):format(environment, preload)
  end
  local output, success = run(("%s busted --lua=lua5.4 -o plainTerminal '%s'"):format(environment, name))
  local good = tonumber(output:match "(%d+) success") or 0
  local bad = (tonumber(output:match "(%d+) failure") or 0) + (tonumber(output:match "(%d+) error") or 0)
  local skipped = output:match "(%d+) pending"
  if bad == 0 and (not success or good + tonumber(skipped or 0) == 0) then bad = 1 end
  count(name .. (build == arg[1] and "" or " (" .. build .. ")"), good, bad, output, started)
  if bad == 0 and tonumber(skipped or 0) > 0 then
    for line in output:gmatch "[^\n]*Pending[^\n]*\n[^\n]*" do print("  skipped: " .. line:gsub("\n", " ")) end
  end
end

for number, build in ipairs(arg) do
  local tests, lesser = files(build .. "/tests", "^test_[%w_]+$"), lesser_cores(build)
  for _, name in ipairs(tests) do c_test(build .. "/tests/" .. name) end
  for _, core in ipairs(lesser) do
    for _, name in ipairs(tests) do c_test(build .. "/tests/" .. name, core) end
  end
  for _, name in ipairs(files("tests/lua", "_spec%.lua$")) do
    if (number == 1 or NUMERICAL[name:match "^(.*)_spec"]) and name:find(os.getenv "SPECS" or "") then
      spec(build, "tests/lua/" .. name)
    end
  end
end
print(("%d passed, %d failed"):format(passed, failed))
os.exit(failed == 0 and passed > 0)
