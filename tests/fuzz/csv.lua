--- metrics.csv: the rows that are read are written and read back. An input that begins with a line end has the usual
--- header in front.
local metrics = require "sm.experiment.metrics"
local plain = require "plain"

local HEADER <const> = "step,epoch,train_loss,train_accuracy,validation_loss,validation_accuracy,lr,step_ms"

local function wrong(rows, columns)
  local last = -1
  for _, row in ipairs(rows) do
    if math.type(row.step) ~= "integer" or row.step <= last then return "a step that does not grow" end
    last = row.step
    for name, value in pairs(row) do
      if type(name) ~= "string" then return "a cell without a column" end
      if math.type(value) == nil or value - value ~= 0 then return "a cell that is no finite number" end
    end
  end
  for _, name in ipairs(columns) do
    if type(name) ~= "string" then return "a column without a name" end
  end
end

local function written(rows, columns)
  local parts = { table.concat(columns, ","), "\n" }
  local file = setmetatable({ columns = columns, file = {
    write = function(_, ...)
      for _, text in ipairs { ... } do parts[#parts + 1] = text end
      return true
    end,
    flush = function() return true end,
  } }, metrics)
  for _, row in ipairs(rows) do file:write(row) end
  return table.concat(parts)
end

return function(input)
  if input:sub(1, 1) == "\n" then input = HEADER .. input end
  local ok, rows, columns = pcall(metrics.rows, "metrics.csv", input)
  if not ok then
    if not tostring(rows):find("metrics.csv", 1, true) then return "no file is named: " .. tostring(rows) end
    return plain(rows, input)
  end
  local bad = wrong(rows, columns)
  if bad then return bad end
  local text = written(rows, columns)
  local read, again = pcall(metrics.rows, "metrics.csv", text)
  if not read then return "not read back: " .. tostring(again) end
  if written(again, columns) ~= text then return "read back differently: " .. text end
end
