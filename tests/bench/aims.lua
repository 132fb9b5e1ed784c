--- What the runtime aims at, and whether it got there.
local report = require "report"

local M = {}

local function over(a, b) return a and b and a / b end

local function in_threads(count)
  return count == 1 and "1 thread" or count .. " threads"
end

--- @return string Markdown, a row for every aim whose measurement was made
function M.summary(found)
  local rows = {}
  local function add(what, value, least, most)
    if not value then return end
    local good = (not least or value >= least) and (not most or value <= most)
    local wanted = least and "≥ " .. least or "≤ " .. most
    rows[#rows + 1] = { what, report.number(value), wanted, good and "yes" or "**no**" }
  end
  local steps = found.steps or {}
  local function step(activation, threads, batch)
    return steps[("%s adam %d %d"):format(activation, threads, batch)] or {}
  end

  for _, activation in ipairs { "relu", "softmax" } do
    for _, case in ipairs { { 2, 50, 2.2 }, { 1, 50, 1.8 }, { 2, 250, 1.8 }, { 2, 1000, 1.8 } } do
      local threads, batch, least = table.unpack(case)
      local t = step(activation, threads, batch)
      add(("tuned PyTorch ÷ smrun, %s + Adam, batch %d, %s"):format(activation, batch, in_threads(threads)),
        over(t.tuned, t.ours), least)
    end
    local t = step(activation, 2, 50)
    add(("PyTorch as it comes ÷ smrun, %s + Adam, batch 50, 2 threads"):format(activation),
      over(t.plain, t.ours), 3.5)
    local alone = (found.scaling or {})[activation] or {}
    add(("1 thread ÷ 2 threads, %s + Adam, batch 50"):format(activation), over(alone[1], alone[2]), 1.75)
  end
  for _, threads in ipairs { 1, 2 } do
    local t = step("relu", threads, 50)
    add("smrun ÷ hand-written oneDNN step, batch 50, " .. in_threads(threads), over(t.ours, t.onednn), nil,
      1.1)
  end

  local kernels = found.kernels or {}
  local place = found.kernel_threads and ", " .. in_threads(found.kernel_threads) or ""
  for _, name in ipairs { "conv2 forward", "conv2 data gradient", "conv2 filter gradient", "conv1 forward",
                          "conv1 filter gradient" } do
    add("oneDNN ÷ smrun, " .. name .. place, kernels[name] and kernels[name].peer, 0.85)
  end
  for _, name in ipairs { "SGD with momentum", "RMSprop", "Adam", "SMORMS3" } do
    local row = kernels[name .. ", 3.27 M weights"]
    add("moving the same bytes ÷ smrun, " .. name .. place, row and row.yardstick, 0.7)
  end
  for _, groups in ipairs { 1, 4 } do
    local t = (found.softmax or {})[groups] or {}
    add("tuned PyTorch ÷ smrun, softmax forward and back, groups: " .. groups, over(t.tuned, t.ours), 1.5)
  end
  for _, batch in ipairs { 250, 1000 } do
    local t = (found.evaluation or {})[batch] or {}
    add(("PyTorch as it comes ÷ smrun, evaluation, batch %d"):format(batch), over(t.plain, t.ours), 3)
    add(("tuned PyTorch ÷ smrun, evaluation, batch %d"):format(batch), over(t.tuned, t.ours), 3)
  end
  add("`smrun -e 'print(1)'`, ms", found.print, nil, 30)
  add("start to first training step on MNIST, ms", found.first_step, nil, 600)
  local steady = found.steady or {}
  add("brk, mmap and munmap in 100 steps", steady.calls, nil, 0)
  add("minor page faults in 100 steps", steady.faults, nil, 10)
  add("growth of resident memory in 100 steps, KiB", steady.growth, nil, 0)
  add("peak resident memory with MNIST, MB", steady.peak, nil, 350)
  return #rows > 0 and report.table({ "aim", "measured", "wanted", "reached" }, rows) or nil
end

return M
