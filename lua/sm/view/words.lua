--- Numbers and moments as sheets write them.
-- @module sm.view.words
local numbers = require "sm.numbers"

local M = {}

M.thousands = numbers.thousands

--- A number as figures show it: three digits, a sign, a true minus.
function M.figure(value)
  if value == 0 then return "0" end
  return (value < 0 and "−" or "+") .. ("%.3g"):format(math.abs(value))
end

--- A number beside a scale or a picture: three digits, all of an integer that is not long, a true minus.
function M.number(value)
  if value ~= value then return "nan" end -- printf shows a sign, which means nothing
  local whole = value % 1 == 0 and math.abs(value) < 1e6
  return ((whole and "%d" or "%.3g"):format(value):gsub("^-", "−"))
end

--- "1 group", "4 groups", "10 classes".
function M.count(n, what)
  return ("%s %s%s"):format(M.thousands(n), what, n == 1 and "" or what:find "s$" and "es" or "s")
end

--- "4 groups of 16", "1 group of 64", "groups of 4, 16".
function M.groups(sizes)
  for _, size in ipairs(sizes) do
    if size ~= sizes[1] then return "groups of " .. table.concat(sizes, ", ") end
  end
  return ("%s of %d"):format(M.count(#sizes, "group"), sizes[1])
end

--- What a softmax is over: "over 4 groups of 16", "over all".
function M.over(sizes)
  return "over " .. (#sizes == 1 and "all" or M.groups(sizes))
end

--- The names of a data set's classes; their labels where they have none.
function M.class_names(data)
  local names = {}
  for class = 1, data.classes do
    names[class] = data.class_names and data.class_names[class] or tostring(class - 1)
  end
  return names
end

--- What a picture shows, and when.
-- @param moment {step=, validation_accuracy=, title=}
function M.moment(moment)
  local words = {}
  if moment.title then words[1] = moment.title end
  words[#words + 1] = "step " .. M.thousands(moment.step)
  if moment.validation_accuracy then
    words[#words + 1] = ("validation accuracy %.2f%%"):format(100 * moment.validation_accuracy)
  end
  return table.concat(words, "  ·  ")
end

return M
