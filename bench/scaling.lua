-- One run by several processes: what two of them take on this machine, a model of a step by many, and what it says of
-- a cluster. Writes docs/results/scale.md.
--   lua5.4 bench/scaling.lua BUILD [rounds=3] [out=FILE]
-- Needs `make cluster`, two cores, and nothing else that runs.
local here <const> = arg[0]:match "^(.*)/[^/]*$" or "."
local build <const> = arg[1] or error("usage: scaling.lua BUILD [rounds=3] [out=FILE]", 0)
package.path = here .. "/?.lua;lua/?.lua;lua/?/init.lua;" .. package.path
package.cpath = build .. "/lib/?.so;" .. package.cpath

local contestant = require "contestant"
local networks = require "networks"
local peers_of = require "peers"
local report = require "report"
local must, quote, number = contestant.must, contestant.quote, report.number

local rounds, out = 3, "docs/results/scale.md"
for i = 2, #arg do
  rounds = tonumber(arg[i]:match "^rounds=(%d+)$") or rounds
  out = arg[i]:match "^out=(.+)$" or out
end

-- A network of much arithmetic for few weights, one with a batchnorm in every layer, one of many weights.
local NETWORKS <const> = { "vgg", "resnet", "mlp" }
local STEPS <const> = { vgg = 100, resnet = 150, mlp = 1500 } -- the first dozen take longer

-- Where ranks lie: gigabytes a second of one direction, seconds from one process to another through MPI.
local LINKS <const> = { { name = "10 Gbit/s Ethernet", rate = 1.1, delay = 30e-6 },
                        { name = "100 Gbit/s InfiniBand", rate = 11, delay = 2e-6 } }
local RANKS <const> = { 2, 4, 16, 64, 256, 1024 }
local BACKWARD <const> = 2 / 3 -- of the time that grows with the examples: while it goes on, sums can
local SLOT <const> = 2 ^ 20    -- bytes that are summed at once

-- ---- what is measured ----

--- Median milliseconds of the steps of runs that go on at once, and how many parameters the network has.
--- @param commands table array of {words = of the shell before the program, threads=, batch=}
local function steps(net, commands)
  local parts, place = {}, os.tmpname()
  os.remove(place)
  for i, one in ipairs(commands) do
    parts[i] = ("env LUA_PATH=%s %s %s --trust --quiet --threads %d --runs %s-%d %s/scale.lua net=%s batch=%d steps=%d "
      .. ">/dev/null & "):format(quote(here .. "/?.lua;;"), one.words or "", quote(build .. "/smrun") ..
      (one.words and " --mpi" or ""), one.threads, place, i, here, net, one.batch, STEPS[net])
  end
  must("sh -c " .. quote(table.concat(parts) .. "wait"))
  local sum, count = 0, nil
  for i in ipairs(commands) do
    local text = must(("cat %s-%d/scale/*/summary.json && rm -r %s-%d"):format(place, i, place, i))
    sum, count = sum + tonumber(text:match '"median_step_ms": ([%d.e+-]+)'), tonumber(text:match '"parameters": (%d+)')
  end
  return sum / #commands, count
end

local MPI <const> = "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 mpirun --oversubscribe -n 2"

--- @return table of medians in milliseconds: one, half, together (two halves at once), ranks, two, two_half
local function measure(net)
  local whole <const> = networks[net].batch
  local half, times = whole // 2, {}
  local ways = {
    one = { { threads = 1, batch = whole } }, half = { { threads = 1, batch = half } },
    together = { { threads = 1, batch = half }, { threads = 1, batch = half } },
    ranks = { { words = MPI, threads = 1, batch = whole } },
    two = { { threads = 2, batch = whole } }, two_half = { { threads = 2, batch = half } },
  }
  local found = { batch = whole }
  for _ = 1, rounds do
    for way, commands in pairs(ways) do
      local milliseconds, parameters = steps(net, commands)
      times[way] = times[way] or {}
      table.insert(times[way], milliseconds)
      found.bytes = 4 * parameters
    end
  end
  for way, values in pairs(times) do found[way] = report.median(values) end
  found.norms = 0
  local model = networks[net].build(0.5):build(networks[net].input)
  for name in pairs(model:buffers()) do found.norms = found.norms + (name:find "mean$" and 1 or 0) end
  return found
end

