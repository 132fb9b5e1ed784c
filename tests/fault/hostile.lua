--- Runs hostile experiments, the files of tests/fault/hostile, each in a directory of its own with things around it
-- that it must neither read nor change, and says by class how many were contained. A file's first comment says what it
-- tries and what must come of it. Lines of this form in it tell the runner more:
--   -- expect: ok | error "words" | usage "words" | contained | killed   exit code 0; 1 or 2 with these words; 0 or 1;
--      not 0, by a limit
--   -- options: words       for smrun, before the file       -- command: words   in place of the file: resume RUN
--   -- says: words         that the output must have
--   -- limit: seconds       10, or what --max-time says       -- sends: SIGTERM after seconds
--   -- terminal             standard output is one            -- setup: Lua that prepares the directory
-- In the text @HERE@ is the directory, @TOKEN@ a word of this run's own, and @PID@ a process that must not be ended.
-- A script whose attack succeeds prints BREACH.
-- Usage: lua5.4 tests/fault/hostile.lua [pattern] [--jobs=2] [--part=N] [--seed=N] [--verbose] [--keep]
--     [--trust]
--   pattern  of CLASS/NAME     --part  one of N scripts, drawn by the seed     --verbose  prints what each one printed
--   --trust  without confinement, where most are not contained: the runner can fail
-- environment: SMRUN (build/smrun), CC
local lfs = require "lfs"
local support = dofile "tests/fault/support.lua"
local place = dofile "tests/fault/hostile_place.lua"

local SCRIPTS <const> = "tests/fault/hostile"
local ALLOWANCE <const> = 1 -- seconds that a limit may be late
local MEMORY <const> = 150 -- MiB that a process may take beyond --max-memory
local COMPLAINTS <const> = 6 -- of one script
local MIB <const> = { K = 1 / 1024, M = 1, G = 1024 }

local settings = { jobs = 2, seed = os.time(), part = 1, pattern = "" }
for _, word in ipairs(arg) do
  local name, value = word:match "^%-%-(%l+)=?(.*)$"
  if name then settings[name] = tonumber(value) or value else settings.pattern = word end
end
local smrun = os.getenv "SMRUN" or "build/smrun"
if smrun:sub(1, 1) ~= "/" then smrun = lfs.currentdir() .. "/" .. smrun end

local function output_of(command)
  local pipe <close> = assert(io.popen(command))
  return pipe:read "a"
end

local confines = output_of(("'%s' --help 2>&1"):format(smrun)):find("--max-time", 1, true) ~= nil

