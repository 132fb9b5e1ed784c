--- The benchmark's report: numbers as text, Markdown tables, the machine and the versions.
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

--- How many times as long as `ours` something took: "2.31", or a dash where it was not measured.
function M.ratio(theirs, ours)
  return theirs and ours and ("%.2f"):format(theirs / ours) or "–"
end

--- A Markdown table; the first column is text, the others are numbers.
--- @param head table array of texts
--- @param rows table array of arrays of texts
function M.table(head, rows)
  local lines = { "| " .. table.concat(head, " | ") .. " |", "|---" .. ("|--:"):rep(#head - 1) .. "|" }
  for _, row in ipairs(rows) do lines[#lines + 1] = "| " .. table.concat(row, " | ") .. " |" end
  return table.concat(lines, "\n") .. "\n"
end

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

--- @param build string the build directory
--- @param peers table of run.lua: what there is to compare with
--- @return string Markdown
function M.machine(build, peers)
  local facts = M.smrun_facts(build .. "/smrun")
  local cpu = file_text "/proc/cpuinfo"
  local memory = tonumber(file_text "/proc/meminfo":match "MemTotal:%s*(%d+)") or 0
  local caches = "lscpu | sed -n 's/^\\(L[23]\\) cache: *\\(.*\\)/\\1 \\2/p' | paste -sd, | sed 's/,/, /g'"
  local release = file_text "/etc/os-release":match 'PRETTY_NAME="([^"]*)"' or "unknown"
  local revision = first_line "git rev-parse --short HEAD"
  local changed = first_line "git status --porcelain --untracked-files=no" ~= ""
  local rows = {
    { "processor", ("%s, %d cores"):format(cpu:match "model name%s*:%s*([^\n]+)" or "unknown", peers.cores) },
    { "caches", first_line(caches) },
    { "memory", ("%.0f GiB"):format(memory / 2 ^ 20) },
    { "load average before", file_text "/proc/loadavg":match "^%S+ %S+ %S+" or "unknown" },
    { "system", ("%s, kernel %s"):format(release, first_line "uname -r") },
    { "compiler", first_line "gcc --version" },
    { "smrun", ("%s, revision %s%s, core built for %s"):format(facts.version,
      revision ~= "" and revision or "unknown", changed and " with changes" or "",
      facts["instruction set"]) },
    { "OpenBLAS", ("%s; kernels in smrun: %s"):format(facts.OpenBLAS:match "OpenBLAS (%S+)", facts.kernel) },
    { "PyTorch", peers.python and ("%s; its OpenBLAS takes the kernels %s"):format(peers.torch_version,
      peers.torch_kernels) or "**skipped**: python3-torch and python3-numpy are not installed" },
    { "oneDNN", peers.onednn and "see the tables of kernels"
      or "**skipped**: it was not there when the benchmark was built (libdnnl-dev and g++)" },
    { "measured", os.date "!%Y-%m-%d %H:%M UTC" },
  }
  return (M.table({ "machine", "" }, rows):gsub("%-%-:", "---"))
end

return M
