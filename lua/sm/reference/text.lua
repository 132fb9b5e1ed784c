--- What options and parameters are, in words, for pages of any form.
local M = {}

local BOUNDS <const> = { { "min", "at least" }, { "above", "above" }, { "max", "at most" }, { "below", "below" } }

--- A number, a string or a boolean as a script has it: 1e-8, "same".
function M.value(value)
  local kind = type(value)
  if kind == "string" then return ('"%s"'):format(value) end
  if value == math.huge then return "math.huge" end
  if kind == "number" then return (("%.10g"):format(value):gsub("e([-+])0+", "e%1"):gsub("e%+", "e")) end
  if kind == "boolean" then return tostring(value) end
  return kind == "table" and next(value) == nil and "{}" or nil
end

--- What a rule of check.options takes: "integer, at least 1".
function M.takes(rule)
  local kinds, words = type(rule.type) == "table" and rule.type or { rule.type }, {}
  for _, kind in ipairs(kinds) do
    local choices = {}
    for i, choice in ipairs(kind == "string" and rule.choices or {}) do choices[i] = M.value(choice) end
    words[#words + 1] = #choices > 0 and table.concat(choices, " or ") or kind == "real" and "number" or kind
  end
  words = { #words > 0 and table.concat(words, " or ") or nil }
  for _, bound in ipairs(BOUNDS) do
    local limit = rule[bound[1]]
    local shown = limit and (bound[1] == "min" or bound[1] == "above" or limit < 1 << 31 - 1) and limit ~= math.huge
    if shown then words[#words + 1] = ("%s %s"):format(bound[2], M.value(limit)) end
  end
  return table.concat(words, ", ")
end

--- The options of a spec in the order in which they are shown: positions first, then what must be given, then the
-- others by name. Positions in a row with the same words are one.
-- @return list of {key="groups" or "1 … 16", takes=, default=(or nil), required=, doc=}
function M.options(spec)
  local keys, list = {}, {}
  for key in pairs(spec) do keys[#keys + 1] = key end
  local function rank(key)
    return math.type(key) and 0 or spec[key].required and 1 or key ~= "name" and 2 or 3
  end
  table.sort(keys, function(a, b)
    if rank(a) ~= rank(b) then return rank(a) < rank(b) end
    return a < b
  end)
  for _, key in ipairs(keys) do
    local rule, last = spec[key], list[#list]
    if math.type(key) and last and last.doc == rule.doc then
      last.key = ("%s … %d"):format(last.key:match "^%d+", key)
    else
      list[#list + 1] = { key = tostring(key), takes = M.takes(rule), default = M.value(rule.default),
        required = rule.required, doc = rule.doc or "" }
    end
  end
  return list
end

--- "gy", "tensor", "the gradient" of "gy tensor the gradient", where the second word is a type.
function M.parameter(text)
  local name, rest = text:match "^([%w_.]+)%s*(.*)$"
  return name or "", M.typed(rest or text)
end

--- A type, where a text begins with one, and the rest.
function M.typed(text)
  local kind, rest = text:match "^([%l|?]+)%s+(.*)$"
  for word in (kind or "none"):gmatch "%l+" do
    if not ("table number integer string boolean function any nil tensor"):find("%f[%l]" .. word .. "%f[%L]") then
      return nil, text
    end
  end
  return kind, rest
end

M.GRADIENT = {
  none = "no gradient", once = "a gradient, which has none itself", twice = "gradients, also of gradients",
}

return M
