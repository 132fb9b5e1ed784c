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
--- @param own_require function|nil instead of Lua's
function M.environment(arguments, offered, own_require)
  local globals, environment = {}, {}
  for name, value in pairs(require "sm.modules".globals()) do globals[name] = value end
  globals.require = own_require or globals.require
  globals.arg, globals._G = arguments, environment
  setmetatable(globals, {
    __index = function(_, name)
      local value = offered and offered[name]
      if not value then
        local suggestion = require "sm.elsewhere".global_hint(name)
          or require "sm.check".suggest(tostring(name), sorted_names(globals))
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

local declared = {} -- the experiments of the file that is loading: {source=, line=(of the last one), used=(any)}

--- Notes that the file that is loading declares an experiment.
--- @param info table|nil of debug.getinfo: where
--- @return table in which `used` is to be set once the file has used one of its experiments
function M.declares(info)
  declared.source, declared.line = info and info.source, info and info.currentline
  return declared
end

--- For `local scope <close> = …`: while the text of another run is loaded.
function M.scope()
  local own = declared
  declared = {}
  return setmetatable({}, { __close = function() declared = own end })
end

--- Raises where a file that has run declares an experiment, and neither returned nor used one. Those declared from then
--- on are another file's.
local function check_returned(path, result)
  local here = declared
  declared = {}
  if result ~= nil or here.used or here.source ~= "@" .. path then return end
  error(("%s:%d declares an experiment, but the file does not return it: write `return sm.experiment { … }`")
    :format(path, here.line), 0)
end

--- Runs a file's function, and notes the local variables that it has where it returns.
local function run_watched(chunk, arguments, locals)
  local hook, mask, count = debug.gethook()
  debug.sethook(function()
    if debug.getinfo(2, "f").func ~= chunk then return end
    local position = 1
    local name, value = debug.getlocal(2, position)
    while name do
      if not name:find "^%(" then locals[name] = value end
      position = position + 1
      name, value = debug.getlocal(2, position)
    end
  end, "r")
  local results = table.pack(pcall(chunk, table.unpack(arguments)))
  debug.sethook(hook, mask, count)
  if not results[1] then error(results[2], 0) end
  return table.unpack(results, 2, results.n)
end

--- Runs a file once.
--- @param seed integer|nil what the numbers follow that it draws
--- @param certain boolean whether that is no guess
local function run_once(path, source, overrides, seed, certain, where)
  local params = require "sm.experiment.params"
  local modules = require "sm.modules"
  local arguments = { [0] = path }
  for _, name in ipairs(sorted_names(overrides)) do
    arguments[#arguments + 1] = name .. "=" .. require "sm.text".shortest(overrides[name])
  end
  local chunk, problem = modules.compile(source, path, M.environment(arguments, nil, where.require))
  if not chunk then error(problem, 0) end
  modules.begin(path, where)
  require "sm.experiment.borrowed".begin()
  require "sm.data.stand_in".begin(where.data)
  require "sm.random".load_file(seed, certain)
  params.begin(overrides, path, where.record)
  local result, trained, reason
  local function script()
    if where.locals then return run_watched(chunk, arguments, where.locals) end
    return chunk(table.unpack(arguments))
  end
  if where.sought then
    trained, reason, result = require "sm.experiment".seek({ directory = where.sought, file = path, source = source },
      script, where.handler)
  else
    result = script()
  end
  local given = params.finish()
  if trained then return { experiment = trained, source = source, params = reason, by_script = true } end
  if reason then error(("%s: the script that is kept there does not come to this run again: %s")
    :format(where.sought, reason), 0) end
  check_returned(path, result)
  if result ~= nil and not require "sm.experiment".is(result) then
    error(("%s: expected the file to return an experiment (return sm.experiment { … }) or nothing, got %s")
      :format(path, require "sm.check".describe(result)), 0)
  end
  return { experiment = result, source = source, params = given }
end

--- Whether a text looks as if it returned an experiment, and not like a plain script.
function M.returns_experiment(source)
  return ("\n" .. source):find "\n%s?return%s+[%w_.:]*experiment" ~= nil
end

--- A first guess at the seed of the experiment that a text declares; nil where it looks like a plain script.
local function guess_seed(source, overrides)
  if not M.returns_experiment(source) then return nil end
  return math.tointeger(tonumber(overrides.seed)) or 1
end

--- Runs a file. What an experiment's file draws follows the seed that it declares, at its end: where it has drawn by
--- another, it is run again with that one.
--- @param path string names the file in messages; modules beside it can be required
--- @param source string|nil its text; read from `path` where absent
--- @param overrides table parameter → text or value
--- @param where table|nil as for sm.modules.begin; record=(the file of a run directory that has the overrides);
---   locals=(a table that gets the file's local variables);
---   sought=(that directory), handler=(for xpcall, while a script is run again for its sake); require=(the text's own);
---   data=(descriptions of sm.data.stand_in, which the text gets instead of data sets); and by_old_rules=true: the file
---   of a run of version 0.1.0, in which nothing that a file draws followed its seed
--- @return table {experiment=(nil for a plain script), source=, params=(see sm.experiment.params.finish)}
function M.file(path, source, overrides, where)
  where = where or {}
  source = source or M.read(path)
  local seed = not where.by_old_rules and guess_seed(source, overrides) or nil
  for attempt = 1, 2 do
    local loaded = run_once(path, source, overrides, seed, attempt > 1, where)
    if not loaded.experiment or loaded.by_script then return loaded end
    local experiments = require "sm.experiment"
    local drew, drawn_from = require "sm.random".file_drew()
    local wanted = experiments.seed(loaded.experiment)
    experiments.is_from_file(loaded.experiment)
    if not drew or drawn_from == wanted or where.by_old_rules then return loaded end
    if attempt == 2 then
      error(("%s: the seed of the experiment depends on numbers that the file draws: it is %d where they follow %d; "
        .. "give it as a number or a parameter"):format(path, wanted, seed), 0)
    end
    seed = wanted
    where = setmetatable({ again = true }, { __index = where })
  end
end

--- Reads the record of a run directory: the text that ran and the values of its parameters.
--- @param handler function|nil for xpcall, which adds to an error of the text's where it is
--- @param own_require function|nil of the text, as modules.apart gives it
--- @param changes table|nil parameter → text of the command line, instead of the value that the run had
--- @return table as `file`, made from the directory alone; without an experiment where the text is a plain script
function M.run_directory(directory, handler, own_require, changes)
  local schema = require "sm.experiment.schema"
  local path = directory .. "/params.json"
  local directory_of = require "sm.experiment.directory"
  local record = schema.decode(path, directory_of.read(path) or error(("there is no %s"):format(path), 0),
    schema.settings)
  local environment = directory_of.record(directory, true)
  local file = directory .. "/experiment.lua"
  local source = directory_of.read(file) or error(("there is no %s"):format(file), 0)
  require "sm.experiment.identity".check_modules(directory) -- before one runs
  local values = environment.script or record.values
  for name, text in pairs(changes or {}) do values[name] = text end
  return M.file(file, source, values, {
    record = not changes and (environment.script and directory .. "/environment.json" or path) or nil,
    handler = handler, require = own_require,
    sought = directory, kept = directory .. "/modules", by_old_rules = not environment.sessions,
    beside = environment.file and environment.file:match "^(.*)/[^/]*$" or nil,
  })
end

return M
