--- Groups of an optimizer: parameters that have their own settings.
local check = require "sm.check"
local fail = require "sm.fail"
local rules = require "sm.optim.rule"
local user_line = require "sm.place".line

local M = {}

local WHOLE = { clip_norm = true, clip_value = true, groups = true }

--- The settings of a group: the optimizer's own with some replaced.
local function with_overrides(self, where, overrides)
  local options = {}
  for key, value in pairs(self.options) do options[key] = value end
  for key, value in check.each(where, overrides) do
    if WHOLE[key] then fail("%s: '%s' holds for the whole optimizer, not for a group", where, key) end
    options[key] = value
  end
  options.groups = nil
  return rules.of[self].check(where, options)
end

--- A group of no parameters yet.
local function empty(self, options, pattern)
  return { entries = {}, tensors = {}, seen = 0, options = options, call = rules.of[self].settings(options),
    where = user_line(), pattern = pattern, parts = {} }
end

--- The groups that the option `groups` asks for, in its order: each takes the names that its pattern finds, of those
--- that none before it has.
local function parts_of(self)
  local given, where = self.options.groups, ("optim.%s: option 'groups'"):format(self.name)
  check.plain(where, given)
  local groups = {}
  for position = 1, rawlen(given) do
    local entry, settings = rawget(given, position), {}
    for key, value in check.each(where, type(entry) == "table" and entry or {}) do settings[key] = value end
    local pattern = settings[1]
    if type(pattern) ~= "string" or not pcall(string.find, "", pattern) then
      fail("%s is a list of patterns with settings, such as { \"^head%%.\", lr = 1e-2 }, got %s at %d", where,
        type(entry) == "table" and check.describe(pattern) .. " as a pattern" or check.describe(entry), position)
    end
    settings[1] = nil
    groups[position] = empty(self, with_overrides(self, where, settings), pattern)
  end
  for key in next, given do
    if math.type(key) ~= "integer" or key < 1 or key > #groups then
      fail("%s is a list of tables such as { \"^head%%.\", lr = 1e-2 }, got '%s'", where, check.word(key))
    end
  end
  return groups
end

--- A group of no parameters yet: {entries=, tensors=(theirs), seen=(of its source), options=, call=, where=,
--- parts=(groups that take some of its parameters by a pattern of their names)}.
--- @param self table the optimizer
--- @param overrides table|nil settings of this group alone; without them it has the parts that the optimizer declares
function M.new(self, overrides)
  if overrides ~= nil and type(overrides) ~= "table" then
    fail("opt:add: argument 2 must be a table of settings such as { lr = 1e-4 }, got %s", check.describe(overrides))
  elseif overrides then
    return empty(self, with_overrides(self, "opt:add", overrides))
  end
  local group = empty(self, self.options)
  if self.options.groups then group.parts = parts_of(self) end
  return group
end

return M
