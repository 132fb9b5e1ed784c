--- The milestones of a comparison: validation accuracies, and how soon runs reach them.
local ladder = require "sm.study.progress".ladder

local M = {}

--- Validation accuracies whose time the table in CSV always tells, whatever the data.
local fixed_milestones <const> = { 0.98, 0.99, 0.992 }

local most_milestones <const> = 3

--- The highest validation accuracy that any run of a setting had at any time; nil where none has one.
local function highest(setting)
  local best
  for _, record in pairs(setting.runs) do
    local accuracy = record.progress.highest
    if accuracy and (not best or accuracy > best) then best = accuracy end
  end
  return best
end

--- How each run went that has validation accuracies.
--- @return table array of what sm.study.progress says
local function climbs(settings)
  local list = {}
  for _, setting in ipairs(settings) do
    for _, record in pairs(setting.runs) do
      if record.progress.first then list[#list + 1] = record.progress end
    end
  end
  return list
end

--- Whether the time to a rung says something: not where every run that got there was there at its first evaluation,
--- nor where every one got there in the same evaluation as to the rung above. So accuracies of which chance has more,
--- and those that so few examples cannot tell apart, are none.
--- @param above integer|nil
local function tells(runs, rung, above)
  local late, apart = false, above == nil
  for _, run in ipairs(runs) do
    local at, higher = run.steps[rung], above and run.steps[above]
    late = late or at ~= nil and at > run.first
    apart = apart or at ~= nil and (not higher or at < higher)
  end
  return late and apart
end

--- The milestones that mean something for these runs: the highest three rungs of the ladder that the best run of at
--- least half of the settings reached at some time, and whose times tell something.
--- @return table array of fractions, in order; empty where no run has a validation accuracy
function M.chosen(settings)
  local best, chosen, runs, above = {}, {}, climbs(settings), nil
  for _, setting in ipairs(settings) do best[#best + 1] = highest(setting) end
  table.sort(best, function(a, b) return a > b end)
  local common = best[(#settings + 1) // 2]
  for i = #ladder, 1, -1 do
    if common and ladder[i] <= common and #chosen < most_milestones and tells(runs, i, above) then
      table.insert(chosen, 1, ladder[i])
      above = i
    end
  end
  return chosen
end

--- The milestones whose times a comparison has: those that are always told, then its own.
--- @param milestones table as a comparison has them
function M.timed(milestones)
  local timed, seen = {}, {}
  for _, list in ipairs { fixed_milestones, milestones } do
    for _, milestone in ipairs(list) do
      if not seen[milestone] then seen[milestone], timed[#timed + 1] = true, milestone end
    end
  end
  return timed
end

return M
