--- Questions about runs: "test_accuracy > 0.993 and (groups >= 4 or state = unfinished)". A question is read once and
-- asked of records; nothing of it, or of a run, is executed.
local suggest = require "sm.check".suggest
local sorted_keys = require "sm.ordered".sorted_keys
local text = require "sm.text"
local usage = require "sm.usage"

local M = {}

local most_nested <const> = 100
local longest <const> = 10000 -- bytes of a question
local qualifiers <const> = { param = true, summary = true, metrics = true }

-- What a run has ------------------------------------------------------------------------------------------------

local built_in <const> = {
  run = function(record) return record.path end,
  experiment = function(record) return record.name end,
  seed = function(record) return record.seed end,
  state = function(record) return record.summary and "finished" or "unfinished" end,
  steps = function(record) return record.summary and record.summary.steps or record.progress.step end,
  date = function(record) return record.started end,
}

--- What is a value of a run: a number, a text, true or false.
local function plain(value)
  local kind = type(value)
  if kind == "number" or kind == "string" or kind == "boolean" then return value end
end

--- What a run has under a name: what is built in, else a parameter, else a figure of summary.json, else the last figure
--- of a column of metrics.csv. "param.x", "summary.x" and "metrics.x" are of these alone.
--- @param name string
--- @return number|string|boolean|nil
function M.value(record, name)
  if built_in[name] then return built_in[name](record) end
  local summary = record.summary or {}
  local value = plain(record.values[name])
  if value == nil then value = plain(summary[name]) end
  if value == nil then value = record.progress.last[name] end
  if value ~= nil then return value end
  local of, inner = name:match "^(%a+)%.(.+)$"
  if not qualifiers[of] then return nil end
  if of == "metrics" then return record.progress.last[inner] end
  return plain((of == "param" and record.values or summary)[inner])
end

--- Whether any of some runs has a name.
local function is_known(name, found)
  if built_in[name] then return true end
  for _, record in ipairs(found) do
    if M.value(record, name) ~= nil then return true end
  end
  return false
end

--- All names that runs have, without those that are only written with what they are of.
--- @return table array, sorted
function M.names(found)
  local names = {}
  for name in pairs(built_in) do names[name] = true end
  for _, record in ipairs(found) do
    for _, list in ipairs { record.values, record.summary or {}, record.progress.last } do
      for name, value in pairs(list) do names[name] = names[name] or plain(value) ~= nil or nil end
    end
  end
  return sorted_keys(names)
end

local function unknown(name, found)
  local names = M.names(found)
  local suggestion = suggest(name, names)
  usage.fail("no run has a '%s'%s", name, suggestion ~= "" and suggestion
    or ("; there are %s"):format(table.concat(names, ", ")))
end

-- Words ----------------------------------------------------------------------------------------------------------

local operators <const> = {
  ["="] = "=", ["=="] = "=", ["!="] = "!=", ["~="] = "!=", ["<>"] = "!=", ["<"] = "<", ["<="] = "<=", [">"] = ">",
  [">="] = ">=",
}
local words <const> = { ["and"] = "and", ["or"] = "or", ["not"] = "not", ["&&"] = "and", ["||"] = "or", ["!"] = "not" }

local name_pattern <const> = "^[%a_\128-\255][%w_.\128-\255-]*"

