--- The parameters of an experiment file: declared with their defaults in the file, set from the command line.
-- Whoever loads a file calls `begin` before and `finish` after; the file calls `declare`, as `sm.params`.
local sorted_keys = require "sm.ordered".sorted_keys
local check = require "sm.check"
local fail = require "sm.fail"
local json = require "sm.json"
local random = require "sm.random"
local file_names = require "sm.experiment.names"
local text = require "sm.text"
local usage = require "sm.usage"

local M = {}

local overrides, record, running = {}, nil, nil
local kept_in -- the file of a run directory that the overrides come from; nil where they are the command line's

--- Raises for what the command line, or the record of a run, sets wrongly.
local function refuse(format, ...)
  if kept_in then fail("%s: %s", kept_in, format:format(...)) end
  usage.fail(format, ...)
end

local function finite(number)
  return number ~= nil and number - number == 0
end

local function integral(number)
  return finite(number) and math.tointeger(number) or nil
end

--- Readers by the type of the default: from the text of the command line, or a value of JSON, to a value of
-- that type, or nil.
local readers = {
  integer = function(given) return integral(tonumber(given)) end,
  float = function(given)
    local number = tonumber(given)
    return finite(number) and number + 0.0 or nil
  end,
  boolean = function(given)
    if type(given) == "boolean" then return given end
    return ({ ["true"] = true, ["false"] = false })[given]
  end,
  string = function(given) return type(given) == "string" and given or nil end,
}

local expected = {
  integer = "an integer", float = "a number", boolean = "true or false", string = "a string",
}

local function kind_of(value)
  return math.type(value) or type(value)
end

local function check_default(name, default)
  if type(name) ~= "string" or not name:find "^[%a_][%w_]*$" then
    fail("sm.params: a parameter's name is letters, digits and '_', and begins with no digit; got %s",
      check.describe(name))
  end
  if not readers[kind_of(default)] then
    fail("sm.params: the default of '%s' must be a number, a boolean or a string, got %s", name,
      check.describe(default))
  end
  local wrong = type(default) == "string" and file_names.not_utf8(default)
  if wrong then
    fail("sm.params: the default of '%s' must be UTF-8; byte %d of '%s' is not", name, wrong, text.visible(default))
  end
  if type(default) == "number" and not finite(default) then
    fail("sm.params: the default of '%s' must be finite, got %s", name, tostring(default))
  end
end

--- What was given, for a message; the record of a run may have any value of JSON.
local function shown(given)
  local nested = type(given) == "table" or given == json.null
  return nested and json.kind(given) or text.visible(text.brief(tostring(given)))
end

