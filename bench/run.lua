-- The benchmark: networks of networks.lua against PyTorch, in processes that take turns, and where their time goes.
--   lua5.4 bench/run.lua BUILD [quick] [NET…] [threads=2] [rounds=9] [compiled] [python=PATH] [out=FILE]
-- A whole run writes docs/results/bench.md; one that is quick, or that names networks, writes to standard output alone,
-- unless out= is given. All write BUILD/bench/profile.md. `compiled` also times what torch.compile makes, and python=
-- is one that has PyTorch. A network that does not compute what PyTorch's does ends it with exit status 1.
--   lua5.4 bench/run.lua BUILD accuracy [threads=2] [steps=20000]
-- writes docs/results/accuracy.md: seconds of training to 98 %, 99 % and 99.2 %.
local here <const> = arg[0]:match "^(.*)/[^/]*$" or "."
local build <const> = arg[1] or error("usage: run.lua BUILD [quick|accuracy] [NET…] [threads=2] [rounds=9]", 0)
package.path = here .. "/?.lua;lua/?.lua;lua/?/init.lua;" .. package.path
package.cpath = build .. "/lib/?.so;" .. package.cpath

local lfs = require "lfs"
local now = require "sm.runtime".system.now
local search = require "sm.data.search"
local contestant = require "contestant"
local networks = require "networks"
local peers_of = require "peers"
local report = require "report"
local must, quote = contestant.must, contestant.quote

-- ---- what was asked for ----

local settings = { rounds = 9, threads = 2, steps = 20000, seconds = 0.8, profiled = 20, nets = {} }

local function read_arguments()
  for i = 2, #arg do
    local name, value = arg[i]:match "^(%l+)=(.+)$"
    if arg[i] == "quick" then
      settings.quick, settings.rounds, settings.seconds, settings.profiled = true, 3, 0.2, 5
    elseif arg[i] == "accuracy" or arg[i] == "compiled" then
      settings[arg[i]] = true
    elseif networks[arg[i]] then
      table.insert(settings.nets, networks[arg[i]])
    elseif name == "out" or name == "python" then
      settings[name] = value
    elseif (name == "rounds" or name == "threads" or name == "steps") and (math.tointeger(value) or 0) > 0 then
      settings[name] = math.tointeger(value)
    else
      error(("bench: '%s' is none of quick, accuracy, compiled, threads=2, rounds=9, steps=20000, python=PATH, "
        .. "out=FILE, and no network of bench/networks.lua"):format(arg[i]), 0)
    end
  end
  settings.partial = settings.quick or #settings.nets > 0
  if #settings.nets == 0 then settings.nets = networks end
end

local function say(...) io.stderr:write("bench: ", ..., "\n") end

local function write(path, text)
  must("mkdir -p " .. quote(path:match "^(.*)/" or "."))
  local file <close> = assert(io.open(path, "w"))
  assert(file:write(text))
  say("wrote " .. path)
end

-- ---- who takes turns ----

-- OpenBLAS's threads look for work for a while after the last of it: nobody is timed while others' still do.
local SETTLE <const> = "sleep 0.05"

--- Rounds in which each is asked for the median of so many of its steps that they take `settings.seconds`.
--- @param list table array of {key=, program=, job = function (count) → its job}
--- @return table key → median milliseconds
local function race(list)
  local counts, times, medians = {}, {}, {}
  -- Loading a framework takes a second on every core: nobody is timed before all can answer.
  for _, one in ipairs(list) do one.program:ask(one.job(1)) end
  for _, one in ipairs(list) do
    local count = 1e3 * settings.seconds // one.program:ask(one.job(1))
    counts[one.key], times[one.key] = math.max(1, math.min(50, count)), {}
  end
  for _ = 1, settings.rounds do
    for _, one in ipairs(list) do
      must(SETTLE)
      table.insert(times[one.key], one.program:ask(one.job(("%d"):format(counts[one.key]))))
    end
  end
  for key, values in pairs(times) do medians[key] = report.median(values) end
  return medians