--- What a script says about itself.
local function head(text)
  local said = { setup = {} }
  for line in text:gmatch "[^\n]+" do
    local key, value = line:match "^%-%- (%l+):? ?(.*)$"
    if key == "setup" then
      said.setup[#said.setup + 1] = value
    elseif key == "expect" or key == "options" or key == "command" or key == "limit" or key == "sends"
      or key == "says" then
      said[key] = value
    elseif line == "-- terminal" then
      said.terminal = true
    end
  end
  said.options, said.setup = said.options or "", table.concat(said.setup, "\n")
  said.limit = tonumber(said.limit or said.options:match "%-%-max%-time (%d+)" or 10)
  said.after = tonumber((said.sends or ""):match "after ([%d.]+)" or 0)
  local amount, unit = said.options:match "%-%-max%-memory (%d+)(%u)"
  said.most_memory = amount and MIB[unit] * amount + MEMORY
  return said
end

--- What of the exit code and the output is not as the script says, or nil.
local function unexpected(said, result, output)
  local want, words = said.expect:match '^(%l+) ?"?([^"]*)'
  local code = result.exit
  if not code and (said.after == 0 or result.signal ~= 15) then return ("ended by signal %d"):format(result.signal) end
  if not code then return end -- as SIGTERM ends a program
  if want == "ok" and code ~= 0 then return ("exit code %d for 0"):format(code) end
  local failed = want == "usage" and 2 or want == "error" and 1
  if failed and code ~= failed then return ("exit code %d for %d"):format(code, failed) end
  if failed and not output:find(words, 1, true) then return ("does not say '%s'"):format(words) end
  if said.says and not output:find(said.says, 1, true) then return ("does not say '%s'"):format(said.says) end
  if want == "contained" and code > 1 then return ("exit code %d"):format(code) end
  if want == "killed" and (code == 0 or code == 2) then return ("exit code %d where a limit ends it"):format(code) end
  if want == "killed" and said.after == 0 and not output:find "smrun: " then return "says nothing" end
end

--- Control characters that came through. On a terminal smrun draws a line of progress: those of its own are left out.
local function control_codes(output, terminal)
  if terminal then
    output = output:gsub("\27%[[0-9;]*m", function(code) return code == "\27[31m" and code or "" end)
    output = output:gsub("\27%[[KJ]", ""):gsub("\27%[%d+A", ""):gsub("\r", "")
  end
  local found = output:match "[\0-\8\11-\31\127]" or output:match "\xc2[\x80-\x9f]"
  return found and ("control code %d in the output"):format(found:byte(-1))
end

--- Runs one script in a new directory beneath `home`. What is wrong, in words; empty where it was contained.
local function attempt(home, name, slack, suffix)
  local class, short = name:match "^(.-)/(.*)$"
  local text = support.read(("%s/%s.lua"):format(SCRIPTS, name))
  local said, wrong = head(text), {}
  assert(said.expect and text:find "^%-%- ", name .. " does not say what is expected")
  local here = place.make(home, class .. "-" .. short .. (suffix or ""), short, text, said)
  local before = place.snapshot(here.base)
  local output_file = ("%s/output/%s"):format(home, here.token)
  local options = settings.trust and "--trust" or confines and said.options or ""
  local command = ("cd '%s' && %s timeout 200 '%s/watch' %g %g %s '%s' '%s' %s %s </dev/null 2>&1"):format(
    here.path, here.environment, home, said.limit + ALLOWANCE + slack, said.after, said.terminal and "pty" or "pipe",
    output_file, smrun, options, here.command)
  local result = { left = {} }
  for key, value in output_of(command):gmatch "(%l+) ([^\n]*)\n" do
    if key == "left" then table.insert(result.left, value) else result[key] = tonumber(value) or value end
  end
  assert(result.seconds, command)
  local output = support.read(output_file)
  local function add(format, ...) wrong[#wrong + 1] = format:format(...) end
  if result.killed then
    add(result.killed == "time" and "still ran after %.1f s" or "took more than the machine has", result.seconds)
  end
  wrong[#wrong + 1] = not result.killed and unexpected(said, result, output) or nil
  local breach = output:match "BREACH[^\n]*"
  if breach then add("%s", breach:sub(1, 80)) end
  wrong[#wrong + 1] = control_codes(output, said.terminal)
  if #result.left > 0 then add("left a process: %s", table.concat(result.left, ", ")) end
  if said.most_memory and result.peak / 1024 > said.most_memory then
    add("took %.0f MiB of %.0f", result.peak / 1024, said.most_memory)
  end
  if place.says_secret(output) then add "the secret was printed" end
  place.compare(here, before, place.snapshot(here.base), add)
  place.leave(here, add, settings.keep)
  for i = COMPLAINTS + 1, #wrong do wrong[i] = i == COMPLAINTS + 1 and ("… %d in all"):format(#wrong) or nil end
  return { name = name, wrong = wrong, seconds = result.seconds, peak = result.peak / 1024,
    output = output:sub(1, 3000), ended = result.exit and "exit " .. result.exit or "signal " .. result.signal }
end

local function scripts()
  local names = {}
  for class in lfs.dir(SCRIPTS) do
    for file in lfs.dir(SCRIPTS .. "/" .. class) do
      local name = class .. "/" .. (file:match "^([%w_]+)%.lua$" or "")
      if name:find "^%l[^.]*/." and name:find(settings.pattern) then names[#names + 1] = name end
    end
  end
  table.sort(names)
  math.randomseed(settings.seed)
  for i = #names, 2, -1 do
    local k = math.random(i)
    names[i], names[k] = names[k], names[i]
  end
  return table.move(names, 1, (#names + settings.part - 1) // settings.part, 1, {})
end

--- One of several processes that share the scripts: whoever makes the directory of a script's name first runs it.
local function share(home)
  for _, name in ipairs(scripts()) do
    if lfs.mkdir(("%s/taken/%s"):format(home, (name:gsub("/", "-")))) then
      print((support.pack(attempt(home, name, settings.slack)):gsub("\\\n", "\\n")))
      io.stdout:flush()
    end
  end
end

--- How long the program takes to start, train and end at its slowest, in seconds. All that the page around a script
--- looks at must find nothing wrong here.
local function control(home)
  local slowest = 0
  for i = 1, 3 do
    local result = attempt(home, "control/train", 0, i)
    if #result.wrong > 0 then
      error(("the control is not contained: %s\n%s"):format(table.concat(result.wrong, "; "), result.output), 0)
    end
    slowest = math.max(slowest, result.seconds)
  end
  return slowest
end

if settings.within then return share(settings.within) end

local home <const> = place.home(smrun)
if not os.execute(("%s -std=c11 -O1 -Wall -o '%s/watch' tests/fault/watch.c"):format(os.getenv "CC" or "cc", home)) then
  os.exit(1)
end
assert(lfs.mkdir(home .. "/taken") and lfs.mkdir(home .. "/output"))
local slack <const> = control(home)
local words = ("'%s' --seed=%d --part=%d --within='%s' --slack=%g %s"):format(settings.pattern, settings.seed,
  settings.part, home, slack, (settings.keep and "--keep " or "") .. (settings.trust and "--trust" or ""))
local pipes, results, started = {}, {}, os.time()
for i = 1, settings.jobs do pipes[i] = assert(io.popen("lua5.4 tests/fault/hostile.lua " .. words)) end
for _, pipe in ipairs(pipes) do
  for line in pipe:lines() do results[#results + 1] = support.unpack(line) end
  assert(pipe:close(), "a process of the runner failed")
end
table.sort(results, function(a, b) return a.name < b.name end)

local classes, names, failed = {}, {}, 0
for _, result in ipairs(results) do
  local name = result.name:match "^[^/]+"
  local class = classes[name]
  if not class then
    class = { contained = 0, all = 0, slowest = 0, peak = 0 }
    classes[name], names[#names + 1] = class, name
  end
  class.all, class.slowest = class.all + 1, math.max(class.slowest, result.seconds)
  class.peak = math.max(class.peak, result.peak)
  if #result.wrong == 0 then
    class.contained = class.contained + 1
  else
    failed = failed + 1
    print(("%s: %s"):format(result.name, table.concat(result.wrong, "; ")))
  end
  if settings.verbose then
    print(("%s (%.1f s, %s)\n%s"):format(result.name, result.seconds, result.ended, result.output))
  end
end
print(("%-16s %9s %4s %9s %9s"):format("class", "contained", "of", "slowest s", "peak MiB"))
for _, name in ipairs(names) do
  local class = classes[name]
  print(("%-16s %9d %4d %9.1f %9.0f"):format(name, class.contained, class.all, class.slowest, class.peak))
end
print(("%d scripts, seed %d, start %.1f s, %d s: %d contained, %d not"):format(#results, settings.seed, slack,
  os.time() - started, #results - failed, failed))
if not settings.keep then support.remove(home) end
os.exit(failed == 0 and #results > 0)
