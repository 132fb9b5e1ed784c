--- What the rows of a run's metrics.csv come to: the few figures of them that a comparison needs.
local M = {}

--- Validation accuracies: how soon a run reached each is known. The milestones of a comparison are chosen out of them.
M.ladder = { 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.92, 0.94, 0.96, 0.97, 0.98, 0.985, 0.99, 0.992, 0.994,
  0.996, 0.998, 0.999 }

local position_of <const> = {}
for position, accuracy in ipairs(M.ladder) do position_of[accuracy] = position end

--- When the validation accuracy first reached each rung of the ladder, as far as it came.
--- @param rows table as metrics.rows gives them
--- @return table array of steps
--- @return table array of seconds of training
local function reached(rows)
  local steps, seconds_to, last, seconds = {}, {}, 0, 0
  for _, row in ipairs(rows) do
    seconds = seconds + (row.step_ms or 0) * (row.step - last) / 1000
    last = row.step
    local accuracy = row.validation_accuracy
    while accuracy and #steps < #M.ladder and accuracy >= M.ladder[#steps + 1] do
      steps[#steps + 1], seconds_to[#steps + 1] = row.step, seconds
    end
  end
  return steps, seconds_to
end

--- @param rows table as metrics.rows gives them
--- @param columns table the names of the columns
--- @return table {step=(the last; 0 of no rows), first=(the step of the first evaluation with a validation accuracy,
---   or nil), highest=(that accuracy at its highest, or nil), steps=(array: when the rungs of the ladder were reached,
---   as far as they were), seconds=(array: after how many seconds of training), last=(column → its last figure, a
---   float)}
function M.of(rows, columns)
  local found = { step = #rows > 0 and rows[#rows].step or 0, last = {} }
  found.steps, found.seconds = reached(rows)
  for _, row in ipairs(rows) do
    local accuracy = row.validation_accuracy
    if accuracy then
      found.first = found.first or row.step
      found.highest = math.max(found.highest or accuracy, accuracy)
    end
  end
  for _, column in ipairs(columns) do
    for i = #rows, 1, -1 do
      if rows[i][column] then
        found.last[column] = rows[i][column] + 0.0
        break
      end
    end
  end
  return found
end

--- Where an accuracy stands on the ladder.
function M.rung(accuracy)
  return position_of[accuracy]
end

return M
