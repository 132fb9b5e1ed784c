--- Loads the text of an experiment, or of a plain script, in an environment where a stray global is an error.
-- What brings the numeric libraries with it (sm.check, sm.fail and all above them) is required where it is
-- used, so that a line of plain Lua runs at once.

local M = {}

local function sorted_names(map)
  local names = {}
  for name in pairs(map) do
    if type(name) == "string" then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

--- The globals that a file sees. They cannot be assigned; reading a name that is none of them is an error.
--- @param arguments table what the file finds as `arg`
--- @param offered table|nil name → function that gives the value of one more global when it is first read
function M.environment(arguments, offered)
  local globals, environment = {}, {}
  for name, value in pairs(_G) do globals[name] = value end
  globals.arg, globals._G = arguments, environment
  setmetatable(globals, {
    __index = function(_, name)
      local value = offered and offered[name]
      if not value then
        local suggestion = require "sm.check".suggest(tostring(name), sorted_names(globals))
        require "sm.fail"("undefined variable '%s'%s", tostring(name), suggestion)
      end
      globals[name] = value()
      return globals[name]
    end,
  })
  return setmetatable(environment, {
    __index = globals,
    __newindex = function(_, name, value)
      local form = type(value) == "function" and "'local function %s'" or "'local %s = …'"
      require "sm.fail"("assignment to global '%s'; write " .. form, tostring(name), tostring(name))
    end,
    __pairs = function() return next, globals end,
  })
end

--- The whole text of a file.
function M.read(path)
  local file, reason = io.open(path, "rb")
  if not file then error(("cannot open %s"):format(reason), 0) end
  local text, unread = file:read "a"
  file:close()
  if not text then error(("cannot read %s: %s"):format(path, unread), 0) end
  return text
end

--- The modules beside the file come before those of the system, after those of the library.
local function search_beside(path)
  local directory = path:match "^(.*/)[^/]*$" or "./"
  local library, rest = package.path:match "^([^;]*;[^;]*)(.*)$"
  package.path = ("%s;%s?.lua;%s?/init.lua%s"):format(library, directory, directory, rest)
end

local function is_experiment(value)
  local experiments = package.loaded["sm.experiment"]
  return experiments ~= nil and experiments.is(value)
end

--- Runs a file.
--- @param path string names the file in messages; modules beside it can be required
--- @param source string|nil its text; read from `path` where absent
--- @param overrides table parameter → text or value
--- @return table {experiment=(nil for a plain script), source=, params=(see sm.experiment.params.finish)}
function M.file(path, source, overrides)
  local params = require "sm.experiment.params"
  source = source or M.read(path)
  local arguments = { [0] = path }
  for _, name in ipairs(sorted_names(overrides)) do
    arguments[#arguments + 1] = name .. "=" .. params.text(overrides[name])
  end
  local without_shebang = source:gsub("^#[^\n]*", "")
  local chunk, problem = load(without_shebang, "@" .. path, "t", M.environment(arguments))
  if not chunk then error(problem, 0) end
  search_beside(path)
  params.begin(overrides)
  local result = chunk(table.unpack(arguments))
  local declared = params.finish()
  if result ~= nil and not is_experiment(result) then
    error(("%s: expected the file to return an experiment (return sm.experiment { … }) or nothing, got %s")
      :format(path, require "sm.check".describe(result)), 0)
  end
  return { experiment = result, source = source, params = declared }
end

--- Reads the record of a run directory: the text that ran and the values of its parameters.
--- @return table as `file`, made from the directory alone
function M.run_directory(directory)
  local cjson = require "cjson"
  local path = directory .. "/params.json"
  local ok, record = pcall(cjson.decode, M.read(path))
  if not ok or type(record) ~= "table" or type(record.values) ~= "table" then
    error(("%s: expected the parameters of a run {\"values\": {…}}, %s"):format(path,
      ok and "found something else" or record), 0)
  end
  local loaded = M.file(directory .. "/experiment.lua", nil, record.values)
  if not loaded.experiment then
    require "sm.usage".fail("%s/experiment.lua is a plain script; there is no run to go on with", directory)
  end
  return loaded
end

return M
