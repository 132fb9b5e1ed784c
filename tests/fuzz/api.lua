--- Calls every function of the interface with random arguments, sensible ones and hostile ones, and looks whether
-- all holds that should: no signal, no finding of a sanitizer, no call that takes long, memory within bounds, errors
-- that speak to the user, arguments unchanged, a library that still works.
-- Usage: lua5.4 tests/fuzz/api.lua BUILD [--seconds=N] [--seed=S] [--calls=N] [--quiet]
--   --seconds  how long in all (default 30)
--   --seed     the first case; each case is the next number and depends on that alone (default 1)
--   --calls    how many cases at most; each is a few calls that share their values. With 1 its lines are shown.
--   --quiet    no table of functions at the end
-- A case that fails is printed with its seed: `--seed=S --calls=1` replays it. The exit status is 1 where one did.
local CASES_AT_ONCE <const> = 400     -- that one process runs at most
local SECONDS_AT_ONCE <const> = 12    -- after which it begins no other case
local LIMIT <const> = 4               -- seconds of processor time that one call may take
local KILL <const> = 45               -- … after which the process is ended
local MEMORY <const> = 3 << 20        -- KiB of addresses, in builds without sanitizer

local options, build = { seconds = "30", seed = "1" }, nil
for _, argument in ipairs(arg) do
  local name, value = argument:match "^%-%-(%w+)=?(.*)$"
  if name then options[name] = value else build = argument end
end
local seconds, seed = tonumber(options.seconds), math.tointeger(tonumber(options.seed))
local most = options.calls and math.tointeger(tonumber(options.calls)) or math.maxinteger
if not build or not seconds or not seed then
  io.stderr:write("usage: lua5.4 tests/fuzz/api.lua BUILD [--seconds=N] [--seed=S] [--calls=N] [--quiet]\n")
  os.exit(2)
end

local function output_of(command)
  local pipe <close> = assert(io.popen(command))
  return (pipe:read "a":gsub("%s+$", ""))
end

local function read(path)
  local file <close> = io.open(path, "rb")
  return file and file:read "a" or ""
end

local root = output_of(("cd '%s/../..' && pwd"):format(arg[0]:match "^(.*)/[^/]*$" or "."))
build = output_of(("cd '%s' && pwd"):format(build))
local sanitized = read(build .. "/lib/sm/runtime.so"):find("libasan", 1, true) ~= nil
local directory <const> = output_of "mktemp -d"

