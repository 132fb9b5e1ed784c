--- The numbers behind a consequence sheet, as CSV: one number a row,
-- "step,quantity,group,channel,class,other_group,value". The entropies come first, so that the sheets of
-- later steps can look back without reading further.
-- @module sm.view.record
local fail = require "sm.fail"
local lfs = require "lfs"
local runtime = require "sm.runtime"
local csv = require "sm.text".csv

local M = {}

local HEADER <const> = "step,quantity,group,channel,class,other_group,value\n"
local MOST_BYTES <const> = 16 << 20 -- of a file that is read

local function write_group(row, g, group, class_names)
  local function channel_name(option) return group.channels[option] or "none" end
  row("mutual_information_bits", g, nil, nil, nil, group.information)
  row("mutual_information_by_chance_bits", g, nil, nil, nil, group.chance)
  for option, share in ipairs(group.share) do row("win_share", g, channel_name(option), nil, nil, share) end
  for class, given in ipairs(group.given_class) do
    for option, value in ipairs(given) do
      row("win_share_given_class", g, channel_name(option), class_names[class], nil, value)
    end
  end
end

local function write_accuracy(row, quantity, g, accuracy, class_names)
  row(quantity, g, nil, nil, nil, accuracy.all)
  for class, name in ipairs(class_names) do
    if accuracy[class] then row(quantity, g, nil, name, nil, accuracy[class]) end
  end
end

--- Writes the file whole or not at all.
-- @param path
-- @param numbers see sm.view.consequence
-- @param step of training
-- @param class_names one for each class
function M.write(path, numbers, step, class_names)
  local lines = { HEADER }
  local function row(quantity, group, channel, class, other, value)
    lines[#lines + 1] = ("%d,%s,%s,%s,%s,%s,%.7g\n"):format(step, quantity, group or "", channel or "",
      class and csv(tostring(class)) or "", other or "", value)
  end
  for g, group in ipairs(numbers.groups) do row("entropy", g, nil, nil, nil, group.entropy) end
  for g, group in ipairs(numbers.groups) do write_group(row, g, group, class_names) end
  for g, others in ipairs(numbers.redundancy) do
    for h, value in ipairs(others) do row("redundancy", g, nil, nil, h, value) end
  end
  write_accuracy(row, "accuracy", nil, numbers.accuracy, class_names)
  for g, group in ipairs(numbers.groups) do
    write_accuracy(row, "accuracy_without_choice", g, group.accuracy, class_names)
  end
  runtime.io.write_durably(path, table.concat(lines))
end

--- The entropies that a file begins with, one for each group; nil when it is no such file.
local function entropies(directory, file)
  local text = runtime.io.beneath.read(directory, file, MOST_BYTES)
  if not text or text:sub(1, #HEADER) ~= HEADER then return nil end
  local found = {}
  for line in text:sub(#HEADER + 1):gmatch "([^\n]*)\n" do
    local group, value = line:match "^%d+,entropy,(%d+),,,,(%S+)$"
    if not group then break end
    local bits = tonumber(value)
    if not bits or bits - bits ~= 0 then return nil end
    found[tonumber(group)] = bits
  end
  return found
end

--- The entropies over training, from the files of earlier steps beside this one: a run that was resumed has
-- them all.
-- @param directory with a slash at its end
-- @param name of the view: its files are NAME-000500.csv, …
-- @param step files of this step and later ones, which a resumed run will write again, do not count
-- @param groups files with another number of groups do not count
-- @return array of {step=, [group]=}, in order
function M.history(directory, name, step, groups)
  local moments = {}
  local opened, files, state = pcall(lfs.dir, directory)
  if not opened then fail("%s", files) end
  for file in files, state, nil, state do
    local digits = file:sub(1, #name + 1) == name .. "-" and file:sub(#name + 2):match "^(%d+)%.csv$"
    if digits and tonumber(digits) < step then
      local moment = entropies(directory, file)
      if moment and #moment == groups then
        moment.step = tonumber(digits)
        moments[#moments + 1] = moment
      end
    end
  end
  table.sort(moments, function(a, b) return a.step < b.step end)
  return moments
end

return M