--- What sums of two ranks take here: seconds of a small one, GB/s of one of 1 MB.
local function sums()
  local text = must(("env %s %s/cluster/mpi_sum time"):format(MPI, quote(build)))
  local small, rate = text:match "4000 bytes:%s*([%d.]+) ms", text:match "1000000 bytes:%s*[%d.]+ ms,%s*([%d.]+) GB/s"
  return tonumber(small) / 1e3, tonumber(rate)
end

-- ---- the model ----

--- How often all ranks wait for one another in a step, beside the sums of gradients.
local function exchanges(n) return 2 * n.norms + 2 end

--- Milliseconds of a step.
--- @param n table {fixed=, share= (both in ms), batch=, bytes=, norms=}
--- @param examples number of one rank
local function model(n, ranks, examples, link)
  local levels = 2 * math.log(ranks, 2)
  local compute = n.share * examples / n.batch
  local slots = math.ceil(n.bytes / SLOT)
  local gradients = 1e3 * (2 * (ranks - 1) / ranks * n.bytes / (link.rate * 1e9) + slots * levels * link.delay)
  local hidden = n.norms == 0 and BACKWARD * compute or 0
  local waiting = 1e3 * exchanges(n) * levels * link.delay
  return n.fixed + compute + waiting + math.max(0, gradients - hidden)
end

--- From times of a whole and of a half batch: what a step takes whatever its size, and what grows with it.
local function split(n, whole, half)
  n.fixed = math.max(0, 2 * half - whole)
  n.share = whole - n.fixed
  return n
end

-- ---- the tables ----

local function measured_table(found, delay, rate)
  local rows = {}
  for _, n in ipairs(found) do
    local expected = n.together + n.bytes / (rate * 1e6) + 1e3 * exchanges(n) * delay
    rows[#rows + 1] = { ("%s (%d)"):format(n.name, n.batch), number(n.one), number(n.two), number(n.half),
      number(n.together), number(expected), number(n.ranks), ("%+.0f %%"):format(100 * (expected / n.ranks - 1)),
      number(n.one / n.ranks) }
  end
  return report.table({ "network (batch)", "1 thread", "2 threads", "half a batch, 1 thread", "two such at once",
    "2 ranks, by the model", "2 ranks", "model's error", "1 thread ÷ 2 ranks" }, rows)
end

local function parts_table(found)
  local rows = {}
  for _, n in ipairs(found) do
    rows[#rows + 1] = { n.name, ("%.1f"):format(n.bytes / 1e6), ("%d"):format(exchanges(n)), number(n.fixed),
      number(1e3 * n.share / n.batch) }
  end
  return report.table({ "network", "gradients, MB", "exchanges a step", "fixed, ms", "an example, µs" }, rows)
end