--- How several numbers are written, where the text looks as if they were meant: 1-3, 1...3, 0.1..0.5, [4.
local function several(name, kind, given)
  if type(given) ~= "string" then return "" end
  local first, last = given:match "^(%-?%d+) *%-+ *(%d+)$"
  if not first then first, last = given:match "^(%-?%d+) *[.:][.:]* *(%-?%d+)$" end
  if kind == "integer" and first then return ("; a range is written %s=%s..%s"):format(name, first, last) end
  if given:find "%.%." or given:find "^[%[{(]%s*%-?%.?%d" then
    return ("; several values are written %s=%s"):format(name, kind == "integer" and "1,2,3 or 1..3" or "1e-3,1e-2")
  end
  return ""
end

local function read(name, default, given)
  local kind = kind_of(default)
  local value = readers[kind](given)
  local wrong = kind == "string" and value and file_names.not_utf8(value)
  if wrong then
    refuse("parameter '%s' must be UTF-8, as the record of a run is; byte %d of '%s' is not", name, wrong,
      text.visible(text.brief(value)))
  end
  if value ~= nil then return value end
  local hint = ""
  if kind == "integer" and finite(tonumber(given)) then
    hint = ("; to allow fractions, write the default as %d.0"):format(default)
  end
  hint = hint == "" and kind ~= "boolean" and several(name, kind, given) or hint
  refuse("parameter '%s' must be %s like its default %s, got '%s'%s", name, expected[kind],
    text.shortest(default), shown(given), hint)
end

--- What differs from the defaults, as the name of a run: "groups=4,seed=2"; "default" where nothing does. One too long
--- for a file system is cut, and ends in "~" and a checksum.
local function run_name(values, differing)
  local parts = {}
  for i, name in ipairs(differing) do parts[i] = name .. "=" .. file_names.safe(text.shortest(values[name])) end
  return #parts > 0 and file_names.file_name(table.concat(parts, ",")) or "default"
end

--- The parameters as the file reads them: an unknown name is an error, and so is an assignment.
local function read_only(values)
  local names = sorted_keys(values)
  return setmetatable({}, {
    __index = function(_, name)
      local value = values[name]
      if value == nil then
        fail("no parameter '%s' is declared%s", check.word(name), check.suggest(check.word(name), names))
      end
      return value
    end,
    __newindex = function(_, name)
      fail("parameters cannot be assigned; set '%s' in sm.params or on the command line", check.word(name))
    end,
    __tostring = function()
      local words = {}
      for i, name in ipairs(names) do words[i] = ("%s=%s"):format(name, text.shortest(values[name])) end
      return table.concat(words, " ")
    end,
    __pairs = function()
      local position = 0
      return function()
        position = position + 1
        return names[position], values[names[position]]
      end
    end,
  })
end

--- sm.params { groups = 4, lr = 1e-3 }: the parameters of this file, with their defaults; gives their values, which the
--- command line may set.
--- @param defaults table name → number, boolean or string; the default's type is the parameter's type
--- @return table name → value, read-only; reading a name that was not declared is an error
function M.declare(defaults)
  if type(defaults) ~= "table" then
    fail("sm.params: expected a table of defaults, got %s", check.describe(defaults))
  end
  if record then fail("sm.params was called already; declare all parameters in one table") end
  local declared, values, differing = {}, {}, {}
  for name, default in check.each("sm.params", defaults) do
    check_default(name, default)
    declared[name], values[name] = default, default
  end
  local names = sorted_keys(declared)
  for _, name in ipairs(sorted_keys(overrides)) do
    if declared[name] == nil then
      local suggestion = check.suggest(name, names)
      refuse("unknown parameter '%s'%s", text.brief(name), suggestion ~= "" and suggestion
        or "; the file declares " .. (#names > 0 and table.concat(names, ", ") or "none"))
    end
    values[name] = read(name, declared[name], overrides[name])
    if values[name] ~= declared[name] then differing[#differing + 1] = name end
  end
  if math.type(values.seed) == "integer" then random.guess(values.seed) end
  record = { defaults = declared, values = values, differing = differing, name = run_name(values, differing) }
  return read_only(values)
end

--- Before a file is loaded: what the command line, or the record of a run, sets.
--- @param given table name → text of the command line, or a value
--- @param path string the file
--- @param from string|nil the file of a run directory that has them
function M.begin(given, path, from)
  overrides, record, running, kept_in = given, nil, path, from
end

--- For `local scope <close> = …`: while the text of another run is loaded.
function M.scope()
  local own = table.pack(overrides, record, running, kept_in)
  return setmetatable({}, { __close = function() overrides, record, running, kept_in = table.unpack(own, 1, 4) end })
end

--- What the command line, or the record of a run, sets of the file that is running.
--- @return string|nil path nil where none is
--- @return table name → text or value
function M.given()
  return running, overrides
end

--- After a file was loaded: what it declared.
--- @return table {defaults=, values=, differing=sorted names, name="groups=4,seed=2"}
function M.finish()
  local result, unused = record, next(overrides)
  overrides, record, running = {}, nil, nil
  if not result and unused then
    refuse("unknown parameter '%s'; this file declares no parameters", text.brief(unused))
  end
  return result or { defaults = {}, values = {}, differing = {}, name = "default" }
end

return M