--- The next word of a question.
--- @return table {kind=, value=, at=, typed=}
--- @return integer where the one after it begins
local function next_word(question, at)
  at = question:find("%S", at) or #question + 1
  local function word(kind, typed, value)
    return { kind = kind, value = value, at = at, typed = typed }, at + #typed
  end
  if at > #question then return word("end", "") end
  local typed = question:match("^[()]", at)
  if typed then return word(typed, typed) end
  typed = question:match('^"[^"]*"', at) or question:match("^'[^']*'", at)
  if typed then return word("text", typed, typed:sub(2, -2)) end
  typed = question:match("^`[^`]*`", at)
  if typed then return word("name", typed, typed:sub(2, -2)) end
  typed = question:match("^%d%d%d%d%-%d%d[%d:TZ-]*", at)
  if typed then return word("text", typed, typed) end
  local digits = question:match("^[+-]?[%d.]+[eE][+-]?%d+", at) or question:match("^[+-]?[%d.]+", at)
  if digits and tonumber(digits) and not question:find("^[%w_]", at + #digits) then
    if question:sub(at + #digits, at + #digits) ~= "%" then return word("number", digits, tonumber(digits)) end
    return word("number", digits .. "%", tonumber(digits) / 100)
  end
  typed = question:match("^[=!~<>][=>]?", at)
  if typed and operators[typed] then return word("operator", typed, operators[typed]) end
  typed = question:match("^[&|!][&|]?", at) or question:match(name_pattern, at)
  if typed and words[typed:lower()] then return word(words[typed:lower()], typed) end
  if typed and not typed:find "^[&|!]" then return word("name", typed, typed) end
  usage.fail("query: character %d: expected a name, a number or a comparison, got '%s'", at,
    text.brief(question:sub(at)))
end

local function words_of(question)
  if #question > longest then usage.fail("query: expected at most %d bytes, got %d", longest, #question) end
  local list, at = {}, 1
  repeat
    list[#list + 1], at = next_word(question, at)
  until list[#list].kind == "end"
  return list
end

-- Comparisons ----------------------------------------------------------------------------------------------------

local tests <const> = {
  ["="] = function(a, b) return a == b end, ["!="] = function(a, b) return a ~= b end,
  ["<"] = function(a, b) return a < b end, ["<="] = function(a, b) return a <= b end,
  [">"] = function(a, b) return a > b end, [">="] = function(a, b) return a >= b end,
}

local in_words <const> = { number = "a number", string = "a text", boolean = "true or false" }

--- A function from a run to what an operand is there.
local function reader_of(operand)
  if operand.kind ~= "name" then return function() return operand.value end end
  return function(record) return M.value(record, operand.value) end
end

--- What a comparison says of a run: true, false, or nil where the run has not both values, or where they are not of one
--- kind. A date is compared with as much of one as is given.
local function comparison(left, operator, right)
  local a_of, b_of, test = reader_of(left), reader_of(right), tests[operator.value]
  local node = { met = 0, odd = nil }
  local ordered = operator.value ~= "=" and operator.value ~= "!="
  function node.of(record)
    local a, b = a_of(record), b_of(record)
    if a == nil or b == nil then return nil end
    local kind = type(a)
    if kind ~= type(b) or kind == "boolean" and ordered then
      node.odd = node.odd or { a, b }
      return nil
    end
    node.met = node.met + 1
    if left.value == "date" and kind == "string" then a = a:sub(1, #b) end
    return test(a, b)
  end
  --- Raises where no run could be asked, since the kinds of values differ in each.
  function node.check()
    if node.met > 0 or not node.odd then return end
    local a, b = table.unpack(node.odd)
    usage.fail("query: '%s' is %s, and is compared by %s with %s", left.typed, in_words[type(a)], operator.typed,
      in_words[type(b)])
  end
  return node
end

local states <const> = { "finished", "unfinished" }

--- What stands to the right of a comparison: a bare word that no run has a value of is a text, where it may be one.
local function check_right(left, operator, right, found)
  if right.kind == "name" and (right.value == "true" or right.value == "false") then
    return { kind = "boolean", value = right.value == "true", typed = right.typed }
  end
  if right.kind == "name" and not is_known(right.value, found) then
    if operator.value ~= "=" and operator.value ~= "!=" then unknown(right.value, found) end
    right = { kind = "text", value = right.value, typed = right.typed }
  end
  if left.value == "state" and right.kind == "text" and right.value ~= "finished" and right.value ~= "unfinished" then
    usage.fail("query: 'state' is finished or unfinished, got '%s'%s", right.value, suggest(right.value, states))
  end
  return right
end

-- Sentences ------------------------------------------------------------------------------------------------------

local function expected(what, word)
  usage.fail("query: expected %s at character %d, got %s", what, word.at,
    word.kind == "end" and "its end" or ("'%s'"):format(text.brief(word.typed)))
end

--- Both, either, not: of what is true, false or, as nil, not known.
local function both(a, b)
  return function(record)
    local x, y = a(record), b(record)
    if x == false or y == false then return false end
    return x and y
  end
end

local function either(a, b)
  return function(record)
    local x, y = a(record), b(record)
    if x or y then return true end
    if x == false and y == false then return false end
    return nil
  end
end

local function negated(a)
  return function(record)
    local x = a(record)
    if x == nil then return nil end
    return not x
  end
end

--- Reads a question.
--- @param question string
--- @param found table array of records, of which names and values are looked up
--- @return table {names=(array: those that it names, in order), select=function() → array of the records of which it is
---   true; where a run has not what is asked for, it is neither true nor false}
function M.read(question, found)
  local list, at, nodes, names, named = words_of(question), 1, {}, {}, {}
  local function take() at = at + 1; return list[at - 1] end

  local function note(operand)
    if operand.kind == "name" and not named[operand.value] then
      named[operand.value], names[#names + 1] = true, operand.value
    end
  end

  local function compared()
    local left = take()
    if left.kind ~= "name" and left.kind ~= "number" and left.kind ~= "text" then expected("a name", left) end
    if left.kind == "name" and not is_known(left.value, found) then unknown(left.value, found) end
    local operator = take()
    if operator.kind ~= "operator" then expected("a comparison such as > or =", operator) end
    local right = take()
    if right.kind ~= "name" and right.kind ~= "number" and right.kind ~= "text" then
      expected("a name, a number or a text", right)
    end
    right = check_right(left, operator, right, found)
    note(left)
    note(right)
    nodes[#nodes + 1] = comparison(left, operator, right)
    return nodes[#nodes].of
  end

  local sentence
  local function single(depth)
    if depth > most_nested then usage.fail("query: expected at most %d levels of brackets", most_nested) end
    local word = list[at]
    if word.kind == "not" then
      take()
      return negated(single(depth + 1))
    elseif word.kind == "(" then
      take()
      local inner = sentence(depth + 1)
      if list[at].kind ~= ")" then expected("')'", list[at]) end
      take()
      return inner
    end
    return compared()
  end
  local function all(depth)
    local result = single(depth)
    while list[at].kind == "and" do take(); result = both(result, single(depth)) end
    return result
  end
  function sentence(depth)
    local result = all(depth)
    while list[at].kind == "or" do take(); result = either(result, all(depth)) end
    return result
  end

  local truth = sentence(1)
  if list[at].kind ~= "end" then expected("'and', 'or' or its end", list[at]) end
  return { names = names, select = function()
    local chosen = {}
    for _, record in ipairs(found) do
      if truth(record) == true then chosen[#chosen + 1] = record end
    end
    for _, node in ipairs(nodes) do node.check() end
    return chosen
  end }
end

--- Orders records by what they have under a name: numbers by size, before texts by letter; without it last, in the
--- order in which they came.
--- @param order string "NAME" or "NAME desc"
--- @return table array
--- @return string the name
function M.order(order, found)
  local name, direction = order:match "^(.-)%s+(%a+)$"
  if direction ~= "asc" and direction ~= "desc" then name, direction = order, "asc" end
  name = name:match "^`(.*)`$" or name
  if not is_known(name, found) then unknown(name, found) end
  local list = {}
  for i, record in ipairs(found) do
    local value = M.value(record, name)
    if type(value) == "boolean" then value = tostring(value) end
    list[i] = { record = record, value = value, kind = value == nil and 2 or type(value) == "string" and 1 or 0,
      place = i }
  end
  table.sort(list, function(a, b)
    if a.kind ~= b.kind then return a.kind < b.kind end
    if a.kind == 2 or a.value == b.value then return a.place < b.place end
    if direction == "desc" then return a.value > b.value end
    return a.value < b.value
  end)
  local sorted = {}
  for i, one in ipairs(list) do sorted[i] = one.record end
  return sorted, name
end

return M
