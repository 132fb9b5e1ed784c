--- What an operation takes and gives, found out from its record: its samples are run, and then again with other values
--- in place of each argument. What raises no error is taken.
local sm = require "sm"

local M = {}

local MOST_SAMPLES <const> = 6

local function of_ones(dtype)
  return function(first, ...)
    return type(first) == "table" and sm.tensor(first, dtype) or sm.full({ first, ... }, 1, dtype)
  end
end
local MAKERS <const> = { real = of_ones(), int32 = of_ones "int32", uint8 = of_ones "uint8", tensor = sm.tensor }

--- What lua-language-server calls a value; nil for what tells nothing, an empty table.
local function type_of(value)
  if sm.is_tensor(value) then return "sm.Tensor" end
  local kind = math.type(value) or type(value)
  if kind == "float" then return "number" end
  if kind ~= "table" then return kind end
  for key in pairs(value) do
    if type(key) == "string" then return "OPTIONS" end
  end
  local inner
  for _, item in ipairs(value) do inner = (inner == nil or inner == "integer") and type_of(item) or inner end
  return inner and inner .. "[]"
end

--- Values to try an argument with, by what they are.
local TRIED <const> = {
  integer = 1, number = 0.5, boolean = true, ["integer[]"] = { 1 }, ["sm.Tensor"] = sm.ones(),
  ["sm.Tensor[]"] = { sm.ones() },
}

local function last_of(sample)
  local last = 0
  for i in pairs(sample) do last = math.type(i) == "integer" and math.max(last, i) or last end
  return last
end

local function runs(f, arguments, count)
  return (pcall(f, table.unpack(arguments, 1, count)))
end

--- A set of types as a text: numbers include integers.
local function text_of(types)
  if types.number then types.integer = nil end
  if types["number[]"] then types["integer[]"] = nil end
  local list = {}
  for name in pairs(types) do list[#list + 1] = name end
  table.sort(list, function(a, b) -- what it is most of the time comes first
    local first, second = a == "sm.Tensor", b == "sm.Tensor"
    if first ~= second then return first end
    return a < b
  end)
  return table.concat(list, "|")
end

--- The samples that can be run, as {arguments, count, results}.
local function good_samples(record)
  local good = {}
  for _, sample in ipairs(record.samples(MAKERS)) do
    local count = last_of(sample)
    local results = table.pack(pcall(record.f, table.unpack(sample, 1, count)))
    if results[1] then
      good[#good + 1] = { arguments = sample, count = count, results = table.pack(table.unpack(results, 2, results.n)) }
    end
  end
  return good
end

--- Whether one of the samples runs with another value at a position; with nil also where it ends before.
local function takes(record, good, position, value)
  for i = 1, math.min(#good, MOST_SAMPLES) do
    local arguments = table.move(good[i].arguments, 1, good[i].count, 1, {})
    arguments[position] = value
    if runs(record.f, arguments, math.max(good[i].count, position)) then return true end
    if value == nil and runs(record.f, arguments, position - 1) then return true end
  end
  return false
end

local function types_at(record, good, position)
  local types = {}
  for _, sample in ipairs(good) do
    local name = position <= sample.count and type_of(sample.arguments[position])
    if name and name ~= "nil" then types[name] = true end
  end
  for name, value in pairs(TRIED) do
    if not types[name] and takes(record, good, position, value) then types[name] = true end
  end
  return types
end

--- The function that a record was given, which sm.ops.records has made one that is heard of.
local function own_function(record)
  for i = 1, debug.getinfo(record.f, "u").nups do
    local name, value = debug.getupvalue(record.f, i)
    if name == "f" and record.parameters ~= nil then return value end
  end
  return record.f
end

--- The names of the arguments: the function's own, or those of the signature where these say more.
local function names_of(record, count)
  local names, inner = {}, (record.doc or ""):match "^[%w.]+[:.][%w_]+(%b())"
  local shown = {}
  for part in (inner or ""):sub(2, -2):gmatch "[^,]+" do shown[#shown + 1] = part:match "^%s*([%a_][%w_]*)" end
  for i = 1, count do
    local name = debug.getlocal(own_function(record), i)
    local said = shown[i - (record.call and 0 or 1)]
    names[i] = (name == "first" or name == "second") and said or name
  end
  return names
end

--- What the results are, in order. One that only some calls give, a state say, has its type alone.
local function results_of(good)
  local results = {}
  for _, sample in ipairs(good) do
    for i = 1, sample.results.n do
      results[i] = results[i] or {}
      results[i][type_of(sample.results[i])] = true
    end
  end
  for i, kinds in ipairs(results) do
    kinds["nil"] = nil
    results[i] = next(kinds) and text_of(kinds) -- nothing but nil is no result
  end
  return results
end

--- @param record of sm.ops.records
--- @return string in the form of docs.reference.types: "(axis?: integer, …): sm.Tensor"
function M.signature(record)
  local good = good_samples(record)
  if #good == 0 then error(record.name .. ": no sample of ones runs") end
  local info = debug.getinfo(own_function(record), "u")
  local names, first = names_of(record, info.nparams), record.call and 1 or 2
  local parts = {}
  for i = first, info.nparams do
    local types = types_at(record, good, i)
    if names[i] == "dtype" then types = { ["sm.Dtype"] = true } end
    parts[#parts + 1] = ("%s%s: %s"):format(names[i], takes(record, good, i, nil) and "?" or "", text_of(types))
  end
  if info.isvararg then
    local rest = info.nparams + 1
    local types = types_at(record, good, rest)
    local one = types["sm.Tensor"] and "sm.Tensor" or "integer"
    if one == "integer" then -- sizes one by one, or in a table
      parts[#parts + 1] = ("list%s: %s"):format(takes(record, good, rest, nil) and "?" or "", "integer|integer[]")
    end
    parts[#parts + 1] = "...: " .. one
  end
  return ("(%s): %s"):format(table.concat(parts, ", "), table.concat(results_of(good), ", "))
end

return M
