--- The numbers of a run as text, as the metadata of its checkpoints have them, and what they may be.
local brief = require "sm.text".brief
local fail = require "sm.fail"
local schema = require "sm.experiment.schema"
local shortest = require "sm.text".shortest

local M = {}

local deepest <const> = 8 -- names in the place of a number, of which there are up to four

--- Nested tables of numbers as lines "a.b=number", each number exact (floats in hexadecimal).
local function flatten(value, path, lines)
  if type(value) == "number" then
    lines[#lines + 1] = ("%s=%s"):format(path, ("%q"):format(value))
  else
    for key, item in pairs(value) do flatten(item, path == "" and key or path .. "." .. key, lines) end
  end
  return lines
end

--- @param numbers table nested tables of numbers by name
--- @return string
function M.encode(numbers)
  local lines = flatten(numbers, "", {})
  table.sort(lines)
  return table.concat(lines, "\n")
end

--- Enters one number in nested tables. @return boolean whether there was room for it
local function enter(numbers, place, value)
  local inner, last, depth = numbers, nil, 0
  for key in place:gmatch "[^.]+" do
    depth = depth + 1
    if depth > deepest then return false end
    if last then
      inner[last] = inner[last] or {}
      inner = inner[last]
      if type(inner) ~= "table" then return false end
    end
    last = key
  end
  if not last or inner[last] ~= nil then return false end
  inner[last] = value
  return true
end

--- What encode has made, checked.
--- @param path string of the file, for messages
--- @return table
function M.decode(text, path)
  local numbers = {}
  for line in text:gmatch "[^\n]+" do
    local place, value = line:match "^([^=]+)=(.+)$"
    if not (place and tonumber(value) and enter(numbers, place, tonumber(value))) then
      fail("%s: the run's numbers have a line '%s'", path, brief(line))
    end
  end
  local where = path .. ": the run's numbers"
  schema.check(where, numbers, numbers.spent and schema.numbers_of_0_1_0 or schema.numbers)
  numbers.validation = numbers.validation or {}
  if numbers.spent then -- 0.1.0 kept the time here
    numbers.spent.row, numbers.tally.seconds = numbers.tally.seconds, nil
  end
  if numbers.stream.epoch > 0 then schema.check(where .. ": stream", numbers.stream, schema.place_in_data) end
  return numbers
end

--- Raises unless the run's numbers may be those of a step.
function M.check_steps(path, step, numbers, own_step)
  local tally, validation = numbers.tally, numbers.validation
  for place, done in pairs { tally = tally.steps, ["validation.best"] = validation.best and validation.best.step,
    ["validation.latest"] = validation.latest and validation.latest.step } do
    if done > step then fail("%s: the run's numbers: '%s' is of step %d", path, place, done) end
  end
  if tally.accuracy and (tally.accuracy < 0 or tally.accuracy > tally.steps) then
    fail("%s: the run's numbers: 'tally.accuracy' is that of %s steps, and there are %d", path,
      shortest(tally.accuracy), tally.steps)
  elseif numbers.optimizer.steps < step and not own_step then
    fail("%s: the run's numbers: the optimizer has done %d steps", path, numbers.optimizer.steps)
  end
end

--- Raises where figures have names that the experiment does not give: they become columns and parts of the summary.
function M.check_names(path, numbers, run)
  local metrics, tally, validation = {}, numbers.tally, numbers.validation
  for _, metric in ipairs(run.metric_functions) do metrics[metric.name] = true end
  for place, figures in pairs { latest = validation.latest or {}, best = validation.best or {} } do
    for name in pairs(figures.metrics or {}) do
      if not metrics[name] then
        fail("%s: the run's numbers: 'validation.%s.metrics.%s' is of no metric of the experiment", path, place,
          brief(name))
      end
    end
  end
  for name, figure in pairs(tally.figures or {}) do
    if not run.own_step or not name:find "^[%a_][%w_]*$" or figure.steps < 1 or figure.steps > tally.steps then
      fail("%s: the run's numbers: 'tally.figures.%s' is nothing that `train` returns", path, brief(name))
    end
  end
end

return M
