--- The benchmark's report: numbers as text, Markdown tables, what was aimed at, the machine and the versions.
local contestant = require "contestant"

local M = {}

function M.median(values)
  table.sort(values)
  local middle = #values // 2
  return #values % 2 == 1 and values[middle + 1] or (values[middle] + values[middle + 1]) / 2
end

--- Three significant digits, or a dash for nil.
function M.number(value)
  if not value then return "–" end
  local digits = value >= 100 and 0 or value >= 10 and 1 or value >= 1 and 2 or 3
  return ("%%.%df"):format(digits):format(value)
end

local number <const> = M.number

--- A Markdown table; the first column is text, the others are numbers.
--- @param head table array of texts
--- @param rows table array of arrays of texts
function M.table(head, rows)
  local lines = { "| " .. table.concat(head, " | ") .. " |", "|---" .. ("|--:"):rep(#head - 1) .. "|" }
  for _, row in ipairs(rows) do lines[#lines + 1] = "| " .. table.concat(row, " | ") .. " |" end
  return table.concat(lines, "\n") .. "\n"
end

-- ---- the machine ----

local function first_line(command)
  return (contestant.capture(command .. " 2>/dev/null"):match "[^\n]*")
end

local function file_text(path)
  local file <close> = io.open(path)
  return file and file:read "a" or ""
end

--- What smrun --version --verbose says: {["  kernel"] = "SkylakeX", …} without the indentation.
function M.smrun_facts(smrun)
  local facts = {}
  for line in contestant.must(contestant.quote(smrun) .. " --version --verbose"):gmatch "[^\n]+" do
    local name, value = line:match "^%s*(.-)%s%s+(.+)$"
    if name then facts[name] = value else facts.version = line end
  end
  return facts
end

--- @param peers table of peers.lua
--- @return table rows of texts
function M.machine(peers)
  local facts, cpu = peers.facts, file_text "/proc/cpuinfo"
  local _, cores = cpu:gsub("processor%s*:", "")
  local caches = "lscpu | sed -n 's/^\\(L[23]\\) cache: *\\(.*\\)/\\1 \\2/p' | paste -sd, | sed 's/,/, /g'"
  local revision = first_line "git rev-parse --short HEAD"
  local changed = first_line "git status --porcelain --untracked-files=no" ~= ""
  return {
    { "processor", ("%s, %d cores; %s"):format(cpu:match "model name%s*:%s*([^\n]+)" or "unknown", cores,
      first_line(caches):match ".+" or "caches unknown") },
    { "system", ("%s, kernel %s; load average before %s"):format(
      file_text "/etc/os-release":match 'PRETTY_NAME="([^"]*)"' or "unknown", first_line "uname -r",
      file_text "/proc/loadavg":match "^%S+ %S+ %S+" or "unknown") },
    { "smrun", ("%s, revision %s%s, %s; core built for %s"):format(facts.version,
      revision ~= "" and revision or "unknown", changed and " with changes" or "", first_line "gcc --version",
      facts["instruction set"]) },
    { "OpenBLAS", ("%s; kernels in smrun: %s"):format(facts.OpenBLAS:match "OpenBLAS (%S+)", facts.kernel) },
    { "PyTorch", peers.torch and ("%s; by itself its OpenBLAS would take the kernels %s"):format(peers.torch,
      peers.torch_kernels or "that are not told") or "**absent**: python3-torch and python3-numpy are not installed" },
    { "oneDNN", peers.onednn and "the step of bench/onednn_step.cpp"
      or "**absent**: it was not there when the benchmark was built (libdnnl-dev and g++)" },
    { "measured", os.date "!%Y-%m-%d %H:%M UTC" },
  }
end

-- ---- the table and the aims ----

--- PyTorch's fastest way, in milliseconds, or nil.
local function best(n)
  local least = math.huge
  for _, way in ipairs { "contiguous", "channels_last", "compiled" } do least = math.min(least, n[way] or least) end
  return least < math.huge and least or nil
end

local function ratio(n)
  local theirs = best(n)
  return theirs and theirs / n.ours
end

local function networks_table(found)
  local compiled, rows = false, {}
  for _, n in ipairs(found.networks) do compiled = compiled or n.compiled ~= nil end
  for _, n in ipairs(found.networks) do
    local row = { ("%s (%d)"):format(n.name, n.batch), number(n.ours), number(n.contiguous), number(n.channels_last),
                  number(ratio(n)), number(n.floor), ("%s (%.1f %%)"):format(number(n.outside),
                  100 * n.outside / n.whole), ("%.0f"):format(n.peak),
                  n.torch_peak and ("%.0f"):format(n.torch_peak) or "–" }
    if compiled then table.insert(row, 5, number(n.compiled)) end
    rows[#rows + 1] = row
  end
  local head = { "network (batch)", "smrun, ms", "PyTorch, ms", "channels last", "PyTorch ÷ smrun", "floor, ms",
                 "outside kernels, ms", "peak, MB", "PyTorch's, MB" }
  if compiled then table.insert(head, 5, "compiled") end
  return M.table(head, rows)
end

-- Of a table of ratios the geometric mean and the least one with its name, of those that `which` chooses.
local function summary(found, which)
  local logarithms, count, worst = 0, 0, nil
  for _, n in ipairs(found.networks) do
    local value = which(n) and ratio(n)
    if value then
      logarithms, count = logarithms + math.log(value), count + 1
      if not worst or value < worst.value then worst = { value = value, name = n.name } end
    end
  end
  return count > 0 and math.exp(logarithms / count) or nil, worst or {}, count
end

local AIMS <const> = { -- of PyTorch 1 and of PyTorch 2
  { mean = 2.8, worst = 2, tutorial = 3.5 }, { mean = 1.8, worst = 1.3, tutorial = 2 },
}

local function aims_table(found)
  local aims, by_name, rows = AIMS[(found.torch or "1"):find "^[2-9]" and 2 or 1], {}, {}
  for _, n in ipairs(found.networks) do by_name[n.name] = n end
  local function add(what, value, least, most)
    if not value then return end
    local reached = (not least or value >= least) and (not most or value <= most)
    local wanted = least and "≥ " .. least or "≤ " .. most
    rows[#rows + 1] = { what, number(value), wanted, reached and "yes" or "**no**" }
  end
  local function named(name) return by_name[name] or {} end
  local mean, worst, count = summary(found, function(n) return n.of_ten end)
  add(("geometric mean of PyTorch ÷ smrun, %s"):format(count == 10 and "the ten" or count .. " of the ten"), mean,
    aims.mean)
  add(("the worst of these: %s"):format(worst.name), worst.value, aims.worst)
  local _, other = summary(found, function(n) return not n.of_ten and n.name ~= "lenet10" end)
  add(("the worst of the others: %s"):format(other.name), other.value, aims.worst)
  add("the tutorial's network", ratio(named "tutorial"), aims.tutorial)
  add("98 % test accuracy on MNIST from process start, seconds", found.accuracy, nil, 6)
  add("smrun ÷ hand-written oneDNN step, the tutorial's network",
    found.onednn and named "tutorial".ours / found.onednn, nil, 0.6)
  local small = named "lenet10"
  add("LeNet at batch 10: time outside kernels, % of a step", small.outside and 100 * small.outside / small.whole, nil,
    10)
  add("a step full of subnormal numbers ÷ an ordinary one, the tutorial's network", found.subnormal, nil, 1.05)
  local deep = named "resnet"
  add("ResNet-20: peak memory ÷ PyTorch's", deep.torch_peak and deep.peak / deep.torch_peak, nil, 1)
  add("experiments/softmax_groups.lua: peak memory with its views, MB", found.views, nil, 300)
  return M.table({ "aim", "measured", "wanted", "reached" }, rows)
end

--- @param found table {threads, rounds, machine = rows of texts, torch = its version, networks = a list of {name,
--- batch, of_ten, ours, contiguous, channels_last, compiled, floor, outside, whole, peak, torch_peak}, accuracy = its
--- seconds, onednn = its milliseconds, subnormal = a ratio, views = MB}: what was not measured is nil
--- @return string Markdown
function M.text(found)
  local text = [[
# Benchmarks

Milliseconds of a training step with Adam on a fixed random batch, %d threads: medians of %d rounds in which all take
turns. `bench/networks.lua` and `bench/networks.py` have the networks. Before anything was timed, both had the same loss
and gradients with the same weights, and the same loss after five steps. PyTorch is tuned as an expert would: the
processor's kernels of OpenBLAS, and freed memory that stays in the process; the ratio takes its faster format. The
floor is the sum over all kernels of the longer of two times: that of their operations at the peak of a matrix product
(a convolution's direct sum, which Winograd's method may go below), and that of their bytes at the speed of a copy.
`make bench` writes where each millisecond goes to `build/bench/profile.md`.

%s
%s
%s]]
  local machine = M.table({ "machine", "" }, found.machine):gsub("%-%-:", "---")
  return text:format(found.threads, found.rounds, networks_table(found), aims_table(found), machine)
end

-- ---- the profile ----

--- What profile.lua prints, understood.
--- @return table {kernels = list of {calls, time, floor, name}, outside, collected, whole, peak, floor}
function M.read_profile(output)
  local p = { kernels = {}, floor = 0 }
  for line in output:gmatch "[^\n]+" do
    local calls, time, floor, name = line:match "^(%S+)\t(%S+)\t(%S+)\t(.+)$"
    if name then
      p.kernels[#p.kernels + 1] = { tonumber(calls), tonumber(time), tonumber(floor), name }
      p.floor = p.floor + tonumber(floor)
    elseif line:find "^outside" then
      local outside, collected = line:match "^outside\t(%S+)\t(%S+)$"
      p.outside, p.collected = tonumber(outside), tonumber(collected)
    else
      local whole, peak = line:match "^whole\t(%S+)\t(%S+)$"
      p.whole, p.peak = tonumber(whole), tonumber(peak)
    end
  end
  return p
end

local SHOWN <const> = 0.01 -- of a step; what takes less is added up

--- One profile as Markdown: where a step's time goes, and what of it is above its floor.
function M.profile(name, p)
  local rows, small = {}, { 0, 0, 0 }
  local function row(what, time, floor)
    return { what, number(time), number(floor), floor > 0 and number(time / floor) or "–",
             number(math.max(time - floor, 0)) }
  end
  for _, kernel in ipairs(p.kernels) do
    local calls, time, floor, what = table.unpack(kernel)
    if time >= SHOWN * p.whole then
      rows[#rows + 1] = row(("%g × %s"):format(calls, what), time, floor)
    else
      small = { small[1] + calls, small[2] + time, small[3] + floor }
    end
  end
  rows[#rows + 1] = row(("%g shorter calls"):format(small[1]), small[2], small[3])
  rows[#rows + 1] = row(("outside kernels: the tape, the layers, the loop; %s of it to collect tensors"):format(
    number(p.collected)), p.outside, 0)
  rows[#rows + 1] = row("the whole step", p.whole, p.floor)
  return ("## %s\n\nThe peak of a matrix product is %s GFLOP/s.\n\n%s"):format(name, number(p.peak),
    M.table({ "kernel and its operands", "ms", "floor", "ms ÷ floor", "above" }, rows))
end

return M