end

local function timed(count) return "time " .. count end

local function start_ours(peers, words)
  return contestant.start("smrun", peers_of.ours(peers, settings.threads, "step.lua " .. words))
end

local function stop_all(list)
  for _, one in ipairs(list) do one.program:stop() end
end

-- ---- what is measured ----

local function ways(network)
  local list = { "contiguous" }
  if #network.input == 3 then list[2] = "channels_last" end
  if settings.compiled then list[#list + 1] = "compiled" end
  return list
end

--- One network, which ends the program unless it computes the same as PyTorch's.
--- @return table of report.text's networks
--- @return string the profile
local function measure(peers, network, file, found)
  local name, list = network.name, {}
  peers_of.write(peers, name, file, settings.threads)
  local different = peers.python and peers_of.difference(peers, name, file, settings.threads)
  if different then
    say(different)
    os.remove(file)
    os.exit(1)
  end
  list[1] = { key = "ours", program = start_ours(peers, "net=" .. name), job = timed }
  for _, way in ipairs(peers.python and ways(network) or {}) do
    list[#list + 1] = { key = way, job = timed, program = contestant.start("PyTorch", peers_of.theirs(peers,
      ("step.py %s %s %d %s"):format(name, quote(file), settings.threads, way))) }
  end
  local hand_written = name == "tutorial" and peers.onednn and contestant.start("oneDNN",
    ("env OMP_NUM_THREADS=%d %s"):format(settings.threads, quote(peers.onednn)))
  local turns = table.move(list, 1, #list, 1, {})
  if hand_written then
    turns[#turns + 1] = { key = "onednn", program = hand_written, job = function(count)
      return ("step relu adam %d %d %s"):format(network.batch, settings.threads, count)
    end }
  end
  local t = race(turns)
  found.onednn = found.onednn or t.onednn
  t.name, t.batch, t.of_ten = name, network.batch, network.of_ten
  t.peak = list[1].program:ask "peak"
  local fastest
  for i = 2, #list do
    if not fastest or t[list[i].key] < t[fastest.key] then fastest = list[i] end
  end
  t.torch_peak = fastest and fastest.program:ask "peak"
  stop_all(turns)

  local p = report.read_profile(must(("env LUA_PATH=%s LUA_CPATH=%s lua5.4 %s/profile.lua %s %d %d"):format(
    quote(package.path), quote(package.cpath), here, name, settings.threads, settings.profiled)))
  t.floor, t.outside, t.whole = p.floor, p.outside, p.whole
  return t, report.profile(name, p)
end

--- How many times as long a step takes that is full of subnormal numbers.
local function subnormal(peers)
  local list = {}
  for _, key in ipairs { "false", "true" } do
    list[#list + 1] = { key = key, job = timed, program = start_ours(peers, "net=tutorial subnormal=" .. key) }
  end
  local t = race(list)
  stop_all(list)
  return t["true"] / t["false"]
end

--- Whether MNIST is there, and where.
local function mnist()
  for _, directory in ipairs(search.directories "mnist") do
    if lfs.attributes(directory .. "/train-images-idx3-ubyte") then return directory end
  end
end

local function accuracy_command(peers, words)
  return peers_of.ours(peers, settings.threads, "accuracy.lua " .. words)
end

--- Seconds from the start of a process until 98 % of the test images are right, all that it does counted.
local function to_98(peers)
  if not mnist() then return say "no MNIST; fetch it with: smrun data mnist" end
  local times = {}
  for i = 1, 3 do
    local before = now()
    must(accuracy_command(peers, "level=98 every=100"))
    times[i] = now() - before
  end
  return report.median(times)
end

-- $1, and then the peak of its memory in KiB.
local PEAK <const> = [[
$1 >/dev/null & pid=$!
peak() { sed -n 's/^VmHWM:[^0-9]*\([0-9]*\) kB/\1/p' /proc/$pid/status 2>/dev/null; }
while now=$(peak) && [ "$now" ]; do last=$now; sleep 0.05; done
wait $pid && echo $last]]

--- Peak of the memory of the main experiment with its views, in MB.
local function main_experiment(peers)
  if not mnist() then return end
  local runs = os.tmpname()
  os.remove(runs)
  local command = ("%s --trust --quiet --threads %d --runs %s experiments/softmax_groups.lua steps=500"):format(
    quote(peers.build .. "/smrun"), settings.threads, quote(runs))
  local peak = must("sh -c " .. quote((PEAK:gsub("%$1", function() return command end))))
  must("rm -r " .. quote(runs))
  return tonumber(peak) * 1024 / 1e6
end

local function benchmark(peers)
  local found = { threads = settings.threads, rounds = settings.rounds, machine = report.machine(peers),
                  torch = peers.torch, networks = {} }
  local profiles, file = {}, os.tmpname() .. ".npz"
  for _, network in ipairs(settings.nets) do
    say(network.name)
    found.networks[#found.networks + 1], profiles[#profiles + 1] = measure(peers, network, file, found)
  end
  os.remove(file)
  if #settings.nets > 1 then
    say "subnormal numbers"
    found.subnormal = subnormal(peers)
  end
  if not settings.partial then
    say "98 %"
    found.accuracy, found.views = to_98(peers), main_experiment(peers)
  end
  write(build .. "/bench/profile.md", "# Where the time of a step goes\n\n" .. table.concat(profiles, "\n"))
  return report.text(found)
end

-- ---- accuracy ----

local function levels_of(text)
  local result = {}
  for line in text:gmatch "[^\n]+" do
    local level, step, seconds = line:match "^(%S+)\t(%S+)\t(%S+)$"
    if level then result[level] = ("%s s (%s steps)"):format(seconds, step) end
    local last, time, percent = line:match "^end\t(%d+)\t(%S+) (%S+)$"
    if last then result.last, result.time, result.percent = last, time, percent end
  end
  return result
end

local function accuracy(peers)
  local directory = mnist() or error("bench: no MNIST; fetch it with: smrun data mnist", 0)
  local machine = report.table({ "machine", "" }, report.machine(peers)):gsub("%-%-:", "---")
  local steps = settings.quick and 200 or settings.steps
  local programs = {
    { "smrun, softmax in groups + SMORMS3 (the main experiment)",
      accuracy_command(peers, ("steps=%d recipe=default"):format(steps)) },
    { "smrun, the tutorial's recipe (relu, Adam 1e-4)",
      accuracy_command(peers, ("steps=%d recipe=tutorial"):format(steps)) },
    peers.python and { "PyTorch tuned, the tutorial's recipe", peers_of.theirs(peers,
      ("torch_accuracy.py %s %d 200 %d channels_last"):format(quote(directory), steps, settings.threads)) },
  }
  local rows = {}
  for _, program in ipairs(programs) do
    say(program[1])
    local r = levels_of(must(program[2]))
    rows[#rows + 1] = { program[1], r["98"] or "–", r["99"] or "–", r["99.2"] or "–", r.time,
                        ("%s %% at %s"):format(r.percent, r.last) }
  end
  local text = "# Time to accuracy\n\nSeconds of training until the test accuracy first reaches a level: %d threads, "
    .. "batch 50, at most %d steps, measured on the 10,000 test images every 200 steps, which is not "
    .. "counted. One seed each.\n\n%s\n%s"
  return text:format(settings.threads, steps, report.table({ "", "98 %", "99 %", "99.2 %", "ms a step", "last" }, rows),
    machine)
end

read_arguments()
local peers = peers_of.find(build, settings.python)
local text = (settings.accuracy and accuracy or benchmark)(peers)
print(text)
local out = settings.accuracy and "docs/results/accuracy.md" or "docs/results/bench.md"
if settings.out or not settings.partial then write(settings.out or out, text) end
