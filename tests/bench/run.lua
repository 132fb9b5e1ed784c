-- The benchmark: what is compared runs in one process each, in turns, and medians are shown.
--   lua5.4 tests/bench/run.lua BUILD [quick] [PART…] [threads=1,2] [batches=1,50] [rounds=5]
--   [steps=20000] [out=FILE]
-- Parts: kernels, steps, profile, evaluation, softmax, startup, steady (all of them by default), and accuracy on
-- its own. A whole run writes docs/results/bench.md, accuracy writes docs/results/accuracy.md; one that is quick,
-- or that was told what to leave out, writes to standard output alone, unless out= is given. A kernel that is
-- wrong ends it with exit status 1.
local here <const> = arg[0]:match "^(.*)/[^/]*$" or "."
local build <const> = arg[1]
  or error("usage: run.lua BUILD [quick] [PART…] [threads=…] [batches=…] [rounds=5] [out=FILE]", 0)
package.path = here .. "/?.lua;lua/?.lua;lua/?/init.lua;" .. package.path
package.cpath = build .. "/lib/?.so;" .. package.cpath

local lfs = require "lfs"
local system = require "sm.runtime".system
local search = require "sm.data.search"
local contestant = require "contestant"
local report = require "report"
local aims = require "aims"
local number, ratio = report.number, report.ratio
local capture, must, quote = contestant.capture, contestant.must, contestant.quote

local smrun <const> = quote(build .. "/smrun") .. " --trust"

-- ---- what was asked for ----

local order <const> = { "kernels", "steps", "profile", "evaluation", "softmax", "startup", "steady" }
local settings = { rounds = 5, threads = { 1, 2 }, batches = { 1, 10, 50, 250, 1000 }, parts = {},
                   whole = true }

local function read_arguments()
  local known = { accuracy = true }
  for _, part in ipairs(order) do known[part] = true end
  for i = 2, #arg do
    local name, value = arg[i]:match "^(%w+)=(.+)$"
    if arg[i] == "quick" then
      settings.rounds, settings.batches, settings.quick = 2, { 50 }, true
    elseif known[arg[i]] then
      settings.parts[arg[i]], settings.whole = true, false
    elseif name == "rounds" and math.tointeger(value) and math.tointeger(value) > 0 then
      settings.rounds = math.tointeger(value)
    elseif (name == "threads" or name == "batches") and value:find "^[1-9][%d,]*$" then
      settings[name], settings.partial = {}, true
      for count in value:gmatch "%d+" do table.insert(settings[name], math.tointeger(count)) end
    elseif name == "steps" and math.tointeger(value) and math.tointeger(value) > 0 then
      settings.steps = math.tointeger(value)
    elseif name == "out" then
      settings.out = value
    else
      error(("bench: '%s' is none of quick, accuracy, %s, threads=1,2, batches=1,10,50,250,1000, rounds=5, "
        .. "steps=20000, out=FILE"):format(arg[i], table.concat(order, ", ")), 0)
    end
  end
  if settings.whole then
    for _, part in ipairs(order) do settings.parts[part] = true end
  end
end

-- ---- who takes part ----

local function find_peers()
  local peers = { cores = system.cores(), onednn = lfs.attributes(build .. "/bench/onednn_step") ~= nil }
  for _, python in ipairs { "/usr/bin/python3", "python3" } do
    local text, good = capture(python .. " -c 'import numpy, torch; print(torch.__version__)' 2>/dev/null")
    if good then
      peers.python, peers.torch_version = python, text:match "%S+"
      break
    end
  end
  if peers.python then
    local text = capture("OPENBLAS_VERBOSE=2 " .. peers.python .. " -c 'import torch' 2>&1")
    peers.torch_kernels = text:match "Core: (%S+)" or "unknown"
  end
  peers.strace = select(2, capture "command -v strace >/dev/null")
  peers.mnist = search.destination "mnist"
  for _, directory in ipairs(search.directories "mnist") do
    if lfs.attributes(directory .. "/train-images-idx3-ubyte") then peers.mnist = directory break end
  end
  peers.has_mnist = peers.mnist and lfs.attributes(peers.mnist .. "/train-images-idx3-ubyte") ~= nil
  return peers