--- What stands before the command of a child: its libraries, its limits.
local function environment()
  local words = {
    ("LUA_PATH='%s/lua/?.lua;%s/lua/?/init.lua;%s/tests/fuzz/?.lua;;'"):format(root, root, root),
    ("LUA_CPATH='%s/lib/?.so;;'"):format(build), "LUA_INIT= LUA_INIT_5_4=",
  }
  if sanitized then
    words[#words + 1] = "ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:max_allocation_size_mb=512:"
      .. "hard_rss_limit_mb=6000:exitcode=99 UBSAN_OPTIONS=print_stacktrace=1:exitcode=99"
    words[#words + 1] = ('LD_PRELOAD="%s"'):format(os.getenv "PRELOAD"
      or output_of "echo $(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)")
  end
  return table.concat(words, " ")
end

local prefix <const> = environment()
local limits <const> = ("ulimit -c 0; ulimit -t %d; %s"):format(KILL, sanitized and "" or "ulimit -v " .. MEMORY .. ";")

--- Runs cases in a process of their own: what it wrote, its errors, and how it ended.
local function run(first, count, trace, at_once)
  local scratch = directory .. "/cases"
  os.execute(("rm -rf '%s' && mkdir '%s'"):format(scratch, scratch))
  local _, how, code = os.execute(("cd '%s' && { %s env %s timeout -k 1 %d lua5.4 '%s/tests/fuzz/child.lua' %d %d %d "
    .. "'%s' %d </dev/null >output 2>errors; }"):format(scratch, limits, prefix, 8 * KILL, root, first, count,
    at_once or SECONDS_AT_ONCE, trace or "", sanitized and 3 * LIMIT or LIMIT))
  return read(scratch .. "/log"), read(scratch .. "/errors"), how == "exit" and code == 0, ("%s %s"):format(how, code)
end

local totals <const>, order <const> = {}, {}   -- function → {calls, of which went well, longest}
local findings, seen <const> = 0, {}           -- seen: kind of finding → how often

--- Prints a finding; of one kind only the first, the others are counted.
local function report(at, name, what, detail, lines)
  findings = findings + 1
  local key = what .. "\t" .. name .. "\t" .. detail:gsub("%d+", "N"):sub(1, 90)
  seen[key] = (seen[key] or 0) + 1
  if seen[key] > 1 then return end
  print(("\n-- seed %d: %s, in %s\n   %s\n%s"):format(at, what, name, detail, lines))
  io.stdout:flush()
end

local function lines_of(log)
  local lines = {}
  for line in log:gmatch "%f[^\n\0]| ([^\n]*)" do lines[#lines + 1] = "  " .. line end
  return table.concat(lines, "\n")
end

--- A process that did not end well: its last case, alone, says more.
local function report_crash(first, log, errors, how)
  local at
  for number in log:gmatch "seed (%-?%d+)\n" do at = math.tointeger(tonumber(number)) end
  if not at then
    report(first, "?", "the process does not start", how .. "\n" .. errors:sub(-3000), "")
    return nil
  end
  local alone_log, alone_errors, ended_well = run(at, 1, "trace")
  local note = ended_well and ("alone it ends well; --seed=%d --calls=%d"):format(first, at - first + 1) or ""
  local lines = lines_of(alone_log)
  local last = lines:match "([^\n]*)$":match "%s*([%w_.:]+)%(" or "?"
  lines = lines .. "\n" .. (ended_well and errors or alone_errors):sub(1, 6000)
  report(at, last, "the process ended: " .. how, note, lines)
  return at + 1
end

--- Takes what one process wrote; the number of the next case.
local function take(log)
  local found, rest = nil, {}
  for line in (log .. "end\n"):gmatch "([^\n]*)\n" do
    if found and line:sub(1, 2) ~= "| " then
      local at, name, what, detail = table.unpack(found)
      report(math.tointeger(tonumber(at)), name, what, detail, table.concat(rest, "\n"))
      found, rest = nil, {}
    end
    if found then rest[#rest + 1] = "  " .. line:sub(3) end
    if line:find "^finding\t" then found = { line:match "^finding\t(%-?%d+)\t([^\t]*)\t([^\t]*)\t(.*)$" } end
  end
  for name, calls, well, longest in log:gmatch "called\t([^\t]+)\t(%d+)\t(%d+)\t([%d.]+)\n" do
    local total = totals[name]
    if not total then
      total = { 0, 0, 0 }
      totals[name], order[#order + 1] = total, name
    end
    total[1], total[2] = total[1] + tonumber(calls), total[2] + tonumber(well)
    total[3] = math.max(total[3], tonumber(longest))
  end
  return math.tointeger(tonumber(log:match "\ndone (%-?%d+)\n"))
end

local started, next_seed = os.time(), seed
while next_seed - seed < most and os.time() - started < seconds do
  local count = math.min(CASES_AT_ONCE, most - (next_seed - seed))
  local left = math.max(1, math.min(SECONDS_AT_ONCE, started + seconds - os.time())) // 1
  local log, errors, ended_well, how = run(next_seed, count, count == 1 and "trace" or nil, left)
  if count == 1 then print(lines_of(log)) end
  local after = take(log)
  if not ended_well then after = report_crash(next_seed, log, errors, how) end
  if not after then break end
  next_seed = after
end
os.execute(("rm -rf '%s'"):format(directory))

if most == 1 then os.exit(findings == 0 and next_seed > seed) end
local calls, never = 0, {}
table.sort(order)
for _, name in ipairs(order) do
  calls = calls + totals[name][1] // 1
  if totals[name][2] == 0 then never[#never + 1] = name end
end
if not options.quiet then
  print("\nfunction                                   calls   went well   longest")
  for _, name in ipairs(order) do
    print(("%-40s %7d     %7d   %5.2f s"):format(name, totals[name][1], totals[name][2], totals[name][3]))
  end
end
local kinds = {}
for key, times in pairs(seen) do kinds[#kinds + 1] = ("%6d  %s"):format(times, (key:gsub("\t", "  "))) end
table.sort(kinds)
if kinds[1] then print("\n" .. table.concat(kinds, "\n")) end
print(("\nseeds %d to %d: %d calls of %d functions; never without an error: %s"):format(seed, next_seed - 1, calls,
  #order, #never > 0 and table.concat(never, ", ") or "none"))
print(("%d findings"):format(findings))
os.exit(findings == 0 and next_seed > seed)
