--- Numbers as people read them, and the middle of many.
local sorted_keys = require "sm.ordered".sorted_keys

local M = {}

--- 12345 → "12,345".
--- @param number integer
function M.thousands(number)
  local grouped = ("%d"):format(number):reverse():gsub("(%d%d%d)", "%1,"):reverse()
  return (grouped:gsub("^(-?),", "%1"))
end

--- 7.3 s, 42 s, 4:05, 1:02:03
function M.duration(seconds)
  if seconds >= 2 ^ 53 then return ("%.3g s"):format(seconds) end
  if seconds < 10 then return ("%.1f s"):format(seconds) end
  local whole = math.floor(seconds + 0.5)
  if whole < 60 then return ("%d s"):format(whole) end
  if whole < 3600 then return ("%d:%02d"):format(whole // 60, whole % 60) end
  return ("%d:%02d:%02d"):format(whole // 3600, whole // 60 % 60, whole % 60)
end

--- 0.05 ms, 17.3 ms
function M.milliseconds(number)
  return (number < 10 and "%.2f ms" or "%.1f ms"):format(number)
end

--- 98.76 %
function M.percent(fraction)
  return ("%.2f %%"):format(100 * fraction)
end

--- loss 0.0412  accuracy 98.76 %  f1 0.9
--- @param loss number|nil
--- @param accuracy number|nil
--- @param metrics table|nil name → number
function M.figures(loss, accuracy, metrics)
  local parts = { loss and ("loss %-7.4g"):format(loss) }
  parts[#parts + 1] = accuracy and ("accuracy %8s"):format(M.percent(accuracy))
  for _, name in ipairs(sorted_keys(metrics or {})) do parts[#parts + 1] = ("%s %-7.4g"):format(name, metrics[name]) end
  return table.concat(parts, "  ")
end

--- The middle of many.
--- @return number|nil nil for no values
function M.median(values)
  if #values == 0 then return nil end
  local sorted, half = table.move(values, 1, #values, 1, {}), #values // 2
  table.sort(sorted)
  return #sorted % 2 == 1 and sorted[half + 1] or (sorted[half] + sorted[half + 1]) / 2
end

return M