--- @param examples function(n, ranks) → those of one rank
--- @param what function(n, ranks, ms, alone) → the text of a cell; alone: ms of one rank with all examples of a batch
local function cluster_table(found, examples, what)
  local head, rows = { "network, link" }, {}
  for _, ranks in ipairs(RANKS) do head[#head + 1] = ("%d"):format(ranks) end
  for _, n in ipairs(found) do
    for _, link in ipairs(LINKS) do
      local row = { n.name .. ", " .. link.name }
      for _, ranks in ipairs(RANKS) do
        row[#row + 1] = what(n, ranks, model(n, ranks, examples(n, ranks), link))
      end
      rows[#rows + 1] = row
    end
  end
  return report.table(head, rows)
end

--- Examples of one rank below which sums of gradients are longer than the backward pass that hides them.
local function thresholds(found)
  local rows = {}
  for _, n in ipairs(found) do
    local row = { n.name }
    for _, link in ipairs(LINKS) do
      local gradients = 2 * n.bytes / (link.rate * 1e6)
      row[#row + 1] = n.norms > 0 and "any" or ("%.0f"):format(math.max(1, gradients / (BACKWARD * n.share / n.batch)))
    end
    rows[#rows + 1] = row
  end
  return report.table({ "network", LINKS[1].name, LINKS[2].name }, rows)
end

local TEXT <const> = [[
# One run by several processes: measured, and a model

`mpirun -n R smrun --mpi FILE` trains one run by R processes, the ranks, with the bits of one
([how](../house.md#one-run-on-several-machines)). This page says what two ranks take on a machine of two cores, gives a
model of a step, checks it against what was measured, and asks it about clusters. **Nothing here was measured on more
than one machine.** `make bench-scale` writes the page.

## Measured
Milliseconds of a step with Adam on random data (`bench/scale.lua`): medians of each run's steps, and of %d rounds.

%s
Two ranks share the two cores and the memory of one machine. So a rank does not compute as fast as a process that is
alone: the column "two such at once" has two runs of half a batch that know nothing of each other. What two ranks take
beyond that is what they say to each other. The model adds the gradients' bytes at the %.1f GB/s that a sum of 1 MB goes
at between two ranks that do nothing else here, and %.0f µs for each exchange. It is too low: each rank has a thread
that computes and one that talks, so that four threads share two cores, and a sum waits until the scheduler lets both
sides talk. Where a rank has a core to spare for that it does not, which this machine cannot show. So what is said of
clusters below is the most that they could give.

On one machine threads are the better way: they share the weights, and divide Adam's work, which each rank does whole.

## The model
A step of R ranks, each a machine like this one with two threads and n examples, takes

    fixed + n · example + waiting + max(0, sums − hidden)

- **fixed** and **example**: from steps of a whole and of half a batch by 2 threads. The optimizer's work is in fixed.
- **waiting** = exchanges · 2 log₂R · delay. All ranks wait for one another twice for each batchnorm, once for the loss
  and once at the end of a step. A tree goes up and down.
- **sums** = 2 (R−1)/R · bytes / rate + 2 log₂R · delay for each MiB: recursive halving and doubling.
- **hidden** = 2/3 of n · example: sums go on while the walk back does. It is nothing in a network with batchnorm, for
  what a batchnorm exchanges waits behind the sums that were begun before.

%s
It assumes that all ranks are equally fast, and that nothing else uses the links:
%s.
Reading data, evaluation and checkpoints are not in it. Rank 0 evaluates while the others wait, so `schedule.evaluate`
should be rare.

## Larger batches: the same number of examples for each rank
The share of a rank's time that it computes, in percent; a rank has the batch of the table above.

%s
## The same batch: 1,024 examples divided
How many times as fast as one machine with all 1,024.

%s
Today a batch has at most 64 parts, and so a run at most 64 ranks. The columns beyond are what a larger tree would give.

## Where something else begins to pay
**Compression of gradients** shortens `sums` alone. It pays where they are not hidden: with fewer examples for each rank
than these. (With a batchnorm with any number, but there the waiting is longer.)

%s
It would give up that any number of ranks has the same bits, unless every rank rounds before the first addition.

**A parameter server** takes and gives 2·R·bytes through one machine, where a rank of the tree sends 2·bytes. So it is
slower from R = 2 on, as long as all wait for each other. It pays where ranks differ in speed and need not wait, which
is another method: its result depends on who came first.

**Pipelining**, layers on different machines, pays where the parameters do not fit: Adam keeps four numbers for each, so
24 GB end at 1.5 billion parameters, eight hundred times those of the largest network here. It pays also where one
layer's weights are far larger than its activations, as in the MLP: its first two layers send %.1f MB of gradients, and
activations of %.1f MB for a batch of 100.

**Fewer exchanges** would pay first: with batchnorm in every layer, waiting is most of what %d ranks lose on Ethernet.
Statistics of each rank's own examples need none, and are another network; layernorm needs none, and is one, too.

%s]]

local function sizes(link) return ("%s at %.3g GB/s and %.0f µs"):format(link.name, link.rate, 1e6 * link.delay) end

local peers = peers_of.find(build)
local delay, rate = sums()
local found = {}
for i, net in ipairs(NETWORKS) do
  io.stderr:write("scaling: ", net, "\n")
  found[i] = measure(net)
  found[i].name = net
  split(found[i], found[i].two, found[i].two_half)
end
local weak = cluster_table(found, function(n) return n.batch end, function(n, _, ms)
  return ("%.0f"):format(100 * (n.fixed + n.share) / ms)
end)
local ALL <const> = 1024
local strong = cluster_table(found, function(_, ranks) return ALL / ranks end, function(n, _, ms)
  return number((n.fixed + n.share * ALL / n.batch) / ms)
end)
local machine = report.table({ "machine", "" }, report.machine(peers)):gsub("%-%-:", "---")
local hidden_units, floats = 1024, 4
local text = TEXT:format(rounds, measured_table(found, delay, rate), rate, 1e6 * delay, parts_table(found),
  sizes(LINKS[1]) .. ", and " .. sizes(LINKS[2]), weak, strong, thresholds(found),
  floats * (784 + hidden_units) * hidden_units / 1e6, floats * 2 * 100 * hidden_units / 1e6, 64,
  machine:gsub("| PyTorch[^\n]*\n", ""):gsub("| oneDNN[^\n]*\n", ""))
local file <close> = assert(io.open(out, "w"))
assert(file:write(text))
print(text)