end

--- PyTorch's environment as an expert would set it: the right kernels, and freed memory that stays in the
--- process.
local function tuned_environment()
  return ("OPENBLAS_CORETYPE=%s MALLOC_MMAP_THRESHOLD_=1073741824 MALLOC_TRIM_THRESHOLD_=4294967296")
    :format(report.smrun_facts(build .. "/smrun").kernel)
end

local layouts <const> = { "contiguous", "channels_last" }

local function start_ours(threads)
  return contestant.start("smrun", ("%s --threads %d %s/jobs.lua"):format(smrun, threads, here))
end

--- Starts everybody for one number of threads.
--- @return table array of {key=, suffix=(of its jobs), program=}; PyTorch is there once for each memory
--- format
local function start_all(peers, threads, with_onednn)
  local list = {}
  local function add(key, program, suffix)
    list[#list + 1] = { key = key, program = program, suffix = suffix or "" }
  end
  add("ours", start_ours(threads))
  if peers.python then
    for _, tuning in ipairs { "plain", "tuned" } do
      local environment = "OMP_NUM_THREADS=" .. threads
      if tuning == "tuned" then environment = environment .. " " .. tuned_environment() end
      local program = contestant.start("PyTorch " .. tuning,
        ("env %s %s %s/torch_jobs.py"):format(environment, peers.python, here))
      for _, layout in ipairs(layouts) do add(tuning .. " " .. layout, program, " " .. layout) end
    end
  end
  if with_onednn and peers.onednn then
    add("onednn", contestant.start("oneDNN", ("env OMP_NUM_THREADS=%d %s"):format(threads,
      quote(build .. "/bench/onednn_step"))))
  end
  -- Loading a framework takes a second on every core: nobody is timed before all can answer.
  for _, one in ipairs(list) do one.program:ask(("step relu adam 1 %d 1%s"):format(threads, one.suffix)) end
  return list
end

local function stop_all(list)
  local stopped = {}
  for _, one in ipairs(list) do
    if not stopped[one.program] then one.program:stop() end
    stopped[one.program] = true
  end
end

-- OpenBLAS's threads look for work for a while after the last of it: nobody is timed while others' still do.
local settle <const> = "sleep 0.05"

--- One job to everybody who may take part, in turns.
--- @param may function|nil (key) → whether this one takes part
--- @return table key → median milliseconds; "plain" and "tuned" are the better format of PyTorch
local function race(list, job, rounds, may)
  local times, medians = {}, {}
  for _ = 1, rounds do
    for _, one in ipairs(list) do
      if not may or may(one.key) then
        times[one.key] = times[one.key] or {}
        must(settle)
        table.insert(times[one.key], one.program:ask(job .. one.suffix))
      end
    end
  end
  for key, values in pairs(times) do medians[key] = report.median(values) end
  for _, tuning in ipairs { "plain", "tuned" } do
    local a, b = medians[tuning .. " contiguous"], medians[tuning .. " channels_last"]
    medians[tuning] = a and b and math.min(a, b)
  end
  return medians
end

local torch_head <const> = { "PyTorch", "channels last", "tuned", "tuned, channels last" }
local torch_keys <const> = { "plain contiguous", "plain channels_last", "tuned contiguous",
                             "tuned channels_last" }

local function in_threads(count)
  return count == 1 and "1 thread" or count .. " threads"
end

-- ---- the parts: each returns Markdown, and leaves what the summary needs in `found` ----

local parts = {}

function parts.kernels(_, found)
  local text = { "Every kernel was first checked against a plain reference in double, and its whole result "
    .. "against oneDNN's. oneDNN has its own blocked formats, and bringing data into them is not counted. "
    .. "The yardstick is the peak of OpenBLAS's matrix products for convolutions and products, and for the "
    .. "others a plain loop that moves the same bytes through arrays of the same sizes. The error is the "
    .. "largest deviation as a share of the largest value.\n" }
  for _, threads in ipairs(settings.threads) do
    local table_text, good = capture(("env OMP_NUM_THREADS=%d %s %d %d"):format(threads,
      quote(build .. "/bench/kernels"), threads, settings.quick and 5 or 15))
    text[#text + 1] = ("### %s\n\n%s"):format(in_threads(threads), table_text)
    if not good then
      io.stderr:write(table_text, "bench: a kernel is wrong; nothing else was timed\n")
      os.exit(1)
    end
    found.kernels, found.kernel_threads = {}, threads
    for line in table_text:gmatch "[^\n]+" do
      local name, peer, yardstick = line:match "^| (.-) | [%d.]+ | %S+ | (%S+) | %S+ | (%S+) |"
      if name then found.kernels[name] = { peer = tonumber(peer), yardstick = tonumber(yardstick) } end
    end
  end
  return table.concat(text, "\n")
end

local combinations <const> = { { "relu", "adam" }, { "softmax", "adam" }, { "softmax", "smorms3" } }

--- Steps that one answer is the median of.
local function steps_for(batch)
  return batch >= 1000 and 1 or batch >= 250 and 3 or batch >= 50 and 10 or 30
end

-- Memory is slower for some seconds now and then, where other machines share it: the batch that most aims are about
-- is looked at for longer than that.
local function rounds_for(batch)
  return batch >= 250 and (settings.rounds + 1) // 2 or batch == 50 and 2 * settings.rounds + 1 or settings.rounds
end

--- Numbers of threads against each other, in turns too: minutes apart, the machine itself would not be the same.
local function scaling(found)
  local list, head, rows = {}, { "activation" }, {}
  for _, threads in ipairs(settings.threads) do
    list[#list + 1] = { key = threads, program = start_ours(threads),
                        suffix = (" %d %d"):format(threads, steps_for(50)) }
    head[#head + 1] = in_threads(threads)
  end
  head[#head + 1] = "1 thread ÷ 2 threads"
  found.scaling = {}
  for _, activation in ipairs { "relu", "softmax" } do
    local t = race(list, ("step %s adam 50"):format(activation), rounds_for(50))
    found.scaling[activation] = t
    local row = { activation }
    for _, threads in ipairs(settings.threads) do row[#row + 1] = number(t[threads]) end
    row[#row + 1] = ratio(t[1], t[2])
    rows[#rows + 1] = row
  end
  stop_all(list)
  return "### Threads\n\nA step of 50 images with Adam, with each number of threads in turns.\n\n"
    .. report.table(head, rows)
end

function parts.steps(peers, found)
  local text = { "Milliseconds of a whole step on random images: forward, loss, backward, optimizer. PyTorch "
    .. "in both of its memory formats, as it comes and tuned; the ratios take the faster format. oneDNN is "
    .. "the same step written by hand on its primitives.\n" }
  found.steps = {}
  for _, threads in ipairs(settings.threads) do
    local list = start_all(peers, threads, true)
    for _, combination in ipairs(combinations) do
      local activation, rule = combination[1], combination[2]
      local head = { "batch", "smrun", table.unpack(torch_head) }
      for _, name in ipairs { "oneDNN", "PyTorch ÷ smrun", "tuned ÷ smrun", "oneDNN ÷ smrun" } do
        head[#head + 1] = name
      end
      local rows = {}
      for _, batch in ipairs(settings.batches) do
        local rounds = rounds_for(batch)
        local job = ("step %s %s %d %d %d"):format(activation, rule, batch, threads, steps_for(batch))
        local t = race(list, job, rounds, function(key)
          return key ~= "onednn" or activation == "relu" and rule == "adam"
        end)
        found.steps[("%s %s %d %d"):format(activation, rule, threads, batch)] = t
        local row = { tostring(batch), number(t.ours) }
        for _, key in ipairs(torch_keys) do row[#row + 1] = number(t[key]) end
        row[#row + 1] = number(t.onednn)
        for _, key in ipairs { "plain", "tuned", "onednn" } do row[#row + 1] = ratio(t[key], t.ours) end
        rows[#rows + 1] = row
      end
      text[#text + 1] = ("### %s + %s, %s\n\n%s"):format(activation, rule == "adam" and "Adam" or "SMORMS3",
        in_threads(threads), report.table(head, rows))
    end
    stop_all(list)
  end
  if #settings.threads > 1 then text[#text + 1] = scaling(found) end
  return table.concat(text, "\n")
end

local SHOWN <const> = 0.05 -- milliseconds a step; what takes less is added up

--- One profile as a table: where a step's time goes, and what of it is above its floor.
local function profile_of(activation, rule, threads)
  local output = must(("env OMP_NUM_THREADS=%d LUA_PATH=%s LUA_CPATH=%s "
    .. "lua5.4 %s/profile.lua %s %s 50 %d"):format(threads, quote(package.path), quote(package.cpath), here, activation,
    rule, settings.quick and 20 or 100))
  local rows, small, left, whole, peak = {}, { 0, 0, 0 }, nil, nil, nil
  for line in output:gmatch "[^\n]+" do
    local calls, time, floor, name = line:match "^(%S+)\t(%S+)\t(%S+)\t(.+)$"
    time, floor = tonumber(time), tonumber(floor)
    if name and time >= SHOWN then
      rows[#rows + 1] = { name, number(time), number(floor), floor > 0 and number(time / floor) or "–",
                          number(math.max(time - floor, 0)) }
    elseif name then
      small = { small[1] + calls, small[2] + time, small[3] + floor }
    end
    left = left or tonumber(line:match "^left\t(%S+)$")
    if not whole then whole, peak = line:match "^whole\t(%S+)\t(%S+)$" end
  end
  rows[#rows + 1] = { ("%d shorter calls"):format(small[1]), number(small[2]), number(small[3]),
                      number(small[2] / small[3]), number(small[2] - small[3]) }
  rows[#rows + 1] = { "Lua: the tape, the layers, the loop", number(left), "–", "–", number(left) }
  rows[#rows + 1] = { "the whole step", number(tonumber(whole)), "–", "–", "–" }
  return ("### %s + %s, %s; the peak of a matrix product is %s GFLOP/s\n\n%s"):format(activation,
    rule == "adam" and "Adam" or "SMORMS3", in_threads(threads), peak,
    report.table({ "kernel and its operands", "ms", "floor", "ms ÷ floor", "above" }, rows))
end

function parts.profile()
  local text = { "Where each millisecond of a step of 50 images goes. A floor is the longer of two: the kernel's "
    .. "operations at the peak of a large matrix product (a convolution's are those of its direct sum without padding, "
    .. "so that Winograd's method may lie below), and its bytes, each operand once, at the speed of a copying loop "
    .. "over as many. The last column is what is still above the floor.\n" }
  for _, threads in ipairs(settings.threads) do
    text[#text + 1] = profile_of("relu", "adam", threads)
    text[#text + 1] = profile_of("softmax", "smorms3", threads)
  end
  return table.concat(text, "\n")
end

--- A table whose rows are the sizes of one kind of job.
--- @param job function (size) → the job's line without its memory format
local function compare(peers, threads, label, sizes, job, rounds, keep)
  local list, rows = start_all(peers, threads, false), {}
  for _, size in ipairs(sizes) do
    local t = race(list, job(size), rounds)
    keep[size] = t
    local row = { tostring(size), number(t.ours) }
    for _, key in ipairs(torch_keys) do row[#row + 1] = number(t[key]) end
    row[#row + 1], row[#row + 2] = ratio(t.plain, t.ours), ratio(t.tuned, t.ours)
    rows[#rows + 1] = row
  end
  stop_all(list)
  local head = { label, "smrun", table.unpack(torch_head) }
  head[#head + 1], head[#head + 2] = "PyTorch ÷ smrun", "tuned ÷ smrun"
  return report.table(head, rows)
end

local function most_threads()
  return math.max(table.unpack(settings.threads))
end

function parts.evaluation(peers, found)
  local threads = most_threads()
  found.evaluation = {}
  local function job(batch) return ("evaluate %d %d 1"):format(batch, threads) end
  return ("Milliseconds to classify 10,000 images of bytes without a tape, relu network, %s.\n\n%s"):format(
    in_threads(threads),
    compare(peers, threads, "batch", { 250, 1000 }, job, settings.rounds, found.evaluation))
end

function parts.softmax(peers, found)
  local threads = most_threads()
  found.softmax = {}
  local function job(groups) return ("softmax %d %d 20"):format(groups, threads) end
  local text = "Milliseconds of the first layer's softmax, 50×28×28×32, forward and back, %s.\n\n%s"
  return text:format(in_threads(threads),
    compare(peers, threads, "groups", { 1, 4 }, job, settings.rounds, found.softmax))
end

local no_mnist <const> = "**skipped**: no MNIST, see `smrun data mnist`"

--- Median milliseconds of a whole command, process and shell included.
local function wall(command, count)
  local times = {}
  for i = 1, count do
    local before = system.now()
    must(command)
    times[i] = (system.now() - before) * 1e3
  end
  return report.median(times)
end

function parts.startup(peers, found)
  local count, rows = settings.quick and 5 or 15, {}
  local function add(name, command, times)
    local time = wall("exec " .. command, times or count)
    rows[#rows + 1] = { name, number(time) }
    return time
  end
  add("`lua5.4 -e 'print(1)'`, for comparison", "lua5.4 -e 'print(1)'")
  found.print = add("`smrun -e 'print(1)'`", smrun .. " -e 'print(1)'")
  add("`smrun -e 'return sm.zeros(1)'`: with the numeric libraries", smrun .. " -e 'return sm.zeros(1)'")
  if peers.has_mnist then
    local runs = os.tmpname()
    os.remove(runs)
    found.first_step = add("start to first training step on MNIST",
      ("%s --quiet --again --runs %s %s/first_step.lua"):format(smrun, quote(runs), here), math.min(count, 7))
    must("rm -rf " .. quote(runs))
  else
    rows[#rows + 1] = { "start to first training step on MNIST", no_mnist }
  end
  if peers.python then
    add("`import torch`, for comparison", peers.python .. " -c 'import torch'", 3)
    if peers.has_mnist then
      add("start to first training step on MNIST in PyTorch", ("%s %s/torch_accuracy.py %s 1 2 %d contiguous")
        :format(peers.python, here, quote(peers.mnist), most_threads()), 3)
    end
  end
  return "Milliseconds from the shell's command to its end.\n\n" .. report.table({ "what", "ms" }, rows)
end

--- How often each system call was made between the two marks of steady.lua.
local function count_calls(trace)
  local calls, between = { brk = 0, mmap = 0, munmap = 0 }, false
  for line in trace:gmatch "[^\n]+" do
    if line:find "/nonexistent/steady%-begin" then between = true end
    if line:find "/nonexistent/steady%-end" then between = false end
    local call = line:match "^%s*%d*%s*(%l+)%("
    if between and calls[call] then calls[call] = calls[call] + 1 end
  end
  return calls
end

function parts.steady(peers, found)
  if not peers.has_mnist then return no_mnist .. "\n" end
  local command = ("%s --threads %d %s/steady.lua"):format(smrun, most_threads(), here)
  local steps, faults, before, after, peak, getting =
    must(command):match "(%d+)%s+(%d+)%s+(%d+)%s+(%d+)%s+(%d+)%s+(%S+)"
  local calls
  if peers.strace then
    local path = os.tmpname()
    local _, good = capture(("strace -f -o %s -e trace=brk,mmap,munmap,openat %s"):format(path, command))
    local file = io.open(path)
    if good and file then calls = count_calls(file:read "a") end
    if file then file:close() end
    os.remove(path)
  end
  local mebibytes = function(kib) return ("%.1f MiB"):format(tonumber(kib) / 1024) end
  found.steady = { calls = calls and calls.brk + calls.mmap + calls.munmap, faults = tonumber(faults),
                   peak = tonumber(peak) * 1024 / 1e6, growth = tonumber(after) - tonumber(before) }
  local skipped = "**skipped**: strace " .. (peers.strace and "may not trace here" or "is not installed")
  local text = "Steps 101–%d with the whole of MNIST loaded, softmax + SMORMS3, batch 50, %s.\n\n%s"
  return text:format(100 + tonumber(steps), in_threads(most_threads()), report.table({ "what", "" }, {
      { "brk, mmap, munmap",
        calls and ("%d, %d, %d"):format(calls.brk, calls.mmap, calls.munmap) or skipped },
      { "minor page faults", faults },
      { "resident memory before, after", mebibytes(before) .. ", " .. mebibytes(after) },
      { "peak resident memory", mebibytes(peak) },
      { "gathering and converting a batch, of each step", getting .. " ms" },
    }))
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
  if not peers.has_mnist then error("bench: no MNIST; fetch it with: smrun data mnist", 0) end
  local machine = report.machine(build, peers)
  local threads, steps = most_threads(), settings.steps or settings.quick and 200 or 20000
  local ours = ("%s --threads %d %s/accuracy.lua steps=%d recipe="):format(smrun, threads, here, steps)
  local programs = { { "smrun, softmax in groups + SMORMS3 (the main experiment)", ours .. "default" },
                     { "smrun, the tutorial's recipe (relu, Adam 1e-4)", ours .. "tutorial" } }
  local skipped = "\nPyTorch: **skipped**, python3-torch and python3-numpy are not installed.\n"
  if peers.python then
    local list = start_all(peers, threads, false)
    local t = race(list, ("step relu adam 50 %d 10"):format(threads), 3)
    stop_all(list)
    local layout = t["tuned contiguous"] <= t["tuned channels_last"] and "contiguous" or "channels_last"
    programs[3] = { ("PyTorch tuned (%s), the tutorial's recipe"):format(layout:gsub("_", " ")),
      ("env OMP_NUM_THREADS=%d %s %s %s/torch_accuracy.py %s %d 200 %d %s"):format(threads,
        tuned_environment(), peers.python, here, quote(peers.mnist), steps, threads, layout) }
    skipped = ""
  end
  local rows = {}
  for _, program in ipairs(programs) do
    io.stderr:write("bench: ", program[1], "\n")
    local r = levels_of(must(program[2]))
    rows[#rows + 1] = { program[1], r["98"] or "–", r["99"] or "–", r["99.2"] or "–", r.time,
                        ("%s %% at %s"):format(r.percent, r.last) }
  end
  local text = "# Time to accuracy\n\nSeconds of training until the test accuracy first reaches a level: %s, "
    .. "batch 50, at most %d steps, measured on the 10,000 test images every 200 steps, which is not "
    .. "counted. One seed each.\n\n%s%s\n%s"
  return text:format(in_threads(threads), steps,
    report.table({ "", "98 %", "99 %", "99.2 %", "ms a step", "last" }, rows), skipped, machine)
end

-- ---- all of it ----

local titles <const> = { kernels = "Kernels", steps = "The whole training step",
                         profile = "Profile of the step", evaluation = "Evaluation",
                         softmax = "Softmax", startup = "Start-up", steady = "Steady state" }

local function benchmark(peers)
  local machine, found, sections = report.machine(build, peers), {}, {}
  for _, part in ipairs(order) do
    if settings.parts[part] then
      io.stderr:write("bench: ", part, "\n")
      sections[#sections + 1] = ("## %s\n\n%s"):format(titles[part], parts[part](peers, found))
    end
  end
  local reached = aims.summary(found)
  local text = "# Benchmarks\n\nOne run of `make bench`: what is compared takes turns on the same machine, "
    .. "and every figure is a median. In `A ÷ B`, a number above 1 means that B is the faster.\n\n%s%s\n%s"
  return text:format(machine, reached and "\n## Aims\n\n" .. reached or "", table.concat(sections, "\n"))
end

local function write(path, text)
  must("mkdir -p " .. quote(path:match "^(.*)/" or "."))
  local file <close> = assert(io.open(path, "w"))
  assert(file:write(text))
  print("bench: wrote " .. path)
end

read_arguments()
local peers = find_peers()
local text, out
if settings.parts.accuracy then
  text, out = accuracy(peers), not settings.quick and "docs/results/accuracy.md" or nil
else
  text = benchmark(peers)
  if settings.whole and not settings.quick and not settings.partial then out = "docs/results/bench.md" end
end
print(text)
out = settings.out or out
if out then write(out, text) end
