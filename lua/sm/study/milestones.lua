--- The milestones of a comparison: validation accuracies, and how soon runs reach them.
local records = require "sm.study.records"

local M = {}

--- Validation accuracies whose time the table in CSV always tells, whatever the data.
local fixed_milestones <const> = { 0.98, 0.99, 0.992 }

--- Validation accuracies out of which the milestones of a comparison are chosen.
local ladder <const> = { 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.92, 0.94, 0.96, 0.97, 0.98, 0.985, 0.99,
  0.992, 0.994, 0.996, 0.998, 0.999 }
local most_milestones <const> = 3

--- The highest validation accuracy that any run of a setting had at any time; nil where none has one.
local function highest(setting)
  local best
  for _, record in pairs(setting.runs) do
    for _, row in ipairs(record.rows) do
      local accuracy = row.validation_accuracy
      if accuracy and (not best or accuracy > best) then best = accuracy end
    end
  end
  return best
end

--- Which rung of the ladder was reached when, in each run that has validation accuracies.
--- @return table array of {first=(the step of its first evaluation), at=(accuracy → {steps=, seconds=})}
local function climbs(settings)
  local list = {}
  for _, setting in ipairs(settings) do
    for _, record in pairs(setting.runs) do
      local first
      for _, row in ipairs(record.rows) do
        first = first or row.validation_accuracy and row.step
      end
      if first then list[#list + 1] = { first = first, at = records.reached(record.rows, ladder) } end
    end
  end
  return list
end

--- Whether the time to a rung says something: not where every run that got there was there at its first evaluation,
--- nor where every one got there in the same evaluation as to the rung above. So accuracies of which chance has more,
--- and those that so few examples cannot tell apart, are none.
local function tells(runs, rung, above)
  local late, apart = false, above == nil
  for _, run in ipairs(runs) do
    local at, higher = run.at[rung], above and run.at[above]
    late = late or at ~= nil and at.steps > run.first
    apart = apart or at ~= nil and (not higher or at.steps < higher.steps)
  end
  return late and apart
end

--- The milestones that mean something for these runs: the highest three rungs of the ladder that the best run of at
--- least half of the settings reached at some time, and whose times tell something.
--- @return table array of fractions, in order; empty where no run has a validation accuracy
function M.chosen(settings)
  local best, chosen, runs = {}, {}, climbs(settings)
  for _, setting in ipairs(settings) do best[#best + 1] = highest(setting) end
  table.sort(best, function(a, b) return a > b end)
  local common = best[(#settings + 1) // 2]
  for i = #ladder, 1, -1 do
    if common and ladder[i] <= common and #chosen < most_milestones and tells(runs, ladder[i], chosen[1]) then
      table.insert(chosen, 1, ladder[i])
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
